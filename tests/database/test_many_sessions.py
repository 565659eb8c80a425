"""Loads, forks, edits, drops, rollbacks and collections from several sessions at once, on the same few models.

HARTONOMOUS_OPERATIONS, default 120, says how many. What may not happen is a deadlock, an orphan or a wrong count.
"""

import os
import random
import threading

import numpy as np
import psycopg
import pytest
from psycopg import errors

from loaders.reader import read_model
from loaders.upload.upload import upload

from .models import FAMILIES

SESSIONS = 4
OPERATIONS = int(os.environ.get("HARTONOMOUS_OPERATIONS", "120"))
NAMES = [f"many-{n}" for n in range(6)]
SOURCES = [FAMILIES / "llama_linear", FAMILIES / "mistral_window"]
WIDTH = 36  # of both
# What a session may be told when another was faster: the model is not there, is there already, or went meanwhile.
EXPECTED = (errors.UndefinedObject, errors.DuplicateObject, errors.UniqueViolation, errors.ForeignKeyViolation)


class Session(threading.Thread):
    """One connection that does random things to the models of NAMES."""

    def __init__(self, dsn: str, seed: int):
        super().__init__()
        self._dsn, self._random = dsn, random.Random(seed)
        self.done, self.problem = {}, None

    def run(self) -> None:
        try:
            with psycopg.connect(self._dsn, autocommit=True) as connection:
                for _ in range(OPERATIONS // SESSIONS):
                    self._one(connection)
        except Exception as problem:  # told in the test's own thread
            self.problem = problem

    def _one(self, connection: psycopg.Connection) -> None:
        makers = (self._load, self._fork, self._quantize, self._merge)
        editors = (self._row, self._row, self._scale, self._prune)
        action = self._random.choice([*makers, *editors, self._drop, self._collect])
        outcome = action.__name__
        try:
            if action in (self._load, self._collect):  # which commit by themselves
                action(connection)
            else:
                with connection.transaction():
                    action(connection)
                    if self._random.random() < 0.3:
                        outcome += ", undone"
                        raise psycopg.Rollback
        except EXPECTED:
            outcome += ", too late"
        self.done[outcome] = self.done.get(outcome, 0) + 1

    def _any(self) -> str:
        return self._random.choice(NAMES)

    def _free(self, connection) -> str:
        """A name that is free now: what has it is dropped, in the same transaction."""
        name = self._any()
        connection.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", (name,))
        return name

    def _load(self, connection) -> None:
        upload(connection, read_model(self._random.choice(SOURCES)), self._any(), replace=True)

    def _fork(self, connection) -> None:
        connection.execute("SELECT llm.fork(%s, %s)", (self._any(), self._free(connection)))

    def _row(self, connection) -> None:
        numbers = np.full(WIDTH, self._random.choice([0.25, 0.5]), np.float32).tobytes()
        row = self._random.randrange(3)
        connection.execute("SELECT llm.set_row(%s, 'token_embd.weight', %s, %s)", (self._any(), row, numbers))

    def _scale(self, connection) -> None:
        tensor = self._random.choice(["output_norm.weight", "blk.0.ffn_up.weight", "blk.1.attn_v.weight"])
        factor = self._random.choice([0.5, 2.0])
        connection.execute("SELECT llm.scale_tensor(%s, %s, %s)", (self._any(), tensor, factor))

    def _prune(self, connection) -> None:
        connection.execute("SELECT llm.prune(%s, 0.05, 'blk.0.attn%%')", (self._any(),))

    def _quantize(self, connection) -> None:
        type = self._random.choice(["F16", "Q8_0"])
        connection.execute("SELECT llm.quantize(%s, %s, %s)", (self._any(), self._free(connection), type))

    def _merge(self, connection) -> None:
        model = self._any()
        connection.execute("SELECT llm.merge(ARRAY[%s, %s], %s)", (model, model, self._free(connection)))

    def _drop(self, connection) -> None:
        connection.execute("SELECT llm.drop_model(%s)", (self._any(),))

    def _collect(self, connection) -> None:
        connection.execute("CALL llm.collect('1 hour')")


ORPHANS = """
    SELECT 'tensor' FROM llm_store.tensor AS t
    WHERE NOT EXISTS (SELECT FROM llm_store.model_tensor AS m WHERE m.tensor_hash = t.hash)
    UNION ALL
    SELECT 'tile' FROM llm_store.tile AS t
    WHERE NOT EXISTS (SELECT FROM llm_store.tensor_tile AS u WHERE u.tile_hash = t.hash)
        AND NOT EXISTS (SELECT FROM llm_store.file_segment AS f WHERE f.tile_hash = t.hash)
    UNION ALL
    SELECT 'tensor without tiles' FROM llm_store.tensor AS t
    WHERE NOT EXISTS (SELECT FROM llm_store.tensor_tile AS u WHERE u.tensor_hash = t.hash)
    UNION ALL
    SELECT 'operation' FROM llm_store.operation AS o
    WHERE NOT EXISTS (SELECT FROM llm_store.model AS m WHERE m.id = o.model_id)
"""


@pytest.mark.parametrize("seed", [1])
def test_many_sessions_leave_no_orphan_no_wrong_count_and_no_deadlock(superuser, superuser_dsn, seed):
    sessions = [Session(superuser_dsn, 100 * seed + number) for number in range(SESSIONS)]
    try:
        for number, name in enumerate(NAMES):
            upload(superuser, read_model(SOURCES[number % len(SOURCES)]), name, replace=True)
        for session in sessions:
            session.start()
        for session in sessions:
            session.join(900)
        assert [session.problem for session in sessions if session.problem is not None] == []
        done = {action: sum(s.done.get(action, 0) for s in sessions) for s in sessions for action in s.done}
        assert sum(done.values()) == OPERATIONS // SESSIONS * SESSIONS
        assert sum(number for action, number in done.items() if action.endswith("late")) < 0.5 * OPERATIONS, done
        assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
        superuser.execute("CALL llm.collect('0 seconds')")
        assert superuser.execute(ORPHANS).fetchall() == []
        for (name,) in superuser.execute("SELECT name FROM llm.models WHERE name = ANY (%s)", (NAMES,)).fetchall():
            assert superuser.execute("SELECT * FROM llm.verify(%s)", (name,)).fetchall() == []
    finally:
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = ANY (%s)", (NAMES,))
