"""Chunks cover the text, keep to their size, and end where a sentence or a word does."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.reader import read_model
from plpython.model.tokenizer import Tokenizer
from plpython.server.errors import ModelError
from plpython.session import models
from plpython.sql import chunking

ENCODER = Path(__file__).parent.parent / "fixtures" / "encoders" / "mean"
TEXT = "The cat sat on the mat. Hello, world! A cat is under the mat? The cat sat.\n\nThe world is a mat for the cat"


class Model:
    """What session/model.Model is to chunks, with room for long ones."""

    source = read_model(ENCODER)
    tokenizer = Tokenizer(source.tokenizer_definition, source.tokenizer_settings)
    longest_text = 300

    def spans(self, text):
        pairs = self.tokenizer.spans(text)
        return [first for first, _ in pairs], [end for _, end in pairs]


@pytest.fixture(autouse=True)
def model(monkeypatch):
    monkeypatch.setattr(models, "embedder", lambda name: Model())


def chunks_of(*arguments):
    """The rows, without the column for the error that would end them."""
    return [row[:-1] for row in chunking.chunk(*arguments)]


def count(text):
    return len(Model.tokenizer.encode(text, add_special=False))


def test_a_short_text_is_one_chunk():
    assert chunks_of(" The cat. ") == [(1, "The cat.", 2, count("The cat."))]


@pytest.mark.parametrize("text", [None, "", " \n\t"])
def test_a_blank_text_has_no_chunks(text):
    assert chunks_of(text) == []


def test_chunks_end_with_sentences_where_they_can():
    chunks = [content for _, content, _, _ in chunks_of(TEXT, None, 16, 0)]
    assert chunks[0] == "The cat sat on the mat. Hello, world!"
    assert all(content[-1] in ".!?" for content in chunks[:-1])


def test_without_a_sentence_chunks_end_with_words():
    text = "under the mat " * 20
    for _, content, first, tokens in chunks_of(text, None, 10, 3):
        assert tokens <= 10
        assert set(content.split()) <= {"under", "the", "mat"}
        assert text[first - 1 :].startswith(content)


def test_a_word_longer_than_a_chunk_is_cut():
    assert [tokens for *_, tokens in chunks_of("q" * 50, None, 20, 0)] == [20, 20, 10]


def test_a_text_of_nothing_but_full_stops_is_cut_too():
    rows = chunks_of("." * 100_000, None, 100, 0)
    assert sum(len(content) for _, content, _, _ in rows) == 100_000


def test_closing_quotes_belong_to_their_sentence():
    chunks = [content for _, content, _, _ in chunks_of('the cat sat. "the mat!" a cat sat on the mat', None, 10, 0)]
    assert chunks[0] == 'the cat sat. "the mat!"'


def test_neighbours_share_at_most_the_overlap_and_no_less_than_a_word():
    rows = chunks_of("the cat sat on a mat " * 10, None, 12, 5)
    for (_, before, first, _), (_, after, following, _) in pairwise(rows):
        shared = first + len(before) - following
        assert shared > 0 and count(after[:shared]) <= 5


def test_a_chunk_never_has_more_tokens_than_the_model_reads():
    for arguments in [(299, 0), (10, 10), (0, 0), (10, -1)]:
        with pytest.raises(ModelError, match="out of range"):
            chunks_of("the cat", None, *arguments)


@given(
    st.text(alphabet="the ca.t!\n mat\u3002\u00e9\u65e5q", max_size=120),
    st.integers(1, 12).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))),
)
def test_every_character_but_space_is_in_a_chunk_and_none_is_too_long(text, sizes):
    rows = list(chunking._cuts(text, Model().spans(text), *sizes))
    assert all(0 < end - begin <= sizes[0] for begin, end in rows)
    assert all(before < begin <= end for (before, end), (begin, _) in pairwise(rows))
    covered = set()
    for begin, end in rows:
        first, content = chunking._between(text, Model().spans(text), begin, end)
        assert text[first : first + len(content)] == content
        covered |= set(range(first, first + len(content)))
    if rows:
        assert all(text[n].isspace() for n in set(range(len(text))) - covered)
