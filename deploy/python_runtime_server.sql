-- Deploy hartonomous:python_runtime_server to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/server/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.server__arguments()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Checks the arguments of SQL callers: every value has a range, NULL is the default, an error names the argument.

All raise ModelError 22023 (invalid parameter value).
"""

import json

import numpy as np

from . import ceilings, errors

MOST_SHOWN = 200  # characters of a value in an error
MOST_OF_A_NAME = 1000  # characters of the name of a model, tensor or token
MOST_OF_A_NAME_SHOWN = 100
MOST_DIGITS = 4000  # of a whole number; Python's own limit is a little higher
MOST_OPTIONS = 1 << 20  # characters of an object of options
KIND_NAMES = {  # of an option's value
    bool: "true or false",
    list: "an array",
    dict: "an object",
    int: "an integer",
    float: "a number",
    str: "a string",
}


def integer(name, value, default, smallest, largest):
    """`value`, or `default` for None; an integer from smallest to largest. Without a default None is an error."""
    if value is None and default is not None:
        return default
    allowed = f"an integer from {smallest} to {largest}"
    if not is_integer(value):
        raise ill(name, value, allowed)
    if not smallest <= value <= largest:
        raise out_of_range(name, value, allowed)
    return value


def number(name, value, default, smallest, largest):
    """`value` as a float, or `default` for None; smallest <= value <= largest, so never NaN."""
    if value is None:
        return default
    if not smallest <= value <= largest:
        raise out_of_range(name, value, f"a number from {smallest:g} to {largest:g}")
    return float(value)


def name(what, value, hint=None):
    """The name of a model, tensor or token, or None. ModelError 42704 for one that is too long to exist."""
    if value is not None and len(value) > MOST_OF_A_NAME:
        raise errors.undefined_object(
            f'{what} "{shown_name(value)}" does not exist',
            f"the name has {len(value)} characters, allowed are {MOST_OF_A_NAME}",
            hint,
        )
    return value


def shown_name(name):
    """The part of a name that an error shows."""
    return name[:MOST_OF_A_NAME_SHOWN]


def strings(name, value):
    """A one-dimensional array of non-empty strings as a tuple; None is no strings."""
    value = () if value is None else tuple(value)
    for string in value:
        if not isinstance(string, str) or not string:
            raise ill(name, string, "an array of strings that are neither NULL nor empty")
    return value


def indices(name, value, size):
    """A one-dimensional array of integers from 0 to size - 1, without NULL, as a list."""
    if value is None:
        raise ill(name, value, "an array of integers")
    ceilings.require_elements(value, name)
    allowed = f"integers from 0 to {size - 1}, in one dimension"
    for number in value:
        if not is_integer(number):
            raise ill(name, number, allowed)
        if not 0 <= number < size:
            raise out_of_range(name, number, allowed)
    return list(value)


def positions(name, value, context):
    """Consecutive positions within a context of that size, as an array: int[n], n >= 1."""
    positions = indices(name, value, context)
    if not positions or positions != list(range(positions[0], positions[0] + len(positions))):
        raise ill(name, positions, "positions that follow each other, at least one")
    return np.asarray(positions)


def _whole(digits):
    """A whole number of JSON; infinity for one with more digits than Python reads."""
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def options(value, known):
    """A jsonb object (as text, None for NULL) as a dict. known: {key: (type, description)} of all allowed keys."""
    if value is not None and len(value) > MOST_OPTIONS:
        raise described("options", f"{len(value)} characters", f"an object of {MOST_OPTIONS} characters at most")
    try:
        given = {} if value is None else json.loads(value, parse_int=_whole)
    except RecursionError:
        raise described("options", "nested too deeply", "an object that is nested less") from None
    if not isinstance(given, dict):
        raise ill("options", given, "an object")
    for key, content in given.items():
        if key not in known:
            raise errors.invalid_parameter(
                f'unknown option "{key}"',
                hint="Options are " + "; ".join(f"{name}: {text}" for name, (_, text) in known.items()) + ".",
            )
        kind = known[key][0]
        if not _is_of_kind(content, kind):
            raise ill(f"options.{key}", content, KIND_NAMES[kind])
    return given


def _is_of_kind(value, kind):
    """Whether a value of JSON is of a kind; every integer is a number too."""
    return is_integer(value) or isinstance(value, float) if kind is float else type(value) is kind


def is_integer(value):
    """Whether `value` is an integer and not a boolean, which Python takes for one."""
    return isinstance(value, int) and not isinstance(value, bool)


def ill(name, value, allowed):
    """The error for an argument of the wrong kind, shape or size."""
    return described(name, shown(value), allowed)


def described(name, description, allowed):
    """The same error with a description of the value, such as "12 numbers"."""
    kind = "setting" if name.startswith("llm.") else "argument"
    return errors.invalid_parameter(f"{kind} {name} does not fit", f"{name} is {description}, allowed is {allowed}")


def out_of_range(name, value, allowed):
    """The error for a number that is too small or too large."""
    return errors.invalid_parameter(f"{name} is out of range", f"{name} is {shown(value)}, allowed is {allowed}")


def shown(value):
    """A value as Python writes it, truncated to 200 characters; None is null."""
    if value is None:
        return "null"
    text = repr(value if not isinstance(value, (str, bytes, list)) else value[: MOST_SHOWN + 1])
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\u2026"
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__arguments() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__arguments() IS
'Checks the arguments of SQL callers: every value has a range, NULL is the default, an error names the '
'argument.';

CREATE OR REPLACE FUNCTION llm_runtime.server__background()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Runs a pure computation in a thread, so that the session can be interrupted meanwhile.

The thread must not use the server: no plpy, no database. It helps if the work releases Python's lock, as library calls
that parse or hash do.
"""

