"""GGUF files as models: what is read, what is refused, and transformers' logits from both containers."""

import hashlib
import json
import random

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.errors import SourceError
from loaders.gguf.file import read_gguf
from loaders.gguf.tokenizer import read_tokenizer
from loaders.huggingface.folder import read_folder
from loaders.source.fields import Fields
from plpython.model import encodings
from plpython.model.tokenizer import Tokenizer
from plpython.reference.decoder import NumpyEngine
from plpython.server.errors import ModelError


class Weights:
    """The tensors of a source, decoded when asked."""

    def __init__(self, model):
        self._tensors = {tensor.name: tensor for tensor in model.tensors}

    def __getitem__(self, name):
        tensor = self._tensors[name]
        return encodings.decode(tensor.type, tensor.data, tensor.shape)

    def get(self, name, default=None):
        return self[name] if name in self._tensors else default


def logits(model, tokens):
    engine = NumpyEngine(model.architecture, Weights(model))
    return engine.forward(tokens, engine.new_cache(), last_only=False)


def rejoined(model, file):
    """The bytes of a loaded file, from its segments."""
    tensors = {tensor.name: tensor.data for tensor in model.tensors}
    return b"".join(tensors[s.tensor] if s.literal is None else s.literal for s in file.segments)


def interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k as llama.cpp's converter permutes them: halves of each head become pairs."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


@pytest.mark.parametrize(
    "name",
    ["stories260K/stories260K.gguf"]
    + [f"stories260K-quant-derived/stories260K-{encoding}.gguf" for encoding in ("F16", "Q8_0", "Q4_0")],
)
def test_tensors_and_files_are_the_files_own_bytes(each_data, name):
    model = read_gguf(each_data / name)
    reader = gguf.GGUFReader(each_data / name)
    assert [(t.name, t.type, bytes(t.data)) for t in model.tensors] == [
        (t.name, t.tensor_type.name, t.data.tobytes()) for t in reader.tensors
    ]
    assert rejoined(model, model.files[0]) == (each_data / name).read_bytes()
    assert model.bytes() == (each_data / name).stat().st_size
    assert [b"".join(t.tiles()) for t in model.tensors] == [bytes(t.data) for t in model.tensors]


def test_the_quirks_of_a_story_model_are_read_as_llama_cpp_reads_them(each_data):
    model = read_gguf(each_data / "stories260K/stories260K.gguf")
    assert model.architecture.rope_theta == 10_000.0  # rope.freq_base is absent
    assert model.architecture.rope_interleaved
    assert not model.architecture.tied_embeddings  # output.weight is there, equal to the embedding
    assert model.tokenizer_settings == {
        "bos_id": 1,
        "eos_ids": [2],
        "before": [1],
        "after": [],
        "vocabulary_size": 512,
        "chat_template": None,
    }


def test_both_containers_of_a_story_model_hold_the_same_weights(each_data):
    ours = read_gguf(each_data / "stories260K/stories260K.gguf")
    theirs = Weights(read_folder(each_data / "stories260K-hf-derived"))
    heads = {"attn_q": 8, "attn_k": 4}
    for tensor in ours.tensors:
        values = encodings.decode(tensor.type, tensor.data, tensor.shape)
        tied = tensor.name == "output.weight"  # is the embedding there
        expected = theirs["token_embd.weight" if tied else tensor.name]
        kind = tensor.name.split(".")[-2]
        if kind in heads:
            expected = interleaved(expected, heads[kind])
        assert np.array_equal(values, expected), tensor.name


@pytest.mark.parametrize("case", ["case2", "case3"])
def test_both_containers_of_a_story_model_give_the_references_logits(each_data, case):
    folder = each_data / "stories260K-reference"
    tokens = json.loads((folder / f"{case}.json").read_text())["tokens"]
    expected = np.fromfile(folder / f"{case}.logits.f32", "<f4").reshape(len(tokens), -1)
    for model in (
        read_gguf(each_data / "stories260K/stories260K.gguf"),
        read_folder(each_data / "stories260K-hf-derived"),
    ):
        assert np.abs(logits(model, tokens) - expected).max() <= 1e-4


