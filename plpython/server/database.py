"""Statements that modules run in the database: prepared queries, cursors over a caller's query, COMMIT."""

import itertools

from . import errors, spi
from .sql_errors import sqlstate, with_message

_cursors = itertools.count(1)  # numbers for their names
_plans = {}  # what the session has prepared, by Query


class Query:
    """A statement with parameter types that is prepared at its first use and kept for the session.

    Everything in `sql` is schema-qualified: the caller's search_path is not ours.
    """

    def __init__(self, sql, *types):
        self._sql, self._types = sql, list(types)

    def all(self, *arguments):
        """All rows, each a dict by column."""
        return list(self._prepared().execute(list(arguments)))

    def one(self, *arguments):
        """The only row, or None where there is none."""
        rows = self._prepared().execute(list(arguments), 2)
        if len(rows) > 1:
            raise errors.corrupt_data("more than one row where one was expected", self._sql)
        return rows[0] if len(rows) else None

    def stream(self, *arguments, batch=1):
        """Rows as they come, `batch` at a time: a megabyte of weights a row is read fastest one by one."""
        cursor = self._prepared().cursor(list(arguments))
        try:
            while rows := cursor.fetch(batch):
                yield from rows
        finally:
            cursor.close()

    def forget(self):
        """Let go of a statement that was made for one call."""
        _plans.pop(self, None)

    def _prepared(self):
        plan = _plans.get(self)
        if plan is None:
            plan = _plans[self] = spi.plpy.prepare(self._sql, self._types)
        return plan


def cursor(sql, batch):
    """The rows of a caller's own query, `batch` at a time.

    A cursor of SQL, which a COMMIT closes. With one of plpy a COMMIT would be refused as long as a client fetches rows
    of a function that reads it. A cursor that is not read to its end stays open until the end of the transaction: a
    generator may be closed outside of any call, where nothing of the server can be used.
    """
    name = f'"llm rows {next(_cursors)}"'
    spi.plpy.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}")
    while rows := spi.plpy.execute(f"FETCH {batch} FROM {name}"):
        yield from rows
    spi.plpy.execute(f"CLOSE {name}")


def lasting_cursor(sql, batch):
    """The same for a procedure that commits while it reads: at the first COMMIT the server stores the other rows."""
    rows = spi.plpy.cursor(sql)
    try:
        while fetched := rows.fetch(batch):
            yield from fetched
    finally:
        rows.close()


def columns_of(sql):
    """The names of the columns of a caller's own query, of which nothing is run. An error points into `sql` alone.

    A cursor is opened first, because that refuses several statements (42P11); executing would run them all.
    """
    try:
        plan = spi.plpy.prepare(f"SELECT * FROM (\n{sql}\n) AS query LIMIT 0")
    except spi.plpy.SPIError as error:
        raise _of_the_callers_text(error, sql) from None
    plan.cursor().close()
    spi.plpy.prepare(sql)  # refuses a text whose parentheses close ours
    return plan.execute().colnames()


def _of_the_callers_text(error, sql):
    """The error of a query that contains `sql`, as an error of `sql` itself: message, quoted text and position."""
    if sqlstate(error) == errors.SYNTAX_ERROR:
        error = _syntax_error_of(sql) or error
    code, detail, hint, query, position, *rest = error.spidata
    if query is None or query == sql or sql not in query:
        return error
    position -= query.index(sql)
    if position > len(sql):  # at the parenthesis that closes ours
        error, position = with_message(error, "syntax error at end of input"), len(sql) + 1
    error.spidata = code, detail, hint, sql, position, *rest
    return error


def _syntax_error_of(sql):
    """The syntax error of a text as it stands; None where it has none."""
    try:
        spi.plpy.prepare(sql)
    except spi.plpy.SPIError as error:
        return error if sqlstate(error) == errors.SYNTAX_ERROR else None


def commit():
    """End the transaction and begin another: in a procedure that was called outside of any."""
    spi.plpy.commit()