import contextlib
import ctypes
import threading

from . import interrupts

POLL = 0.01  # seconds between checks for an interrupt while waiting


def skip_destructors_at_exit():
    """From now on exit() ends the process without the destructors of libraries loaded so far.

    A session can end while its threads still run, after llm.warm_up() was cancelled or the session was terminated. Then
    destructors of LLVM would free memory that these threads use, and the crash of one session restarts the server.
    PostgreSQL has done its own cleanup before it calls exit().
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc has it; functions given to it run before destructors registered earlier
        libc.on_exit(libc._exit, None)


@contextlib.contextmanager
def _stack(megabytes):
    """Threads that start within have a stack of this size, None for the usual one."""
    usual = threading.stack_size((megabytes or 0) << 20)
    try:
        yield
    finally:
        threading.stack_size(usual)


class Background:
    """A call of function(*arguments) in a thread, started at once.

    stack_mb: of the thread's stack, for a library that calls itself as deeply as a user's text is nested.
    """

    def __init__(self, function, *arguments, stack_mb=None):
        self._outcome = None
        with _stack(stack_mb):
            self._start(function, arguments)

    def _start(self, function, arguments):
        self._thread = threading.Thread(
            target=self._run, args=(function, arguments), daemon=True, name="llm background"
        )
        with interrupts.signals_blocked():
            self._thread.start()

    def result(self):
        """Wait for the function, interruptibly. Returns what it returned, or raises what it raised."""
        while self._thread.is_alive():
            self._thread.join(POLL)
            interrupts.checkpoint()
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def _run(self, function, arguments):
        try:
            self._outcome = function(*arguments), None
        except BaseException as error:
            self._outcome = None, error
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__background() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__background() IS
'Runs a pure computation in a thread, so that the session can be interrupted meanwhile.';

CREATE OR REPLACE FUNCTION llm_runtime.server__ceilings()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Limits for users' texts, arrays and settings, which a superuser sets: llm_runtime.call_limits().

Each limit is a column of that function's row; NULL is no limit. A value above a limit is an error (53400) that says
what was asked and what is allowed.
"""