@pytest.mark.parametrize("encoding", ["F16", "Q8_0", "Q4_0"])
def test_quantised_copies_give_their_references_logits(each_data, encoding):
    folder = each_data / "stories260K-quant-derived"
    tokens = next(e for e in json.loads((folder / "expected.json").read_text()) if encoding in e["file"])["tokens"]
    expected = np.fromfile(folder / f"{encoding}.case2.logits.f32", "<f4").reshape(len(tokens), -1)
    model = read_gguf(folder / f"stories260K-{encoding}.gguf")
    assert np.abs(logits(model, tokens) - expected).max() <= 1e-4


FAMILY_NAMES = ["llama2", "llama3", "llama_linear", "mistral_window", "qwen2", "qwen2_window", "qwen3", "seed_oss"]


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_hugging_face_folder_of_each_family_gives_transformers_logits(families, name):
    model = read_folder(families / name)
    expected = np.load(families / name / "expected.npz")
    assert np.abs(logits(model, expected["tokens"]) - expected["logits"]).max() <= 1e-4
    for file in model.files:
        assert rejoined(model, file) == (families / name / file.path).read_bytes()


@pytest.mark.parametrize("name", [name for name in FAMILY_NAMES if name != "qwen2_window"])
def test_a_gguf_of_each_family_gives_transformers_logits(families, write_gguf, tiny, name):
    path = write_gguf(*as_gguf(read_folder(families / name), tiny[0]))
    model = read_gguf(path)
    expected = np.load(families / name / "expected.npz")
    assert np.abs(logits(model, expected["tokens"]) - expected["logits"]).max() <= 1e-4


# llama.cpp's name for the norm before the feed-forward network, where it is not ffn_norm (its seed-oss.cpp).
RENAMED = {"seed_oss": ("ffn_norm", "post_attention_norm")}


def as_gguf(model, tiny_metadata):
    """(metadata, tensors) as llama.cpp's converter would write them, Llama 3's scaling as rope_freqs.weight."""
    a = model.architecture
    name = {"mistral": "llama"}.get(a.family, a.family)
    pieces = [f"t{n}" for n in range(a.vocabulary_size)]
    metadata = {
        "general.architecture": name,
        f"{name}.context_length": a.context_length,
        f"{name}.embedding_length": a.hidden_size,
        f"{name}.feed_forward_length": a.ffn_size,
        f"{name}.block_count": a.layers,
        f"{name}.attention.head_count": a.heads,
        f"{name}.attention.head_count_kv": a.kv_heads,
        f"{name}.attention.key_length": a.head_dim,
        f"{name}.attention.value_length": a.head_dim,
        f"{name}.attention.layer_norm_rms_epsilon": a.norm_epsilon,
        f"{name}.rope.freq_base": a.rope_theta,
        f"{name}.rope.dimension_count": a.head_dim,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": [float(-n) for n in range(len(pieces))],
    }
    if a.windows:
        metadata[f"{name}.attention.sliding_window"] = a.windows[0]
    tensors = {}
    for tensor in model.tensors:
        values = encodings.decode(tensor.type, tensor.data, tensor.shape)
        kind = tensor.name.split(".")[-2]
        if name == "llama" and kind in ("attn_q", "attn_k"):
            values = interleaved(values, a.heads if kind == "attn_q" else a.kv_heads)
        ours, theirs = RENAMED.get(name, ("", ""))
        tensors[tensor.name.replace(ours, theirs)] = values
    if a.rope_scaling and a.rope_scaling["type"] == "linear":
        metadata[f"{name}.rope.scaling.type"] = "linear"
        metadata[f"{name}.rope.scaling.factor"] = a.rope_scaling["factor"]
    elif a.rope_scaling:
        plain = a.rope_theta ** (-np.arange(0, a.head_dim, 2) / a.head_dim)
        tensors["rope_freqs.weight"] = (plain / a.rope_frequencies()).astype(np.float32)
    return metadata, tensors


def test_a_norm_under_the_name_of_other_families_is_refused_by_that_name(families, write_gguf, tiny):
    metadata, tensors = as_gguf(read_folder(families / "seed_oss"), tiny[0])
    theirs, others = "blk.1.post_attention_norm.weight", "blk.1.ffn_norm.weight"
    with pytest.raises(ModelError, match=f'tensor "{others}" is not part of the architecture'):
        read_gguf(write_gguf(metadata, tensors | {others: tensors[theirs]}))
    with pytest.raises(ModelError, match=f'tensor "{theirs}" is missing'):
        read_gguf(write_gguf(metadata, {name: values for name, values in tensors.items() if name != theirs}))


