"""Token ids and bytes against what Hugging Face, `tokenizers`, llama.cpp and llama2.c gave for the same texts."""

import functools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.reader import read_model
from plpython.model.tokenizer import StreamDecoder, Tokenizer
from plpython.server import background
from plpython.server.background import Background
from plpython.server.errors import CORRUPT_DATA, INVALID_PARAMETER, NOT_SUPPORTED, ModelError

PADDING = 271  # rows of Qwen2.5's embedding behind its last token
QWEN_TOKENS = {"Hello": 9707, "<|im_start|>": 151_644, "<|im_end|>": 151_645, "<tool_call>": 151_657}
ENCODER = Path(__file__).parent.parent / "fixtures" / "encoders" / "mean"
SEPARATOR = "\n__ggml_vocab_test__\n"


@pytest.fixture(scope="module")
def qwen(each_data):
    """Qwen2.5's tokenizer, or one of our own that is shaped like it; rows are left over in the embedding."""
    definition = (each_data / "tokenizers/qwen2.5/tokenizer.json").read_text()
    library = tokenizers.Tokenizer.from_str(definition)
    ends = [library.token_to_id(name) for name in ("<|endoftext|>", "<|im_end|>")]
    return Tokenizer(definition, {"eos_ids": ends, "vocabulary_size": library.get_vocab_size() + PADDING})


def token(qwen, text):
    """The id of a token by its text, from the library."""
    return qwen._library.token_to_id(text)


def test_qwens_tokens_have_their_published_ids(data):
    definition = (data / "tokenizers/qwen2.5/tokenizer.json").read_text()
    qwen = Tokenizer(definition, {"eos_ids": [151_643], "vocabulary_size": 151_936})
    assert {text: qwen.encode(text, parse_special=True) for text in QWEN_TOKENS} == {
        text: [number] for text, number in QWEN_TOKENS.items()
    }
    assert len(list(qwen.vocabulary())) == 151_665 + PADDING == 151_936


@pytest.fixture(scope="module")
def stories(each_data):
    definition = (each_data / "stories260K-hf-derived/tokenizer.json").read_text()
    return Tokenizer(definition, {"bos_id": 1, "eos_ids": [2], "add_bos": True, "vocabulary_size": 512})


def ggml_cases(folder, name):
    texts = (folder / f"{name}.inp").read_text().split(SEPARATOR)[:-1]
    ids = [[int(word) for word in line.split()] for line in (folder / f"{name}.out").read_text().splitlines()]
    return list(zip(texts, ids, strict=True))


def test_qwen_ids_are_the_references_in_all_marked_texts(each_data, qwen):
    cases = ggml_cases(each_data / "tokenizers/qwen2.5", "ggml-vocab-qwen2.gguf")
    assert len(cases) >= 40
    assert [qwen.encode(text) for text, _ in cases] == [ids for _, ids in cases]


def test_qwen_ids_are_the_references_in_all_listed_texts(each_data, qwen):
    folder = each_data / "tokenizers/qwen2.5"
    texts = {entry["id"]: entry["text"] for entry in json.loads((folder / "inputs.json").read_text())["inputs"]}
    expected = json.loads((folder / "Qwen__Qwen2.5-0.5B.json").read_text())["entries"]
    assert len(expected) >= 30
    for name, entry in expected.items():
        assert qwen.encode(texts[name]) == entry["input_ids"], name
        assert qwen.decode(entry["input_ids"]) == entry["decoded_skip_special"], name
        assert qwen.decode(entry["input_ids"], keep_control=True) == entry["decoded_with_special"], name


def test_stories_prompts_have_the_ids_that_the_reference_fed(each_data, stories):
    folder = each_data / "stories260K-reference"
    for case in ("case2", "case3"):
        reference = json.loads((folder / f"{case}.json").read_text())
        prompt = (folder / f"{case}.prompt.txt").read_text()
        assert stories.encode(prompt) == reference["tokens"][: reference["n_prompt"]]
        assert stories.decode(reference["tokens"][: reference["n_prompt"]]) == prompt