from . import database, errors

CALL_LIMITS = database.Query("SELECT l.* FROM llm_runtime.call_limits() AS l")
MEGABYTE = 1 << 20
LIMITS_HINT = "The limits are those of llm_runtime.call_limits(), which a superuser may replace."
SLICE = 1 << 16  # characters whose bytes are counted at a time
ALWAYS_ALLOWED = 1 << 16  # bytes and elements; below, the limits are not read, because operators are called very often


def allowed(limit):
    """The value of a limit, None for no limit."""
    return CALL_LIMITS.one()[limit]


def require(limit, asked, what):
    """ModelError 53400 if `asked` is above the limit. what: begins the message, such as "llm.batch_mb"."""
    most = allowed(limit)
    if most is not None and asked > most:
        raise errors.limit_exceeded(f"{what} is above the limit {limit}", f"asked {asked}, allowed {most}", LIMITS_HINT)


def require_bytes(limit, size, what):
    """ModelError 53400 if so many bytes are above a limit in megabytes. what: begins the message."""
    most = None if size <= ALWAYS_ALLOWED else allowed(limit)
    if most is not None and size > most * MEGABYTE:
        raise errors.limit_exceeded(
            f"{what} is above the limit {limit}", f"asked {size} bytes, allowed {most * MEGABYTE}", LIMITS_HINT
        )


def require_elements(elements, what):
    """ModelError 53400 if an array has more elements than the limit `elements`. what: the argument's name."""
    require_count(len(elements), what)


def require_count(count, what):
    """ModelError 53400 if so many elements are above the limit `elements`. what: the argument's name."""
    if count > ALWAYS_ALLOWED:
        require("elements", count, f"the number of elements of {what}")


def check_array(elements, size, what):
    """Returns True, or raises ModelError 53400 for an array with too many elements, or too many bytes of text.

    SQL calls this for a large array before it passes the array itself, because PL/Python would first make a list of it.
    """
    require_count(elements, what)
    require_bytes("text_mb", size, what)
    return True


def require_texts(texts, what):
    """ModelError 53400 for too many texts, or too many bytes of them together; elements may be NULL."""
    require_elements(texts, what)
    require_bytes("text_mb", sum(map(size, texts)), what)


def size(text):
    """Bytes of a text in UTF-8; 0 for NULL and for nested arrays, which other checks refuse."""
    return utf8_size(text) if isinstance(text, str) else 0


def utf8_size(text):
    """Bytes of a text in UTF-8, counted without a copy of the whole text."""
    if text.isascii():
        return len(text)
    return sum(len(text[at : at + SLICE].encode("utf-8", "surrogatepass")) for at in range(0, len(text), SLICE))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__ceilings() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__ceilings() IS
'Limits for users'' texts, arrays and settings, which a superuser sets: llm_runtime.call_limits().';

CREATE OR REPLACE FUNCTION llm_runtime.server__connection()
RETURNS void
LANGUAGE plpython3u
AS $python$"""How SQL reaches the modules: the session's GD['llm'], and the boundary that every call crosses.

`llm_runtime.boot()` calls `connect` once a session and keeps what it returns as GD['llm']. A SQL function is then

    llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
    return llm.generation.tokenize(text, model)

`llm.generation` is the module plpython/sql/generation.py. Each call through it notices an upgrade and a DISCARD ALL,
turns a ModelError into a PostgreSQL error with its SQLSTATE, DETAIL and HINT, and lets cancellation pass. Tests connect
a fake plpy.
"""

import importlib
import sys
from types import GeneratorType

from . import module_files, server_variables, settings, spi
from .interrupts import checkpoint, signals_blocked
from .sql_errors import sql_error

SESSION_MARK = "llm session"  # a prepared statement: DISCARD ALL takes it, ROLLBACK does not

_marked = False  # whether SESSION_MARK was prepared
_forgetting = []  # what to call after a DISCARD ALL


