"""Stores the tokenizer and finished tensors on further connections, while another one sends tiles.

Storing a tokenizer with its atoms takes the server about as long as half a gigabyte of tiles, and so does counting the
weight codes of those. In parallel they take the time of one. All of it is stored by content and committed ahead, and no
view shows it. `llm_store.publish` finds it, and still checks everything; `llm.collect` removes it if no model needs it.
"""

import json
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import psycopg

VOCABULARY_PARTS = 2  # as many as llm_store.upload_token_atoms has


class Ahead:
    """Further connections, each with a thread that runs one statement after the other.

    The second one only stores its part of the tokens' atoms: two sessions do that in little more than half the time.
    Leaving the block stops what is not finished.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection]):
        self._lines = tuple(_Line(connect) for _ in range(VOCABULARY_PARTS))
        self._pending: list[Future] = []

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_) -> None:
        for line in self._lines:
            line.stop()
        for line in self._lines:
            line.close()

    def tokenizer(self, definition: str, settings: dict) -> None:
        """Store a tokenizer; settings: the manifest's, with the vocabulary's size."""
        self._later(self._lines[0], self._store_tokenizer, definition, json.dumps(settings))

    def tensors(self, tensors: list[dict]) -> None:
        """Store tensors of the manifest whose tiles are all stored."""
        if tensors:
            self._later(
                self._lines[0],
                self._lines[0].execute,
                "SELECT llm_store.upload_tensors(%s::jsonb)",
                json.dumps(tensors),
            )

    def check(self) -> None:
        """Raise the first error so far."""
        for future in [future for future in self._pending if future.done()]:
            future.result()
            self._pending.remove(future)

    def wait(self) -> None:
        """Wait until all is stored. Raises psycopg.Error for what the server refuses."""
        for future in self._pending:
            future.result()
        self._pending.clear()

    def _later(self, line: "_Line", action: Callable, *arguments: object) -> None:
        self._pending.append(line.submit(action, *arguments))

    def _store_tokenizer(self, definition: str, settings: str) -> None:
        """In the first line's thread: the vocabulary, then its parts on all lines, then the rest."""
        first = self._lines[0]
        tokenizer = first.execute("SELECT llm_store.upload_vocabulary(%s, %s::jsonb)", definition, settings)
        others = [line.submit(line.store_part, tokenizer, part) for part, line in enumerate(self._lines) if part]
        first.store_part(tokenizer, 0)
        for other in others:
            other.result()
        first.execute("SELECT llm_store.upload_tokenizer(%s, %s::jsonb)", definition, settings)


class _Line:
    """A connection, made when it is first needed, and its thread."""

    def __init__(self, connect: Callable[[], psycopg.Connection]):
        self._connect = connect
        self._connection: psycopg.Connection | None = None
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._last: Future | None = None
        self._stopped = False

    def submit(self, action: Callable, *arguments: object) -> Future:
        self._last = self._pool.submit(action, *arguments)
        return self._last

    def execute(self, statement: str, *arguments: object) -> object:
        """The single value of a statement; called in this line's thread."""
        if self._stopped:
            raise CancelledError
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.execute(statement, arguments).fetchone()[0]

    def store_part(self, tokenizer: int, part: int) -> None:
        self.execute("SELECT llm_store.upload_token_atoms(%s, %s)", tokenizer, part)

    def stop(self) -> None:
        """Start nothing more, and cancel the running statement."""
        self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._connection is not None and self._last is not None and not self._last.done():
            self._connection.cancel()

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()
