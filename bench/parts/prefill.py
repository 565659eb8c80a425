"""A prompt of 512 tokens to the first token after it."""

from collections.abc import Callable, Sequence

import subjects
from contest import Contest

SUBJECTS = (*(f"1.5B {type}" for type in ("Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4", "Q8_0", "Q4_0")), "8B Q4_K_M")
TOKENS = 512


def run(contest: Contest, labels: Sequence[str], tokens: int = TOKENS, trial: int | None = None) -> None:
    """Figures `prefill of TOKENS, SUBJECT` for one and two threads; trial: the tokens that choose a peer's way."""

    def call(model: subjects.Model, tokens: int, threads: int) -> Callable:
        prompt = subjects.prompt_of(tokens)
        return lambda contender: contender.prefill(model, prompt, tokens, threads)

    for model in map(subjects.of_shape, labels):
        for threads in (1, 2):
            name = f"prefill of {tokens:,}, {model.label}"
            contest.compare(name, call(model, tokens, threads), threads, trial=call(model, trial or tokens, threads))
