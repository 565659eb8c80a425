"""Whether to guess, and how many tokens, by costs that the tests make up: guessers and the model move a clock."""

import itertools

import pytest

from plpython.generate.speculation import FIRST, PATIENCE, PLAIN, RESTS, Mean, Pace, Speculation

PLAIN_SECONDS = 1.0


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Scripted:
    """A guesser: what a guess takes, and which of the tokens of the text it guesses right."""

    def __init__(self, clock, seconds, right, finds=lambda at: True):
        self.clock, self._seconds, self._right, self._finds = clock, seconds, right, finds

    def prepare(self, history, remaining):
        self.clock.now += 100  # is not counted
        return self._finds(len(history))

    def guess(self, history, most):
        self.clock.now += self._seconds * most
        return [self._right(at) for at in range(len(history), len(history) + most)]


def written(guessers, tokens, more, clock, most=8):
    """Write a text of so many tokens: the (guesser's number, guessed, accepted) of each pass, None for no guesser.

    guessers: {name: Scripted}, whose right guesses are True. A pass takes PLAIN_SECONDS, and `more` for each guess.
    """
    asked = []
    named = [(Named(name, guesser, asked), Pace(most)) for name, guesser in guessers.items()]
    speculation, history, passes = Speculation(named, clock=clock), [0], []
    while len(history) < tokens:
        asked.clear()
        guessed = speculation.guess(history, 1000)
        accepted = next((n for n, right in enumerate(guessed) if not right), len(guessed))
        speculation.learn(len(guessed), accepted + 1, PLAIN_SECONDS + more * len(guessed))
        history += [0] * (accepted + 1)
        passes.append((asked[0] if asked else None, len(guessed), accepted))
    return passes


class Named:
    """A guesser that says when it guesses."""

    def __init__(self, name, guesser, asked):
        self._name, self._asked = name, asked
        self._guesser, self.prepare = guesser, guesser.prepare

    def guess(self, history, most):
        self._asked.append(self._name)
        return self._guesser.guess(history, most)


def test_the_first_tokens_are_written_without_guesses_and_the_next_tried():
    clock = Clock()
    passes = written({"draft": Scripted(clock, 0.1, lambda at: True)}, 10, 0.05, clock)
    assert passes[: PLAIN + 1] == [(None, 0, 0)] * PLAIN + [("draft", FIRST, FIRST)]


def test_guesses_become_more_while_all_are_right():
    clock = Clock()
    passes = written({"draft": Scripted(clock, 0.1, lambda at: True)}, 200, 0.05, clock)
    counts = [guessed for _, guessed, _ in passes[PLAIN:]]
    assert counts == [2, 4] + [8] * (len(counts) - 2)


def test_guesses_become_fewer_where_some_are_wrong():
    clock = Clock()
    passes = written({"draft": Scripted(clock, 0.1, lambda at: at < 100 or at % 3 != 0)}, 400, 0.05, clock)
    before = max(guessed for _, guessed, _ in passes[:10])
    after = [guessed for _, guessed, _ in passes[-30:]]
    assert before == 8 and min(after) > 0 and max(after) < 6


