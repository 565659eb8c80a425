"""The transformer as a SQL query, against the fused engine behind generate, at a context of 256 tokens."""

from collections.abc import Sequence

import subjects
from contest import Contest
from record import Figure, in_turns, record, seconds

SUBJECTS = ("0.5B Q8_0",)
CONTEXT, COUNT = 256, 16
FILL = "SELECT octet_length(llm.forward(%s, %s, %s))"
STEP = "SELECT octet_length(llm.forward(%s, %s, %s, %s))"  # logits stay in the server, as those of generate do


def run(contest: Contest, labels: Sequence[str]) -> None:
    """Figure `llm.forward over llm.generate, SUBJECT`: tokens a second of both, one thread."""
    for model in map(subjects.of_shape, labels):
        _compare(contest, model, subjects.prompt_of(CONTEXT))


def _compare(contest: Contest, model: subjects.Model, prompt: str) -> None:
    connection = contest.ours.connection
    connection.execute("SET llm.threads = 1")
    (tokens,) = connection.execute("SELECT llm.tokenize(%s, %s)", [prompt, model.name]).fetchone()
    (cache,) = connection.execute("SELECT llm.new_kv_cache(%s)", [model.name]).fetchone()
    connection.execute(FILL, [tokens, model.name, cache])

    def steps() -> None:
        for position in range(CONTEXT, CONTEXT + COUNT):
            connection.execute(STEP, [tokens[:1], model.name, cache, position]).fetchone()

    contest.ours.decode(model, prompt, COUNT, 1)
    measured = in_turns(
        {
            "forward": lambda: COUNT / seconds(steps),
            "generate": lambda: contest.ours.decode(model, prompt, COUNT, 1),
        },
        contest.rounds,
    )
    connection.execute("SELECT llm.free_kv_cache(%s)", [cache])
    speeds = measured["forward"], measured["generate"]
    record(Figure.of_rounds(f"llm.forward over llm.generate, {model.label}", "tok/s", *speeds, threads=1))
