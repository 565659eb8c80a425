"""How long it takes to load a model, against a raw COPY of the same bytes into the same server.

    python bench/load.py MODEL.gguf            # the server is the one `make up` started, or HARTONOMOUS_DSN

Both are measured in turn, five times; the loaded model is dropped and its tiles collected between the rounds.
What is stored already is not written again, so a server that has some of the file's content, in whatever model, is
refused; `bench/run.py loading` takes the benchmarks' own models away meanwhile.
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
# How many of the model's pieces were stored before a moment, and whether its tokenizer is one of those up to a number.
STORED_BEFORE = """
    SELECT count(t.hash), bool_or(m.tokenizer_id <= %(tokenizer)s)
    FROM llm_store.model AS m
    LEFT JOIN LATERAL (
        SELECT u.tile_hash
        FROM llm_store.model_tensor AS mt INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = mt.tensor_hash
        WHERE mt.model_id = m.id
        UNION
        SELECT f.tile_hash FROM llm_store.file_segment AS f WHERE f.model_id = m.id
    ) AS p ON true
    LEFT JOIN llm_store.tile AS t ON t.hash = p.tile_hash AND t.stored_at < %(moment)s
    WHERE m.name = %(model)s"""


def raw_copy(connection: psycopg.Connection, path: Path) -> None:
    """The least that any load must do: the file's bytes in 1 MiB values, binary COPY, logged, committed."""
    statement = "COPY public.bench_raw (content) FROM STDIN BINARY"
    with path.open("rb") as file, connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["bytea"])
        while chunk := file.read(TILE):
            copy.write_row([chunk])


def load(dsn: str, path: Path) -> None:
    """The command a user types, without packing, which writes no rows."""
    subprocess.run(
        [sys.executable, "-m", "loaders.cli", "load", str(path), "--name", MODEL, "--no-pack", "--dsn", dsn],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def load_new(connection: psycopg.Connection, dsn: str, path: Path) -> float:
    """Seconds of a load that has to store all of the file; the model is gone afterwards, with what was its alone.

    Raises SystemExit when some of the file was stored already.
    """
    query = "SELECT clock_timestamp() AS moment, coalesce(max(id), 0) AS tokenizer FROM llm_store.tokenizer"
    moment, tokenizer = connection.execute(query).fetchone()
    try:
        took = seconds(lambda: load(dsn, path))
        before = {"moment": moment, "tokenizer": tokenizer, "model": MODEL}
        pieces, has_tokenizer = connection.execute(STORED_BEFORE, before).fetchone()
    finally:
        connection.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", [MODEL])
        connection.execute("CALL llm.collect('0 seconds')")
    if pieces or has_tokenizer:
        raise SystemExit(
            f"of {path.name} {pieces} pieces and {'the' if has_tokenizer else 'no'} tokenizer were stored already, and "
            "not written again: drop the models that share them and CALL llm.collect('0 seconds')"
        )
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN", ""))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--label", help="what the figure calls the model; its file's name unless given")
    arguments = parser.parse_args()
    raw_seconds, load_seconds = [], []
    with psycopg.connect(arguments.dsn, autocommit=True) as connection:
        connection.execute("CALL llm.collect('0 seconds')")  # what dropped models left
        for _ in range(arguments.rounds):
            connection.execute("CREATE TABLE public.bench_raw (content bytea)")
            connection.execute("ALTER TABLE public.bench_raw ALTER content SET STORAGE EXTERNAL")
            raw_seconds.append(seconds(lambda: raw_copy(connection, arguments.model)))
            connection.execute("DROP TABLE public.bench_raw")
            load_seconds.append(load_new(connection, arguments.dsn, arguments.model))
    megabytes = arguments.model.stat().st_size / 1e6
    raw, ours = statistics.median(raw_seconds), statistics.median(load_seconds)
    print(f"{megabytes:.0f} MB: raw COPY {megabytes / raw:.0f} MB/s, load {megabytes / ours:.0f} MB/s")
    name = f"load {arguments.label or arguments.model.stem}, seconds over raw COPY's"
    record(Figure.of_rounds(name, "s", load_seconds, raw_seconds, against="raw COPY"))


if __name__ == "__main__":
    main()
