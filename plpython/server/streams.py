"""Rows that are computed as they are fetched, and the error of a later row.

PL/Python hides the message of an error that is raised after the first row: "error fetching next item from iterator".
So each row has one column more. It is NULL, or in a last row the error as text, which the SQL function around raises
with llm_store.raise_late.

What computes the rows is freed with the cursor: when it is closed, and when its transaction ends.
"""

import itertools
import json
import weakref

from . import errors, server_variables, sql_errors

MOST_OPEN = 16  # unfinished streams of a session, each with what it computes from

_open = weakref.WeakValueDictionary()  # by id, the one that was fetched from last at the end


class Stream:
    """The rows with their column for an error. The first row is computed at once: its error is one of the call."""

    def __init__(self, rows, columns):
        self._source, self._columns = rows, columns
        self._is_running = self._is_closed = False
        self._rows = itertools.chain(list(itertools.islice(rows, 1)), rows)
        _open[id(self)] = self
        _close_more_than(MOST_OPEN)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return *self._fetched(), None
        except StopIteration:
            _open.pop(id(self), None)
            raise
        except Exception as error:
            return *[None] * self._columns, json.dumps(sql_errors.fields(sql_errors.sql_error(error)))

    def _fetched(self):
        if self._is_closed:
            raise errors.limit_exceeded(
                "the rest of these rows was given up",
                f"a session has at most {MOST_OPEN} unfinished calls whose rows are fetched",
                "Close cursors that are not read to their end.",
            )
        _open[id(self)] = _open.pop(id(self), self)
        self._is_running = True
        try:
            return next(self._rows)
        finally:
            self._is_running = False

    def close(self):
        """Free what computes the rows, unless it is at work: it may have called what calls this."""
        if not self._is_running:
            self._is_closed = True
            _open.pop(id(self), None)
            self._source.close()


def _close_more_than(most):
    """Close the streams that were not fetched from for longest, so that no more than `most` are open."""
    for stream in list(_open.values())[: max(0, len(_open) - most)]:
        stream.close()


def sent(rows):
    """The rows; each is sent to the client before the next is computed, instead of with the others or 8 kB later."""
    for row in rows:
        yield row
        server_variables.send_written()


def raise_late(failure):
    """Raise the error that a Stream wrote."""
    raise errors.ModelError(*json.loads(failure))