SCORES, KINDS = "tokenizer.ggml.scores", "tokenizer.ggml.token_type"
TOKENS = "tokenizer.ggml.tokens"

ILL_METADATA = {
    'architecture "mamba" is not supported': {"general.architecture": "mamba"},
    'has no "llama.block_count"': {"llama.block_count": None},
    '"llama.block_count" is out of range': {"llama.block_count": 4_000_000_000},
    "\"llama.block_count\" is 'two', expected an integer": {"llama.block_count": "two"},
    '"llama.attention.head_count" has 2 elements, expected 1': {"llama.attention.head_count": [2, 2]},
    '"llama.attention.head_count" is out of range': {"llama.attention.head_count": 0},
    "expert_count": {"llama.expert_count": 8},
    "logit_scale": {"llama.logit_scale": 0.5},
    '"llama.rope.scaling.type" is "yarn", which is not supported': {
        "llama.rope.scaling.type": "yarn",
        "llama.rope.scaling.factor": 4.0,
    },
    "rope.dimension_count": {"llama.rope.dimension_count": 2},
    "layer_norm_rms_epsilon": {"llama.attention.layer_norm_rms_epsilon": -1.0},
    "the first of 3 parts": {"split.count": 3, "split.no": 0},
    "is part 2 of 3": {"split.count": 3, "split.no": 1},
    'tokenizer model "t5" is not supported': {"tokenizer.ggml.model": "t5"},
    'has no "tokenizer.ggml.model"': {"tokenizer.ggml.model": None},
    'has no "tokenizer.ggml.tokens"': {TOKENS: None},
    '"tokenizer.ggml.tokens" is an array of': {TOKENS: [1, 2, 3]},
    "the tokenizer has 265 tokens, the embedding 264 rows": {TOKENS: [str(n) for n in range(265)], KINDS: None},
    '"tokenizer.ggml.scores" is an array of int32, expected float32': {SCORES: [1] * 264},
    '"tokenizer.ggml.scores" has 2 elements, expected 264': {SCORES: [1.0, 2.0]},
    '"tokenizer.ggml.scores" is a list of 264': {SCORES: ["x"] * 264},
    "not finite": {SCORES: [float("nan")] * 264},
    '"tokenizer.ggml.token_type" is an array of float32, expected int32': {KINDS: [1.0] * 264},
    "an unknown type, 77": {KINDS: [77] * 264},
    "bos_token_id": {"tokenizer.ggml.bos_token_id": 264},
    "remove_extra_whitespaces": {"tokenizer.ggml.remove_extra_whitespaces": True},
    'has no "tokenizer.ggml.pre"': {"tokenizer.ggml.model": "gpt2"},
    'tokenizer pre "martian" is not supported': {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "martian"},
    "does not have two halves": {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.merges": ["ab"],
    },
    "the tokenizer's definition cannot be read": {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.merges": ["zz yy"],
    },
}


@pytest.mark.parametrize("expected", ILL_METADATA)
def test_metadata_that_cannot_be_served_is_refused_by_name(tiny, write_gguf, expected):
    metadata, tensors = tiny
    metadata = {key: value for key, value in (metadata | ILL_METADATA[expected]).items() if value is not None}
    with pytest.raises((SourceError, ModelError)) as problem:
        read_gguf(write_gguf(metadata, tensors))
    assert expected in str(problem.value)
    assert "\n" not in str(problem.value)


def test_the_file_that_the_refusals_break_is_itself_accepted(tiny, write_gguf):
    model = read_gguf(write_gguf(*tiny))
    assert model.architecture.layers == 1
    assert len(model.tensors) == 12


@pytest.mark.parametrize("spelling", ["<0x-1>", "<0x100>", "<0xZZ>", "<0xa>", "0x0A"])
def test_a_byte_token_that_is_no_byte_is_refused(tiny, write_gguf, spelling):
    metadata, tensors = tiny
    metadata[TOKENS][5] = spelling
    with pytest.raises(SourceError, match="token 5 is a byte spelled"):
        read_gguf(write_gguf(metadata, tensors))


