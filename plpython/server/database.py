"""The only module that touches plpy: sessions, errors, prepared statements and interrupts.

`llm_runtime.boot()` calls `connect` once a session and keeps what it returns as GD['llm']. A SQL function is then

    llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
    return llm.generation.tokenize(text, model)

`llm.generation` is the module plpython/sql/generation.py. Each call through it notices an upgrade and a DISCARD ALL,
turns a ModelError into a PostgreSQL error with its SQLSTATE, DETAIL and HINT, and lets cancellation pass. Tests connect
a fake plpy.
"""

import ctypes
import importlib
import itertools
import json
import re
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import GeneratorType

from . import errors

INTERNAL_ERROR = "XX000"
OUT_OF_MEMORY = "53200"
INTERRUPTED = "57"  # the class: cancelled, shut down
SESSION_MARK = "llm session"  # a prepared statement: DISCARD ALL takes it, ROLLBACK does not
# llm_runtime.boot() says the same in the same words: numpy is missing before there are modules.
PACKAGES_HINT = (
    "Install the server's packages for this Python (docs/operations.md), or as a superuser name the folder that has "
    "them: CREATE OR REPLACE FUNCTION llm_runtime.site_packages() RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE "
    "RETURN '/folder'::text. Then open a new connection."
)
PREFIXES = re.compile(r"^(?:(?:llm|plpy\.Error|spiexceptions\.\w+): )+")

_plpy = None
_cursors = itertools.count(1)  # numbers for their names
_plans = {}  # what the session has prepared, by Query
_marked = False  # whether SESSION_MARK was prepared


def _server_variable(kind, name):
    """A global variable of the server, read in place: asking through SPI costs fifty times as much.

    Outside a server it is a number that a test may set.
    """
    try:
        return kind.in_dll(ctypes.CDLL(None), name)
    except ValueError:
        return kind(0)


def _statement_lookup():
    """The server's look-up of a prepared statement: (name, whether to raise) -> its address, None without one."""
    try:
        find = ctypes.PyDLL(None).FetchPreparedStatement
    except AttributeError:  # not inside a server
        return lambda name, raises: 1
    find.restype, find.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_bool)
    return find


_find_statement = _statement_lookup()
_interrupt_pending = _server_variable(ctypes.c_int, "InterruptPending")
_cancel_pending = _server_variable(ctypes.c_int, "QueryCancelPending")
_die_pending = _server_variable(ctypes.c_int, "ProcDiePending")
_catalog_changes = _server_variable(ctypes.c_uint64, "SharedInvalidMessageCounter")


def connect(plpy, gd, package, release):
    """The session's door to the modules of `package`. `gd` is PL/Python's dictionary that all functions share."""
    global _plpy  # noqa: PLW0603 - one interpreter serves one session
    _plpy = plpy
    if not any(isinstance(finder, DeletedModules) for finder in sys.meta_path):
        sys.meta_path.append(DeletedModules(package))
    return Session(plpy, gd, package, release)


class Session:
    """What GD['llm'] holds: `session.module.function(...)` calls plpython/sql/<module>.py's function."""

    def __init__(self, plpy, gd, package, release):
        self._plpy, self._gd, self._package = plpy, gd, package
        self._release = release
        self._deployed = plpy.prepare("SELECT llm_runtime.release() AS release")
        self.changes_seen = None

    def __getattr__(self, name):
        """Import the module at its first use."""
        try:
            with signals_blocked():
                module = importlib.import_module(f"{self._package}.sql.{name}")
        except ImportError as error:
            raise _sql_error(error) from None
        opened = Boundary(self, name, module)
        setattr(self, name, opened)
        return opened

    def outdated(self):
        """Whether an upgrade has changed the release since this session booted.

        The SELECT (1.7 us) only runs when the server has told this session of any change of the catalogue, which is
        how its own cached plans notice one.
        """
        changes = _catalog_changes.value
        if changes == self.changes_seen:
            return False
        self.changes_seen = changes
        return self._deployed.execute()[0]["release"] != self._release

    def reopened(self):
        """The session after an upgrade: booted anew."""
        self._plpy.execute("SELECT llm_runtime.boot()")
        return self._gd["llm"]

    def forget(self):
        """Let go of what was kept for the client before a DISCARD ALL."""
        global _marked  # noqa: PLW0603 - one interpreter serves one session
        _marked = False
        importlib.import_module(f"{self._package}.session.prefixes").forget()


class DeletedModules:
    """The last finder of modules, for those whose files somebody deleted under the open session: they are written anew.

    A thread beside the session's own may not use the server, and finds nothing.
    """

    def __init__(self, package):
        self._package = package

    def find_spec(self, name, path=None, target=None):
        """What the import machinery asks: the module's spec, or None."""
        if not name.startswith(f"{self._package}.") or threading.current_thread() is not threading.main_thread():
            return None
        _write_modules()
        return PathFinder.find_spec(name, path, target)


