"""A prompt of 512 tokens to the first token after it."""

from collections.abc import Sequence

import subjects
from contest import Contest

SUBJECTS = (*(f"1.5B {type}" for type in ("Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4", "Q8_0", "Q4_0")), "8B Q4_K_M")
TOKENS = 512


def run(contest: Contest, labels: Sequence[str], tokens: int = TOKENS) -> None:
    """Figures `prefill of TOKENS, SUBJECT` for one and two threads."""
    prompt = subjects.prompt_of(tokens)
    for model in map(subjects.of_shape, labels):
        for threads in (1, 2):
            contest.compare(
                f"prefill of {tokens:,}, {model.label}",
                lambda contender, m=model, t=threads: contender.prefill(m, prompt, tokens, t),
                threads,
            )