@pytest.mark.parametrize(
    ("seconds", "more", "right"),
    [(0.1, 0.05, lambda at: False), (1.0, 0.05, lambda at: True), (0.1, 1.0, lambda at: True)],
    ids=["all wrong", "a draft as slow as the model", "passes as long as their tokens one by one"],
)
def test_where_guesses_gain_less_than_nothing_they_stop_and_are_tried_ever_more_rarely(seconds, more, right):
    clock = Clock()
    passes = written({"draft": Scripted(clock, seconds, right)}, 3000, more, clock)
    tokens, tries = 0, []
    for name, _, accepted in passes:
        if name and (not tries or tokens - tries[-1] > RESTS[0] // 2):
            tries.append(tokens)
        tokens += accepted + 1
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert 5 <= len(tries) < 15
    assert all(later >= earlier for earlier, later in itertools.pairwise(gaps))
    assert gaps[-1] <= RESTS[1] + 32
    assert sum(1 for name, _, _ in passes if name) < 60


def test_a_guesser_that_has_become_good_is_used_again():
    clock = Clock()
    passes = written({"draft": Scripted(clock, 0.1, lambda at: at > 300)}, 1200, 0.05, clock)
    assert sum(guessed for _, guessed, _ in passes[:200]) < 50
    assert [passed[1:] for passed in passes[-10:]] == [(8, 8)] * 10


def test_what_it_takes_to_prepare_does_not_count():
    clock = Clock()
    passes = written({"draft": Scripted(clock, 0.0, lambda at: True)}, 100, 0.0, clock)
    assert passes[-1] == ("draft", 8, 8)


def test_the_first_guesser_that_finds_something_guesses():
    clock = Clock()
    lookup = Scripted(clock, 0.0, lambda at: True, finds=lambda at: at % 2)
    draft = Scripted(clock, 0.1, lambda at: True)
    passes = written({"lookup": lookup, "draft": draft}, 200, 0.05, clock)
    assert {name for name, *_ in passes} == {None, "lookup", "draft"}


def test_a_guesser_that_is_wrong_rests_and_the_next_one_guesses():
    clock = Clock()
    lookup = Scripted(clock, 0.0, lambda at: False)
    draft = Scripted(clock, 0.1, lambda at: True)
    passes = written({"lookup": lookup, "draft": draft}, 600, 0.05, clock)
    names = [name for name, *_ in passes]
    assert names.count("lookup") < 25 and names.count("draft") > 60


def test_a_guesser_that_is_right_half_of_the_time_rests_while_a_better_one_is_behind_it():
    clock = Clock()
    lookup = Scripted(clock, 0.0, lambda at: at % 2)
    draft = Scripted(clock, 0.02, lambda at: True)
    assert [name for name, *_ in written({"lookup": lookup}, 300, 0.05, clock)].count("lookup") > 100
    names = [name for name, *_ in written({"lookup": lookup, "draft": draft}, 600, 0.05, clock)]
    assert names.count("lookup") < 20 and names.count("draft") > 50


def test_guesses_are_no_more_than_what_may_follow():
    clock = Clock()
    speculation = Speculation([(Scripted(clock, 0.1, lambda at: True), Pace(8))], clock=clock)
    for _ in range(PLAIN):
        speculation.learn(0, 1, 1.0)
    assert len(speculation.guess([0], 1)) == 1
    assert speculation.guess([0], 0) == []


def test_one_that_tries_does_not_wait_long_where_waiting_costs_time():
    clock = Clock()
    speculation = Speculation([(Scripted(clock, 0.0, lambda at: True, finds=lambda at: False), Pace(8))], clock=clock)
    single = 0
    for _ in range(2000):
        waits = speculation.rest == 0
        assert speculation.guess([0], 100) == []
        speculation.learn(0, 1, 2.0 if waits else 1.0, is_plain=not waits)
        single += waits
    assert PATIENCE < single < 10 * PATIENCE  # of waiting that takes twice as long


def test_where_waiting_costs_no_time_it_waits():
    clock = Clock()
    speculation = Speculation(
        [(Scripted(clock, 0.0, lambda at: True, finds=lambda at: at > 500), Pace(8))], clock=clock
    )
    for at in range(500):
        assert speculation.guess([0] * at, 100) == []
        speculation.learn(0, 1, 1.0)
    assert speculation.guess([0] * 501, 100) == [True] * FIRST


def test_waiting_for_something_to_guess_from_counts_as_its_cost():
    """A guess in ten tokens, always right, gains less than the nine lose that are written one by one."""
    clock, pace = Clock(), Pace(1)
    speculation = Speculation(
        [(Scripted(clock, 0.0, lambda at: True, finds=lambda at: at % 10 == 0), pace)], clock=clock
    )
    at = rested = 0
    while at < 2000:
        waits = speculation.rest == 0
        guessed = speculation.guess([0] * at, 100)
        speculation.learn(len(guessed), 1 + len(guessed), 2.0 if waits and not guessed else 1.0, is_plain=not waits)
        at += 1 + len(guessed)
        rested += not waits
    assert rested > 1500


def test_a_guesser_that_rests_does_so_in_the_next_text():
    pace, plain, slow = Pace(8), Mean(), Scripted(Clock(), 1.0, lambda at: True)
    first = Speculation([(slow, pace)], plain, slow.clock)
    while pace.rest != RESTS[0]:
        guessed = first.guess([0], 100)
        first.learn(len(guessed), len(guessed) + 1, 1.0)
    following = Speculation([(slow, pace)], plain, slow.clock)
    assert following.rest == RESTS[0] and following.guess([0], 100) == []


def test_nobody_guesses_for_as_long_as_it_says():
    assert Speculation().rest is None
    pace = Pace(8)
    speculation = Speculation([(Scripted(Clock(), 0.1, lambda at: True), pace)])
    assert speculation.rest == PLAIN
    speculation.learn(0, PLAIN, 2.0)
    assert speculation.rest == 0
