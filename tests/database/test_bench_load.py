"""bench/load.py measures loads that store what they load, and bench/run.py makes room for them."""

import sys
from pathlib import Path

import pytest

from .models import loaded

BENCH = Path(__file__).resolve().parents[2] / "bench"
IMPORTED = ("load", "subjects", "record", "places", "synthetic_model", "blocks", "mixes", "shapes")


@pytest.fixture
def bench(monkeypatch):
    """bench(name) imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCH))
    yield __import__
    for name in IMPORTED:
        sys.modules.pop(name, None)


@pytest.fixture
def story(own_data, superuser):
    """A small model of whose content the server has nothing but what other models share."""
    superuser.execute("CALL llm.collect('0 seconds')")
    return own_data / "stories260K-quant-derived" / "stories260K-Q4_0.gguf"


def names(connection):
    return {name for (name,) in connection.execute("SELECT name FROM llm.models")}


def test_a_load_of_what_is_stored_is_refused_and_one_of_what_is_not_is_measured(bench, superuser, loader_dsn, story):
    load, before = bench("load"), names(superuser)
    assert load.load_new(superuser, loader_dsn, story) > 0
    with loaded(loader_dsn, {"bench-load-other-name": story}):
        with pytest.raises(SystemExit, match=r"of stories260K-Q4_0.gguf [1-9]\d* pieces and the tokenizer were stored"):
            load.load_new(superuser, loader_dsn, story)
        assert load.MODEL not in names(superuser)
    superuser.execute("CALL llm.collect('0 seconds')")
    assert load.load_new(superuser, loader_dsn, story) > 0
    assert names(superuser) == before


def test_the_benchmarks_models_make_room_for_a_load_and_come_back(bench, superuser, loader_dsn, story):
    subjects = bench("subjects")
    stored = "SELECT hash, name FROM llm.models WHERE name LIKE 'bench-%' ORDER BY name"
    subjects.SUBJECTS["bench-stories"] = lambda: subjects.Model("bench-stories", story)
    with loaded(loader_dsn, {"bench-stories": story}):
        before = superuser.execute(stored).fetchall()
        with subjects.taken_away(loader_dsn):
            assert "bench-stories" not in names(superuser)
            assert bench("load").load_new(superuser, loader_dsn, story) > 0
        assert superuser.execute(stored).fetchall() == before