def connect(plpy, gd, package, release):
    """The session's way to the modules of `package`. `gd` is PL/Python's dictionary that all functions share."""
    spi.plpy = plpy
    module_files.restore_deleted(package)
    settings.reserve()
    return Session(gd, package, release)


class Session:
    """What GD['llm'] holds: `session.module.function(...)` calls plpython/sql/<module>.py's function."""

    def __init__(self, gd, package, release):
        self._gd, self._package = gd, package
        self._release = release
        self._deployed = spi.plpy.prepare("SELECT llm_runtime.release() AS release")
        self.changes_seen = None

    def __getattr__(self, name):
        """Import the module at its first use."""
        try:
            with signals_blocked():
                module = importlib.import_module(f"{self._package}.sql.{name}")
        except ImportError as error:
            raise sql_error(error) from None
        opened = Boundary(self, name, module)
        setattr(self, name, opened)
        return opened

    def outdated(self):
        """Whether an upgrade has changed the release since this session booted.

        The SELECT (1.7 us) only runs when the server has told this session of any change of the catalogue, which is
        how its own cached plans notice one.
        """
        changes = server_variables.catalog_changes.value
        if changes == self.changes_seen:
            return False
        self.changes_seen = changes
        return self._deployed.execute()[0]["release"] != self._release

    def reopened(self):
        """The session after an upgrade: booted anew."""
        spi.plpy.execute("SELECT llm_runtime.boot()")
        return self._gd["llm"]

    def forget(self):
        """Let go of what was kept for the client before a DISCARD ALL."""
        global _marked  # noqa: PLW0603 - one interpreter serves one session
        _marked = False
        for forget in _forgetting:
            forget()


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
        if server_variables.catalog_changes.value != session.changes_seen and session.outdated():
            return getattr(getattr(session.reopened(), module), name)(*arguments)
        if _marked and not server_variables.find_statement(SESSION_MARK.encode(), False):
            session.forget()
        try:
            checkpoint()  # a session's first call has just loaded what it needs
            result = function(*arguments)
            # PL/Python hides the message of an error in a later row: all rows are computed here.
            return list(result) if type(result) is GeneratorType else result
        except Exception as error:
            raise sql_error(error) from None

    return call


def when_forgotten(forget):
    """Have this function called when what is kept for a client must go. For modules of higher wings."""
    _forgetting.append(forget)


def mark_session():
    """What is kept from now on is for this client: the call after a DISCARD ALL or DEALLOCATE ALL forgets it.

    Pools of connections run DISCARD ALL between clients. Nothing tells an extension; but prepared statements go.
    """
    global _marked  # noqa: PLW0603 - one interpreter serves one session
    if not server_variables.find_statement(SESSION_MARK.encode(), False):
        spi.plpy.execute(f'PREPARE "{SESSION_MARK}" AS SELECT')
    _marked = True


def version():
    """What runs: the release of the modules, Python and numpy, on one line."""
    import numpy as np

    release = __name__.partition(".")[0].removeprefix("llm_")
    python = ".".join(map(str, sys.version_info[:3]))
    return f"hartonomous release {release}, Python {python}, numpy {np.__version__}"
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__connection() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__connection() IS
'How SQL reaches the modules: the session''s GD[''llm''], and the boundary that every call crosses.';

CREATE OR REPLACE FUNCTION llm_runtime.server__database()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Statements that modules run in the database: prepared queries, cursors over a caller's query, COMMIT."""

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__database() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__database() IS
'Statements that modules run in the database: prepared queries, cursors over a caller''s query, COMMIT.';

CREATE OR REPLACE FUNCTION llm_runtime.server__errors()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The one exception that crosses the border to SQL.