def test_stories_text_loses_only_the_space_that_sentencepiece_puts_first(each_data, stories):
    text = (each_data / "stories260K-reference/greedy_bos_256.txt").read_text()
    ids = stories.encode(text)
    assert stories.decode(ids) == text
    assert b"".join(stories.token_bytes(i) for i in ids[1:]) == b" " + text.encode()
    assert stories.decode(stories.encode("  two spaces stay")) == "  two spaces stay"
    assert stories.encode("") == [1]


def test_a_continuation_keeps_its_leading_space(stories):
    park = stories.encode("park")[1:]
    continued = StreamDecoder(stories)
    begun = StreamDecoder(stories, at_start=True)
    assert "".join(map(continued.push, park)) + continued.finish() == " park"
    assert "".join(map(begun.push, park)) + begun.finish() == "park"


def test_sentencepiece_falls_back_to_bytes(stories):
    assert stories.encode("\u8449")[-3:] == [0xE8 + 3, 0x91 + 3, 0x89 + 3]
    assert [stories.token_bytes(byte + 3) for byte in range(256)] == [bytes([byte]) for byte in range(256)]
    assert {stories.kind(byte + 3) for byte in range(256)} == {"byte"}
    assert [stories.kind(i) for i in range(3)] == ["unknown", "control", "control"]


@pytest.mark.parametrize("text", ["<s>", "</s>", "a</s>b", "<unk>", "<0x0A>"])
def test_control_tokens_of_sentencepiece_inside_text_are_text(stories, text):
    ids = stories.encode(text, add_special=False)
    assert not {0, 1, 2} & set(ids)
    assert stories.decode(ids) == text


def test_control_tokens_of_qwen_inside_text_are_text_unless_asked(qwen):
    text = "<|im_start|>user\nhi<|im_end|>"
    as_text = qwen.encode(text)
    start, end = (token(qwen, name) for name in ("<|im_start|>", "<|im_end|>"))
    assert not {start, end} & set(as_text)
    assert qwen.decode(as_text) == text
    parsed = qwen.encode(text, parse_special=True)
    assert parsed == [start, *qwen.encode("user\nhi"), end]
    assert qwen.decode(parsed) == "user\nhi"
    assert qwen.decode(parsed, keep_control=True) == text
    assert qwen.encode(text) == as_text  # asking once changes nothing later


def test_added_tokens_that_are_not_control_tokens_stay_whole(qwen):
    call = token(qwen, "<tool_call>")
    assert qwen.encode("<tool_call>") == [call]
    assert qwen.kind(call) == "added"
    assert qwen.decode([call]) == "<tool_call>"


def test_padded_rows_decode_to_nothing_and_other_ids_are_errors(qwen):
    last = qwen.vocabulary_size - 1
    assert qwen.token_bytes(last) == b""
    assert qwen.kind(last) == "unused"
    assert qwen.decode([last, token(qwen, "Hello")]) == "Hello"
    for nonsense in (last + 1, -1, 2**32 - 1, None, True, 1.0):
        with pytest.raises(ModelError, match="there is no token") as problem:
            qwen.decode([nonsense])
        assert problem.value.sqlstate == INVALID_PARAMETER


def test_the_vocabulary_has_a_row_for_every_embedding_row(qwen):
    rows, hello, end = list(qwen.vocabulary()), token(qwen, "Hello"), token(qwen, "<|im_end|>")
    assert [row[0] for row in rows] == list(range(qwen._library.get_vocab_size() + PADDING))
    assert rows[hello] == (hello, b"Hello", "Hello", "normal")
    assert rows[end] == (end, b"<|im_end|>", "<|im_end|>", "control")
    single_bytes = {content for _, content, _, kind in rows if kind == "normal" and len(content) == 1}
    assert single_bytes == {bytes([byte]) for byte in range(256)}
    assert not any("\0" in text for _, _, text, _ in rows)
    assert sum(kind == "unused" for *_, kind in rows) == PADDING


