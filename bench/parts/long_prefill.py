"""A prompt of 4,096 tokens."""

from contest import Contest

from parts import prefill

TOKENS = 4096


def run(contest: Contest) -> None:
    """Figures `prefill of 4,096, Q8_0`."""
    prefill.run(contest, ("Q8_0",), TOKENS)
