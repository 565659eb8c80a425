"""A prompt of 4,096 tokens. A peer's way is the one that is fastest for 1,024: each call takes a minute."""

from collections.abc import Sequence

from contest import Contest

from parts import prefill

SUBJECTS = ("1.5B Q4_K_M",)
TOKENS, TRIAL = 4096, 1024


def run(contest: Contest, labels: Sequence[str]) -> None:
    """Figures `prefill of 4,096, SUBJECT`."""
    prefill.run(contest, labels, TOKENS, TRIAL)
