"""Encoders: sentence-transformers folders and GGUF files, and what is refused of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer as Library
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer

from loaders.errors import SourceError
from loaders.reader import read_model
from plpython.model import encodings
from plpython.model.tokenizer import Tokenizer
from plpython.server.errors import ModelError

ENCODERS = Path(__file__).parent.parent / "fixtures" / "encoders"


@pytest.fixture
def folder(tmp_path):
    """A copy of a tiny encoder's folder, to be changed."""
    shutil.copytree(ENCODERS / "mean", tmp_path / "mean")
    return tmp_path / "mean"


def change(path, **values):
    document = json.loads(path.read_text()) | values
    path.write_text(json.dumps(document))


def arrays(model):
    return {t.name: encodings.decode(t.type, np.frombuffer(t.data, np.uint8), t.shape) for t in model.tensors}


def as_gguf(folder, write_gguf, **metadata):
    """The folder's model as a converter for llama.cpp writes it."""
    model = read_model(folder)
    a = model.architecture
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    pieces = [*sorted(vocabulary, key=vocabulary.get), "[PAD95]", "[PAD96]"]
    control = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    spelled = [p if p in control else p[2:] if p.startswith("##") else "\u2581" + p for p in pieces]
    values = {
        "general.architecture": "bert",
        "bert.context_length": a.context_length,
        "bert.embedding_length": a.hidden_size,
        "bert.feed_forward_length": a.ffn_size,
        "bert.block_count": a.layers,
        "bert.attention.head_count": a.heads,
        "bert.attention.layer_norm_epsilon": a.norm_epsilon,
        "bert.attention.causal": False,
        "bert.pooling_type": 1,
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": spelled[: a.vocabulary_size],
        "tokenizer.ggml.token_type": [3 if p in control else 1 for p in pieces][: a.vocabulary_size],
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.cls_token_id": vocabulary["[CLS]"],
        "tokenizer.ggml.seperator_token_id": vocabulary["[SEP]"],
        "tokenizer.ggml.unknown_token_id": vocabulary["[UNK]"],
    }
    return write_gguf(values | metadata, arrays(model))


def test_a_folder_says_pooling_normalisation_and_how_much_is_read():
    mean, cls = (read_model(ENCODERS / name).architecture for name in ("mean", "cls"))
    assert (mean.pooling, mean.normalize, mean.longest_text, mean.context_length) == ("mean", True, 24, 32)
    assert (cls.pooling, cls.normalize, cls.longest_text) == ("cls", False, 20)


def test_the_heads_of_training_are_no_part_of_the_model_and_stay_in_its_file():
    model = read_model(ENCODERS / "cls")
    assert {tensor.name for tensor in model.tensors} == set(model.architecture.tensors())
    path = ENCODERS / "cls" / "model.safetensors"
    file = next(file for file in model.files if file.path == path.name)
    tensors = {tensor.name: tensor.data for tensor in model.tensors}
    assert b"".join(bytes(s.literal or tensors[s.tensor]) for s in file.segments) == path.read_bytes()


def test_the_pooling_configuration_is_one_of_the_files():
    assert "1_Pooling/config.json" in [file.path for file in read_model(ENCODERS / "mean").files]


def test_newer_folders_name_modules_and_pooling_otherwise(folder):
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        module["type"] = "sentence_transformers.base.modules.x." + module["type"].rpartition(".")[2]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"embedding_dimension": 64, "pooling_mode": "cls", "include_prompt": True})
    )
    assert read_model(folder).architecture.pooling == "cls"


def test_a_plain_encoder_has_the_mean_and_no_normalisation(folder):
    for name in ("modules.json", "sentence_bert_config.json"):
        (folder / name).unlink()
    architecture = read_model(folder).architecture
    assert (architecture.pooling, architecture.normalize, architecture.longest_text) == ("mean", False, 32)


@pytest.mark.parametrize(
    ("said", "longest"),
    [  # as transformers 5.24 has them, whose limit is 10^30 without a number
        ({"max_len": 9}, 9),
        ({"max_len": 9, "model_max_length": 7}, 7),
        ({"max_len": 9, "model_max_length": None}, 32),
    ],
)
def test_the_older_name_of_the_longest_text_counts_where_the_newer_is_absent(folder, said, longest):
    (folder / "sentence_bert_config.json").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("model_max_length", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config | said))
    assert read_model(folder).architecture.longest_text == longest


def test_vocab_txt_alone_gives_the_same_tokens(folder):
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.get)) + "\n")
    (folder / "tokenizer.json").unlink()
    model, expected = read_model(folder), json.loads((folder / "expected.json").read_text())
    tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    for text, tokens in zip(expected["texts"], expected["tokens"], strict=True):
        if len(tokens) < 24:
            assert tokenizer.encode(text) == tokens