Every module raises ModelError; `sql_errors` turns it into a PostgreSQL error with the same SQLSTATE, DETAIL and HINT.
Messages follow the PostgreSQL style: lower case, no full stop; DETAIL carries the numbers, HINT the next step.
"""

INVALID_PARAMETER = "22023"
UNDEFINED_OBJECT = "42704"
LIMIT_EXCEEDED = "53400"
NOT_SUPPORTED = "0A000"
CORRUPT_DATA = "XX001"
OUT_OF_MEMORY = "53200"
DISK_FULL = "53100"
NOT_PREPARED = "55000"
SYNTAX_ERROR = "42601"
INVALID_TERMINATION = "2D000"
SEVERAL_STATEMENTS = "42P11"  # where a cursor is to be opened


class ModelError(Exception):
    """An error with the SQLSTATE, DETAIL and HINT that the SQL user will see."""

    def __init__(self, sqlstate, message, detail=None, hint=None):
        super().__init__(sqlstate, message, detail, hint)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self):
        return self.message if self.detail is None else f"{self.message} ({self.detail})"


def invalid_parameter(message, detail=None, hint=None):
    """An argument or a configuration value is outside what is allowed (22023)."""
    return ModelError(INVALID_PARAMETER, message, detail, hint)


def undefined_object(message, detail=None, hint=None):
    """A model, tensor or token is named that does not exist (42704)."""
    return ModelError(UNDEFINED_OBJECT, message, detail, hint)


def limit_exceeded(message, detail=None, hint=None):
    """A request is larger than the model's context or a configured limit (53400)."""
    return ModelError(LIMIT_EXCEEDED, message, detail, hint)


def not_supported(message, detail=None, hint=None):
    """A well-formed model asks for something this runtime does not have (0A000)."""
    return ModelError(NOT_SUPPORTED, message, detail, hint)


def corrupt_data(message, detail=None, hint=None):
    """Bytes are not what their description says (XX001)."""
    return ModelError(CORRUPT_DATA, message, detail, hint)


def out_of_memory(message, detail=None, hint=None):
    """The operating system gives no more memory or addresses (53200)."""
    return ModelError(OUT_OF_MEMORY, message, detail, hint)


def disk_full(message, detail=None, hint=None):
    """Files would take more of the disk than there is, or than they may (53100)."""
    return ModelError(DISK_FULL, message, detail, hint)


def not_prepared(message, detail=None, hint=None):
    """The server lacks what somebody has to make ready first: packages, compiled code (55000)."""
    return ModelError(NOT_PREPARED, message, detail, hint)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__errors() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__errors() IS
'The one exception that crosses the border to SQL.';

CREATE OR REPLACE FUNCTION llm_runtime.server__interrupts()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Interrupts: how Python and compiled code notice a cancellation, a timeout or a lost client, and stop."""

import ctypes
import signal
from contextlib import contextmanager

from . import server_variables, spi


def checkpoint():
    """Let a cancellation, a timeout or a lost client stop the work here. Costs 0.1 us when nothing is pending."""
    if server_variables.interrupt_pending.value:
        spi.plpy.execute("SELECT 1")


def cancel_addresses():
    """Addresses of two int32 that compiled code reads: it must stop as soon as one of them is not zero.

    InterruptPending is not among them. It is also set for what stops nothing, such as the check for a lost client
    every client_connection_check_interval: a pass that takes longer than this interval would start over for ever.
    """
    return ctypes.addressof(server_variables.cancel_pending), ctypes.addressof(server_variables.die_pending)


@contextmanager
def signals_blocked():
    """For code that may start threads. They inherit the mask: the server's handlers must run on its own thread only."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__interrupts() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__interrupts() IS
'Interrupts: how Python and compiled code notice a cancellation, a timeout or a lost client, and stop.';

CREATE OR REPLACE FUNCTION llm_runtime.server__messages()
RETURNS void
LANGUAGE plpython3u
AS $python$"""NOTICE, WARNING and DEBUG2: what the client is told while a call goes on."""

from . import spi


def notice(message, detail=None, hint=None):
    """Tell the client something that it may want to know; it is sent at once."""
    spi.plpy.notice(f"llm: {message}", **_given(detail=detail, hint=hint))


