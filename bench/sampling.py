"""What choosing a token costs, over logits of the 0.5B shape: compiled candidates beside numpy's.

    python bench/sampling.py

Logits are normal with a standard deviation of 1, which leaves nearly all 151,936 tokens likely (the hardest), and of 4,
more as trained models have them. A token of the 0.5B shape takes 20 ms to compute: 3 % of that is the limit.
"""

import statistics
from array import array

import numpy as np
from places import CHECKOUT  # noqa: F401 - makes plpython importable
from record import Figure, record, seconds

from plpython.generate import candidates
from plpython.generate.sampling import Settings, next_token
from plpython.kernels import candidates as candidate_kernels

VOCABULARY = 151_936
LIMIT = 0.6  # milliseconds
ROUNDS = 100
CHOICES = {
    "greedy": Settings(),
    "unrestricted": Settings(temperature=0.8, seed=1),
    "top_k 40": Settings(temperature=0.8, top_k=40, seed=1),
    "top_p 0.9": Settings(temperature=0.8, top_p=0.9, seed=1),
    "top_k 50, top_p 0.95": Settings(temperature=0.8, top_k=50, top_p=0.95, seed=1),
    "min_p 0.05": Settings(temperature=0.8, min_p=0.05, seed=1),
    "repeat_penalty 1.1": Settings(temperature=0.8, top_p=0.9, repeat_penalty=1.1, seed=1),
}


def milliseconds(logits: np.ndarray, settings: Settings, weigh: type) -> float:
    """The median of choosing after 512 tokens."""
    history = array("q", range(512))

    def choose(position: int) -> float:
        return seconds(lambda: next_token(logits, history, settings, position, weigh))

    return 1000 * statistics.median(choose(position) for position in range(ROUNDS))


def main() -> None:
    for spread in (1.0, 4.0):
        logits = (spread * np.random.default_rng(0).standard_normal(VOCABULARY)).astype(np.float32)
        for name, settings in CHOICES.items():
            ours, numpys = (milliseconds(logits, settings, w.Candidates) for w in (candidate_kernels, candidates))
            record(Figure(f"sample, {name}, spread {spread:g}", "ms", ours, peer=numpys, limit=LIMIT))


if __name__ == "__main__":
    main()