def test_a_gguf_is_the_same_model_with_the_same_tokens(folder, write_gguf):
    ours, expected = read_model(as_gguf(folder, write_gguf)), read_model(folder)
    fields = ("hidden_size", "layers", "heads", "ffn_size", "vocabulary_size", "pooling", "normalize", "token_types")
    assert [getattr(ours.architecture, f) for f in fields] == [getattr(expected.architecture, f) for f in fields]
    theirs = arrays(expected)
    for name, array in arrays(ours).items():
        np.testing.assert_array_equal(array, theirs[name])
    answers = json.loads((folder / "expected.json").read_text())
    tokenizer = Tokenizer(ours.tokenizer_definition, ours.tokenizer_settings)
    for text, tokens in zip(answers["texts"], answers["tokens"], strict=True):
        if len(tokens) < 24:
            assert tokenizer.encode(text) == tokens


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"bert.attention.causal": True}, "causal"),
        ({"bert.pooling_type": 4}, "pooling_type"),
        ({"bert.context_length": 31}, "position_embd.weight"),
    ],
)
def test_a_gguf_that_asks_for_something_else_is_refused(folder, write_gguf, metadata, message):
    with pytest.raises((SourceError, ModelError), match=message):
        read_model(as_gguf(folder, write_gguf, **metadata))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_act": "gelu_new"}, "hidden_act"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
        ({"num_attention_heads": 5}, "heads"),
        ({"intermediate_size": 100}, "ffn_up"),
    ],
)
def test_a_configuration_that_means_another_arithmetic_is_refused(folder, values, message):
    change(folder / "config.json", **values)
    with pytest.raises((SourceError, ModelError), match=message):
        read_model(folder)


@pytest.mark.parametrize(
    ("file", "ill", "neutral"),
    [
        ("sentence_bert_config.json", {"tokenizer_args": {"stride": 1}}, {"tokenizer_args": {}}),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "query"},
            {"default_prompt_name": None, "prompts": {}},
        ),
    ],
)
def test_what_changes_texts_before_they_are_embedded_is_refused(folder, file, ill, neutral):
    before = json.loads((folder / file).read_text()) if (folder / file).exists() else {}
    (folder / file).write_text(json.dumps(before | neutral))
    read_model(folder)
    (folder / file).write_text(json.dumps(before | ill))
    with pytest.raises(SourceError, match=next(iter(ill))):
        read_model(folder)


def test_two_poolings_at_once_are_refused(folder):
    change(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True)
    with pytest.raises(SourceError, match='"cls" and "mean"'):
        read_model(folder)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ({"path": "2_Dense", "type": "sentence_transformers.models.Dense"}, "Dense"),
        ({"path": "../elsewhere", "type": "sentence_transformers.models.Pooling"}, "not in the folder"),
    ],
)
def test_modules_that_are_not_known_or_lie_elsewhere_are_refused(folder, module, message):
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*modules, module]))
    with pytest.raises(SourceError, match=message):
        read_model(folder)


def test_a_tensor_that_is_missing_is_named(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"blk\.1\.ffn_down\.bias"):
        read_model(folder)


def texts_of(data) -> list[str]:
    """The texts that others test their tokenizers with: many scripts, spaces, accents, emoji, control characters."""
    folder = data / "tokenizers" / "qwen2.5"
    listed = [entry["text"] for entry in json.loads((folder / "inputs.json").read_text())["inputs"]]
    marked = (folder / "ggml-vocab-qwen2.gguf.inp").read_text().split("\n__ggml_vocab_test__\n")
    return [*listed, *marked]


def corpora(data) -> list[str]:
    """Lines of two books."""
    return [line for name in ("war-and-peace", "tinyshakespeare") for line in (data / f"corpora/{name}.txt").open()]


@pytest.fixture
def learnt(each_data, folder):
    """The tokenizers package's own WordPiece over 8,000 pieces learnt from two books; the folder is given them."""
    library = Library.from_file(str(folder / "tokenizer.json"))
    library.no_truncation()
    library.no_padding()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    library.train_from_iterator(corpora(each_data), WordPieceTrainer(vocab_size=8000, special_tokens=special))
    pieces = library.get_vocab()
    around = [(name, pieces[name]) for name in ("[CLS]", "[SEP]")]
    library.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    library.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").write_text("\n".join(sorted(pieces, key=pieces.get)) + "\n")
    weights = load_file(folder / "model.safetensors")
    (name,) = (name for name in weights if name.endswith("word_embeddings.weight"))
    weights[name] = np.resize(weights[name], (len(pieces), weights[name].shape[1]))
    save_file(weights, folder / "model.safetensors")
    change(folder / "config.json", vocab_size=len(pieces))
    return library


def test_ids_are_those_of_the_tokenizers_package_from_a_folder_a_gguf_and_vocab_txt(
    each_data, folder, learnt, write_gguf
):
    models = [read_model(folder), read_model(as_gguf(folder, write_gguf))]
    (folder / "tokenizer.json").unlink()
    models.append(read_model(folder))
    texts = [*texts_of(each_data), *corpora(each_data)[::8]]
    expected = [learnt.encode(text).ids for text in texts]
    assert len({token for ids in expected for token in ids}) > 5000
    for model in models:
        tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
        assert [tokenizer.encode(text) for text in texts] == expected
