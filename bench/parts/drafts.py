"""A draft model that guesses: what it brings where all guesses are right, and what it costs where all are wrong.

The large model has Qwen2.5-1.5B's shape; a draft of two layers always says the same, or hardly ever. Its tokens are
sampled, as it would repeat itself and prompt lookup would guess. The other model is
stories260K, which writes a story; its draft is the same in Q4_0.
"""

import json

import subjects
from contest import Contest
from record import Figure, in_turns, record, seconds

QUERY = "SELECT llm.generate(%s, %s, %s, temperature => %s, seed => 1, options => %s::jsonb)"
STATS = "SELECT guessed, accepted FROM llm.generation_stats()"
PROMPT, COUNT, STORY = 16, 192, 400
BEGINNING = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."


def run(contest: Contest) -> None:
    """Figures `draft, …`: tokens a second with a draft, beside those without, one thread and two; and how many of a
    hundred guesses are right."""
    large, small = subjects.drafted(), subjects.stories()
    drafts = {"all guesses right": subjects.right_draft(), "all guesses wrong": subjects.wrong_draft()}
    for model in (large, small, *drafts.values(), subjects.stories_draft()):
        model.load(contest.dsn)
    for threads in (1, 2):
        contest.ours.connection.execute(f"SET llm.threads = {threads}")
        for name, draft in drafts.items():
            _compare(contest, f"draft, {name}, Q8_0", threads, large, draft, (subjects.prompt_of(PROMPT), COUNT, 1))
        for temperature in (0, 0.8):
            name = f"draft, stories260K and its Q4_0, temperature {temperature}"
            _compare(contest, name, threads, small, subjects.stories_draft(), (BEGINNING, STORY, temperature))


def _compare(contest: Contest, name: str, threads: int, model, draft, text: tuple[str, int, float]) -> None:
    """text: prompt, tokens, temperature. Both must write the same."""
    connection, (prompt, count, temperature) = contest.ours.connection, text

    def write(options: dict) -> str:
        given = [prompt, model.name, count, temperature, json.dumps({"ignore_eos": True} | options)]
        return connection.execute(QUERY, given).fetchone()[0]

    guessing = {"draft": draft.name}
    if write(guessing) != write({}):
        raise RuntimeError(f"{draft.name} changes what {model.name} writes")
    measured = in_turns(
        {
            "with": lambda: count / seconds(lambda: write(guessing)),
            "without": lambda: count / seconds(lambda: write({})),
        },
        contest.rounds,
    )
    record(Figure.of_rounds(name, "tok/s", measured["with"], measured["without"], threads=threads))
    write(guessing)
    guessed, accepted = connection.execute(STATS).fetchone()
    record(Figure(f"{name}: guesses that are right", "of 100", 100 * accepted / max(guessed, 1), threads=threads))
