"""A text as rows: each piece of it as soon as it is certain, computed when the row is fetched.

Pieces are never empty and never hold half a character; joined they are what llm.generate returns. A last row without a
piece says why the text ended. The engine computes one token at a time, so that no row waits for tokens of the next.
"""

import itertools

from ..server import streams
from ..session import admission, prefixes
from .batches import timed
from .generation import Request, stream
from .scoring import log_softmax

STREAM_COLUMNS = 5  # seq, piece, token_id, logprob, finish_reason


class Watched:
    """A Continuation that knows the logprob of its latest token: as llm.next_tokens has it, at temperature 1.

    None where a constraint forced the token: the model was not asked about it.
    """

    greedy = False  # otherwise the engine would choose several tokens in a call, and give the logits of one

    def __init__(self, continuation):
        self._continuation, self.logprob = continuation, None

    def __getattr__(self, name):
        return getattr(self._continuation, name)

    def accept(self, logits):
        """As Continuation.accept."""
        before = len(self.history)
        text = self._continuation.accept(logits)
        written = len(self.history) - before
        if written:
            self.logprob = float(log_softmax(logits)[self.history[-1]]) if written == 1 else None
        return text


def generate(prompt, *given):
    """Rows (seq from 1, piece, token_id, logprob, finish_reason) of the text that llm.generate gives."""
    if prompt is None:
        return []
    request = Request(*given)
    return rows(request, request.continuation(prompt), request.text(prompt, ""))


def rows(request, continuation, shown="", through=iter):
    """The rows of a Continuation of a Request. shown: text that comes before it, if not empty. through(pieces): the
    pieces that are shown of its text."""
    watched, engine = Watched(continuation), request.model.engine
    stats, reusable, call = prefixes.begin(), prefixes.Prefixes(request.model, engine), admission.Call()
    cache = reusable.fork(watched.history) or engine.new_cache()
    written = stream(engine, watched, call.checkpoint, cache, stats=stats)
    pieces = timed(call.each(through(written)), stats)
    numbered = _numbered(pieces, watched, shown, lambda: reusable.keep(watched.history, cache))
    return streams.Stream(streams.sent(numbered), STREAM_COLUMNS)


def _numbered(pieces, watched, shown, finish):
    """The rows. token_id and logprob are of the last token of the piece."""
    number = itertools.count(1)
    if shown:
        yield next(number), shown, None, None, None
    for piece in pieces:
        yield next(number), piece, watched.history[-1], watched.logprob, None
    finish()
    yield next(number), "", None, None, watched.finish_reason