def test_a_stream_never_shows_half_a_character(qwen):
    text = "\U0001f468\u200d\U0001f469 \u0e20\u0e32\u0e29\u0e32 \U00013000"
    ids = qwen.encode(text)
    decoder = StreamDecoder(qwen, at_start=True)
    pieces = [decoder.push(i) for i in ids]
    assert "".join(pieces) == text
    assert "" in pieces  # some tokens are half a character
    assert "\ufffd" not in "".join(pieces)
    assert decoder.finish() == ""
    half = StreamDecoder(qwen)
    half.push(qwen.encode("\U00013000")[0])
    assert half.finish() == "\ufffd"


@settings(max_examples=200, deadline=None)
@given(text=st.text())
def test_any_text_comes_back_from_sentencepiece(stories, text):
    assert stories.decode(stories.encode(text)) == text.replace("\u2581", " ")


@settings(max_examples=200, deadline=None)
@given(numbers=st.lists(st.integers(0, 1 << 20), max_size=20))
def test_a_stream_of_any_tokens_is_the_text_of_their_bytes(qwen, numbers):
    ids = [number % qwen.vocabulary_size for number in numbers]
    shown = b"".join(qwen.token_bytes(i) for i in ids if qwen.is_shown(i))
    assert qwen.decode(ids) == shown.decode("utf-8", "replace")


def test_bos_and_eos_are_put_where_the_model_wants_them(each_data):
    definition = (each_data / "stories260K-hf-derived/tokenizer.json").read_text()
    both = Tokenizer(definition, {"bos_id": 1, "eos_ids": [2], "add_bos": True, "add_eos": True})
    bare = both.encode("One day", add_special=False)
    assert both.encode("One day") == [1, *bare, 2]
    assert both.vocabulary_size == 512
    neither = Tokenizer(definition, {"bos_id": None, "eos_ids": [], "add_bos": True, "add_eos": True})
    assert neither.encode("One day") == bare
    several = Tokenizer(definition, {"bos_id": 1, "eos_ids": [2], "before": [3, 1], "after": [5, 4]})
    assert several.encode("One day") == [3, 1, *bare, 5, 4]
    assert several.encode("") == [3, 1, 5, 4]


def test_an_id_with_the_text_of_another_decodes_to_it_and_is_never_encoded(each_data):
    definition = (each_data / "stories260K-hf-derived/tokenizer.json").read_text()
    tokenizer = Tokenizer(definition, {"vocabulary_size": 514, "same_as": [[512, 300], [513, 2]]})
    assert tokenizer.token_bytes(512) == tokenizer.token_bytes(300) != b""
    assert (tokenizer.kind(512), tokenizer.kind(513)) == ("normal", "control")
    assert 512 not in tokenizer.encode(tokenizer.decode([512]), add_special=False)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"vocabulary_size": 500}, "does not fit"),
        ({"bos_id": 512}, "there is no token 512"),
        ({"eos_ids": [4294967295]}, "there is no token 4294967295"),
        ({"before": [512]}, "there is no token 512"),
        ({"after": [0, -1]}, "there is no token -1"),
        ({"before": 1}, 'setting "before" is not a list'),
        ({"same_as": [[512, 1]]}, "there is no token 512"),
        ({"same_as": [1]}, 'setting "same_as" is not a list of pairs'),
        ({"padding": 3}, 'unknown tokenizer setting "padding"'),
    ],
)
def test_settings_that_do_not_fit_are_refused(each_data, change, expected):
    definition = (each_data / "stories260K-hf-derived/tokenizer.json").read_text()
    with pytest.raises(ModelError, match=expected):
        Tokenizer(definition, {"vocabulary_size": 512} | change)


@pytest.mark.parametrize("definition", ["", "{", "{}", "[]", '{"version": "1.0", "model": {"type": "Nonsense"}}'])
def test_a_definition_that_cannot_be_read_is_corrupt_data(definition):
    with pytest.raises(ModelError) as problem:
        Tokenizer(definition)
    assert problem.value.sqlstate == CORRUPT_DATA


