"""One token at a time after a long prompt: what is remembered is read beside the weights."""

import subjects
from contest import Contest

CONTEXTS = (8192, 4096, 2048, 1024, 512, 256, 128)  # the longest first: the shorter ones are its beginnings
COUNT = 128  # in one statement, which has the whole prompt to tokenize


def prepare(contest: Contest) -> None:
    """Compute the longest prompt, which takes the peer minutes; it is kept in the state folder."""
    longest = CONTEXTS[0]
    contest.both(lambda contender: contender.hold(subjects.of_shape("Q8_0"), subjects.prompt_of(longest), longest))


def run(contest: Contest, curves=((1, CONTEXTS[:1]), (2, CONTEXTS))) -> None:
    """Figures `decode after a context, Q8_0` for two threads over the context's length, one thread at the longest."""
    model, longest = subjects.of_shape("Q8_0"), CONTEXTS[0]
    for threads, contexts in curves:
        for context in contexts:
            if context == longest:
                prepare(contest)
            prompt = subjects.prompt_of(context)
            contest.compare(
                "decode after a context, Q8_0",
                lambda contender, p=prompt, t=threads: contender.decode(model, p, COUNT, t, longest),
                threads,
                at=context,
            )
