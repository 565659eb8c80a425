"""The curves of README and figures.md: speed over the length of the context, speed and memory over rows at once."""

from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt

OURS, PEER = "#1f6f8b", "#c0653a"
CURVES = {
    "context": ("decode after a context, Q8_0", "positions of context"),
    "rows": ("rows, Q8_0", "rows written at once"),
    "memory": ("memory of a session, Q8_0", "rows written at once"),
}


def draw(figures: Iterable[dict], folder: Path) -> None:
    """Draw each curve that was measured, of the most threads, as FOLDER/NAME.png."""
    folder.mkdir(exist_ok=True)
    for file, (name, label) in CURVES.items():
        curve = [figure for figure in figures if figure["name"] == name and figure.get("at") is not None]
        if curve:
            threads = max(figure["threads"] or 0 for figure in curve)
            points = sorted((figure for figure in curve if (figure["threads"] or 0) == threads), key=lambda f: f["at"])
            _plot(points, name, label, threads, folder / f"{file}.png")


def _plot(points: list[dict], name: str, label: str, threads: int, path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    places = [point["at"] for point in points]
    for key, legend, colour in (("ours", "SELECT llm.generate…", OURS), ("peer", "llama.cpp", PEER)):
        if points[0][key] is not None:
            axes.plot(places, [point[key] for point in points], marker="o", color=colour, label=legend)
    axes.set_xscale("log", base=2)
    axes.set_xticks(places, [f"{place:,}" for place in places])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label)
    axes.set_ylabel({"tok/s": "tokens a second"}.get(points[0]["unit"], points[0]["unit"]))
    axes.set_title(name + (f", {threads} threads" if threads else ""), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
    plt.close(figure)