def test_a_kind_that_is_not_known_is_refused_by_name():
    document = {
        "version": "1.0",
        "added_tokens": [],
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0},
        },
        "decoder": {"type": "BPEDecoder", "suffix": "</w>"},
    }
    with pytest.raises(ModelError, match="BPEDecoder") as problem:
        Tokenizer(json.dumps(document))
    assert problem.value.sqlstate == NOT_SUPPORTED


def test_half_a_surrogate_pair_is_a_clear_error(stories):
    with pytest.raises(ModelError, match="not valid Unicode"):
        stories.encode("\ud800")


METASPACE = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
WITHOUT_UNKNOWN = {  # models that have no token for a character: the library raises Exception for one
    "Unigram": (
        {"type": "Unigram", "unk_id": None, "byte_fallback": False, "vocab": [["a", -1]]},
        METASPACE,
        METASPACE,
    ),
    "WordPiece": (
        {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "vocab": {"a": 0}}
        | {"max_input_chars_per_word": 100},
        {"type": "BertPreTokenizer"},
        {"type": "WordPiece", "prefix": "##", "cleanup": True},
    ),
    "BPE": ({"type": "BPE", "unk_token": "<unk>", "vocab": {"a": 0, "\u2581": 1}, "merges": []}, METASPACE, METASPACE),
}


@pytest.mark.parametrize("method", ["encode", "spans"])
@pytest.mark.parametrize("kind", WITHOUT_UNKNOWN)
def test_a_character_that_has_no_token_is_an_error_of_the_text(kind, method):
    model, pre_tokenizer, decoder = WITHOUT_UNKNOWN[kind]
    document = {"version": "1.0", "added_tokens": [], "model": model}
    tokenizer = Tokenizer(json.dumps(document | {"pre_tokenizer": pre_tokenizer, "decoder": decoder}))
    with pytest.raises(ModelError, match="cannot encode the text") as problem:
        getattr(tokenizer, method)("a z")
    assert problem.value.sqlstate == INVALID_PARAMETER
    assert "unk" in problem.value.detail.lower()


class PanicException(BaseException):
    """As the library's bindings raise it: derived from BaseException, known by its name alone."""


@pytest.mark.parametrize("method", ["encode", "spans"])
@pytest.mark.parametrize(
    ("raised", "expected"),
    [(PanicException("called `unwrap()`"), ModelError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_panic_of_the_library_is_an_error_of_the_text_and_an_interrupt_is_none(stories, method, raised, expected):
    def fail(texts, **options):
        raise raised

    with pytest.raises(expected):
        stories._encodings(fail, "a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stories, "_library", SimpleNamespace(encode_batch=fail, encode_batch_fast=fail))
        with pytest.raises(expected):
            getattr(stories, method)("a")


def test_a_panic_while_a_definition_is_read_is_corrupt_data(monkeypatch):
    def fail(definition):
        raise PanicException("index out of bounds")

    monkeypatch.setattr(tokenizers, "Tokenizer", SimpleNamespace(from_str=fail))
    with pytest.raises(ModelError, match="cannot be read") as problem:
        Tokenizer("{}")
    assert problem.value.sqlstate == CORRUPT_DATA


@functools.cache
def _source():
    return read_model(ENCODER)


def wordpiece(**changes):
    """An encoder's tokenizer, its definition changed."""
    source = _source()
    return Tokenizer(json.dumps(json.loads(source.tokenizer_definition) | changes), source.tokenizer_settings)


@pytest.mark.parametrize("method", ["encode", "spans"])
def test_the_session_looks_for_interrupts_while_a_long_text_is_read(monkeypatch, method):
    looks, ours = [], wordpiece()
    monkeypatch.setattr(background.interrupts, "checkpoint", lambda: looks.append(1))
    work = Background(getattr(ours, method), "the cat " * 200_000)
    assert len(work.result()) >= 400_000
    assert len(looks) > 10  # of a hundred; with Python's lock held, it looks once or twice