def test_a_text_that_two_tokens_have_is_encoded_as_the_later_and_both_ids_decode_to_it(tiny, write_gguf):
    metadata, tensors = tiny
    metadata[TOKENS][-1] = "ab"
    model = read_gguf(write_gguf(metadata, tensors))
    tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    assert tokenizer.encode("aab", add_special=False)[-1] == 263
    assert [tokenizer.token_bytes(number) for number in (262, 263)] == [b"ab", b"ab"]
    assert [tokenizer.kind(number) for number in (262, 263)] == ["normal", "normal"]
    assert len(list(tokenizer.vocabulary())) == 264


@pytest.mark.parametrize("absent", [None, 0xFFFFFFFF])
def test_ids_that_a_file_leaves_out_are_those_of_llama_cpp(tiny, write_gguf, absent):
    metadata, tensors = tiny
    for key in ("bos", "eos"):
        metadata[f"tokenizer.ggml.{key}_token_id"] = absent
    named = {key: value for key, value in metadata.items() if value is not None}
    spm = read_gguf(write_gguf(named, tensors)).tokenizer_settings
    assert (spm["bos_id"], spm["eos_ids"], spm["before"], spm["after"]) == (1, [2], [1], [])
    byte_level = named | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.merges": ["a b"],
    }
    bpe = read_gguf(write_gguf(byte_level, tensors)).tokenizer_settings
    assert (bpe["bos_id"], bpe["eos_ids"][0], bpe["before"]) == (11, 11, [])
    tokenizer = Tokenizer(*_tokenizer_of(read_gguf(write_gguf(byte_level, tensors))))
    assert tokenizer.kind(11) != "control"  # the default is a token like any other


def test_a_default_id_beyond_the_vocabulary_is_no_token():
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        TOKENS: ["a", "b"],
        "tokenizer.ggml.merges": [],
    }
    _, settings = read_tokenizer(Fields("metadata", metadata), 2)
    assert (settings["bos_id"], settings["eos_ids"]) == (None, [])


def _tokenizer_of(model):
    return model.tokenizer_definition, model.tokenizer_settings


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("tokenizer.ggml.precompiled_charsmap", "abc", "precompiled_charsmap"),
        ("tokenizer.ggml.escape_whitespaces", False, "escape_whitespaces"),
        ("tokenizer.ggml.treat_whitespace_as_suffix", True, "treat_whitespace_as_suffix"),
        ("tokenizer.ggml.suppress_tokens", [1], "suppress_tokens"),
        ("tokenizer.ggml.unheard_of", 1, "unheard_of"),
        ("tokenizer.chat_template", "a\0b", r'"tokenizer.chat_template" has U\+0000 at character 2'),
    ],
)
def test_a_tokenizers_key_that_is_not_known_or_cannot_be_stored_is_refused(tiny, write_gguf, key, value, expected):
    metadata, tensors = tiny
    with pytest.raises(SourceError, match=expected):
        read_gguf(write_gguf(metadata | {key: value}, tensors))


@pytest.mark.parametrize("key", ["chat_templates", "chat_template.rag", "huggingface.json", "ggml.fim_pre_token_id"])
def test_a_tokenizers_key_that_changes_no_text_is_passed_over(tiny, write_gguf, key):
    metadata, tensors = tiny
    value = 1 if key.endswith("_id") else "anything"
    changed = read_gguf(write_gguf(metadata | {f"tokenizer.{key}": value}, tensors))
    assert _tokenizer_of(changed) == _tokenizer_of(read_gguf(write_gguf(metadata, tensors)))


def test_a_chat_template_for_tools_is_read_beside_the_other(tiny, write_gguf):
    metadata, tensors = tiny
    templates = {"tokenizer.chat_template": "{{ 1 }}", "tokenizer.chat_template.tool_use": "{{ 2 }}"}
    settings = read_gguf(write_gguf(metadata | templates, tensors)).tokenizer_settings
    assert (settings["chat_template"], settings["tool_chat_template"]) == ("{{ 1 }}", "{{ 2 }}")


