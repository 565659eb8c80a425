"""From Python's exceptions to PostgreSQL's errors: a ModelError gets its SQLSTATE, an error of SQL keeps its own."""

import re
import sys
import traceback
from contextlib import contextmanager

from . import errors, spi

INTERNAL_ERROR = "XX000"
INTERRUPT_CLASS = "57"  # the class: cancelled, shut down
# llm_runtime.boot() says the same in the same words: numpy is missing before there are modules.
PACKAGES_HINT = (
    "Install the server's packages for this Python (docs/operations.md), or as a superuser name the folder that has "
    "them: CREATE OR REPLACE FUNCTION llm_runtime.site_packages() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE "
    "RETURN '/folder'::text. Then open a new connection."
)
PREFIXES = re.compile(r"^(?:(?:llm|plpy\.Error|spiexceptions\.\w+): )+")


def sql_error(error):
    """The exception that PL/Python turns into the right PostgreSQL error. Errors of plpy, cancellation too, pass."""
    if isinstance(error, spi.plpy.SPIError):
        return _as_ours(error)
    if isinstance(error, (spi.plpy.Error, spi.plpy.Fatal)):
        return error
    if isinstance(error, errors.ModelError):
        return _named_error(error.message, error.sqlstate, error.detail, error.hint)
    if isinstance(error, ImportError):
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return _named_error(
            f"the server's Python {python} cannot import {error.name}", errors.NOT_PREPARED, str(error), PACKAGES_HINT
        )
    state = errors.OUT_OF_MEMORY if isinstance(error, MemoryError) else INTERNAL_ERROR
    return _named_error(f"unexpected {type(error).__name__}: {error}", state, traceback.format_exc(), None)


def fields(error):
    """(SQLSTATE, message, DETAIL, HINT) of an exception that `sql_error` returned."""
    _, detail, hint, *_ = getattr(error, "spidata", None) or [None, error.detail, error.hint]
    return sqlstate(error) or INTERNAL_ERROR, PREFIXES.sub("", str(error)), detail, hint


def _as_ours(error):
    """An error that SQL raised within a call, in the form of ours: without the names of functions it came through.

    It keeps its SQLSTATE, so that an interrupt goes on interrupting, and its position in a query.
    """
    state = sqlstate(error)
    if state is None:
        return error
    _, detail, hint, query, *_ = getattr(error, "spidata", None) or [None] * 4
    message = PREFIXES.sub("", str(error))
    if query is None or state.startswith(INTERRUPT_CLASS):
        return _named_error(message, state, detail, hint)
    placed = _named(spi.plpy.SPIError)(message)
    placed.sqlstate, placed.spidata = state, error.spidata
    return placed


def sqlstate(error):
    """The SQLSTATE of an error of plpy, None where it has none.

    PL/Python has no class, and so no attribute, for a SQLSTATE that PostgreSQL does not know. Then the code is a number
    in `spidata`, six bits a character.
    """
    state = getattr(error, "sqlstate", None)
    number = (getattr(error, "spidata", None) or [0])[0]
    return state or ("".join(chr(ord("0") + (number >> 6 * i & 63)) for i in range(5)) if number else None)


def with_message(error, message):
    """The same error of SQL with another message."""
    other = type(error)(message)
    other.sqlstate, other.spidata = sqlstate(error), error.spidata
    return other


@contextmanager
def hint_for(sqlstates, hint):
    """Adds a HINT to an error of SQL that is raised within and has one of the SQLSTATEs."""
    try:
        yield
    except spi.plpy.SPIError as error:
        if sqlstate(error) in sqlstates:
            code, detail, given, *rest = error.spidata
            error.spidata = code, detail, given or hint, *rest
        raise


def _named_error(message, sqlstate, detail, hint):
    error = _named(spi.plpy.Error)(message)
    error.sqlstate, error.detail, error.hint = sqlstate, detail, hint
    return error


def _named(kind):
    """PL/Python prefixes the message with the name of the exception's class; "llm" reads better than plpy.Error."""
    return type("llm", (kind,), {"__module__": "builtins"})
