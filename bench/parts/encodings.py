"""Every encoding, in a model that has no other: one token at a time with one thread, and how far its logits are off.

The models, a quarter of the 1.5B one, are loaded one after the other and dropped again.
"""

from collections.abc import Sequence

import subjects
from contest import Contest

from parts import accuracy, decode

TYPES = ("Q4_K", "Q5_K", "Q6_K", "Q3_K", "Q2_K", "IQ4_XS", "IQ4_NL", "MXFP4", "Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1")
SUBJECTS = tuple(f"0.6B all-{type}" for type in TYPES)
PASSING = True  # nothing of it is to be prepared


def run(contest: Contest, labels: Sequence[str]) -> None:
    """Figures of the parts decode and accuracy."""
    for label in labels:
        with subjects.for_a_while(label, contest.dsn):
            decode.run(contest, [label], threads=(1,))
            accuracy.run(contest, [label])
