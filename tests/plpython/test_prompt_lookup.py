"""Prompt lookup."""

from plpython.generate.prompt_lookup import PromptLookup


def test_what_followed_the_last_tokens_before_is_guessed():
    assert PromptLookup(3).guess([1, 2, 3, 4, 5, 6, 1, 2, 3], 10) == [4, 5, 6]


def test_the_latest_place_counts():
    assert PromptLookup(2).guess([1, 2, 3, 7, 7, 1, 2, 3, 8, 8, 1, 2, 3], 10) == [8, 8]


def test_two_tokens_are_looked_up_where_three_are_new():
    assert PromptLookup(1).guess([1, 2, 3, 9, 9, 5, 2, 3], 10) == [9]


def test_nothing_is_guessed_after_what_was_not_there_before():
    assert PromptLookup(4).guess([1, 2, 3, 4], 10) == []
    assert PromptLookup(4).guess([1], 10) == []


def test_no_more_is_guessed_than_there_is_room_for():
    history = [1, 2, 3, 4, 5, 6, 1, 2, 3]
    assert PromptLookup(8).guess(history, 2) == [4, 5]
    assert PromptLookup(8).guess(history, 0) == []
    assert PromptLookup(8).guess(history, -1) == []


def test_a_growing_history_is_remembered():
    lookup, history = PromptLookup(2), [1, 2, 3]
    assert lookup.guess(history, 10) == []
    history += [4, 1, 2]
    assert lookup.guess(history, 10) == [3, 4]
    history += [3]
    assert lookup.guess(history, 10) == [4, 1]