def file_of(module):
    """The file of one of our modules, which is written anew when somebody deleted it."""
    path = Path(module.__file__)
    if not path.is_file():
        _write_modules()
    return path


def home():
    """The folder of our modules, below which and beside which the session keeps files. Only the server can enter it."""
    return file_of(sys.modules[__name__]).parents[1]


def _write_modules():
    _plpy.execute("SELECT llm_runtime.boot()")
    importlib.invalidate_caches()


class Boundary:
    """One module whose public functions are called behind the boundary."""

    def __init__(self, session, name, module):
        self._session, self._name, self._module = session, name, module

    def __getattr__(self, name):
        call = _behind_boundary(self._session, self._name, name, getattr(self._module, name))
        setattr(self, name, call)
        return call


def _behind_boundary(session, module, name, function):
    def call(*arguments):
        if _catalog_changes.value != session.changes_seen and session.outdated():
            return getattr(getattr(session.reopened(), module), name)(*arguments)
        if _marked and not _find_statement(SESSION_MARK.encode(), False):
            session.forget()
        try:
            if _interrupt_pending.value:  # a session's first call has just loaded what it needs
                checkpoint()
            result = function(*arguments)
            # PL/Python hides the message of an error in a later row: all rows are computed here.
            return list(result) if type(result) is GeneratorType else result
        except Exception as error:
            raise _sql_error(error) from None

    return call


class Stream:
    """Rows that are computed as they are fetched, with one column more: NULL, or the error that ended them.

    The first row is computed at once, where an error is one of the call. Of a later error PL/Python says "error
    fetching next item from iterator": so it comes in a last row of its own, and the SQL function around raises it with
    llm_store.raise_late, which calls `raise_late`.
    """

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
            return *[None] * self._columns, _written(_sql_error(error))


def _begun(rows):
    """The rows, of which the first is there already."""
    return itertools.chain(list(itertools.islice(rows, 1)), rows)


def raise_late(failure):
    """Raise the error that a Stream wrote."""
    raise errors.ModelError(*json.loads(failure))


def _written(error):
    """An error of plpy as text, for `raise_late`."""
    _, detail, hint, *_ = getattr(error, "spidata", None) or [None, error.detail, error.hint]
    return json.dumps([_sqlstate(error) or INTERNAL_ERROR, PREFIXES.sub("", str(error)), detail, hint])


def _sql_error(error):
    """The exception that PL/Python turns into the right PostgreSQL error. Errors of plpy, cancellation too, pass."""
    if isinstance(error, _plpy.SPIError):
        return _as_ours(error)
    if isinstance(error, (_plpy.Error, _plpy.Fatal)):
        return error
    if isinstance(error, errors.ModelError):
        return _named_error(error.message, error.sqlstate, error.detail, error.hint)
    if isinstance(error, ImportError):
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return _named_error(
            f"the server's Python {python} cannot import {error.name}", errors.NOT_PREPARED, str(error), PACKAGES_HINT
        )
    state = OUT_OF_MEMORY if isinstance(error, MemoryError) else INTERNAL_ERROR
    return _named_error(f"unexpected {type(error).__name__}: {error}", state, traceback.format_exc(), None)


def _as_ours(error):
    """An error that SQL raised within a call, named as ours are, without the names of the functions it came through.

    It keeps its SQLSTATE, by which one that interrupts goes on interrupting, and its place in a query.
    """
    state = _sqlstate(error)
    if state is None:
        return error
    _, detail, hint, query, *_ = getattr(error, "spidata", None) or [None] * 4
    message = PREFIXES.sub("", str(error))
    if query is None or state.startswith(INTERRUPTED):
        return _named_error(message, state, detail, hint)
    placed = _named(_plpy.SPIError)(message)
    placed.sqlstate, placed.spidata = state, error.spidata
    return placed


def _sqlstate(error):
    """The SQLSTATE of an error of plpy, None where it has none.

    PL/Python has no class, and so no attribute, for one that PostgreSQL does not know; its number is in `spidata` then,
    six bits a character.
    """
    state = getattr(error, "sqlstate", None)
    number = (getattr(error, "spidata", None) or [0])[0]
    return state or ("".join(chr(ord("0") + (number >> 6 * place & 63)) for place in range(5)) if number else None)


def _named_error(message, sqlstate, detail, hint):
    error = _named(_plpy.Error)(message)
    error.sqlstate, error.detail, error.hint = sqlstate, detail, hint
    return error


def _named(kind):
    """PL/Python prefixes the message with the name of the exception's class; "llm" reads better than plpy.Error."""
    return type("llm", (kind,), {"__module__": "builtins"})


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
            plan = _plans[self] = _plpy.prepare(self._sql, self._types)
        return plan