def warning(message, detail=None, hint=None):
    """Tell the client, and the server's log, about something that was wrong and has been repaired."""
    spi.plpy.warning(f"llm: {message}", **_given(detail=detail, hint=hint))


def debug(message):
    """Tell a client that asked for it with SET client_min_messages = debug2."""
    spi.plpy.debug(f"llm: {message}")


def _given(**fields):
    """Without those that are None, which plpy would print."""
    return {name: text for name, text in fields.items() if text is not None}
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__messages() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__messages() IS
'NOTICE, WARNING and DEBUG2: what the client is told while a call goes on.';

CREATE OR REPLACE FUNCTION llm_runtime.server__module_files()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The files of our modules below the data directory, which are written anew when somebody deleted them."""

import importlib
import sys
import threading
from importlib.machinery import PathFinder
from pathlib import Path

from . import spi


class DeletedModules:
    """The last finder of sys.meta_path: writes the files of our modules anew when an import does not find them.

    Only on the session's own thread. Another may not use the server, and finds nothing.
    """

    def __init__(self, package):
        self._package = package

    def find_spec(self, name, path=None, target=None):
        """What the import machinery asks: the module's spec, or None."""
        if not name.startswith(f"{self._package}.") or threading.current_thread() is not threading.main_thread():
            return None
        _write_modules()
        return PathFinder.find_spec(name, path, target)


def restore_deleted(package):
    """From now on an import in this session writes deleted files of the package anew."""
    if not any(isinstance(finder, DeletedModules) for finder in sys.meta_path):
        sys.meta_path.append(DeletedModules(package))


def file_of(module):
    """The file of one of our modules, which is written anew when somebody deleted it."""
    path = Path(module.__file__)
    if not path.is_file():
        _write_modules()
    return path


def home():
    """The folder of our modules. Files of the session lie in it and beside it. Only the server can enter it."""
    return file_of(sys.modules[__name__]).parents[1]


def _write_modules():
    spi.plpy.execute("SELECT llm_runtime.boot()")
    importlib.invalidate_caches()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__module_files() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__module_files() IS
'The files of our modules below the data directory, which are written anew when somebody deleted them.';

CREATE OR REPLACE FUNCTION llm_runtime.server__server_variables()
RETURNS void
LANGUAGE plpython3u
AS $python$"""State of the server process, read in place through ctypes: a question through SPI costs fifty times as much."""

import ctypes


def _variable(kind, name):
    """A global variable of the server. Outside a server it is a number that a test may set."""
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


def _sender():
    """PqCommMethods->flush_if_writable: sends what is written for the client, as far as it need not wait."""
    try:
        methods = ctypes.c_void_p.in_dll(ctypes.PyDLL(None), "PqCommMethods").value
    except ValueError:  # not inside a server
        return lambda: 0
    return ctypes.PYFUNCTYPE(ctypes.c_int)((ctypes.c_void_p * 3).from_address(methods)[2])


find_statement = _statement_lookup()
send_written = _sender()
interrupt_pending = _variable(ctypes.c_int, "InterruptPending")
cancel_pending = _variable(ctypes.c_int, "QueryCancelPending")
die_pending = _variable(ctypes.c_int, "ProcDiePending")
catalog_changes = _variable(ctypes.c_uint64, "SharedInvalidMessageCounter")
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__server_variables() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__server_variables() IS
'State of the server process, read in place through ctypes: a question through SPI costs fifty times as much.';

CREATE OR REPLACE FUNCTION llm_runtime.server__settings()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Settings llm.<name> of a session, a role or a database: read at each call, checked, with a default.

`LLM_SETTINGS` has them all. A session's first call tells the server about them. From then on `SET` of any other name
that begins with llm. is an error, and one that was set before is removed with a warning.

