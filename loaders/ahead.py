"""What can be stored before all tiles are there, on a second connection while the first one sends them.

A tokenizer with its atoms takes the server about as long as half a gigabyte of tiles, and so does counting their weight
codes: beside each other they cost the time of one. All of it is named by its content and committed ahead; no view shows
it, `llm.publish` finds it and checks everything as if it were not there, `llm.collect` removes what no model came for.
"""

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import psycopg


class Ahead:
    """A connection of its own and the thread that waits for it; statements run one after the other.

    Leaving the block stops what is not done.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]):
        self._connect = connect
        self._connection: psycopg.Connection | None = None
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._pending: list[Future] = []

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._connection is not None and not all(future.done() for future in self._pending):
            self._connection.cancel()
        self._pool.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()

    def tokenizer(self, definition: str, settings: dict) -> None:
        """Store a tokenizer; settings: the manifest's, with the vocabulary's size."""
        self._later("SELECT llm.upload_tokenizer(%s, %s::jsonb)", definition, json.dumps(settings))

    def tensors(self, tensors: list[dict]) -> None:
        """Store tensors, as the manifest has them, all of whose tiles are there."""
        if tensors:
            self._later("SELECT llm.upload_tensors(%s::jsonb)", json.dumps(tensors))

    def check(self) -> None:
        """Raise what was refused so far."""
        for future in [future for future in self._pending if future.done()]:
            future.result()
            self._pending.remove(future)

    def wait(self) -> None:
        """Wait until all is stored. Raises psycopg.Error for what the server refuses."""
        for future in self._pending:
            future.result()
        self._pending.clear()

    def _later(self, statement: str, *arguments: str) -> None:
        self._pending.append(self._pool.submit(self._run, statement, arguments))

    def _run(self, statement: str, arguments: tuple[str, ...]) -> None:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.execute(statement, arguments)
