"""Long texts in chunks of some tokens that overlap and end, where they can, with a sentence or at least with a word."""

import re
from bisect import bisect_left

from ..server import arguments, ceilings, interrupts, streams
from ..session import models
from . import embeddings

CHUNK_COLUMNS = 4  # ordinal, chunk, first character, tokens
DEFAULT_TOKENS = 128
DEFAULT_OVERLAP = 16
MOST_CHUNK_TOKENS = 1 << 20
# A full stop and what closes after it, before white space; the full stops of Chinese and Japanese; an empty line.
CLOSING = "\"'\u201d\u2019\u00bb)\\]"
WIDE_STOPS, WIDE_CLOSING = "\u3002\uff01\uff1f", "\u300d\u300f\uff09"
# Possessive, and from the first stop on: a text of nothing but full stops is read once.
SENTENCE_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{CLOSING}]*+(?=\s)|[{WIDE_STOPS}]++[{WIDE_CLOSING}]*+|\n[ \t]*+\n"
)


def chunk(text, model=None, tokens=None, overlap=None):
    """Rows (ordinal from 1, chunk, first character from 1, tokens) of a text; none of one that is blank or None."""
    if text is None:
        return []
    ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
    model = models.embedder(model)
    room = min(MOST_CHUNK_TOKENS, embeddings.room(model))
    tokens = arguments.integer("tokens", tokens, min(DEFAULT_TOKENS, room), 1, room)
    overlap = arguments.integer("overlap", overlap, min(DEFAULT_OVERLAP, tokens // 2), 0, tokens - 1)
    return streams.Stream(_rows(text, model.spans(text), tokens, overlap), CHUNK_COLUMNS)


def _rows(text, spans, tokens, overlap):
    """The rows, one by one: chunks that overlap much are together many times as large as the text."""
    pieces = ((_between(text, spans, begin, end), end - begin) for begin, end in _cuts(text, spans, tokens, overlap))
    pieces = ((first, content, count) for (first, content), count in pieces if content)
    for n, (first, content, count) in enumerate(pieces, 1):
        yield n, content, first + 1, count


def _cuts(text, spans, size, overlap):
    """(first token, end) of each chunk. A cut is looked for in the second half of a chunk, so that none is small."""
    starts, _ = spans
    sentences = {bisect_left(starts, match.end()) for match in SENTENCE_END.finditer(text)}
    begin, total = 0, len(starts)
    while begin < total:
        interrupts.checkpoint()
        end = begin + size
        if end >= total:
            yield begin, total
            return
        places = range(end, begin + (size + 1) // 2, -1)
        end = _first(places, sentences.__contains__) or _first(places, lambda at: _begins_word(text, spans, at)) or end
        yield begin, end
        places = range(max(end - overlap, begin + 1), end)
        again = _first(places, sentences.__contains__) or _first(places, lambda at: _begins_word(text, spans, at))
        begin = again or end


def _first(places, fits):
    return next((place for place in places if fits(place)), None)


def _begins_word(text, spans, at):
    starts, ends = spans
    start = starts[at]
    return start > ends[at - 1] or text[start : start + 1].isspace()


def _between(text, spans, begin, end):
    """(first character, content) of the tokens begin .. end, with what lies between them, without outer spaces."""
    starts, _ = spans
    first = starts[begin] if begin else 0
    content = text[first : starts[end] if end < len(starts) else len(text)]
    return first + len(content) - len(content.lstrip()), content.strip()
