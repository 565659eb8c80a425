"""The files of our modules below the data directory, which are written anew when somebody deleted them."""

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
