"""Exact search: the rows of a table whose embeddings are closest to a query's, at the speed of memory.

A session keeps a table's embeddings as one matrix beside the identity of each row version: where it lies (ctid) and
which transaction wrote it (xmin). A search reads, in its own snapshot, which versions it sees; what the matrix lacks is
fetched, what is gone is dropped, so it finds what a scan would find, in every transaction, after ROLLBACK too, without
a trigger or an index. That reading is spared or cheaper where the matrix was right in an earlier snapshot:

- When the snapshot is the same and the transaction has written nothing, the database looks the same by definition.
- When all that the earlier one saw as ended is so in this one too, it is enough to count the versions that each
  transaction wrote. One of which the matrix has rows had ended then; of its versions none can have come since, so as
  many as there were are the same. Rows of any other transaction are seen in the counts.

All statements of a call share its snapshot, because the SQL function is STABLE.
"""

import numpy as np

from ..kernels import cosine
from ..kernels.cosine import ArrayTable
from ..server import arguments, interrupts, settings
from ..server.database import Query
from ..session import search_matrices
from ..session.search_matrices import Matrix
from ..store.embedding_columns import find_column
from . import embeddings

DEFAULT_SEARCH_MB = 1024
LARGEST_K = 10_000
BYTES_TOGETHER = 12 << 20  # in one piece of what is fetched: 8192 rows of 384 numbers
FEW = 4  # a matrix that lacks less than a quarter is mended, any other read anew

MANY_WRITERS = 8  # counting is no cheaper where a transaction wrote fewer rows each

MOMENT = Query(
    "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_snapshot()::text END AS snapshot, "
    "pg_catalog.pg_current_xact_id_if_assigned()::text AS writing"
)


def search(query, source, k=None, model=None, column=None):
    """Rows (content as JSON, similarity, place) of a table for a text: see `nearest`."""
    if query is None or source is None:
        return []
    return nearest(embeddings.query_vector(query, model), source, k, column)


def search_vector(query, source, k=None, column=None):
    """The same for an embedding, a list of numbers or little-endian float32."""
    if query is None or source is None:
        return []
    vector = embeddings.vector("query", query)
    if not len(vector):
        raise arguments.described("query", "an empty vector", "at least one number")
    return nearest(vector, source, k, column)


def nearest(vector, source, k, column):
    """The k rows closest to a vector by cosine, the closest first: (content without the column, cosine, ctid)."""
    k = arguments.integer("k", k, 10, 1, LARGEST_K)
    column = find_column(source, "embedding" if column is None else column)
    direction = cosine.unit(vector)
    if np.isnan(direction).any():
        raise arguments.described("query", "a vector without direction", "finite numbers, one of them not 0")
    places, scores = _best(column, direction, k)
    contents = column.contents(places)
    rows = [(contents[place], float(score), place) for place, score in zip(places, scores, strict=True)]
    return [(content, min(max(score, -1.0), 1.0), place_text(place)) for content, score, place in rows]


def _best(column, vector, k):
    memory = settings.megabytes("search_mb", DEFAULT_SEARCH_MB, 0)
    moment = MOMENT.one()
    snapshot = None if column.hides_rows or moment["writing"] else moment["snapshot"]
    known = search_matrices.find(column.key)
    if not _is_right(known, column, snapshot, moment["snapshot"]):
        places, writers = column.versions()
        if len(places) * 4 * len(vector) > memory:
            search_matrices.drop(column.key)
            return _streamed(column, places, vector, k)
        known = _current(column, known, places, _ended(writers, moment["writing"]), len(vector))
        known.snapshot = snapshot
    elif snapshot:
        known.snapshot = snapshot
    search_matrices.keep(column.key, known, memory)
    return _nearest(column, known.places, known.table, vector, k)


def _is_right(known, column, snapshot, moment):
    """Whether a matrix that was right in an earlier snapshot is so at this moment; False where that is not known."""
    if known is None or known.snapshot is None or moment is None or column.hides_rows:
        return False
    if known.snapshot == snapshot:
        return True
    if not is_later(moment, known.snapshot) or len(known.counts[0]) * MANY_WRITERS > len(known.places):
        return False
    return all(np.array_equal(*pair) for pair in zip(known.counts, column.writers(), strict=True))


def is_later(snapshot, earlier):
    """Whether a snapshot (the text of a pg_snapshot) sees all transactions as ended that an earlier one sees so."""
    (_, end, running), (_, earlier_end, earlier_running) = (text.split(":") for text in (snapshot, earlier))
    running = {number for number in running.split(",") if number and int(number) < int(earlier_end)}
    return int(end) >= int(earlier_end) and running <= set(earlier_running.split(","))


def _ended(writers, writing):
    """The writers, 0 for the transaction that goes on (the text of its xid8) and its subtransactions, whose ids follow.

    It can put other rows where its own ones were: TRUNCATE of a table that it made empties the same file.
    """
    if writing is None:
        return writers
    own = np.uint32(int(writing) & 0xFFFFFFFF)
    return np.where((writers - own).view(np.int32) >= 0, np.uint32(0), writers)


def _current(column, known, places, writers, width):
    """The matrix of these row versions: the known one, that one mended, or a new one."""
    if known is None or (len(known.rows) and known.rows.shape[1] != width):
        return Matrix(places, writers, _fetched(column, places, width))
    if np.array_equal(known.places, places) and np.array_equal(known.writers, writers) and np.all(writers):
        return known
    at = np.searchsorted(known.places, places)
    at[at == len(known.places)] = 0
    same = np.zeros(len(places), bool)
    if len(known.places):
        same = (known.places[at] == places) & (known.writers[at] == writers) & (writers != 0)
    if np.count_nonzero(~same) * FEW > len(places):
        return Matrix(places, writers, _fetched(column, places, width))
    rows = np.empty((len(places), width), np.float32)
    rows[same] = known.rows[at[same]]
    rows[~same] = column.some(places[~same], width)
    return Matrix(places, writers, rows)


def _fetched(column, places, width):
    rows = np.empty((len(places), width), np.float32)
    done = 0
    for _, piece in column.pieces(places, _rows_together(width), width):
        rows[done : done + len(piece)] = piece
        done += len(piece)
    return rows


def _rows_together(width):
    """How many rows of so many numbers are fetched in one piece, whole blocks of the table."""
    return max(1, BYTES_TOGETHER // (4 * width))


def _streamed(column, places, vector, k):
    """The best of a table that is too large to keep, piece by piece."""
    best_places, best_scores = np.zeros(0, np.int64), np.zeros(0)
    for piece_places, rows in column.pieces(places, _rows_together(len(vector)), len(vector)):
        found, scores = _nearest(column, piece_places, ArrayTable(rows), vector, k)
        best_places, best_scores = np.append(best_places, found), np.append(best_scores, scores)
        order = np.lexsort((best_places, -best_scores))[:k]
        best_places, best_scores = best_places[order], best_scores[order]
    return best_places, best_scores


def _nearest(column, places, table, vector, k):
    """(places, cosines) of the k rows of a table that are nearest, the first place first of equals."""
    if not len(places):
        return places, np.zeros(0)
    if table.shape[1] != len(vector):
        raise column.wrong_width(table.shape[1], len(vector))
    found, cosines = cosine.nearest(table, vector, k, (), interrupts.checkpoint)
    return places[found], cosines


def place_text(place):
    """A place as the text of a tid."""
    return f"({int(place) >> 16},{int(place) & 0xFFFF})"
