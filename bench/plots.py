"""The curves of README and figures.md: speed over the length of the context, speed and memory over rows at once."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt

OURS, PEERS = "#1f6f8b", {"llama.cpp": "#c0653a", "ik_llama.cpp": "#8a6fb0"}
CURVES = {
    "context": ("decode after a context, 1.5B Q4_K_M", "positions of context"),
    "rows": ("rows, 1.5B Q4_K_M", "rows written at once"),
    "memory": ("memory of a session, 1.5B Q4_K_M", "rows written at once"),
}


def draw(figures: Iterable[dict], folder: Path) -> None:
    """Draw each curve that was measured at several places, of the most threads, as FOLDER/NAME.png."""
    folder.mkdir(exist_ok=True)
    for file, (name, label) in CURVES.items():
        curve = [figure for figure in figures if figure["name"] == name and figure.get("at") is not None]
        if len({figure["at"] for figure in curve}) > 1:
            threads = max(figure["threads"] or 0 for figure in curve)
            points = sorted((figure for figure in curve if (figure["threads"] or 0) == threads), key=lambda f: f["at"])
            _plot(points, name, label, threads, folder / f"{file}.png")


def _plot(points: list[dict], name: str, label: str, threads: int, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    ours = {point["at"]: point["ours"] for point in points}
    axes.plot(*zip(*ours.items(), strict=True), marker="o", color=OURS, label="SELECT llm.generate…")
    for peer, colour in PEERS.items():
        theirs = {point["at"]: point["peer"] for point in points if point.get("against") == peer}
        if theirs:
            axes.plot(*zip(*theirs.items(), strict=True), marker="o", color=colour, label=peer)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(ours), [f"{place:,}" for place in ours])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label)
    axes.set_ylabel({"tok/s": "tokens a second"}.get(points[0]["unit"], points[0]["unit"]))
    axes.set_title(name + (f", {threads} threads" if threads else ""), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
