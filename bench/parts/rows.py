"""Many texts at once, which share each pass over the weights."""

from collections.abc import Sequence

import subjects
from contest import Contest

SUBJECTS = ("1.5B Q4_K_M",)
ROWS = (1, 2, 4, 8, 16, 32)
PROMPT, COUNT = 8, 24


def run(contest: Contest, labels: Sequence[str], curves=((2, ROWS), (1, ROWS[-1:]))) -> None:
    """Figures `rows, SUBJECT` for two threads over the number of rows, and for one thread the largest."""
    for model in map(subjects.of_shape, labels):
        for threads, counts in curves:
            for rows in counts:
                prompts = [subjects.prompt_of(PROMPT, first) for first in range(rows)]
                contest.compare(
                    f"rows, {model.label}",
                    lambda contender, m=model, p=prompts, t=threads: contender.rows(m, p, COUNT, t),
                    threads,
                    at=rows,
                )