Any user may set them. So none of them is a path, and limits that protect other users are not settings: see `ceilings`.
"""

import ctypes
import re
import sys
from collections import namedtuple

from . import arguments, ceilings, database, errors

MOST_THREADS = 64
INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
USER_CONTEXT = 6  # PGC_USERSET in the server's guc.h: any user may set it
SETTING = database.Query("SELECT pg_catalog.current_setting($1, true) AS value", "text")
# What the server knows by more than its value.
DEFINED = database.Query(
    "SELECT s.name FROM pg_catalog.pg_settings AS s WHERE s.name LIKE 'llm.%' AND s.short_desc IS NOT NULL"
)

# default: the first of the choices, or a number, or None. smallest, largest: of a number.
Setting = namedtuple("Setting", "unit default smallest largest choices meaning", defaults=(None,) * 6)
MEGABYTES_OF = Setting("MB", largest=sys.maxsize)
LLM_SETTINGS = {
    "engine": Setting(
        default="auto",
        choices=("auto", "compiled", "numpy"),
        meaning="what computes: auto (compiled code where it is there, else numpy), compiled, numpy",
    ),
    "kv_type": Setting(
        default="auto",
        choices=("auto", "f32", "i16"),
        meaning="format of the KV cache: auto (f32 for a model whose weights are all float32, else i16), f32, i16",
    ),
    "threads": Setting(
        smallest=1,
        largest=MOST_THREADS,
        meaning="threads of a call; not set: 1 to decode a single text, all processors for prompts and batches",
    ),
    "kv_cache_mb": MEGABYTES_OF._replace(
        default=256,
        smallest=0,
        meaning="KV caches of finished texts that a session keeps, for prompts that begin the same way; 0: none",
    ),
    "batch_mb": MEGABYTES_OF._replace(
        default=512,
        smallest=1,
        meaning="KV caches of the rows of a batch; when they need more, fewer rows are computed at once",
    ),
    "search_mb": MEGABYTES_OF._replace(
        default=1024,
        smallest=0,
        meaning="embeddings of searched tables that a session keeps; a larger table is read again at each search",
    ),
}


def choice(name):
    """The setting `llm.<name>`, one of its choices. ModelError 22023 for another value."""
    choices = LLM_SETTINGS[name].choices
    value = _given(name) or choices[0]
    if value not in choices:
        raise errors.invalid_parameter(f'llm.{name} is "{value}", allowed are {", ".join(choices)}')
    return value


def integer(name):
    """The setting `llm.<name>`, an integer in its range; None if not set. ModelError 22023 for other values."""
    setting, value = LLM_SETTINGS[name], _given(name)
    if not value:
        return None
    number = int(value) if INTEGER.fullmatch(value) else value
    return arguments.integer(f"llm.{name}", number, None, setting.smallest, setting.largest)


def megabytes(name):
    """The setting `llm.<name>` in megabytes, as bytes, within the superuser's limit of the same name.

    If it is not set: the default, or the limit if that is lower. ModelError 22023 for a value that is no such number,
    53400 for one above the limit.
    """
    wanted, default = integer(name), LLM_SETTINGS[name].default
    if wanted is None:
        most = ceilings.allowed(name)
        wanted = default if most is None else min(default, most)
    else:
        ceilings.require(name, wanted, f"llm.{name}")
    return wanted * ceilings.MEGABYTE


def rows():
    """The rows of llm.settings: (name, value, unit, default, meaning), each value as it is set, else the default."""
    for name, setting in LLM_SETTINGS.items():
        default = None if setting.default is None else str(setting.default)
        yield f"llm.{name}", _given(name) or default, setting.unit, default, setting.meaning


def reserve():
    """Tell the server that these are all settings llm.<name>; once a session. Outside of a server nothing happens."""
    server = ctypes.PyDLL(None)  # the server process; PyDLL keeps Python's lock during a call
    try:
        define, mark = server.DefineCustomStringVariable, server.MarkGUCPrefixReserved
    except AttributeError:
        return
    define.restype = mark.restype = None
    define.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int] * 2 + [ctypes.c_void_p] * 3
    mark.argtypes = [ctypes.c_char_p]
    known = {row["name"] for row in DEFINED.all()}  # of a release that this session used before
    for name, setting in LLM_SETTINGS.items():
        if f"llm.{name}" not in known:
            value = _for_ever(bytes(ctypes.sizeof(ctypes.c_void_p)))
            define(_for_ever(f"llm.{name}"), _for_ever(setting.meaning), 0, value, 0, USER_CONTEXT, 0, 0, 0, 0)
    mark(b"llm")


def _given(name):
    """The setting's text; empty or None if it is not set."""
    return SETTING.one(f"llm.{name}")["value"]


