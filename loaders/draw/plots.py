"""Pictures of stored models: the map of the tokens, the Hilbert curve through it, a tensor, the atoms.

matplotlib is optional; without it these commands say how to install it.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import psycopg

from plpython.model import encodings

from ..errors import LoaderError, ServerError
from ..export.stored_model import read_stored, tensor_rows
from ..export.targets import check_file, written_beside
from .atom_map import draw_atoms
from .drawing import ACCENT, FAINT, INK, PAPER, STYLE, count_by_tens, frame, outline, pyplot, title
from .token_map import TokenMap, cells, chosen_labels, read_token_map

CURVE_BITS = 31  # as llm_atoms.hilbert_encode_2d has them
BACKGROUND_BITS = 5  # of the whole curve that is drawn behind
MOST_PIXELS = 1024  # of a matrix, each way
HISTOGRAM_VALUES = 4 << 20
CURVE = """
    SELECT u.ordinality - 1, llm_atoms.hilbert_encode_2d(u.x, u.y)
    FROM unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS u (x, y, ordinality)
"""
WHOLE_CURVE = "SELECT llm_atoms.hilbert_decode(n, 2, %s) FROM generate_series(0, %s) AS n ORDER BY n"


def plot(connection: psycopg.Connection, kind: str, name: str, output: Path, tensor: str | None = None) -> None:
    """Draw one of PLOTS into a file; its suffix is the format. Raises LoaderError for what cannot be drawn."""
    if kind not in PLOTS:
        raise LoaderError(f'plot "{kind}" is not known', f"Known are {', '.join(PLOTS)}.")
    canvas = pyplot()
    known = canvas.figure().canvas.get_supported_filetypes()
    canvas.close("all")
    if output.suffix[1:].lower() not in known:
        raise LoaderError(f"{output} ends in none of {', '.join(sorted(known))}", "Name a file like tokens.png.")
    check_file(output, replace=True)
    with canvas.rc_context(STYLE), written_beside(output, is_folder=False) as path_beside:
        figure = PLOTS[kind](connection, name, tensor)
        try:
            figure.savefig(path_beside, dpi=160, facecolor=PAPER)
        finally:
            canvas.close(figure)


def draw_tokens(connection: psycopg.Connection, name: str, _: str | None):
    """The map: the first two components are the position, the third is the colour, the fourth the size."""
    tokens = read_token_map(connection, name)
    figure, axes = pyplot().subplots(figsize=(11, 8.5), layout="constrained")
    size = _spread(tokens.positions[:, 3])
    points = axes.scatter(
        *tokens.positions[:, :2].T,
        c=tokens.positions[:, 2],
        s=_area(len(size)) * (0.4 + 1.6 * size),
        cmap="viridis",
        vmin=np.quantile(tokens.positions[:, 2], 0.02),
        vmax=np.quantile(tokens.positions[:, 2], 0.98),
        alpha=0.75,
        linewidths=0,
    )
    _label_tokens(axes, tokens, most=150)
    _name_directions(axes, tokens)
    figure.colorbar(points, ax=axes, label=f"third direction, {tokens.explained[2]:.1%}", shrink=0.6, aspect=30)
    title(
        axes,
        f"The tokens of {name}",
        f"{len(tokens.texts):,} tokens on the principal directions of the model's own embedding; size is the fourth, "
        f"{tokens.explained[3]:.1%}. Together {tokens.explained.sum():.0%} of the variance.",
    )
    return figure


def draw_hilbert(connection: psycopg.Connection, name: str, _: str | None):
    """The map again, with the Hilbert curve: behind it in 32 x 32 cells, and through the tokens in its order."""
    from matplotlib.collections import LineCollection

    tokens = read_token_map(connection, name)
    steps = cells(tokens.positions, CURVE_BITS)
    rows = connection.execute(CURVE, (steps[:, 0].tolist(), steps[:, 1].tolist())).fetchall()
    order = np.array([number for number, _ in sorted(rows, key=lambda row: row[1])])
    cell_count = 1 << 2 * BACKGROUND_BITS
    whole = np.array([cell for (cell,) in connection.execute(WHOLE_CURVE, (BACKGROUND_BITS, cell_count - 1))], float)
    background = (whole + 0.5) / (1 << BACKGROUND_BITS)
    at = (steps + 0.5) / (1 << CURVE_BITS)
    figure, axes = pyplot().subplots(figsize=(9.5, 9.5), layout="constrained")
    axes.plot(*background.T, color=FAINT, linewidth=0.8, zorder=1)
    path = at[order]
    lines = LineCollection(np.stack([path[:-1], path[1:]], axis=1), cmap="turbo", linewidths=1.1, alpha=0.8, zorder=2)
    lines.set_array(np.arange(len(path) - 1))
    axes.add_collection(lines)
    axes.scatter(*path.T, c=np.arange(len(path)), cmap="turbo", s=_area(len(path)) * 0.5, linewidths=0, zorder=3)
    _label_tokens(axes, TokenMap(name, at, tokens.explained, tokens.texts), most=90)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xticks=[], yticks=[], aspect="equal")
    frame(axes)
    figure.colorbar(lines, ax=axes, label="token along the curve", shrink=0.5, aspect=30)
    title(
        axes,
        f"The Hilbert curve through the tokens of {name}",
        f"In the order of the curve's key of two directions. Grey: the curve through {cell_count:,} cells.",
    )
    return figure


def draw_tensor(connection: psycopg.Connection, name: str, tensor_name: str | None):
    """A matrix as a heat map, or a vector as a line, with a histogram of the values."""
    model = read_stored(connection, name)
    tensor_name = tensor_name or "blk.0.attn_q.weight"
    tensor = next((tensor for tensor in model.tensors if tensor.name == tensor_name), None)
    if tensor is None:
        raise ServerError(f'model "{name}" has no tensor "{tensor_name}"', "llm.tensors lists them.")
    columns = tensor.shape[-1]
    rows = int(np.prod(tensor.shape[:-1]))
    row_step, column_step = -(-rows // MOST_PIXELS), -(-columns // MOST_PIXELS)
    value_step = max(1, rows * columns // HISTOGRAM_VALUES)
    shown, values, first, squares, zeros = [], [], 0, 0.0, 0
    for raw in tensor_rows(connection, tensor):
        piece = encodings.decode(tensor.type, raw, (len(raw) // tensor.row_bytes, columns))
        shown.append(piece[-first % row_step :: row_step, ::column_step])
        values.append(piece.reshape(-1)[::value_step])
        squares += float(np.square(piece, dtype=np.float64).sum())
        zeros += int((piece == 0).sum())
        first += len(piece)
    matrix, values = np.concatenate(shown), np.concatenate(values)
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(13, 6.6), layout="constrained", width_ratios=(1.7, 1))
    if rows == 1:
        left.plot(np.arange(matrix.size) * column_step, matrix[0], color=ACCENT, linewidth=0.9)
        left.set(xlabel="element", ylabel="value", xlim=(0, columns))
        frame(left, "left", "bottom")
    else:
        _heat_map(figure, left, matrix, (rows, columns))
    _histogram(right, values)
    every = f"every {row_step}th row and {column_step}th column shown" if max(row_step, column_step) > 1 else ""
    shape = " x ".join(f"{size:,}" for size in tensor.shape)
    size = rows * columns
    notes = [tensor.type, shape, f"rms {np.sqrt(squares / size):.4g}", f"{zeros / size:.1%} zeros"]
    title(left, f"{tensor_name} of {name}", ", ".join([*notes, every] if every else notes))
    return figure


def _heat_map(figure, axes, matrix: np.ndarray, shape: tuple[int, int]) -> None:
    """Red above 0, blue below; the outermost half percent of the values have the same colour."""
    limit = float(np.quantile(np.abs(matrix), 0.995)) or 1.0
    extent = (0, shape[1], shape[0], 0)
    style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest", "aspect": "auto"}
    image = axes.imshow(matrix, extent=extent, **style)
    axes.set(xlabel="column", ylabel="row")
    frame(axes)
    figure.colorbar(image, ax=axes, shrink=0.7, aspect=30, extend="both")


def _histogram(axes, values: np.ndarray) -> None:
    """A histogram of the values, with lines at the mean and one standard deviation from it."""
    low, high, mean, spread = (float(f(values)) for f in (np.min, np.max, np.mean, np.std))
    bins = min(201, max(31, len(np.unique(values[:65536]))))
    axes.hist(values, bins=bins, range=(low, high) if high > low else None, color=ACCENT, alpha=0.85)
    for number in (-1, 0, 1):
        axes.axvline(mean + number * spread, color=INK, linewidth=0.8, linestyle=":" if number else "-")
    axes.set(yscale="log", xlabel="value", ylabel="how often")
    count_by_tens(axes.yaxis)
    told = f"mean {mean:.3g}\nstd {spread:.3g}\n{low:.3g} to {high:.3g}"
    axes.text(0.98, 0.97, told, ha="right", va="top", transform=axes.transAxes)
    frame(axes, "left", "bottom")


def _label_tokens(axes, tokens: TokenMap, most: int) -> None:
    effects = outline()
    for number, shown in chosen_labels(tokens.positions, tokens.texts, most, label_size=(0.0085, 0.019)):
        position = tokens.positions[number, :2]
        offset = {"textcoords": "offset points", "xytext": (3, 2)}
        axes.annotate(shown, position, **offset, fontsize=7.5, color=INK, path_effects=effects, zorder=4)


def _name_directions(axes, tokens: TokenMap) -> None:
    axes.set(
        xlabel=f"first principal direction, {tokens.explained[0]:.1%} of the variance",
        ylabel=f"second, {tokens.explained[1]:.1%}",
        xticks=[],
        yticks=[],
    )
    axes.margins(0.04)
    frame(axes)


def _spread(values: np.ndarray) -> np.ndarray:
    """Values scaled to 0 to 1, with the outermost 2 percent clipped."""
    low, high = np.quantile(values, [0.02, 0.98])
    return np.clip((values - low) / ((high - low) or 1), 0, 1)


def _area(count: int) -> float:
    """The area of a marker in square points: smaller for more tokens."""
    return float(np.clip(24_000 / count, 1.2, 46))


PLOTS: dict[str, Callable] = {
    "tokens": draw_tokens,
    "hilbert": draw_hilbert,
    "tensor": draw_tensor,
    "atoms": draw_atoms,
}
