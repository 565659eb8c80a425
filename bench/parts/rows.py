"""Many texts at once, which share each pass over the weights."""

import subjects
from contest import Contest

ROWS = (1, 2, 4, 8, 16, 32)
PROMPT, COUNT = 8, 24


def run(contest: Contest) -> None:
    """Figures `rows, Q8_0` for two threads over the number of rows, and for one thread the largest."""
    model = subjects.of_shape("Q8_0")
    for threads, counts in ((2, ROWS), (1, ROWS[-1:])):
        for rows in counts:
            prompts = [subjects.prompt_of(PROMPT, first) for first in range(rows)]
            contest.compare(
                "rows, Q8_0",
                lambda contender, p=prompts, t=threads: contender.rows(model, p, COUNT, t),
                threads,
                at=rows,
            )