def test_a_token_of_half_a_megabyte_is_refused_at_once(tiny, write_gguf):
    metadata, tensors = tiny
    metadata[TOKENS][-1] = "a" * 500_000
    with pytest.raises(SourceError, match="token 263 is 500000 characters long"):
        read_gguf(write_gguf(metadata, tensors))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("blk.0.ffn_up.weight", None, 'tensor "blk.0.ffn_up.weight" is missing'),
        ("blk.0.ffn_sub_norm.weight", (8,), 'tensor "blk.0.ffn_sub_norm.weight" is not part of the architecture'),
        ("blk.1.attn_norm.weight", (8,), 'tensor "blk.1.attn_norm.weight" is not part of the architecture'),
        ("blk.0.ffn_up.weight", (8, 12), 'tensor "blk.0.ffn_up.weight" has the wrong shape'),
        ("blk.0.attn_q.bias", (8,), 'tensor "blk.0.attn_k.bias" is missing'),
        ("token_embd.weight", None, 'tensor "token_embd.weight" is missing'),
    ],
)
def test_tensors_that_the_architecture_does_not_have_are_refused_by_name(tiny, write_gguf, name, change, expected):
    metadata, tensors = tiny
    tensors.pop(name, None)
    if change:
        tensors[name] = np.zeros(change, np.float32)
    with pytest.raises(ModelError) as problem:
        read_gguf(write_gguf(metadata, tensors))
    assert expected in str(problem.value)


def test_a_tensor_type_that_is_not_supported_is_refused_by_name(tiny, write_gguf):
    metadata, tensors = tiny
    tensors["blk.0.ffn_up.weight"] = np.zeros((12, 8), np.float64)
    with pytest.raises(SourceError, match=r'tensor "blk.0.ffn_up.weight" has type F64, which is not supported'):
        read_gguf(write_gguf(metadata, tensors))


def test_a_vocabulary_file_has_no_tensors_to_load(each_data):
    with pytest.raises(SourceError, match='architecture "gpt2" is not supported'):
        read_gguf(each_data / "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf")


def test_a_file_without_tensor_data_is_refused(tiny, write_gguf):
    with pytest.raises(SourceError, match="no tensor data"):
        read_gguf(write_gguf(tiny[0], {}))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_a_damaged_model_never_does_worse_than_a_one_line_error(tiny, write_gguf, tmp_path, seed):
    good = tmp_path / "good.gguf"
    if not good.exists():
        write_gguf(*tiny, name="good.gguf")
    content = bytearray(good.read_bytes())
    damage = random.Random(seed)
    for _ in range(damage.randrange(1, 6)):
        content[damage.randrange(len(content))] = damage.choice((0, 1, 2, 9, 127, 128, 255, damage.randrange(256)))
    (tmp_path / "bad.gguf").write_bytes(content[: damage.choice((len(content), damage.randrange(len(content))))])
    try:
        read_gguf(tmp_path / "bad.gguf")
    except (SourceError, ModelError) as problem:
        assert str(problem)


def test_tiles_are_whole_rows_of_about_a_mebibyte(tmp_path):
    from loaders.source.model import SourceTensor

    wide = SourceTensor("t", "F32", (3, 300_000), memoryview(bytes(3_600_000)))
    assert [len(tile) for tile in wide.tiles()] == [1 << 20, 1_200_000 - (1 << 20)] * 3
    tall = SourceTensor("t", "Q8_0", (5000, 896), memoryview(bytes(5000 * 952)))
    assert [len(tile) for tile in tall.tiles()] == [1101 * 952] * 4 + [596 * 952]
    flat = SourceTensor("t", "F32", (7,), memoryview(bytes(28)))
    assert [len(tile) for tile in flat.tiles()] == [28]
    exact = SourceTensor("t", "F32", (4, 1 << 18), memoryview(bytes(1 << 22)))
    assert [len(tile) for tile in exact.tiles()] == [1 << 20] * 4


def test_reading_copies_no_weights(each_data):
    model = read_gguf(each_data / "stories260K/stories260K.gguf")
    assert {type(tensor.data.obj).__name__ for tensor in model.tensors} == {"mmap"}
    content = (each_data / "stories260K/stories260K.gguf").read_bytes()
    assert hashlib.sha256(rejoined(model, model.files[0])).digest() == hashlib.sha256(content).digest()


def test_the_published_file_is_rejoined_with_its_published_hash(data):
    model = read_gguf(data / "stories260K/stories260K.gguf")
    published = "270cba1bd5109f42d03350f60406024560464db173c0e387d91f0426d3bd256d"  # as SOURCE.txt says
    assert hashlib.sha256(rejoined(model, model.files[0])).hexdigest() == published
