"""The small files of well-known models: none is refused for its keys, and each means what transformers reads in it."""

import json
from pathlib import Path

import pytest

from loaders.families import EncoderFamily
from loaders.huggingface.architecture import family_of, read_architecture
from loaders.huggingface.config_keys import GENERATION_CONFIG
from loaders.huggingface.encoder import read_encoder
from loaders.source.fields import Fields
from loaders.source.known_keys import check_keys

FIXTURE = Path(__file__).parent.parent / "fixtures" / "known_models"
MODELS = json.loads((FIXTURE / "models.json").read_text())
FACTS = json.loads((FIXTURE / "facts.json").read_text())


@pytest.mark.parametrize("name", MODELS)
def test_a_well_known_model_means_what_transformers_reads(name: str, tmp_path: Path):
    for file, content in MODELS[name].items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(json.dumps(content))
    config = Fields("config.json", MODELS[name]["config.json"])
    family = family_of(config)
    is_encoder = isinstance(family, EncoderFamily)
    architecture = read_encoder(tmp_path, config, family.name) if is_encoder else read_architecture(config)
    read = architecture.to_config()
    assert {field: read[field] for field in FACTS[name]} == FACTS[name]


@pytest.mark.parametrize("name", [name for name, files in MODELS.items() if "generation_config.json" in files])
def test_no_key_of_its_generation_config_is_refused(name: str):
    check_keys(Fields("generation_config.json", MODELS[name]["generation_config.json"]), GENERATION_CONFIG)


def test_what_follows_a_well_known_encoder_is_read(tmp_path: Path):
    def pooled(name: str) -> tuple:
        for file, content in MODELS[name].items():
            (tmp_path / name / file).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / name / file).write_text(json.dumps(content))
        read = read_encoder(tmp_path / name, Fields("config.json", MODELS[name]["config.json"]), "bert")
        return read.pooling, read.normalize, read.longest_text

    assert pooled("all-MiniLM-L6-v2") == ("mean", True, 256)
    assert pooled("bge-small-en-v1.5") == ("cls", True, 512)
    assert pooled("paraphrase-MiniLM-L3-v2 without Normalize") == ("mean", False, 128)
    assert pooled("bert-base-uncased") == ("mean", False, 512)
