"""How SQL reaches the modules: the session's GD['llm'], and the boundary that every call crosses.

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