def cursor(sql, batch):
    """The rows of a caller's own query, `batch` at a time.

    A cursor of SQL, which a COMMIT closes: plpy's would refuse a COMMIT as long as a client fetches rows of a function
    that reads it. When the rows are not read to their end it stays until the end of the transaction: what closes a
    generator may not be within a call, and then nothing of the server can be used.
    """
    name = f'"llm rows {next(_cursors)}"'
    _plpy.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}")
    while rows := _plpy.execute(f"FETCH {batch} FROM {name}"):
        yield from rows
    _plpy.execute(f"CLOSE {name}")


def lasting_cursor(sql, batch):
    """The same for a procedure that commits while it reads: the rest of the rows is kept aside by the server."""
    rows = _plpy.cursor(sql)
    try:
        while fetched := rows.fetch(batch):
            yield from fetched
    finally:
        rows.close()


def columns_of(sql):
    """The names of the columns of a caller's own query, of which nothing is run. An error points into `sql` alone.

    A cursor is opened first, since that refuses several statements (42P11), which would all be run.
    """
    try:
        plan = _plpy.prepare(f"SELECT * FROM (\n{sql}\n) AS query LIMIT 0")
    except _plpy.SPIError as error:
        raise _of_the_callers_text(error, sql) from None
    plan.cursor().close()
    _plpy.prepare(sql)  # parentheses that close ours are an error of the caller's text too
    return plan.execute().colnames()


def _of_the_callers_text(error, sql):
    """The error of a query with `sql` in it as one of `sql` itself: what it says, what it quotes, where it points."""
    if _sqlstate(error) == errors.SYNTAX_ERROR:
        error = _syntax_error_of(sql) or error
    code, detail, hint, query, position, *rest = error.spidata
    if query is None or query == sql or sql not in query:
        return error
    place = position - query.index(sql)
    if place > len(sql):  # at the parenthesis that closes ours
        error, place = _like(error, "syntax error at end of input"), len(sql) + 1
    error.spidata = code, detail, hint, sql, place, *rest
    return error


def _syntax_error_of(sql):
    """The syntax error of a text as it stands; None where it has none."""
    try:
        _plpy.prepare(sql)
    except _plpy.SPIError as error:
        return error if _sqlstate(error) == errors.SYNTAX_ERROR else None


def _like(error, message):
    """The same error of SQL with another message."""
    other = type(error)(message)
    other.sqlstate, other.spidata = _sqlstate(error), error.spidata
    return other


@contextmanager
def hint_for(sqlstates, hint):
    """An error of one of the SQLSTATEs that SQL raises within has a HINT."""
    try:
        yield
    except _plpy.SPIError as error:
        if _sqlstate(error) in sqlstates:
            code, detail, given, *rest = error.spidata
            error.spidata = code, detail, given or hint, *rest
        raise


def commit():
    """End the transaction and begin another: in a procedure that was called outside of any."""
    _plpy.commit()


def checkpoint():
    """Let a cancellation, a timeout or a lost client stop the work here. Costs 0.1 us when nothing is pending."""
    if _interrupt_pending.value:
        _plpy.execute("SELECT 1")


def mark_session():
    """What is kept from now on is for this client: the call after a DISCARD ALL or DEALLOCATE ALL forgets it.

    Pools of connections run DISCARD ALL between clients. Nothing tells an extension; but prepared statements go.
    """
    global _marked  # noqa: PLW0603 - one interpreter serves one session
    if not _find_statement(SESSION_MARK.encode(), False):
        _plpy.execute(f'PREPARE "{SESSION_MARK}" AS SELECT')
    _marked = True


def cancel_addresses():
    """Where compiled code sees that the work is to stop: the addresses of int32 that are not zero then.

    Not those of InterruptPending, which is also set for what stops nothing, such as the look for a lost client every
    client_connection_check_interval: a pass that takes longer than that would begin anew for ever.
    """
    return ctypes.addressof(_cancel_pending), ctypes.addressof(_die_pending)


@contextmanager
def signals_blocked():
    """For what may start threads: they inherit the mask, and the server's handlers must run on its own thread alone."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def notice(message, detail=None, hint=None):
    """Tell the client something that it may want to know; it is sent at once."""
    _plpy.notice(f"llm: {message}", **_given(detail=detail, hint=hint))


def warning(message, detail=None, hint=None):
    """Tell the client, and the server's log, about something that is wrong and was mended."""
    _plpy.warning(f"llm: {message}", **_given(detail=detail, hint=hint))


def _given(**fields):
    """Without those that are None, which plpy would print."""
    return {name: text for name, text in fields.items() if text is not None}


def version():
    """What runs: the release of the modules, Python and numpy, on one line."""
    import numpy as np

    release = __name__.partition(".")[0].removeprefix("llm_")
    python = ".".join(map(str, sys.version_info[:3]))
    return f"hartonomous release {release}, Python {python}, numpy {np.__version__}"
