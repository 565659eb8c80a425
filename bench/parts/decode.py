"""One token at a time after a short prompt: every weight is read for each."""

import subjects
from contest import Contest

TYPES = ("Q8_0", "Q4_0", "F16")
PROMPT, COUNT = 16, 64


def run(contest: Contest) -> None:
    """Figures `decode TYPE` for one and two threads, with the memory's speed as their limit."""
    prompt = subjects.prompt_of(PROMPT)
    for type in TYPES:
        model = subjects.of_shape(type)
        for threads in (1, 2):
            contest.compare(
                f"decode {type}",
                lambda contender, m=model, t=threads: contender.decode(m, prompt, COUNT, t),
                threads,
                model=model,
            )
