"""A prompt of 4,096 tokens."""

from collections.abc import Sequence

from contest import Contest

from parts import prefill

SUBJECTS = ("1.5B Q4_K_M",)
TOKENS = 4096


def run(contest: Contest, labels: Sequence[str]) -> None:
    """Figures `prefill of 4,096, SUBJECT`."""
    prefill.run(contest, labels, TOKENS)
