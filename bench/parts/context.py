"""One token at a time after a long prompt: what is remembered is read beside the weights."""

from collections.abc import Sequence

import subjects
from contest import Contest
from peer import Way

SUBJECTS = ("1.5B Q4_K_M",)
CONTEXTS = (8192, 4096, 2048, 1024, 512, 256, 128)  # the longest first: the shorter ones are its beginnings
COUNT = 64  # in one statement, which has the whole prompt to tokenize


def run(contest: Contest, labels: Sequence[str], curves=((1, CONTEXTS[:1]), (2, CONTEXTS))) -> None:
    """Figures `decode after a context, SUBJECT` for two threads over its length, one thread at the longest."""
    for model in map(subjects.of_shape, labels):
        prepare(contest, model)
        for threads, contexts in curves:
            for context in contexts:
                _compare(contest, model, threads, context)


def prepare(contest: Contest, model: subjects.Model, longest: int = CONTEXTS[0]) -> None:
    """Compute the longest prompt, which takes the peers minutes; theirs is kept in the state folder."""
    prompt = subjects.prompt_of(longest)
    contest.ours.hold(model, prompt, longest)
    for peer in contest.peers:
        for peer.way in (Way(flash=True, repack=False), Way(flash=False, repack=False)):
            peer.hold(model, prompt, longest)


def _compare(contest: Contest, model: subjects.Model, threads: int, context: int) -> None:
    if context == CONTEXTS[0]:
        contest.ours.hold(model, subjects.prompt_of(context), context)
    prompt = subjects.prompt_of(context)
    contest.compare(
        f"decode after a context, {model.label}",
        lambda contender: contender.decode(model, prompt, COUNT, threads, CONTEXTS[0]),
        threads,
        at=context,
    )
