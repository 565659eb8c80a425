"""A model so small that a token's time is all overhead."""

import subjects
from contest import Contest

COUNT = 256


def run(contest: Contest) -> None:
    """Figure `decode stories260K`."""
    model = subjects.stories()
    model.load(contest.dsn)
    contest.compare(
        "decode stories260K", lambda contender: contender.decode(model, "Once upon a time", COUNT, 1), threads=1
    )
