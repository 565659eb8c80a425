"""The generation loop, driven by an engine that says what a test wants it to say."""

import itertools

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from plpython.generate import sampling
from plpython.model.tokenizer import BYTE_OF, Tokenizer
from plpython.server import errors
from plpython.session import model
from plpython.sql import generation

EOS, BOS = 256, 257
VOCABULARY = 258
CHARACTER = {byte: character for character, byte in BYTE_OF.items()}


def byte_tokenizer(**settings):
    """A tokenizer whose token n is the byte n; 256 ends a sequence and 257 begins one."""
    vocabulary = {CHARACTER[byte]: byte for byte in range(256)}
    library = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    library.add_special_tokens(["<eos>", "<bos>"])
    return Tokenizer(library.to_str(), {"eos_ids": [EOS], "bos_id": BOS, **settings})


TOKENIZER = byte_tokenizer(add_bos=True)


class Model:
    """The part of session/model.Model that reads prompts."""

    encode_at_most = model.Model.encode_at_most

    def __init__(self, tokenizer):
        self.tokenizer, self.architecture = tokenizer, Context


class TokenCache(list):
    """The tokens that are in the cache."""

    length = property(len)

    def truncate(self, length):
        del self[length:]


class ScriptedEngine:
    """Predicts the given tokens one after the other and remembers what it was asked to compute."""

    def __init__(self, script):
        self.script = list(script)
        self.forwards = []

    def new_cache(self):
        return TokenCache()

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        cache.extend(tokens)
        self.forwards.append(list(tokens))
        logits = np.zeros((1, VOCABULARY), np.float32)
        logits[0, self.script[len(self.forwards) - 1]] = 1
        return logits


def run(script, prompt=b"ab", limit=100, stop=(), stop_ids=(EOS,)):
    engine = ScriptedEngine(script)
    continuation = generation.Continuation(
        TOKENIZER, list(prompt), limit, sampling.Settings(temperature=0.0), generation.Ends(stop, stop_ids)
    )
    return list(generation.stream(engine, continuation, None)), continuation, engine


def test_each_token_goes_through_the_model_once_and_the_last_one_never():
    pieces, continuation, engine = run(b"cde", limit=3)
    assert engine.forwards == [[97, 98], [99], [100]]
    assert pieces == ["c", "d", "e"]
    assert continuation.tokens == [99, 100, 101]


def test_the_end_of_sequence_token_ends_the_text_and_is_not_part_of_it():
    pieces, continuation, _ = run([99, EOS, 100])
    assert (pieces, continuation.tokens, continuation.finish_reason) == (["c"], [99], "stop")


def test_any_of_several_end_tokens_ends_the_text():
    _, continuation, _ = run([99, 100, 101], stop_ids=(EOS, 100))
    assert (continuation.tokens, continuation.finish_reason) == ([99], "stop")


def test_max_tokens_ends_the_text_with_length():
    _, continuation, _ = run(b"cdefgh", limit=4)
    assert (bytes(continuation.tokens), continuation.finish_reason) == (b"cdef", "length")


def test_a_limit_of_no_tokens_runs_no_model():
    pieces, continuation, engine = run(b"c", limit=0)
    assert (pieces, continuation.finish_reason, engine.forwards) == ([], "length", [])


def test_a_stop_string_across_token_borders_ends_the_text_before_it():
    pieces, continuation, _ = run(b"one END two", stop=("END",))
    assert ("".join(pieces), continuation.finish_reason) == ("one ", "stop_string")
    assert bytes(continuation.tokens) == b"one END"


def test_text_that_only_began_like_a_stop_string_is_returned():
    pieces, _, _ = run(b"ENTRY END", stop=("END",))
    assert "".join(pieces) == "ENTRY "
    for script, limit in ((b"xEN", 3), ([*b"xEN", EOS], 9)):
        assert "".join(run(script, limit=limit, stop=("END",))[0]) == "xEN"


def test_a_character_of_several_tokens_is_emitted_whole():
    pieces, _, _ = run("a€b".encode(), limit=5)
    assert pieces == ["a", "€", "b"]


def test_an_incomplete_character_at_the_end_is_left_out():
    pieces, continuation, _ = run("a€".encode()[:3], limit=3)
    assert (pieces, len(continuation.tokens)) == (["a"], 3)


def test_bytes_that_are_no_utf8_and_nul_become_replacement_characters():
    assert "".join(run(b"a\xffb\0c", limit=5)[0]) == "a\ufffdb\ufffdc"


@given(
    st.text("ab", max_size=24),
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 24), max_size=8),
)
def test_stop_strings_are_found_the_same_wherever_the_pieces_are_cut(text, stop, cuts):
    borders = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = generation.StopStrings(stop)
    emitted = ""
    for start, end in itertools.pairwise(borders):
        emitted += pieces.push(text[start:end])
        if pieces.completed:
            break
    ends = [end for end in range(len(text) + 1) if any(text[:end].endswith(s) for s in stop)]
    if ends:  # the stop string that is completed first ends the text; of several, the longest
        assert emitted == text[: ends[0] - max(len(s) for s in stop if text[: ends[0]].endswith(s))]
        assert pieces.completed
    else:
        assert emitted + pieces.held == text
        assert pieces.completed is None


def test_a_prompt_begins_with_bos_and_never_ends_with_eos():
    tokenizer = byte_tokenizer(add_bos=True, add_eos=True)
    assert generation.prompt_tokens(Model(tokenizer), "hi") == [BOS, *b"hi"]
    assert generation.prompt_tokens(Model(tokenizer), "hi", add_special=False) == [*b"hi"]


def test_an_empty_prompt_is_bos_alone_also_where_bos_is_not_added_otherwise():
    assert generation.prompt_tokens(Model(byte_tokenizer()), "") == [BOS]
    assert generation.prompt_tokens(Model(TOKENIZER), "", add_special=False) == [BOS]


def test_an_empty_prompt_without_a_bos_token_is_an_error():
    with pytest.raises(errors.ModelError, match="prompt is empty") as error:
        generation.prompt_tokens(Model(byte_tokenizer(bos_id=None)), "")
    assert error.value.sqlstate == "22023"


def test_control_tokens_in_a_prompt_are_text_unless_asked_otherwise():
    assert generation.prompt_tokens(Model(TOKENIZER), "<eos>", add_special=False) == [*b"<eos>"]
    assert generation.prompt_tokens(Model(TOKENIZER), "<eos>", add_special=False, parse_special=True) == [EOS]


class Context:
    context_length = 10


def test_the_continuation_ends_where_the_context_ends():
    assert generation.most_tokens(Context, [0] * 4, 3) == 3
    assert generation.most_tokens(Context, [0] * 4, 100) == 6
    assert generation.most_tokens(Context, [0] * 10, 100) == 0


def test_a_prompt_longer_than_the_context_says_by_how_much():
    with pytest.raises(errors.ModelError, match="3 tokens longer") as error:
        generation.most_tokens(Context, [0] * 13, 1)
    assert error.value.sqlstate == "53400"
    assert "13" in error.value.detail and "10" in error.value.detail
