"""The newest figure of each name as tables: in the terminal, and in docs/figures.md beside its plots."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import peer
import rich
from demands import DEMANDS, Demand
from places import CHECKOUT
from plots import draw
from record import RESULTS
from rich.table import Table

PAGE = CHECKOUT / "docs" / "figures.md"
Key = tuple[str, int | None, int | None]  # name, threads, place

HEAD = """# Figures

Written by `make bench` from bench/results.jsonl, on {machine}.

"Ours" is what a client sees through SQL: one session on the same machine, text in and text out. llama.cpp is version
{version} of the package llama-cpp-python, built for this processor and called in C with token ids, with or without
flash attention, whichever is faster. Both run the same GGUF files of Qwen2.5-0.5B's shape, in turns. A figure is the
median of the turns, with the smallest and largest in parentheses. `make bench PARTS="prepare decode report"` measures
a part.

![tokens a second by length of the context](images/context.png)

![tokens a second by rows in a batch](images/rows.png)

![memory of a session by rows in a batch](images/memory.png)

## Goals

"""
REST = """
## Every figure

The peer is llama.cpp, unless the name says otherwise. The limit for decoding a single text is the memory's speed over
the size of the packed weights, which each token reads once. The speed is the median of samples between the turns
(bench/bandwidth.py: 512 MB of huge pages, summed for 0.2 seconds or more). If ours exceeds the limit by a few percent,
memory was faster during our turns than between them.

"""


COLUMNS = ("figure", "threads", "ours", "compared with", "ratio", "wanted", "aim", "shown", "commit")
ALL_COLUMNS = ("figure", "threads", "ours", "peer", "ratio", "limit", "unit", "commit")


def write() -> None:
    """Show the demands, write docs/figures.md and draw its plots."""
    figures = newest()
    demanded = demands_of(figures)
    table = Table(*COLUMNS, title="make bench")
    for row in demanded:
        table.add_row(*row)
    rich.print(table)
    draw(list(figures.values()), PAGE.parent / "images")
    every = [_figure(figures[key]) for key in sorted(figures, key=lambda key: (key[0], key[1] or 0, key[2] or 0))]
    head = HEAD.format(machine=machine(), version=peer.VERSION)
    PAGE.write_text(head + markdown(COLUMNS, demanded) + REST + markdown(ALL_COLUMNS, every))


def demands_of(figures: dict[Key, dict]) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each demand, in their order."""
    return [_demand(demand, figures.get((demand.name, demand.threads, demand.at))) for demand in DEMANDS]


def newest() -> dict[Key, dict]:
    """The last line of results.jsonl for each name, number of threads and place, of commits that can be checked out."""
    lines = map(json.loads, RESULTS.read_text().splitlines())
    clean = (line for line in lines if not line["commit"].endswith("-dirty"))
    return {(line["name"], line["threads"], line.get("at")): line for line in clean}


def machine() -> str:
    """The processor's name and how many of them there are."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(names)} processors {names[0]}" if names else "this machine"


def _demand(demand: Demand, figure: dict | None) -> tuple[str, ...]:
    name = demand.name if demand.at is None else f"{demand.name}, {demand.at:,}"
    bound = f"{'at most' if demand.at_most else 'at least'} {demand.bound:g}"
    asked = bound, "" if demand.aim is None else f"{demand.aim:g}"
    if figure is None:
        return name, _text(demand.threads), "not measured", "", "", *asked, "", ""
    shown = "yes" if demand.is_met(figure) else "no", figure["commit"]
    ours = f"{_with_rounds(figure, 'ours')} {figure['unit']}"
    if demand.over == "itself":
        return name, "", ours, "", "", *asked, *shown
    kind = "the memory's" if demand.over == "limit" else f"{demand.peer}'s"
    compared = f"{kind} {_with_rounds(figure, demand.over)}"
    return name, _text(demand.threads), ours, compared, f"{demand.value(figure):.2f}", *asked, *shown


def _figure(figure: dict) -> tuple[str, ...]:
    name = figure["name"] if figure.get("at") is None else f"{figure['name']}, {figure['at']:,}"
    measured = _with_rounds(figure, "ours"), _with_rounds(figure, "peer")
    return name, _text(figure["threads"]), *measured, *(_text(figure[key]) for key in ALL_COLUMNS[4:])


def _with_rounds(figure: dict, whose: str) -> str:
    """A median, and between what the rounds lay where that was recorded."""
    between = figure.get(f"{whose}_between")
    return _text(figure[whose]) + (f" ({between[0]:.4g} to {between[1]:.4g})" if between else "")


def _text(value: float | str | None) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def markdown(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of a page."""
    lines = [columns, ["---"] * len(tuple(columns)), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
