#!/usr/bin/env python3
"""What edits of a stored model store: bench/editing.py MODEL [--dsn DSN] prints a table of tiles, bytes and seconds.

Every copy is made of MODEL, which stays as it is, and dropped at the end. Tiles are counted after a collection, so that
a row says what is needed and not what lies about. Nothing else should be loading meanwhile.
"""

import argparse
import os
import time

import psycopg
from record import Figure, record

COPIES = ("bench-fork", "bench-q4", "bench-again", "bench-mean")


class Table:
    """Runs a statement a row, and says what it added to llm_store.tile."""

    def __init__(self, connection: psycopg.Connection):
        self._connection = connection
        self._before = self._stored()
        print(f"| {'operation':58} | {'tiles':>6} | {'bytes':>13} | {'s':>7} |")

    def row(self, name: str, statement: str, *arguments) -> tuple[int, float]:
        """(bytes, seconds) of one statement."""
        start = time.perf_counter()
        self._connection.execute(statement, arguments)
        took = time.perf_counter() - start
        now = self._stored()
        tiles, size = now[0] - self._before[0], now[1] - self._before[1]
        self._before = now
        print(f"| {name:58} | {tiles:6,} | {size:13,} | {took:7.3f} |", flush=True)
        return size, took

    def _stored(self) -> tuple[int, int]:
        self._connection.execute("CALL llm.collect('0 seconds')")
        query = "SELECT count(*), sum(octet_length(content))::bigint FROM llm_store.tile"
        return self._connection.execute(query).fetchone()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN", ""))
    arguments = parser.parse_args()
    with psycopg.connect(arguments.dsn, autocommit=True) as connection:
        try:
            measure(connection, arguments.model)
        finally:
            for copy in COPIES:
                connection.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", (copy,))
            connection.execute("CALL llm.collect('0 seconds')")


def measure(connection: psycopg.Connection, model: str) -> None:
    size, layers = connection.execute("SELECT bytes, layers FROM llm.models WHERE name = %s", (model,)).fetchone()
    print(f"{model}: {size:,} bytes in {layers} layers")
    connection.execute("SELECT * FROM llm.diff(%s, %s)", (model, model))  # starts Python
    table = Table(connection)
    forked, took = table.row("llm.fork", "SELECT llm.fork(%s, 'bench-fork')", model)
    record(Figure("llm.fork", "s", took))
    columns = "SELECT shape[2], shape[1] FROM llm.tensors WHERE model = %s AND name = 'token_embd.weight'"
    width, rows = connection.execute(columns, (model,)).fetchone()
    edit = "SELECT llm.set_row('bench-fork', 'token_embd.weight', %s, %s)"
    _, took = table.row("llm.set_row, one row of the embedding", edit, rows // 2, b"\0\0\0\x3f" * width)
    record(Figure("llm.set_row of the embedding", "s", took))
    layer = layers // 2
    scale = """
        SELECT count(llm.scale_tensor('bench-fork', name, 0.5))
        FROM llm.tensors WHERE model = 'bench-fork' AND name LIKE %s
    """
    of_layer = "SELECT sum(bytes)::bigint FROM llm.tensors WHERE model = %s AND name LIKE %s"
    (layer_bytes,) = connection.execute(of_layer, (model, f"blk.{layer}.%")).fetchone()
    changed, _ = table.row(f"llm.scale_tensor, every tensor of layer {layer}", scale, f"blk.{layer}.%")
    record(Figure("bytes stored for a changed layer", "bytes", changed, layer_bytes))
    table.row("llm.scale_tensor with 1: nothing changes", scale.replace("0.5", "1"), f"blk.{layer}.%")
    table.row("llm.prune 0.001 of the same layer", "SELECT llm.prune('bench-fork', 0.001, %s)", f"blk.{layer}.%")
    small, took = table.row("llm.quantize to Q4_0", "SELECT llm.quantize(%s, 'bench-q4', 'Q4_0')", model)
    record(Figure("llm.quantize to Q4_0", "MB/s", size / took / 1e6))
    table.row("llm.quantize to Q4_0 again", "SELECT llm.quantize(%s, 'bench-again', 'Q4_0')", model)
    table.row(
        "llm.merge of the model and its edited fork", "SELECT llm.merge(ARRAY[%s, 'bench-fork'], 'bench-mean')", model
    )
    _, took = table.row("llm.diff of the model and its fork", "SELECT count(*) FROM llm.diff(%s, 'bench-fork')", model)
    record(Figure("llm.diff of a model and its edited fork", "s", took))
    print(f"fork {forked:,} bytes; Q4_0 {small / size:.2f} of the model's bytes")


if __name__ == "__main__":
    main()