def _for_ever(content):
    """The address of a copy, ended by a zero, which the server may keep as long as the session lives."""
    content = content if isinstance(content, bytes) else content.encode()
    allocate = ctypes.pythonapi.PyMem_RawCalloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t, ctypes.c_size_t]
    address = allocate(len(content) + 1, 1)
    if not address:
        raise MemoryError
    ctypes.memmove(address, content, len(content))
    return address
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__settings() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__settings() IS
'Settings llm.<name> of a session, a role or a database: read at each call, checked, with a default.';

CREATE OR REPLACE FUNCTION llm_runtime.server__spi()
RETURNS void
LANGUAGE plpython3u
AS $python$"""plpy, PL/Python's module for the server: stored here by `connection.connect`, used in this wing only."""

plpy = None
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__spi() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__spi() IS
'plpy, PL/Python''s module for the server: stored here by `connection.connect`, used in this wing only.';

CREATE OR REPLACE FUNCTION llm_runtime.server__sql_errors()
RETURNS void
LANGUAGE plpython3u
AS $python$"""From Python's exceptions to PostgreSQL's errors: a ModelError gets its SQLSTATE, an error of SQL keeps its own."""

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__sql_errors() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__sql_errors() IS
'From Python''s exceptions to PostgreSQL''s errors: a ModelError gets its SQLSTATE, an error of SQL keeps its '
'own.';

CREATE OR REPLACE FUNCTION llm_runtime.server__statement_clock()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The moment of a call: two calls at the same moment see the same data.

A query over operators makes hundreds of calls in a statement, and each must use the model of its name as it is now,
with the caller's rights. A look-up in the tables takes 10 us; comparing moments takes 2 us. A moment is made of
counters of the server: the start of the statement and of the transaction, the transaction, the subtransaction, the
command (each write of the session begins a new one) and the current user. Commits of other sessions become visible with
the next statement.
"""

import ctypes

_server = ctypes.PyDLL(None)  # the server process; PyDLL keeps Python's lock during a call


def _counter(name, result, *arguments):
    function = getattr(_server, name)
    function.restype, function.argtypes = result, arguments
    return function


def _counters():
    return (
        _counter("GetCurrentStatementStartTimestamp", ctypes.c_int64),
        _counter("GetCurrentTransactionStartTimestamp", ctypes.c_int64),
        _counter("GetTopTransactionIdIfAny", ctypes.c_uint32),
        _counter("GetCurrentSubTransactionId", ctypes.c_uint32),
        _counter("GetUserId", ctypes.c_uint32),
        _counter("GetCurrentCommandId", ctypes.c_uint32, ctypes.c_bool),
    )


try:
    _statement, _transaction, _xid, _subtransaction, _user, _command = _counters()
except AttributeError:  # not inside a server: no two moments are equal
    now = object
else:

    def now():
        """The moment, a value to compare."""
        return _statement(), _transaction(), _xid(), _subtransaction(), _user(), _command(False)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__statement_clock() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__statement_clock() IS
'The moment of a call: two calls at the same moment see the same data.';

CREATE OR REPLACE FUNCTION llm_runtime.server__streams()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Rows that are computed as they are fetched, and the error of a later row.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.server__streams() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.server__streams() IS
'Rows that are computed as they are fetched, and the error of a later row.';

COMMIT;
