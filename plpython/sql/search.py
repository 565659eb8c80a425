"""Exact search: the rows of a table whose embeddings are closest to a query's, at the speed of memory.

A session keeps a table's embeddings as one matrix, with each row version's tid (ctid) and writer (xmin, the transaction
that wrote it). A search reads in its own snapshot which versions are visible, fetches those that the matrix lacks and
drops those that are gone. So it finds what a scan would find, in every transaction and after ROLLBACK, without a
trigger or an index. If the matrix was valid in an earlier snapshot, two shortcuts avoid reading all versions:

- The snapshot is the same, and the transaction has written nothing: then nothing has changed, by definition.
- All transactions that had ended in the earlier snapshot have ended in this one: then it is enough to count the visible
  versions of each writer. A writer with rows in the matrix had ended at that time, so it has added no versions since;
  if their number is the same, so are they. Versions of other writers show up in the counts.

All statements of a call use its snapshot, because the SQL function is STABLE.
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

LARGEST_K = 10_000
BYTES_TOGETHER = 12 << 20  # that are fetched at once: 8192 rows of 384 numbers
FEW = 4  # a matrix that lacks less than a quarter of the rows is updated, any other is read again
MANY_WRITERS = 8  # counting saves nothing if transactions wrote fewer rows each

MOMENT = Query(
    "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_snapshot()::text END AS snapshot, "
    "pg_catalog.pg_current_xact_id_if_assigned()::text AS writing"
)


def search(query, source, k=None, model=None, column=None):
    """Rows (content as JSON, similarity, ctid) of a table for a text: see `nearest`."""
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
    tids, scores = _best(column, direction, k)
    contents = column.contents(tids)
    rows = [(contents[tid], float(score), tid) for tid, score in zip(tids, scores, strict=True)]
    return [(content, min(max(score, -1.0), 1.0), tid_text(tid)) for content, score, tid in rows]


def _best(column, vector, k):
    memory = settings.megabytes("search_mb")
    moment = MOMENT.one()
    snapshot = None if column.hides_rows or moment["writing"] else moment["snapshot"]
    known = search_matrices.find(column.key)
    if not _is_right(known, column, snapshot, moment["snapshot"]):
        tids, writers = column.versions()
        if len(tids) * 4 * len(vector) > memory:
            search_matrices.drop(column.key)
            return _streamed(column, tids, vector, k)
        known = _current(column, known, tids, _ended(writers, moment["writing"]), len(vector))
        known.snapshot = snapshot
    elif snapshot:
        known.snapshot = snapshot
    search_matrices.keep(column.key, known, memory)
    return _nearest(column, known.tids, known.table, vector, k)


def _is_right(known, column, snapshot, moment):
    """Whether a matrix of an earlier snapshot is known to be valid now."""
    if known is None or known.snapshot is None or moment is None or column.hides_rows:
        return False
    if known.snapshot == snapshot:
        return True
    if not is_later(moment, known.snapshot) or len(known.counts[0]) * MANY_WRITERS > len(known.tids):
        return False
    return all(np.array_equal(*pair) for pair in zip(known.counts, column.writers(), strict=True))


def is_later(snapshot, earlier):
    """Whether all transactions that have ended in an earlier snapshot (the text of a pg_snapshot) have in this one."""
    (_, end, running), (_, earlier_end, earlier_running) = (text.split(":") for text in (snapshot, earlier))
    running = {number for number in running.split(",") if number and int(number) < int(earlier_end)}
    return int(end) >= int(earlier_end) and running <= set(earlier_running.split(","))


def _ended(writers, writing):
    """The writers, with 0 for the current transaction (the text of its xid8) and its subtransactions, whose ids follow.

    The current transaction can reuse the tids of its own rows: TRUNCATE of a table that it created keeps the file.
    """
    if writing is None:
        return writers
    own = np.uint32(int(writing) & 0xFFFFFFFF)
    return np.where((writers - own).view(np.int32) >= 0, np.uint32(0), writers)


def _current(column, known, tids, writers, width):
    """The matrix of these row versions: the known one, an updated copy, or a new one."""
    if known is None or (len(known.rows) and known.rows.shape[1] != width):
        return Matrix(tids, writers, _fetched(column, tids, width))
    if np.array_equal(known.tids, tids) and np.array_equal(known.writers, writers) and np.all(writers):
        return known
    at = np.searchsorted(known.tids, tids)
    at[at == len(known.tids)] = 0
    same = np.zeros(len(tids), bool)
    if len(known.tids):
        same = (known.tids[at] == tids) & (known.writers[at] == writers) & (writers != 0)
    if np.count_nonzero(~same) * FEW > len(tids):
        return Matrix(tids, writers, _fetched(column, tids, width))
    rows = np.empty((len(tids), width), np.float32)
    rows[same] = known.rows[at[same]]
    rows[~same] = column.some(tids[~same], width)
    return Matrix(tids, writers, rows)


def _fetched(column, tids, width):
    rows = np.empty((len(tids), width), np.float32)
    done = 0
    for _, piece in column.pieces(tids, _rows_together(width), width):
        rows[done : done + len(piece)] = piece
        done += len(piece)
    return rows


def _rows_together(width):
    """How many rows of so many numbers are fetched at once, in whole blocks of the table."""
    return max(1, BYTES_TOGETHER // (4 * width))


def _streamed(column, tids, vector, k):
    """The best of a table that is too large to keep, piece by piece."""
    best_tids, best_scores = np.zeros(0, np.int64), np.zeros(0)
    for piece_tids, rows in column.pieces(tids, _rows_together(len(vector)), len(vector)):
        found, scores = _nearest(column, piece_tids, ArrayTable(rows), vector, k)
        best_tids, best_scores = np.append(best_tids, found), np.append(best_scores, scores)
        order = np.lexsort((best_tids, -best_scores))[:k]
        best_tids, best_scores = best_tids[order], best_scores[order]
    return best_tids, best_scores


def _nearest(column, tids, table, vector, k):
    """(tids, cosines) of the k nearest rows of a table, of equal ones the lower tid first."""
    if not len(tids):
        return tids, np.zeros(0)
    if table.shape[1] != len(vector):
        raise column.wrong_width(table.shape[1], len(vector))
    found, cosines = cosine.nearest(table, vector, k, (), interrupts.checkpoint)
    return tids[found], cosines


def tid_text(tid):
    """A tid, block << 16 | line, as text."""
    return f"({int(tid) >> 16},{int(tid) & 0xFFFF})"
