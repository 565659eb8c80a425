"""A picture of a model's atoms: tokens by spelling, weight codes by value, and counts.

Points are those of llm_atoms.atoms; docs/atoms.md says what the axes mean.
"""

import numpy as np
import psycopg

from ..export.stored_model import read_stored
from .drawing import ACCENT, INK, count_by_tens, frame, outline, pyplot, title

TOKENS = """
    SELECT public.st_x(a.geom), public.st_y(a.geom), octet_length(t.bytes), t.bytes
    FROM llm.tokens AS t INNER JOIN llm_store.atom AS a ON a.content_hash = sha256(t.bytes)
    WHERE t.model = %s AND octet_length(t.bytes) > 1 AND t.kind IN ('normal', 'added')
"""
CODES_QUERY = """
    SELECT public.st_x(a.geom), u.type, u.number
    FROM (
        SELECT t.type, c.code, sum(c.number)::bigint AS number
        FROM llm.tensors AS t
        INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
        CROSS JOIN LATERAL unnest(n.codes, n.counts) AS c (code, number)
        WHERE t.model = %s
        GROUP BY t.type, c.code
    ) AS u
    INNER JOIN llm_store.atom AS a ON a.content_hash = llm_store.atom_code_hash(u.type, u.code)
    ORDER BY 2, 1
"""
COUNTS_QUERY = """
    WITH t AS (SELECT hash FROM llm.tensors WHERE model = %(model)s), k AS (
        SELECT DISTINCT bytes FROM llm.tokens WHERE model = %(model)s AND bytes <> ''
    ), c AS (
        SELECT DISTINCT s.type, c.code FROM llm.tensors AS s
        INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = s.hash
        CROSS JOIN LATERAL unnest(n.codes) AS c (code)
        WHERE s.model = %(model)s
    )
    SELECT 'bytes', 'discrete', count(*) FROM k WHERE octet_length(bytes) = 1
    UNION ALL SELECT 'tokens', 'compositional', count(*) FROM k WHERE octet_length(bytes) > 1
    UNION ALL SELECT 'weight codes', 'continuous', count(*) FROM c
    UNION ALL SELECT 'tiles', 'continuous', count(DISTINCT u.tile_hash)
    FROM t INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
    UNION ALL SELECT 'tensors', 'relational', count(DISTINCT hash) FROM t
    UNION ALL SELECT 'layers', 'relational', layers FROM llm.models WHERE name = %(model)s
"""
COLOURS = {"discrete": "#c05621", "compositional": ACCENT, "continuous": "#2f855a", "relational": "#6b46c1"}
CODE_COLOURS = ("#2f855a", "#b7791f", "#97266d", "#2c7a7b")
MOST_GROUPS = 256
SHORTEST_STRIP = 1 / 60  # of an axis that a letter needs to be written beside it


def draw_atoms(connection: psycopg.Connection, name: str, _: str | None):
    """A figure: the tokens, the weight codes, the counts."""
    read_stored(connection, name)  # raises for an unknown model
    figure = pyplot().figure(figsize=(13.5, 8.6), layout="constrained")
    grid = figure.add_gridspec(2, 2, width_ratios=(1.55, 1))
    tokens = connection.execute(TOKENS, (name,)).fetchall()
    codes = connection.execute(CODES_QUERY, (name,)).fetchall()
    counts = connection.execute(COUNTS_QUERY, {"model": name}).fetchall()
    _draw_tokens(figure, figure.add_subplot(grid[:, 0]), name, tokens)
    _draw_codes(figure.add_subplot(grid[0, 1]), codes)
    _draw_counts(figure.add_subplot(grid[1, 1]), counts)
    return figure


