"""How all pictures look, and where matplotlib comes from: it is not among what the loader needs."""

from ..errors import LoaderError

INK, PAPER, FAINT, ACCENT = "#1b1f2a", "#fbfaf7", "#d9d6cd", "#2b6cb0"

STYLE = {
    "font.family": "DejaVu Sans",
    "axes.facecolor": PAPER,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # a token may be a dollar sign
}


def pyplot():
    """matplotlib.pyplot, drawing into files. Raises LoaderError with what to do where it is not installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        hint = "In the checkout: pip install --group plot. It is wanted for pictures alone."
        raise LoaderError("matplotlib is not installed", hint) from None
    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def title(axes, text: str, subtitle: str) -> None:
    """A title at the left, and below it a line that says what is seen."""
    axes.set_title(text, loc="left", fontsize=15, fontweight="bold", pad=26)
    axes.text(0, 1.012, subtitle, transform=axes.transAxes, fontsize=9, alpha=0.75, va="bottom")


def count_by_tens(axis) -> None:
    """A logarithmic axis of counts with 1, 10, 100 at it: as powers they would need the math that texts here lack."""
    from matplotlib.ticker import NullFormatter

    axis.set_major_formatter("{x:,.0f}")
    axis.set_minor_formatter(NullFormatter())


def frame(axes, *kept: str) -> None:
    """Only these sides of the frame: left, right, top, bottom."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in kept)


def outline() -> list:
    """Paper around letters, so that they can be read over points."""
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=2.2, foreground=PAPER, alpha=0.9)]
