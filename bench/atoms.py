#!/usr/bin/env python3
"""How fast atoms are made and found: bench/atoms.py DSN MODEL, a superuser's URI and a model that is loaded there.

The atoms are made again in a transaction that is rolled back, into empty tables: the tokens with the primary key
alone, then with all indexes, then its weight codes with their counts.

What bounds the tokens: of 151,665 on two cores, 1.9 s (80,000 a second) in all, the steps measured one by one on
scratch tables took 0.7 s to make the rows (Hilbert keys 0.10, arrays as text 0.12, reading those 0.14, SHA-256 0.12,
aggregates 0.13), 0.19 s to write the heap, 0.33 s for the key and the hash index, and 0.5 s for one GiST entry an atom,
in bulk or one by one. A bare binary COPY of finished rows into the table with all its indexes took 1.25 s, 121,000 a
second: one session cannot reach 200,000 a second while each atom has a GiST entry of its own.
"""

import statistics
import sys
import time

import psycopg
from record import Figure, record

SEED_TOKENS_PER_SECOND = 70_572
SEARCHES = 200
TOKENS = """SELECT m.tokenizer_id, count(DISTINCT t.bytes) FROM llm_store.model AS m
    INNER JOIN llm_store.token AS t ON t.tokenizer_id = m.tokenizer_id
    WHERE m.name = %s AND t.bytes <> '' GROUP BY m.tokenizer_id"""
SAMPLE = "SELECT bytes FROM llm_store.token WHERE tokenizer_id = %s AND bytes <> '' ORDER BY md5(bytes) LIMIT %s"
EMPTY = "TRUNCATE llm_store.atom, llm_store.atom_byte_count, llm_store.atom_code_count"
NO_INDEXES = "DROP INDEX llm_store.atom_geom_idx, llm_store.atom_content_hash_idx"


def seconds(connection, query, *arguments):
    start = time.perf_counter()
    connection.execute(query, arguments).fetchall()
    return time.perf_counter() - start


def making(connection, query, argument, prepare=()):
    """Seconds that a query takes from empty tables; everything is undone."""
    with connection.transaction(force_rollback=True):
        for statement in (*prepare, EMPTY):
            connection.execute(statement)
        return seconds(connection, query, argument)


def main(dsn, model):
    with psycopg.connect(dsn, autocommit=True) as connection:
        tokenizer, tokens = connection.execute(TOKENS, (model,)).fetchone()
        store_tokens = "SELECT llm_store.store_atom_tokens(%s)"
        making(connection, store_tokens, tokenizer)  # starts Python
        key_only = making(connection, store_tokens, tokenizer, [NO_INDEXES])
        indexed = making(connection, store_tokens, tokenizer)
        record(Figure("token atoms, key alone", "rows/s", tokens / key_only, SEED_TOKENS_PER_SECOND))
        record(Figure("token atoms, all indexes", "rows/s", tokens / indexed, SEED_TOKENS_PER_SECOND))

        atomise = "SELECT weights FROM llm_store.atomise((SELECT id FROM llm_store.model WHERE name = %s))"
        with connection.transaction(force_rollback=True):
            connection.execute("TRUNCATE llm_store.atom_code_count")
            start = time.perf_counter()
            weights = connection.execute(atomise, (model,)).fetchone()[0]
            record(Figure("references to weight codes counted", "M/s", weights / (time.perf_counter() - start) / 1e6))

        contents = connection.execute(SAMPLE, (tokenizer, SEARCHES)).fetchall()
        nearby = "SELECT * FROM llm.nearby_atoms(llm.atom_point(%s), 10)"
        times = [seconds(connection, nearby, content) for (content,) in contents]
        record(Figure("llm.nearby_atoms(geom, 10), p50", "ms", statistics.median(times) * 1e3))
        for table in ("llm_store.atom", "llm.atoms"):
            by_text = f"SELECT * FROM {table} WHERE content_hash = sha256(%s)"
            times = [seconds(connection, by_text, content) for (content,) in contents]
            record(Figure(f"{table} of a token by text, p50", "ms", statistics.median(times) * 1e3))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
