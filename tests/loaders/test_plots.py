"""What a picture is made of: cells of the curve, labels that can be read."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from loaders.draw import plots, token_map
from loaders.errors import LoaderError


def test_the_map_fills_its_square_of_cells():
    positions = np.array([[-2.0, 5, 9, 9], [0, 6, 9, 9], [2, 7, 9, 9]])
    assert token_map.cells(positions, 2).tolist() == [[0, 0], [2, 2], [3, 3]]
    assert token_map.cells(positions, 31)[2].tolist() == [2**31 - 1, 2**31 - 1]


def test_tokens_that_all_lie_on_one_line_have_cells_too():
    assert token_map.cells(np.array([[0.0, 1, 0, 0], [1, 1, 0, 0]]), 3).tolist() == [[0, 0], [7, 0]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", "␣the"),
        ("é", "é"),
        ("\n", None),
        ("   ", None),
        ("", None),
        ("你好", None),
        ("a" * 15, None),
        ("$x$", "$x$"),
    ],
)
def test_a_label_shows_its_space_and_only_what_can_be_read(text, shown):
    assert token_map.label(text) == shown


def test_labels_do_not_lie_on_each_other():
    random = np.random.default_rng(3)
    positions, texts = random.random((500, 4)), [f" token{n}" for n in range(500)]
    labels = token_map.chosen_labels(positions, texts, most=200, label_size=(0.01, 0.02))
    assert 20 < len(labels) <= 200
    low, high = positions[:, :2].min(axis=0), positions[:, :2].max(axis=0)
    boxes = [((positions[n, :2] - low) / (high - low), 0.01 * (len(shown) + 1)) for n, shown in labels]
    for i, (first, width) in enumerate(boxes):
        for second, other_width in boxes[:i]:
            apart_across = first[0] + width <= second[0] or second[0] + other_width <= first[0]
            assert apart_across or abs(first[1] - second[1]) >= 0.02


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch):
    original = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(LoaderError, match="matplotlib is not installed") as problem:
        plots.plot(None, "tokens", "any", Path("tokens.png"))
    assert "--group plot" in problem.value.hint


def test_a_picture_that_is_not_known_is_refused():
    with pytest.raises(LoaderError, match='plot "sculpture" is not known'):
        plots.plot(None, "sculpture", "any", Path("x.png"))


def test_a_file_of_no_known_format_is_refused_before_anything_is_read():
    pytest.importorskip("matplotlib")
    with pytest.raises(LoaderError, match="ends in none of"):
        plots.plot(None, "tokens", "any", Path("x.gguf"))
