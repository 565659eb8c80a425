#!/usr/bin/env python3
"""How fast atoms are made and found: bench/atoms.py DSN MODEL, a superuser's URI and a model that is loaded there.

The atoms of all models are taken away and made again, so this is not for a server in use. The rate is that of distinct
tokens over the time from the first call to the last commit, into empty tables: in two sessions as `hartonomous load`
does it (llm_store.upload_token_atoms with part 0 and 1, then what is left) with all indexes and with the keys alone,
and in the one transaction of llm_store.publish. The vocabulary is stored already, and Python runs in the sessions. Then
the model's weight codes are counted, and atoms are looked for: near places of tokens, and of weight codes of each
encoding that a model in the server has; also right after the model is dropped.
"""

import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
from record import Figure, interleaved, record

SEED_TOKENS_PER_SECOND = 70_572
SEARCHES = 200
TOKENS = """SELECT m.tokenizer_id, count(DISTINCT t.bytes) FROM llm_store.model AS m
    INNER JOIN llm_store.token AS t ON t.tokenizer_id = m.tokenizer_id
    WHERE m.name = %s AND t.bytes <> '' GROUP BY m.tokenizer_id"""
SAMPLE = "SELECT bytes FROM llm_store.token WHERE tokenizer_id = %s AND bytes <> '' ORDER BY md5(bytes) LIMIT %s"
TEXTS = SAMPLE.replace("bytes FROM", "text FROM", 1)
BY_TEXT = "SELECT id FROM llm.tokens WHERE model = %s AND text = %s"
ATOM = "SELECT * FROM {} WHERE content_hash = sha256(%s)"
BY_HASH = {
    "llm_store.atom": ATOM.format("llm_store.atom"),
    "llm_atoms.atoms": ATOM.format("llm_atoms.atoms"),
    "llm_atoms.atoms (compositional)": ATOM.format("llm_atoms.atoms") + " AND modality = 'compositional'",
}
ROUNDS = 7
EMPTY = "TRUNCATE llm_store.atom, llm_store.atom_part, llm_store.atom_run, llm_store.atom_byte_count"
PART = "SELECT llm_store.upload_token_atoms(%s, %s)"
REST = "SELECT llm_store.atomise_tokenizer(%s)"
CODES = "SELECT weights FROM llm_store.atomise((SELECT id FROM llm_store.model WHERE name = %s))"
SECONDARY = """SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index AS i
    WHERE i.indrelid IN ('llm_store.atom'::regclass, 'llm_store.atom_run'::regclass) AND NOT i.indisprimary"""
NEARBY = "SELECT * FROM llm_atoms.nearby_atoms(llm_atoms.atom_point(%s), 10)"
# Of every encoding some codes, also such as no model has: the places where one may look.
CODES_SAMPLE = """SELECT l.type, llm_store.atom_code_content(l.type, i) FROM llm_store.code_lines() AS l
    CROSS JOIN LATERAL generate_series(l.first_code, l.last_code) AS i
    WHERE l.type IN (SELECT type FROM llm_store.model_code) ORDER BY l.type, hashint4(i)"""
NEARBY_CODE = "SELECT * FROM llm_atoms.nearby_atoms(llm_store.atom_code_point(%s), 10)"
AGAIN = "SELECT llm_store.atomise(id) FROM llm_store.model ORDER BY id"


def seconds(connection, query, *arguments):
    start = time.perf_counter()
    connection.execute(query, arguments).fetchall()
    return time.perf_counter() - start


def emptied(connection):
    connection.execute(EMPTY)
    connection.execute("CHECKPOINT")  # nobody pays for what was written before


def in_one(connection, tokenizer):
    emptied(connection)
    return seconds(connection, REST, tokenizer)


def in_two(connection, second, tokenizer):
    emptied(connection)
    start = time.perf_counter()
    with ThreadPoolExecutor(max_workers=1) as pool:
        other = pool.submit(seconds, second, PART, tokenizer, 1)
        seconds(connection, PART, tokenizer, 0)
        other.result()
    seconds(connection, REST, tokenizer)
    return time.perf_counter() - start


def making(connection, second, tokenizer, tokens):
    """Record the rates, the median of some rounds in turns; the first is not counted, it starts Python."""
    contenders = {
        "token atoms, all indexes": lambda: in_two(connection, second, tokenizer),
        "token atoms, all indexes, one session": lambda: in_one(connection, tokenizer),
    }
    for make in contenders.values():
        make()
    taken = interleaved(contenders, ROUNDS)
    with keys_alone(connection):
        alone = {"token atoms, keys alone": lambda: in_two(connection, second, tokenizer)}
        taken |= interleaved(alone, ROUNDS)
    for name, value in taken.items():
        record(Figure(name, "rows/s", tokens / value, SEED_TOKENS_PER_SECOND))


@contextmanager
def keys_alone(connection):
    """The tables of atoms and runs without the indexes that are not their keys, which are made again at the end."""
    indexes = connection.execute(SECONDARY).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    try:
        yield
    finally:
        for _, definition in indexes:
            connection.execute(definition.replace(" ON ONLY ", " ON "))  # of a partitioned table: with its partitions


def searching(connection, places, when=""):
    """Record how long a search takes near places: {what they are: (query, contents)}."""
    for name, (query, contents) in places.items():
        times = [seconds(connection, query, content) for content in contents]
        record(Figure(f"llm_atoms.nearby_atoms(geom, 10){name}{when}, p50", "ms", statistics.median(times) * 1e3))


def places(connection, tokenizer):
    """Where atoms are looked for, as searching takes it."""
    found = {"": (NEARBY, [content for (content,) in connection.execute(SAMPLE, (tokenizer, SEARCHES))])}
    for type, content in connection.execute(CODES_SAMPLE):
        _, contents = found.setdefault(f" at codes of {type}", (NEARBY_CODE, []))
        if len(contents) < SEARCHES:
            contents.append(content)
    return found


def after_drop(connection, model, where):
    """Record how long a search takes beside the atoms of a model that was just dropped, if there is another model."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT llm.drop_model(%s)", (model,))
        if connection.execute("SELECT EXISTS (SELECT FROM llm.models)").fetchone()[0]:
            searching(connection, where, " after llm.drop_model")


def main(dsn, model):
    with psycopg.connect(dsn, autocommit=True) as connection, psycopg.connect(dsn, autocommit=True) as second:
        tokenizer, tokens = connection.execute(TOKENS, (model,)).fetchone()
        try:
            making(connection, second, tokenizer, tokens)
            connection.execute("TRUNCATE llm_store.atom_code_count")
            start = time.perf_counter()
            weights = connection.execute(CODES, (model,)).fetchone()[0]
            record(Figure("references to weight codes counted", "M/s", weights / (time.perf_counter() - start) / 1e6))
        finally:
            connection.execute(AGAIN)

        where = places(connection, tokenizer)
        searching(connection, where)
        after_drop(connection, model, where)
        for name, query in BY_HASH.items():
            times = [seconds(connection, query, content) for content in where[""][1] if len(content) > 1]
            record(Figure(f"{name} of a token by text, p50", "ms", statistics.median(times) * 1e3))
        texts = connection.execute(TEXTS, (tokenizer, SEARCHES)).fetchall()
        times = [seconds(connection, BY_TEXT, model, text) for (text,) in texts]
        record(Figure("llm.tokens of a token by text, p50", "ms", statistics.median(times) * 1e3))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
