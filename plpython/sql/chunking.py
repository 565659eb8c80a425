"""Splits long texts into overlapping chunks that end after a sentence, or else after a word, where possible."""

import re
from bisect import bisect_left

from ..server import arguments, ceilings, interrupts, streams
from ..session import models
from . import embeddings

CHUNK_COLUMNS = 4  # ordinal, chunk, first character, tokens
DEFAULT_TOKENS = 128
DEFAULT_OVERLAP = 16
MOST_CHUNK_TOKENS = 1 << 20
# A sentence ends with a full stop and closing quotes or brackets before white space, with a full stop of Chinese or
# Japanese, or with an empty line.
CLOSING = "\"'\u201d\u2019\u00bb)\\]"
WIDE_STOPS, WIDE_CLOSING = "\u3002\uff01\uff1f", "\u300d\u300f\uff09"
# Possessive quantifiers, and a match only at the first stop of several: a text of full stops alone is scanned once.
SENTENCE_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{CLOSING}]*+(?=\s)|[{WIDE_STOPS}]++[{WIDE_CLOSING}]*+|\n[ \t]*+\n"
)


def chunk(text, model=None, tokens=None, overlap=None):
    """Rows (ordinal from 1, chunk, first character from 1, tokens) of a text; none for None or a blank text."""
    if text is None:
        return []
    ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
    model = models.embedder(model)
    most = min(MOST_CHUNK_TOKENS, embeddings.most_text_tokens(model))
    tokens = arguments.integer("tokens", tokens, min(DEFAULT_TOKENS, most), 1, most)
    overlap = arguments.integer("overlap", overlap, min(DEFAULT_OVERLAP, tokens // 2), 0, tokens - 1)
    return streams.Stream(_rows(text, model.spans(text), tokens, overlap), CHUNK_COLUMNS)


def _rows(text, spans, tokens, overlap):
    """The rows, one by one: with a large overlap the chunks together are many times as large as the text."""
    pieces = ((_between(text, spans, begin, end), end - begin) for begin, end in _cuts(text, spans, tokens, overlap))
    pieces = ((first, content, count) for (first, content), count in pieces if content)
    for n, (first, content, count) in enumerate(pieces, 1):
        yield n, content, first + 1, count


def _cuts(text, spans, size, overlap):
    """(first token, end) of each chunk. Ends are searched in the second half of a chunk, so none is small."""
    starts, _ = spans
    sentences = {bisect_left(starts, match.end()) for match in SENTENCE_END.finditer(text)}
    begin, total = 0, len(starts)
    while begin < total:
        interrupts.checkpoint()
        end = begin + size
        if end >= total:
            yield begin, total
            return
        end = _best_cut(text, spans, sentences, range(end, begin + (size + 1) // 2, -1)) or end
        yield begin, end
        begin = _best_cut(text, spans, sentences, range(max(end - overlap, begin + 1), end)) or end


def _best_cut(text, spans, sentences, cuts):
    """The first of the cuts that is between sentences, else the first between words; None without either."""
    return _first(cuts, sentences.__contains__) or _first(cuts, lambda at: _begins_word(text, spans, at))


def _first(cuts, fits):
    return next((cut for cut in cuts if fits(cut)), None)


def _begins_word(text, spans, at):
    starts, ends = spans
    start = starts[at]
    return start > ends[at - 1] or text[start : start + 1].isspace()


def _between(text, spans, begin, end):
    """(first character, content) of the tokens begin .. end and the text between them, without outer white space."""
    starts, _ = spans
    first = starts[begin] if begin else 0
    content = text[first : starts[end] if end < len(starts) else len(text)]
    return first + len(content) - len(content.lstrip()), content.strip()


def pieces(text, model, tokens):
    """[(piece, how many tokens it has), ...] of a text, without overlap and without blank ones, cut as chunks are."""
    spans = model.spans(text)
    cuts = _cuts(text, spans, tokens, 0)
    found = ((_between(text, spans, begin, end)[1], end - begin) for begin, end in cuts)
    return [(content, count) for content, count in found if content]
