"""A fake plpy for the modules that use it, and models in memory for those that look one up."""

import itertools

import pytest

from loaders.huggingface.folder import read_folder
from plpython.model import encodings
from plpython.server import ceilings, database, spi
from plpython.session import kv_handles, model, models
from tests.plpython.model_store import FAMILIES, Store


class FakePlan:
    def __init__(self, plpy, sql):
        self._plpy, self._sql = plpy, sql

    def execute(self, arguments=(), limit=0):
        rows = self._plpy.rows_of(self._sql, list(arguments))
        return rows[:limit] if limit else rows

    def cursor(self, arguments=()):
        return FakeCursor(self._plpy.rows_of(self._sql, list(arguments)), self._plpy)


class FakeCursor:
    def __init__(self, rows, plpy):
        self._rows, self._plpy = iter(rows), plpy
        plpy.open_cursors += 1

    def fetch(self, count):
        return list(itertools.islice(self._rows, count))

    def close(self):
        self._plpy.open_cursors -= 1


class FakePlpy:
    """Answers statements that contain a key of `answers` with its value: rows, or a function of the arguments."""

    class Error(Exception):
        pass

    class Fatal(Exception):  # noqa: N818 - plpy's name
        pass

    class SPIError(Exception):
        pass

    def __init__(self):
        self.answers = {}
        self.executed = []
        self.prepared = []
        self.open_cursors = 0
        self.notices = []
        self.warnings = []
        self.debugs = []

    def notice(self, message, **fields):
        self.notices.append(message)

    def warning(self, message, **fields):
        self.warnings.append(message)

    def debug(self, message):
        self.debugs.append(message)

    def prepare(self, sql, types=()):
        self.prepared.append((sql, list(types)))
        return FakePlan(self, sql)

    def execute(self, sql):
        self.executed.append(sql)
        return self.rows_of(sql, [])

    def rows_of(self, sql, arguments):
        for part, answer in self.answers.items():
            if part in sql:
                return answer(*arguments) if callable(answer) else answer
        return []


@pytest.fixture(autouse=True)
def limits(monkeypatch):
    """The row of llm_runtime.call_limits(): no limits but those that a test sets."""
    given = {}
    monkeypatch.setattr(ceilings, "allowed", given.get)
    return given


@pytest.fixture
def plpy(monkeypatch):
    """A fake plpy that the modules of plpython.server use for the test's duration."""
    fake = FakePlpy()
    monkeypatch.setattr(spi, "plpy", fake)
    monkeypatch.setattr(database, "_plans", {})
    return fake


@pytest.fixture
def store(plpy, monkeypatch):
    """An empty Store in a session that has nothing loaded."""
    source = read_folder(FAMILIES / "qwen2")
    weights = {t.name: encodings.decode(t.type, t.data, t.shape) for t in source.tensors}
    monkeypatch.setattr(model.tensors, "Weights", lambda model_id: weights)
    monkeypatch.setattr(models, "_models", type(models._models)())
    monkeypatch.setattr(models, "_current", (None, {}))
    monkeypatch.setattr(kv_handles, "_caches", kv_handles.KVCaches())
    return Store(plpy)
