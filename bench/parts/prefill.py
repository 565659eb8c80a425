"""A prompt of 512 tokens to the first token after it."""

import subjects
from contest import Contest

TOKENS = 512


def run(contest: Contest, types=("Q8_0", "Q4_0"), tokens: int = TOKENS, threads=(1, 2)) -> None:
    """Figures `prefill of TOKENS, TYPE`."""
    prompt = subjects.prompt_of(tokens)
    for type in types:
        model = subjects.of_shape(type)
        for crew in threads:
            contest.compare(
                f"prefill of {tokens:,}, {type}",
                lambda contender, m=model, t=crew: contender.prefill(m, prompt, tokens, t),
                crew,
            )