def _draw_tokens(figure, axes, name: str, tokens: list[tuple]) -> None:
    """Tokens by the ranks of their coordinates, so that they are spread evenly and neighbours stay neighbours."""
    from matplotlib.colors import LogNorm

    x, y = (_ranks(np.array([token[axis] for token in tokens])) for axis in (0, 1))
    lengths = np.array([token[2] for token in tokens])
    size = float(np.clip(30_000 / len(tokens), 1.0, 26))
    points = axes.scatter(x, y, c=lengths, s=size, cmap="viridis_r", norm=LogNorm(1, 20), linewidths=0, alpha=0.85)
    axes.set_xticks(*_ticks(x, [token[3][:1] for token in tokens]))
    axes.set_yticks(*_ticks(y, [token[3][-1:] for token in tokens]))
    axes.set(xlabel="how it begins (x)", ylabel="how it ends (y)", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.tick_params(length=0)
    _label_tokens(axes, x, y, tokens)
    frame(axes)
    figure.colorbar(points, ax=axes, label="bytes", shrink=0.5, aspect=30, ticks=[1, 2, 4, 8, 16], format="%d")
    title(
        axes,
        f"The atoms of {name}",
        f"{len(tokens):,} tokens by the order of their coordinates in llm_atoms.atoms; near tokens are spelt alike.",
    )


def _label_tokens(axes, x: np.ndarray, y: np.ndarray, tokens: list[tuple]) -> None:
    taken: list[tuple[float, float]] = []
    effects = outline()
    order = sorted(range(len(tokens)), key=lambda n: (-min(tokens[n][2], 9), n))
    for number in order:
        text = _shown(tokens[number][3])
        if text is None or any(abs(x[number] - a) < 0.11 and abs(y[number] - b) < 0.022 for a, b in taken):
            continue
        taken.append((x[number], y[number]))
        style = {"textcoords": "offset points", "xytext": (3, 2), "fontsize": 7.5, "path_effects": effects}
        axes.annotate(text, (x[number], y[number]), **style)
        if len(taken) == 110:
            return


def _draw_codes(axes, codes: list[tuple]) -> None:
    """How many weights have each code, in the order of their values; many codes in groups of neighbours."""
    for n, kind in enumerate(dict.fromkeys(kind for _, kind, _ in codes)):
        colour = CODE_COLOURS[n % len(CODE_COLOURS)]
        own = sorted((x, number) for x, of_kind, number in codes if of_kind == kind)
        groups = [group.sum() for group in np.array_split([number for _, number in own], min(MOST_GROUPS, len(own)))]
        told = f"{kind}: {len(own):,} codes" + (f" in {MOST_GROUPS} groups" if len(own) > MOST_GROUPS else "")
        axes.step(np.linspace(0, 1, len(groups)), groups, where="mid", color=colour, linewidth=1.2, label=told)
    if codes:
        axes.set(yscale="log", xticks=[])
        axes.margins(y=0.2)
        count_by_tens(axes.yaxis)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    else:
        axes.text(0.5, 0.5, "F32 weights hardly repeat:\nthey have no codes that are atoms", ha="center", va="center")
        axes.set(xticks=[], yticks=[])
    axes.set(xlabel="weight codes, from the lowest to the highest value", ylabel="weights that have it")
    frame(axes, "left", "bottom")


def _draw_counts(axes, counts: list[tuple]) -> None:
    kinds = [kind for kind, _, number in counts if number][::-1]
    numbers = [number for _, _, number in counts if number][::-1]
    colours = [COLOURS[modality] for _, modality, number in counts if number][::-1]
    bars = axes.barh(kinds, numbers, color=colours, height=0.62)
    axes.bar_label(bars, [f"{number:,}" for number in numbers], padding=4, fontsize=9)
    axes.set(xscale="log", xlabel="different atoms")
    axes.margins(x=0.18)
    axes.xaxis.set_tick_params(which="both", length=0, labelbottom=False)
    axes.yaxis.set_tick_params(length=0)
    for kind, modality, _ in counts:
        if kind in ("bytes", "tokens", "weight codes", "tensors"):
            axes.plot([], [], "s", color=COLOURS[modality], label=modality)
    axes.legend(frameon=False, loc="lower right", fontsize=8.5, labelcolor=INK)
    frame(axes, "left")


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 1; equal values share a rank."""
    ordered, inverse = np.unique(values, return_inverse=True)
    return inverse / max(1, len(ordered) - 1)


def _ticks(ranks: np.ndarray, letters: list[bytes]) -> tuple[list[float], list[str]]:
    """(middle, letter) of the strips of an axis whose tokens share a byte there, where a strip is wide enough."""
    strips: dict[bytes, list[float]] = {}
    for rank, letter in zip(ranks, letters, strict=True):
        strips.setdefault(letter, []).append(rank)
    found = []
    for letter, inside in strips.items():
        shown = _shown(letter)
        if shown is not None and max(inside) - min(inside) >= SHORTEST_STRIP:
            found.append(((max(inside) + min(inside)) / 2, shown))
    found.sort()
    return [middle for middle, _ in found], [shown for _, shown in found]


def _shown(content: bytes) -> str | None:
    """A token as a label: printable ASCII, its spaces as open boxes; None for others."""
    text = content.decode("ascii", "replace").replace(" ", "\u2423")
    return text if len(text) <= 14 and "\ufffd" not in text and text.isprintable() else None
