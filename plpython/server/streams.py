"""Rows that are computed as they are fetched, and the error of a later row.

PL/Python hides the message of an error that is raised after the first row: "error fetching next item from iterator".
So each row has one column more. It is NULL, or in a last row the error as text, which the SQL function around raises
with llm_store.raise_late.
"""

import itertools
import json

from . import errors, sql_errors


class Stream:
    """The rows with their column for an error. The first row is computed at once: its error is one of the call."""

    def __init__(self, rows, columns):
        self._rows, self._columns = _begun(rows), columns

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return *next(self._rows), None
        except StopIteration:
            raise
        except Exception as error:
            return *[None] * self._columns, json.dumps(sql_errors.fields(sql_errors.sql_error(error)))


def _begun(rows):
    """The rows, of which the first is there already."""
    return itertools.chain(list(itertools.islice(rows, 1)), rows)


def raise_late(failure):
    """Raise the error that a Stream wrote."""
    raise errors.ModelError(*json.loads(failure))
