"""The generator of training values, against Python's own calendar, decimals and a reading of the rules by hand."""

import contextlib
import datetime
import random
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import data
import pytest
import vocabulary
from kinds import dates, durations, numbers, phones, times

GRAMMAR = {
    "date": r"\d{4}-\d\d-\d\d",
    "date_us": r"\d{4}-\d\d-\d\d",
    "date_eu": r"\d{4}-\d\d-\d\d",
    "time": r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?",
    "money": r"-?(0|[1-9]\d*)\.\d\d [A-Z]{3}",
    "duration": r"(\d+(\.\d+)? (year|month|week|day|hour|minute|second|millisecond)s?( (?=\d)|$))+",
    "quantity": r"\d+(\.\d+)? (mm|cm|m|km|in|ft|yd|mi|mg|g|kg|t|oz|lb|ml|cl|dl|l|gal|m2|km/h|mph|kWh)",
    "percent": r"-?\d+\.\d+",
    "boolean": "true|false",
    "phone": r"\+[1-9]\d{7,14}",
}


@pytest.fixture(scope="module")
def many() -> list[data.Example]:
    return list(data.training(11, 20000))


def test_a_seed_always_gives_the_same_values():
    assert list(data.training(3, 200)) == list(data.training(3, 200))
    assert list(data.training(3, 200)) != list(data.training(4, 200))


def test_every_answer_is_unknown_or_of_its_kinds_form(many):
    for item in many:
        assert item.answer == "unknown" or re.fullmatch(GRAMMAR[item.kind], item.answer), item


def test_every_date_is_a_day_of_the_calendar(many):
    answers = [item.answer for item in many if item.kind.startswith("date") and item.answer != "unknown"]
    assert len(answers) > 3000
    for answer in answers:
        assert datetime.date.fromisoformat(answer).isoformat() == answer


def test_the_same_typing_never_has_two_answers(many):
    answers: dict[str, str] = {}
    for item in many:
        typed = f"{item.kind}: {' '.join(item.text.lower().split())}"
        assert answers.setdefault(typed, item.answer) == item.answer, typed


def test_each_kind_has_its_share_and_about_a_sixth_or_more_unknown(many):
    for kind, spec in data.KINDS.items():
        answers = [item.answer for item in many if item.kind == kind]
        assert len(answers) / len(many) == pytest.approx(spec.share, rel=0.15)
        assert 0.11 < answers.count("unknown") / len(answers) < 0.34


def test_values_for_evaluation_are_never_trained_on(many):
    unseen = data.unseen(1, 300)
    assert len({item.prompt for item in unseen}) == 300
    assert all(data.held_out(item) for item in unseen)
    assert not any(data.held_out(item) for item in many)


def test_the_generator_does_not_open_the_handwritten_list():
    program = (
        "import sys; opened = []; sys.addaudithook(lambda event, its: event == 'open' and opened.append(str(its[0])));"
        "import data; list(data.training(5, 500)); print('\\n'.join(opened))"
    )
    models = Path(data.__file__).parent
    done = subprocess.run([sys.executable, "-c", program], cwd=models, capture_output=True, text=True, check=True)
    assert "dates" in done.stdout  # the hook sees what is opened
    assert "handwritten" not in done.stdout


@pytest.mark.parametrize(
    ("text", "money", "quantity"),
    [
        ("1.250,50", "1250.50", "1250.50"),
        ("1,250.50", "1250.50", "1250.50"),
        ("1.250", "1250", "1.250"),
        ("1,250", "1250", "1250"),
        ("0,125", "0.125", "0.125"),
        ("12,5", "12.5", "12.5"),
        (".5", "0.5", "0.5"),
        ("1 000 000", "1000000", "1000000"),
        ("1'250.5", "1250.5", "1250.5"),
        ("1,000,000", "1000000", "1000000"),
        ("1,00,000", None, None),
        ("1.2.3", None, None),
        ("1.234,", None, None),
        ("1234,567", "1234.567", "1234.567"),
        ("12.345.678", "12345678", "12345678"),
    ],
)
def test_marks_inside_numbers_are_read_as_the_rules_say(text, money, quantity):
    for lone_point_is_thousands, wanted in ((True, money), (False, quantity)):
        value = numbers.read(text, lone_point_is_thousands)
        assert (value and Decimal(".".join(value).rstrip("."))) == (wanted and Decimal(wanted))


@pytest.mark.parametrize(
    ("value", "unit", "answer"),
    [
        ("2.5", "hour", "2 hours 30 minutes"),
        ("1.5", "year", "1 year 6 months"),
        ("0.5", "week", "3 days 12 hours"),
        ("1.25", "minute", "1 minute 15 seconds"),
        ("0.5", "month", "15 days"),
        ("10.3", "hour", "10 hours 18 minutes"),
    ],
)
def test_fractions_of_durations_are_carried_as_postgresql_carries_them(value, unit, answer):
    from fractions import Fraction

    assert durations.carry(Fraction(value), unit) == answer


def test_ambiguous_order_is_unknown_only_where_nothing_decides():
    rng = random.Random(7)
    for _ in range(3000):
        text, answer = dates.numeric(rng, None)
        found = re.fullmatch(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})", text)
        if found:
            first, second, year = map(int, found.groups())
            readings = set()
            for month, day in ((first, second), (second, first)):
                with contextlib.suppress(ValueError):
                    readings.add(datetime.date(year, month, day).isoformat())
            wanted = readings.pop() if len(readings) == 1 and 1500 <= year <= 2199 else "unknown"
            assert answer == wanted, text


def test_am_and_pm_are_what_pythons_clock_says():
    rng, checked = random.Random(8), 0
    for _ in range(3000):
        text, answer = times.clock(rng)
        if re.fullmatch(r"(0?[1-9]|1[0-2]):\d\d[ap]m", text.lower()):
            assert datetime.datetime.strptime(text.upper(), "%I:%M%p").strftime("%H:%M") == answer
            checked += 1
    assert checked > 50


def test_american_numbers_keep_their_ten_digits():
    rng = random.Random(9)
    for _ in range(500):
        text, answer = phones.american(rng)
        assert re.sub(r"\D", "", text)[-10:] == answer.removeprefix("+1") and len(answer) == 12


def test_a_prompt_never_contains_a_token_of_the_answers_alphabet(many):
    tokens, merges = vocabulary.train(item.prompt for item in many[:3000])
    encode = vocabulary.tokenizer(tokens, merges).encode
    answers = {tokens.index(token.replace(" ", "Ġ")) for token in vocabulary.ANSWER_TOKENS}
    for item in many[:3000]:
        assert not answers & set(encode(item.prompt).ids)
        pieces = vocabulary.split_answer(item.answer)
        assert "".join(pieces) == item.answer and pieces[0] in vocabulary.ANSWER_TOKENS
