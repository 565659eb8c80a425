"""Pictures of a model in the database: each is drawn, and shows something."""

import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from loaders.cli import app

from .models import FAMILIES, STORIES, loaded

pytest.importorskip("matplotlib", reason="pictures need the dependency group plot")


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn, own_data):
    paths = {"plot-q8": own_data / STORIES["stories-Q8_0"], "plot-f32": own_data / STORIES["stories"]}
    with loaded(superuser_dsn, paths | {"plot-small": FAMILIES / "qwen3"}):
        yield


@pytest.fixture
def hartonomous(loader_dsn):
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--dsn", loader_dsn])


def picture(path: Path) -> np.ndarray:
    """The pixels of a PNG, f32[height, width, 4]."""
    from matplotlib import image

    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return image.imread(path)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("tokens", "plot-q8"),
        ("hilbert", "plot-q8"),
        ("tensor", "plot-q8"),
        ("atoms", "plot-q8"),
        ("atoms", "plot-f32"),  # whose weights have no codes
        ("tokens", "plot-small"),
    ],
)
def test_a_picture_of_each_kind_is_drawn(hartonomous, tmp_path, kind, name):
    result = hartonomous("plot", kind, name, "-o", tmp_path / "x.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"drew {tmp_path / 'x.png'}\n"
    pixels = picture(tmp_path / "x.png")
    assert min(pixels.shape[:2]) > 900
    painted = (np.abs(pixels - pixels[0, 0]).max(axis=2) > 0.1).mean()
    assert painted > 0.01
    assert len(np.unique((pixels[:, :, :3] * 15).astype(int).reshape(-1, 3), axis=0)) > 60  # of many colours


def test_the_heat_map_is_the_matrix(hartonomous, monkeypatch, tmp_path):
    """The picture's own array, taken where it is handed to matplotlib."""
    from matplotlib.axes import Axes

    shown = []
    original = Axes.imshow
    monkeypatch.setattr(
        Axes, "imshow", lambda axes, array, **style: shown.append(array) or original(axes, array, **style)
    )
    result = hartonomous("plot", "tensor", "plot-f32", "--tensor", "blk.2.ffn_down.weight", "-o", tmp_path / "x.png")
    assert result.exit_code == 0, result.output
    assert shown[0].shape == (64, 172)


def test_a_vector_is_drawn_as_a_line(hartonomous, tmp_path):
    result = hartonomous("plot", "tensor", "plot-f32", "--tensor", "output_norm.weight", "-o", tmp_path / "x.svg")
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tokens", "no-such"), 'model "no-such" does not exist'),
        (("atoms", "no-such"), 'model "no-such" does not exist'),
        (("tensor", "plot-f32", "--tensor", "nothing"), 'model "plot-f32" has no tensor "nothing"'),
        (("statue", "plot-f32"), 'plot "statue" is not known'),
    ],
)
def test_what_cannot_be_drawn_is_said_in_one_line(hartonomous, tmp_path, arguments, told):
    result = hartonomous("plot", *arguments, "-o", tmp_path / "x.png")
    assert result.exit_code == 1
    assert told in result.stderr.splitlines()[0]
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("elsewhere.png")])
def test_a_picture_is_not_drawn_over_a_pipe_or_a_link(hartonomous, tmp_path, make):
    target = tmp_path / "x.png"
    make(target)
    before = target.lstat().st_ino
    result = hartonomous("plot", "tensor", "plot-f32", "--tensor", "output_norm.weight", "-o", target)
    assert result.exit_code == 1
    assert f"{target} is a" in result.stderr.splitlines()[0]
    assert (target.lstat().st_ino, [path.name for path in tmp_path.iterdir()]) == (before, ["x.png"])
