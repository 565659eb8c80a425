"""A folder laid out as the check data, under the same names, of which every file is our own."""

from pathlib import Path

from tests.own_data import blocks, books, broken_files, story_model, vocabularies

WRITERS = {
    "corpora": books.write,
    "gguf-malformed": broken_files.write_gguf,
    "quant-golden": blocks.write,
    "safetensors-malformed": broken_files.write_safetensors,
    "stories260K": story_model.write_gguf,
    "stories260K-hf-derived": story_model.write_folder,
    "stories260K-quant-derived": story_model.write_quantised,
    "stories260K-reference": story_model.write_answers,
    "tokenizers/gpt-2": vocabularies.write_gpt2,
    "tokenizers/qwen2.5": vocabularies.write_qwen,
}


def write(folder: Path) -> Path:
    for name, writer in WRITERS.items():
        (folder / name).mkdir(parents=True)
        writer(folder / name)
    return folder
