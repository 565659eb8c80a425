"""Long texts are tokenized in pieces, with the ids of the whole text, or refused by their bytes, never too early."""

import functools
import json
import random
import unicodedata
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loaders.gguf.container import read_container
from loaders.gguf.tokenizer import read_tokenizer
from loaders.reader import read_model
from loaders.source.fields import Fields
from plpython.model.long_texts import LongTexts
from plpython.model.tokenizer import Tokenizer
from plpython.server.ceilings import utf8_size
from plpython.server.errors import LIMIT_EXCEEDED, ModelError
from plpython.session import model as loaded_model

CHECKOUT = Path(__file__).parent.parent.parent
ENCODER = CHECKOUT / "tests/fixtures/encoders/mean"
BOUNDED = ("own qwen", "own gpt2", "own stories", "tidy", "qwen", "gpt2", "stories")
NAMES = (*BOUNDED, "encoder")
# Words of several scripts, spaces and line ends of many kinds, marks that combine, what NFC makes smaller, controls.
PIECES = (
    *("word", "a", "it's", "The", "STOP", "x1y", "1", "23", "\u65e5\u672c", "\u8a9e", "\u0441\u043b\u043e\u0432\u043e"),
    *(" ", " ", " ", " ", "\n", "  ", "\t", "\r\n", "\u00a0", "\u3000", "\u200b", ".", ",", "!", "\u3002", "\uff0c"),
    *("\u00e9", "e\u0301", "\u0345", "\u0130", "\u212a", "\ufb01", "\u1100\u1161\u11a8", "\U0001f642", "\u2581", "\0"),
    *("<s>", "[SEP]", "##t", "<|im_start|>", "<tool_call>", "```"),
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@functools.cache
def gpt2(folder: Path) -> Tokenizer:
    container = read_container(memoryview((folder / "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf").read_bytes()))
    size = len(container.metadata["tokenizer.ggml.tokens"])
    return Tokenizer(*read_tokenizer(Fields("metadata", container.metadata), size))


@functools.cache
def qwen(folder: Path) -> Tokenizer:
    return Tokenizer((folder / "tokenizers/qwen2.5/tokenizer.json").read_text())


@functools.cache
def of_model(path: Path) -> Tokenizer:
    source = read_model(path)
    return Tokenizer(source.tokenizer_definition, source.tokenizer_settings)


OF_DATA = {"qwen": qwen, "gpt2": gpt2, "stories": lambda folder: of_model(folder / "stories260K/stories260K.gguf")}
BUNDLED = {"tidy": CHECKOUT / "tidy/tidy.gguf", "encoder": ENCODER}


@pytest.fixture(scope="module")
def tokenizer(request):
    """A tokenizer by its name: of the check data, "own …" of our own data, or of a model of this repository."""
    name = request.param
    if name in BUNDLED:
        made = of_model(BUNDLED[name])
    else:
        folder = request.getfixturevalue("own_data" if name.startswith("own ") else "data")
        made = OF_DATA[name.removeprefix("own ")](folder)
    made.bytes_a_token()  # found out once, which takes longer than an example of a property may
    return made


def model_of(tokenizer):
    """A loaded model that reads texts and does nothing else."""
    model = object.__new__(loaded_model.Model)
    model.tokenizer = tokenizer
    return model


def joined(tokenizer, parts):
    """The ids of parts of a text, one after the other."""
    return list(chain.from_iterable(tokenizer.encode(part, add_special=False) for part in parts))


def encoder_tokenizer(**changes):
    """An encoder's tokenizer, its definition changed."""
    source = read_model(ENCODER)
    return Tokenizer(json.dumps(json.loads(source.tokenizer_definition) | changes), source.tokenizer_settings)


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
@given(TEXTS, st.integers(1, 20))
@example("\0 " * 100 + "the cat", 1)
def test_the_ids_of_the_pieces_are_those_of_the_whole_text(tokenizer, text, size):
    pieces = [text[begin:end] for begin, end in tokenizer.pieces(text, size, 1000)]
    whole = tokenizer.encode(text, add_special=False)
    assert joined(tokenizer, pieces) == whole


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
@given(TEXTS)
def test_wherever_a_text_may_be_cut_the_ids_are_those_of_both_sides(tokenizer, text):
    whole, skipped = tokenizer.encode(text, add_special=False), int(tokenizer.drops_space())
    for place in [found.start() for found in tokenizer._long_texts(False).cut.finditer(text)][:20]:
        sides = text[:place], text[place + skipped :]
        assert joined(tokenizer, sides) == whole


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
def test_every_kind_of_tokenizer_cuts_an_ordinary_text(tokenizer):
    text = "Once upon a time there was a cat who sat on a mat " * 20
    assert len(list(tokenizer.pieces(text, 50, 1000))) > 4


@pytest.mark.parametrize("tokenizer", BOUNDED, indirect=True)
@given(TEXTS)
def test_no_token_stands_for_more_bytes_than_the_bound_says(tokenizer, text):
    ids = tokenizer.encode(text, add_special=False)
    assert utf8_size(text) <= tokenizer.bytes_a_token() * len(ids)


@pytest.mark.parametrize("tokenizer", BOUNDED, indirect=True)
@pytest.mark.parametrize("unit", ["date: 1.1.20 ", " ", "a", "\U0001f642", "\u65e5", "e\u0301", "\u212a", "\n"])
@pytest.mark.parametrize("size", [20_100, 300_000])
def test_a_prompt_is_refused_exactly_when_its_tokens_are_too_many(tokenizer, unit, size):
    text = unit * (size // len(unit))
    ids = tokenizer.encode(text, add_special=False)
    model = model_of(tokenizer)
    assert model.encode_at_most(text, len(ids)) == ids
    for most in {1, min(256, len(ids) - 1), len(ids) // 2}:
        try:
            assert model.encode_at_most(text, most) == ids  # read to its end; the caller counts
        except ModelError as error:
            assert error.sqlstate == LIMIT_EXCEEDED and f"{most} tokens" in error.detail
            assert f"the prompt has {len(text.encode())} bytes" in error.detail


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
@given(TEXTS, st.integers(1, 12))
@example("the " * 100, 5)
def test_the_first_ids_are_the_first_of_all(tokenizer, text, count):
    assert model_of(tokenizer).first_tokens(text, count) == tokenizer.encode(text, add_special=False)[:count]


def test_no_more_of_a_long_text_is_read_than_its_first_ids_need(monkeypatch):
    tokenizer, read = encoder_tokenizer(), []
    encode = tokenizer.encode
    monkeypatch.setattr(tokenizer, "encode", lambda text, *given: read.append(len(text)) or encode(text, *given))
    assert len(model_of(tokenizer).first_tokens("the cat " * 100_000, 30)) == 30
    assert sum(read) < 2000


@pytest.mark.parametrize("tokenizer", NAMES, indirect=True)
def test_a_long_text_has_the_ids_and_the_spans_of_its_whole(tokenizer):
    draw = random.Random(7)
    text = "".join(draw.choices(PIECES, k=30_000))
    model = model_of(tokenizer)
    assert list(model.encode(text)) == tokenizer.encode(text)
    starts, ends = model.spans(text)
    assert list(zip(starts, ends, strict=True)) == tokenizer.spans(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 30_000,
        "the cat " + "b" * 30_000 + " the cat",
        "the cat " * 100 + "Ab1" * 10_000 + "\t" + "c" * 50_000 + "\n",
        "a" * 30_000 + "\u00e9 cat",
        "a" * 30_000 + ". the cat",
        "\u00e9" + "a" * 30_000 + " cat",
        "cat\u00a0" + "a" * 30_000 + "\u00a0cat",
    ],
)
@pytest.mark.parametrize("size", [10, 1000])
def test_a_word_that_is_unknown_for_its_length_need_not_be_read_to_its_end(text, size):
    tokenizer = encoder_tokenizer()
    pieces = [text[begin:end] for begin, end in tokenizer.pieces(text, size, 10**6)]
    assert joined(tokenizer, pieces) == tokenizer.encode(text, add_special=False)
    if text.isascii() and "." not in text:
        assert max(map(len, pieces)) < 2 * size + 1000


def test_a_text_without_a_place_to_cut_is_limited_by_a_superuser(limits):
    model = model_of(encoder_tokenizer())
    limits["piece_mb"] = 1
    assert len(model.encode("a" * 2**22)) == 3  # an unknown word
    with pytest.raises(ModelError, match="has no place to cut") as refusal:
        model.encode("the cat " * 10_000 + "a." * (2**19 + 1))
    assert refusal.value.sqlstate == LIMIT_EXCEEDED
    assert refusal.value.detail.startswith("asked 10") and refusal.value.detail.endswith("allowed 1048576")


ADDED = {"id": 95, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}


@pytest.mark.parametrize("token", [{"content": "the cat"}, {"content": "cat "}, {"content": "cat", "rstrip": True}])
def test_an_added_token_that_may_hold_a_space_is_looked_for_in_the_whole_text(token):
    source = json.loads(read_model(ENCODER).tokenizer_definition)
    tokenizer = encoder_tokenizer(added_tokens=[*source["added_tokens"], ADDED | token])
    text = "the cat " * 20
    for count in range(1, 20):
        expected = tokenizer.encode(text, add_special=False)[:count]
        assert model_of(tokenizer).first_tokens(text, count) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": True}},
        {"normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}},
        {"normalizer": {"type": "NFKC"}},
        {"pre_tokenizer": {"type": "WhitespaceSplit"}},
        {"added_tokens": [ADDED | {"id": 0, "content": "word", "lstrip": True}]},
    ],
)
def test_what_may_swallow_any_amount_of_text_has_no_bound(own_data, changes):
    definition = json.loads((own_data / "tokenizers/qwen2.5/tokenizer.json").read_text()) | changes
    assert Tokenizer(json.dumps(definition)).bytes_a_token() is None


def test_canonical_composition_makes_no_text_more_than_nine_times_smaller():
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    apart = {c: unicodedata.normalize("NFD", c) for c in characters}
    taken_apart = max(len(c.encode()) / len(apart[c].encode()) for c in characters)
    put_together = max(
        len(a.encode()) / len(c.encode()) for c, a in apart.items() if unicodedata.is_normalized("NFC", c)
    )
    assert taken_apart * put_together == 9


def test_a_pre_tokenizer_that_keeps_words_together_allows_no_cut(own_data):
    definition = json.loads((own_data / "tokenizers/qwen2.5/tokenizer.json").read_text())
    definition["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": r"\p{L}+( \p{L}+)?|\s+|."}
    library = Tokenizer(json.dumps(definition))._library
    assert LongTexts(library, library.get_vocab_size(), []).cut is None
