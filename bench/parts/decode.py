"""One token at a time after a short prompt: every weight is read for each."""

from collections.abc import Sequence

import mixes
import subjects
from contest import Contest
from record import Figure, record
from shapes import SHAPES

TYPES = ("Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4", "Q8_0", "Q4_0", "F16")
SUBJECTS = (*(f"1.5B {type}" for type in TYPES), "8B Q4_K_M")
PROMPT, COUNT = 16, 64


def run(contest: Contest, labels: Sequence[str], threads: Sequence[int] = (1, 2)) -> None:
    """Figures `decode SUBJECT` by threads, with the memory's speed as their limit, and `packed SUBJECT`."""
    prompt = subjects.prompt_of(PROMPT)
    for model in map(subjects.of_shape, labels):
        _packed(contest, model)
        for crew in threads:
            contest.compare(
                f"decode {model.label}",
                lambda contender, m=model, t=crew: contender.decode(m, prompt, COUNT, t),
                crew,
                model=model,
            )


def _packed(contest: Contest, model: subjects.Model) -> None:
    """How large the packed weights are, beside the tensors of the file."""
    shape, encoding = model.label.split()
    file = mixes.file_bytes(SHAPES[shape], encoding) / 1e6
    record(Figure(f"packed {model.label}", "MB", contest.gigabytes(model) * 1e3, file, against="the file"))
