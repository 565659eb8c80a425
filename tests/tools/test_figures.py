"""docs/figures.md is what bench/run.py report writes of the committed results and demands."""

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    yield __import__("report")
    for name in ("report", "peer", "places", "plots", "record", "demands"):
        sys.modules.pop(name, None)


def test_the_page_shows_every_demand_with_its_newest_figure(report):
    table = report.markdown(report.COLUMNS, report.demands_of(report.newest()))
    assert f"## Goals\n\n{table}\n" in report.PAGE.read_text(encoding="utf-8")


def test_the_page_shows_figures_of_commits_that_can_be_checked_out(report):
    rows = [line for line in report.PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 100 and not any("-dirty" in row for row in rows)
