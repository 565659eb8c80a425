"""How long it takes to load a model, against a raw COPY of the same bytes into the same server.

    python bench/load.py MODEL.gguf            # the server is the one `make up` started, or HARTONOMOUS_DSN

Both are measured in turn, five times; the loaded model is dropped and its tiles collected between the rounds.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

import psycopg
from record import Figure, record, seconds

MODEL = "bench_load"
TILE = 1 << 20


def raw_copy(connection: psycopg.Connection, path: Path) -> None:
    """The least that any load must do: the file's bytes in 1 MiB values, binary COPY, logged, committed."""
    statement = "COPY public.bench_raw (content) FROM STDIN BINARY"
    with path.open("rb") as file, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["bytea"])
        while chunk := file.read(TILE):
            copy.write_row([chunk])


def load(dsn: str, path: Path) -> None:
    """The command a user types."""
    subprocess.run(
        [sys.executable, "-m", "loaders.cli", "load", str(path), "--name", MODEL, "--dsn", dsn],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN", ""))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    raw_seconds, load_seconds = [], []
    with psycopg.connect(arguments.dsn, autocommit=True) as connection:
        for _ in range(arguments.rounds):
            connection.execute("CREATE TABLE public.bench_raw (content bytea)")
            connection.execute("ALTER TABLE public.bench_raw ALTER content SET STORAGE EXTERNAL")
            raw_seconds.append(seconds(lambda: raw_copy(connection, arguments.model)))
            connection.execute("DROP TABLE public.bench_raw")
            load_seconds.append(seconds(lambda: load(arguments.dsn, arguments.model)))
            connection.execute("SELECT llm.drop_model(%s)", [MODEL])
            connection.execute("CALL llm.collect('0 seconds')")
    megabytes = arguments.model.stat().st_size / 1e6
    raw, ours = statistics.median(raw_seconds), statistics.median(load_seconds)
    print(f"{megabytes:.0f} MB: raw COPY {megabytes / raw:.0f} MB/s, load {megabytes / ours:.0f} MB/s")
    record(Figure("load, seconds over raw COPY's", "s", ours, raw))


if __name__ == "__main__":
    main()
