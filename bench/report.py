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
Key = tuple[str, int | None, int | None, str | None]  # name, threads, place, against whom where that was recorded

HEAD = """# Figures

Written by `make bench` from bench/results.jsonl, on {machine}.

"Ours" is what a client sees through SQL: one session on the same machine, text in and text out. Its peers are
{peers}, built for this processor
and called in C with token ids. Each computes with flash attention or without, and with weights repacked or as they were
loaded, whichever is fastest for the figure. All run the same GGUF files in turns: random weights of the shapes of
Qwen2.5-1.5B (1.5B) and Llama-3-8B (8B), in the encodings that people's files have; 0.6B is the first quarter of 1.5B's
layers. A figure is the median of the turns, with the smallest and largest in parentheses. `make bench PARTS="prepare
decode report --subjects 1.5B-Q4_K_M"` measures a part.

![tokens a second by length of the context](images/context.png)

![tokens a second by rows in a batch](images/rows.png)

![memory of a session by rows in a batch](images/memory.png)

## Goals

"""
REST = """
## Every figure

The peer is llama.cpp where none is named, unless the figure's name says otherwise. The limit for decoding a single text
is the memory's speed over the size of the packed weights, which each token reads once. The speed is the median of
samples between the turns (bench/bandwidth.py: 512 MB of huge pages, summed for 0.2 seconds or more). If ours exceeds
the limit by a few percent, memory was faster during our turns than between them.

"""


COLUMNS = ("figure", "threads", "ours", "compared with", "ratio", "wanted", "aim", "shown", "commit")
ALL_COLUMNS = ("figure", "threads", "ours", "peer", "peer's", "ratio", "limit", "unit", "commit")


def write() -> None:
    """Show the demands, write docs/figures.md and draw its plots."""
    figures = newest()
    demanded = demands_of(figures)
    table = Table(*COLUMNS, title="make bench")
    for row in demanded:
        table.add_row(*row)
    rich.print(table)
    draw(list(figures.values()), PAGE.parent / "images")
    order = sorted(figures, key=lambda key: (key[0], key[1] or 0, key[2] or 0, key[3] or ""))
    every = [_figure(figures[key]) for key in order]
    versions = (f"{package.peer} ({package.name} {package.version})" for package in peer.PACKAGES)
    head = HEAD.format(machine=machine(), peers=" and ".join(versions))
    PAGE.write_text(head + markdown(COLUMNS, demanded) + REST + markdown(ALL_COLUMNS, every))


def demands_of(figures: dict[Key, dict]) -> list[tuple[str, ...]]:
    """A row of COLUMNS for each demand, in their order."""
    return [_demand(demand, _of(demand, figures)) for demand in DEMANDS]


def _of(demand: Demand, figures: dict[Key, dict]) -> dict | None:
    """The figure that a demand is about, of its own peer where figures of several were recorded."""
    key = demand.name, demand.threads, demand.at
    return figures.get((*key, demand.peer)) or figures.get((*key, None))


def newest() -> dict[Key, dict]:
    """The last line of results.jsonl for each name, number of threads, place and peer, of clean commits."""
    figures = {}
    for line in map(json.loads, RESULTS.read_text().splitlines()):
        if not line["commit"].endswith("-dirty"):
            key, against = (line["name"], line["threads"], line.get("at")), line.get("against")
            figures[(*key, against)] = line
            if against is not None:
                figures.pop((*key, None), None)  # of a time when no peer was named
    return figures


def machine() -> str:
    """The processor's name and how many of them there are."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{len(names)} processors {names[0]}" if names else "this machine"


def _demand(demand: Demand, figure: dict | None) -> tuple[str, ...]:
    name = demand.name if demand.at is None else f"{demand.name}, {demand.at:,}"
    bound = f"{'at most' if demand.at_most else 'at least'} {demand.bound:g}"
    asked = bound, "" if demand.aim is None else f"{demand.aim:g}"
    whose = {"itself": "", "limit": "the memory's", "peer": f"{demand.peer}'s"}[demand.over]
    if figure is None:
        return name, _text(demand.threads), "not measured", whose, "", *asked, "", ""
    shown = "yes" if demand.is_met(figure) else "no", figure["commit"]
    ours = f"{_with_rounds(figure, 'ours')} {figure['unit']}"
    if demand.over == "itself":
        return name, "", ours, whose, "", *asked, *shown
    compared = f"{whose} {_with_rounds(figure, demand.over)}"
    return name, _text(demand.threads), ours, compared, f"{demand.value(figure):.2f}", *asked, *shown


def _figure(figure: dict) -> tuple[str, ...]:
    name = figure["name"] if figure.get("at") is None else f"{figure['name']}, {figure['at']:,}"
    ours, peers = _with_rounds(figure, "ours"), _with_rounds(figure, "peer")
    who = ", ".join(filter(None, (figure.get("against"), figure.get("way"))))
    return name, _text(figure["threads"]), ours, who, peers, *(_text(figure[key]) for key in ALL_COLUMNS[5:])


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
