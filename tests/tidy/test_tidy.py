"""The bundled model, as committed: it loads, answers what its card says, and every answer casts or is `unknown`."""

import datetime
import re

import data
import evaluate
import pytest
from conftest import MODELS
from test_model_data import GRAMMAR

TIDY = MODELS / "tidy.gguf"


@pytest.fixture(scope="module")
def cleaner() -> evaluate.Cleaner:
    return evaluate.Cleaner(TIDY)


def right(cleaner: evaluate.Cleaner, items: list[data.Example]) -> float:
    """The share of exact answers; every answer must have its kind's form, and a date must be a day."""
    said = [(item, cleaner.answer(item.prompt)) for item in items]
    for item, answer in said:
        if answer != data.UNKNOWN:
            assert re.fullmatch(GRAMMAR[item.kind], answer), (item, answer)
            if item.kind.startswith("date"):
                datetime.date.fromisoformat(answer)
    return sum(item.answer == answer for item, answer in said) / len(items)


def test_the_file_is_small_and_its_matrices_are_q8_0():
    source = evaluate.read_model(TIDY)
    assert TIDY.stat().st_size <= 4_000_000
    assert {t.type for t in source.tensors if len(t.shape) == 2} == {"Q8_0"}
    assert source.tokenizer_settings["before"] == []


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("date: 3rd of March '24", "2024-03-03"),
        ("money: \u20ac1.250,50", "1250.50 EUR"),
        ("duration: two and a half hours", "2 hours 30 minutes"),
        ("date: 03/04/2024", "unknown"),
        ("date_us: 03/04/2024", "2024-03-04"),
        ("date_eu: 03/04/2024", "2024-04-03"),
    ],
)
def test_the_examples_of_the_card_are_answered_as_it_says(cleaner, prompt, answer):
    assert cleaner.answer(prompt) == answer


def test_values_that_training_never_saw_are_answered_as_often_as_the_card_says(cleaner):
    assert right(cleaner, data.unseen(2, 400)) >= 0.985


def test_values_written_by_hand_are_answered_as_often_as_the_card_says(cleaner):
    assert right(cleaner, evaluate.handwritten()) >= 0.98


def test_the_29th_of_february_is_a_date_in_leap_years_and_unknown_in_others(cleaner):
    days = evaluate.leap_days()
    assert {item.answer[:4] for item in days if item.answer != data.UNKNOWN} == set(map(str, range(1960, 2060, 4)))
    assert right(cleaner, days[::3]) >= 0.99


def test_round_amounts_keep_their_noughts(cleaner):
    assert right(cleaner, evaluate.round_amounts()) >= 0.99


def test_wilsons_interval_is_that_of_the_worked_example():
    """81 of 263, after Newcombe 1998, table I: 0.2553 to 0.3662."""
    low, high = evaluate.wilson(81, 263)
    assert low == pytest.approx(0.2553, abs=5e-5)
    assert high == pytest.approx(0.3662, abs=5e-5)
