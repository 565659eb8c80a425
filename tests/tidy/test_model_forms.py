"""The tables that the generator of training values draws from, and the forms it fills in."""

import random
from fractions import Fraction

import pytest
from kinds import forms, numbers


def refuse(rng):
    raise AssertionError("drawn without need")


def test_a_table_is_what_stands_between_bars_and_ends_of_lines():
    assert forms.listed("yes | yes | no way\n    {m} {d}, {y} | ?") == ("yes", "yes", "no way", "{m} {d}, {y}", "?")
    assert forms.spaced("%| percent", " pct|pct") == ("%", " percent", " pct", "pct")


def test_a_table_of_meanings_gives_what_is_written_with_what_is_meant():
    table = forms.meant("""
        12:00 = noon | high noon
        00:00 = midnight
    """)
    assert table == (("noon", "12:00"), ("high noon", "12:00"), ("midnight", "00:00"))


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("{n}-{n+5}%", "7-12%"),
        ("{n:02}.{name}", "07.May"),
        ("{n+10:04}", "0017"),
        ("{name}s, {name}", "Mays, May"),
        ("{called} {mid}", "4 mid May"),
        ("100 % of $ and }{", "100 % of $ and }{"),
    ],
)
def test_slots_of_a_form_are_filled_with_their_values_sums_and_layouts(form, text):
    slots = {"n": 7, "name": "May", "called": lambda rng: 4, "mid": ("mid {name}",)}
    assert forms.fill(random.Random(1), form, **slots) == text


def test_slots_that_a_form_does_not_have_draw_nothing():
    rng, untouched = random.Random(2), random.Random(2)
    assert forms.fill(rng, "{n}", n=1, never=refuse, table=("a", "b")) == "1"
    assert rng.getstate() == untouched.getstate()


def test_tables_ranges_and_digits_are_drawn_from_left_to_right():
    rng, by_hand = random.Random(3), random.Random(3)
    text = forms.fill(rng, "{unit} # {n} {unit}", unit=("kg", "km", "cm"), n=range(1, 100))
    unit = ("kg", "km", "cm")
    assert text == " ".join(
        (by_hand.choice(unit), by_hand.choice("0123456789"), str(by_hand.randint(1, 99)), by_hand.choice(unit))
    )


def test_a_roll_chooses_each_share_as_often_as_its_bounds_are_apart():
    rng = random.Random(4)
    chosen = [forms.rolled(rng, (0.1, "none"), (0.7, "digits"), (1, "words")) for _ in range(20_000)]
    for share, choice in ((0.1, "none"), (0.6, "digits"), (0.3, "words")):
        assert chosen.count(choice) / len(chosen) == pytest.approx(share, abs=0.02)


def test_numbers_are_of_one_of_the_sizes_and_decimals_of_one_of_the_lengths():
    rng = random.Random(5)
    assert {numbers.sized(rng, (100, range(3), (7, 9))) for _ in range(500)} == {0, 1, 2, 7, 9, 100}
    assert {len(numbers.decimals(rng, 4, 0, 3, 2)) for _ in range(500)} == {0, 2, 3}


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("three quarters of an hour", "3/4"),
        ("quarter hour", "1/4"),
        ("half-day", "1/2"),
        ("¾ year", "3/4"),
        ("1/4 m", "1/4"),
    ],
)
def test_a_text_names_its_half_or_quarters(text, part):
    assert numbers.part(text) == Fraction(part)
