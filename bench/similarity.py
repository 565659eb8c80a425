#!/usr/bin/env python3
"""Tokens by meaning: how fast they are found, and how many of them a map of four dimensions finds.

bench/similarity.py search DSN MODEL   llm.similar_tokens beside numpy on the decoded table, with the same ten
                                       checked; rows and single numbers through SQL
bench/similarity.py map FILE …         of the ten nearest by cosine, how many are among the 10, 100 and 1,000
                                       nearest on the map; a GGUF or safetensors file with a token embedding
"""

import statistics
import sys
import time
from pathlib import Path

import numpy as np
import psycopg
from record import Figure, record

from plpython.atoms import projection
from plpython.model import encodings

ROUNDS = 60
SAMPLE = 500  # tokens of a map whose neighbours are counted
EMBEDDINGS = ("token_embd.weight", "model.embed_tokens.weight", "embeddings.word_embeddings.weight")
ROW = "SELECT {} FROM llm.weight_matrices WHERE model = %s AND matrix_name = 'token_embd.weight' AND row_idx = %s"
TEXTS = """SELECT id, text FROM llm.tokens
    WHERE model = %s AND kind = 'normal' AND bytes = convert_to(text, 'UTF8') ORDER BY md5(text) LIMIT %s"""


def search(dsn: str, model: str) -> None:
    """Every query is sent as it is, so that planning is counted, but for those that are named prepared.

    The first calls are not counted: PostgreSQL still plans a prepared query for each of five.
    """
    with (
        psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection,
        psycopg.connect(dsn, autocommit=True) as preparing,
    ):
        shape = connection.execute(
            "SELECT shape FROM llm.tensors WHERE model = %s AND name = 'token_embd.weight'", (model,)
        ).fetchone()[0]
        matrix = connection.execute("SELECT llm.matrix('token_embd.weight', %s)", (model,), binary=True)
        values = np.frombuffer(matrix.fetchone()[0], "<f4").reshape(shape)
        tokens = connection.execute(TEXTS, (model, ROUNDS)).fetchall()
        lengths = np.linalg.norm(values, axis=1)
        ours, numpys = [], []
        for token, text in tokens:
            query = "SELECT token_id FROM llm.similar_tokens(%s::text, 10, %s)"
            seconds, rows = timed(lambda: connection.execute(query, (text, model)).fetchall())  # noqa: B023
            ours.append(seconds)
            seconds, expected = timed(lambda: in_float32(values, lengths, token))  # noqa: B023
            numpys.append(seconds)
            if {found for (found,) in rows} != set(expected.tolist()):
                sys.exit(f"{text!r}: found {rows}, numpy finds {expected.tolist()}")
        size = f"{shape[0]:,} x {shape[1]}"
        record(Figure(f"llm.similar_tokens, {size}, p50", "ms", median(ours[5:]), median(numpys[5:])))
        queries = {
            "a row of llm.weight_matrices, weights": ROW.format("col_idx, weight"),
            "a row of llm.weight_matrices, all columns": ROW.format("*"),
            "one number of llm.weight_matrices": ROW.format("weight") + " AND col_idx = 5",
            "a row of llm.token_embeddings": "SELECT token_text, embedding FROM llm.token_embeddings "
            "WHERE model = %s AND token_id = %s",
            "llm.embedding(token)": "SELECT llm.embedding(token => %s::integer, model => %s)",
        }
        for name, query in queries.items():
            arguments = [(token, model) if "=>" in query else (model, token) for token, _ in tokens]
            for form, client in (("", connection), ("prepared, ", preparing)):
                record(Figure(f"{name}, {form}{size}, p50", "ms", median(of_each(client, query, arguments)[10:])))


def in_float32(values: np.ndarray, lengths: np.ndarray, token: int) -> np.ndarray:
    """The ten nearest as numpy finds them fastest."""
    cosines = values @ values[token] / lengths
    cosines[token] = -np.inf
    return np.argpartition(-cosines, 10)[:10]


def of_each(connection: psycopg.Connection, query: str, arguments: list[tuple]) -> list[float]:
    """How many seconds a client waits for the rows with each of the arguments; prepared, where the connection may."""
    prepared = connection.prepare_threshold is not None
    return [
        timed(lambda: connection.execute(query, given, binary=True, prepare=prepared).fetchall())[0]  # noqa: B023
        for given in arguments
    ]


def timed(action):
    """(seconds, what the action gives)."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def median(seconds: list[float]) -> float:
    """In milliseconds."""
    return statistics.median(seconds) * 1e3


def neighbours(path: Path) -> None:
    """Ties and the token itself are out of it: the map's nearest are those of all other tokens."""
    values = embedding(path)
    found = projection.principal(values)
    units = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30)
    sample = np.random.default_rng(1).choice(len(values), min(SAMPLE, len(values)), replace=False)
    counts = (10, 100, 1000)
    hits = dict.fromkeys(counts, 0)
    for token in sample:
        cosines = units @ units[token]
        distances = np.square(found.components - found.components[token]).sum(axis=1)
        cosines[token], distances[token] = -np.inf, np.inf
        nearest, order = np.argsort(-cosines)[:10], np.argsort(distances)
        for count in counts:
            hits[count] += np.isin(nearest, order[:count]).sum()
    name = f"{path.stem}, {len(values):,} x {values.shape[1]}"
    record(Figure(f"variance in four directions, {name}", "%", 100 * found.explained.sum()))
    for count in counts:
        if count < len(values):
            record(Figure(f"true ten among {count} on the map, {name}", "%", 10 * hits[count] / len(sample)))


def embedding(path: Path) -> np.ndarray:
    """The token embedding of a file -> f32[tokens, columns]."""
    if path.suffix == ".gguf":
        from gguf import GGUFReader

        tensor = next(tensor for tensor in GGUFReader(path).tensors if tensor.name in EMBEDDINGS)
        shape = tuple(map(int, tensor.shape[::-1]))
        return encodings.decode(tensor.tensor_type.name, tensor.data.reshape(-1).view(np.uint8), shape)
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return next(tensors[name] for name in tensors if name.removeprefix("bert.") in EMBEDDINGS).astype(np.float32)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["search", dsn, model]:
            search(dsn, model)
        case ["map", *paths] if paths:
            for path in paths:
                neighbours(Path(path))
        case _:
            sys.exit(__doc__)
