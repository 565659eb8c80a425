"""llm.search is exact, whatever happened to the table before, and in whichever transaction; numpy is the judge."""

from pathlib import Path

import numpy as np
import psycopg
import pytest
from pgvector import Vector
from psycopg import sql

from tests.database.models import call, loaded

ENCODERS = Path(__file__).parent.parent / "fixtures" / "encoders"
WIDTH = 36
SEARCH = "SELECT (content ->> 'id')::int, similarity FROM llm.search(%s::bytea, 'passage', %s)"


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str):
    with loaded(loader_dsn, {"cls": ENCODERS / "cls", "mean": ENCODERS / "mean"}):
        yield


def vectors(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32)


class Table:
    """A table `passage` that a role of its own searches, and what numpy knows of it: {id: vector}."""

    def __init__(self, superuser, searcher):
        self.superuser, self.searcher = superuser, searcher
        self.rows = {}
        superuser.execute("DROP TABLE IF EXISTS public.passage")
        superuser.execute("CREATE TABLE public.passage (id integer PRIMARY KEY, body text, embedding bytea)")
        superuser.execute("GRANT SELECT ON public.passage TO llm_user")
        self.insert(vectors(500))

    def insert(self, rows, first=0, connection=None):
        with (connection or self.superuser).cursor() as cursor:
            values = [(first + n, f"row {first + n}", row.tobytes()) for n, row in enumerate(rows)]
            cursor.executemany("INSERT INTO public.passage VALUES (%s, %s, %s)", values)
        if connection is None:
            self.rows |= {first + n: row for n, row in enumerate(rows)}

    def check(self, connection=None, rows=None, k=10, seed=99):
        """What is found is what numpy finds."""
        rows = self.rows if rows is None else rows
        query = vectors(1, seed)[0]
        found = (connection or self.searcher).execute(SEARCH, (query.tobytes(), k)).fetchall()
        ids = np.array(list(rows))
        matrix = np.array(list(rows.values()), np.float32).reshape(-1, WIDTH)
        scores = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
        order = np.argsort(-scores, kind="stable")[:k]
        assert [number for number, _ in found] == ids[order].tolist()
        np.testing.assert_allclose([score for _, score in found], scores[order], rtol=0, atol=2e-6)


@pytest.fixture
def table(superuser, user):
    yield Table(superuser, user)
    superuser.execute("DROP TABLE public.passage")


def test_the_closest_rows_are_numpys(table):
    for seed in range(5):
        table.check(seed=seed)
    table.check(k=500)
    table.check(k=1)


def test_more_rows_than_there_are_are_not_found(table):
    assert len(table.searcher.execute(SEARCH, (vectors(1)[0].tobytes(), 1000)).fetchall()) == 500


def test_a_search_sees_what_others_committed(table):
    table.check()
    table.insert(vectors(30, 2), 1000)
    table.check()
    table.superuser.execute("DELETE FROM passage WHERE id < 100")
    table.rows = {number: row for number, row in table.rows.items() if number >= 100}
    table.check()
    changed = vectors(1, 3)[0]
    table.superuser.execute("UPDATE passage SET embedding = %s WHERE id = 200", [changed.tobytes()])
    table.rows[200] = changed
    table.check()
    table.superuser.execute("UPDATE passage SET body = body || '!'")
    table.check()


def test_a_place_that_vacuum_gave_to_another_row_is_read_anew(table):
    table.check()
    for seed in range(4):
        table.superuser.execute("DELETE FROM passage")
        table.superuser.execute("VACUUM passage")
        table.rows = {}
        table.insert(vectors(500, 20 + seed))
        table.check()


@pytest.mark.parametrize("command", ["VACUUM FULL passage", "CLUSTER passage USING by_body", "TRUNCATE passage"])
def test_a_rewritten_table_is_read_anew(table, command):
    table.superuser.execute("CREATE INDEX by_body ON passage (body DESC)")
    table.check()
    table.superuser.execute(command)
    if command.startswith("TRUNCATE"):
        table.rows = {}
    table.check()


def test_another_column_under_the_old_name_is_another_column(table):
    table.check()
    other = vectors(500, 7)
    table.superuser.execute("ALTER TABLE passage ADD other bytea")
    with table.superuser.cursor() as cursor:
        cursor.executemany(
            "UPDATE passage SET other = %s WHERE id = %s", [(row.tobytes(), n) for n, row in enumerate(other)]
        )
    table.check()
    table.superuser.execute("ALTER TABLE passage RENAME embedding TO before")
    table.superuser.execute("ALTER TABLE passage RENAME other TO embedding")
    table.rows = dict(enumerate(other))
    table.check()


def test_a_transaction_searches_what_it_wrote_and_rollback_undoes_it(table, superuser_dsn):
    with psycopg.connect(superuser_dsn) as writer:
        table.check(writer)
        table.insert(vectors(5, 4), 2000, writer)
        seen = table.rows | {2000 + n: row for n, row in enumerate(vectors(5, 4))}
        table.check(writer, seen)
        table.check()  # another session does not see it
        writer.execute("SAVEPOINT before")
        writer.execute("DELETE FROM passage WHERE id >= 2000")
        table.check(writer, table.rows)
        writer.execute("ROLLBACK TO before")
        table.check(writer, seen)
        writer.rollback()
        table.check(writer)


def test_rows_at_the_places_of_others_of_the_same_transaction_are_read_anew(superuser_dsn):
    """TRUNCATE of a table that the transaction made writes the same file from its beginning."""
    query = "SELECT content ->> 'id' FROM llm.search('\\x0000803f00000000'::bytea, 'made', 1)"
    with psycopg.connect(superuser_dsn) as writer:
        writer.execute("CREATE TEMPORARY TABLE made (id integer, embedding real[])")
        for first, second in (("{1,0}", "{0,1}"), ("{0,1}", "{1,0}"), ("{1,0}", "{0,1}")):
            writer.execute("TRUNCATE made")
            writer.execute("INSERT INTO made VALUES (1, %s), (2, %s)", (first, second))
            assert call(writer, query) == ("1" if first == "{1,0}" else "2")


def test_a_search_after_others_wrote_elsewhere_is_right_also_when_somebody_writes_here(table, superuser_dsn):
    """Subtransactions, deletions and insertions that cancel out, and transactions that began before the last search."""
    table.superuser.execute("CREATE TABLE public.elsewhere (n integer)")
    try:
        with psycopg.connect(superuser_dsn) as writer:
            writer.execute("INSERT INTO elsewhere VALUES (1)")
            writer.execute("SAVEPOINT within")
            table.insert(vectors(5, 30), 5000, writer)
            writer.execute("DELETE FROM passage WHERE id < 5")
            for number in range(3):
                table.superuser.execute("INSERT INTO elsewhere VALUES (%s)", [number])
                table.check()
            writer.commit()
        table.rows |= {5000 + n: row for n, row in enumerate(vectors(5, 30))}
        table.rows = {number: row for number, row in table.rows.items() if number >= 5}
        table.check()
        table.check(k=500)
    finally:
        table.superuser.execute("DROP TABLE public.elsewhere")


def test_a_cursor_searches_in_the_snapshot_of_its_beginning(table, superuser_dsn):
    before = dict(table.rows)
    statement = SEARCH.replace("SELECT", "SELECT n,", 1).replace("FROM", "FROM generate_series(1, 2) AS n, LATERAL", 1)
    statement = statement.replace("%s::bytea", "(CASE WHEN n > 0 THEN %s::bytea END)")
    query = vectors(1, 99)[0]
    with psycopg.connect(superuser_dsn) as reader, reader.cursor("slow") as cursor:
        cursor.itersize = 1
        cursor.execute(statement, (query.tobytes(), 10))
        table.insert(vectors(50, 31), 6000)
        table.check(reader)
        found = {}
        for n, number, _ in cursor:
            found.setdefault(n, []).append(number)
        matrix = np.array(list(before.values()))
        scores = matrix @ query / np.linalg.norm(matrix, axis=1)
        best = np.array(list(before))[np.argsort(-scores, kind="stable")[:10]].tolist()
        assert found == {1: best, 2: best}


def test_a_repeatable_read_transaction_keeps_its_sight(table, superuser_dsn):
    before = dict(table.rows)
    with psycopg.connect(superuser_dsn) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        table.check(reader, before)
        table.insert(vectors(50, 5), 3000)
        table.check(reader, before)
        reader.rollback()
        table.check(reader)


def test_policies_hide_rows_also_after_a_search_without_them(table, superuser, superuser_dsn):
    superuser.execute("ALTER TABLE passage ENABLE ROW LEVEL SECURITY")
    superuser.execute("CREATE POLICY even ON passage TO llm_user USING (mod(id, 2) = 0)")
    seen = {number: row for number, row in table.rows.items() if number % 2 == 0}
    with psycopg.connect(superuser_dsn, autocommit=True) as both:
        table.check(both)
        both.execute("SET ROLE llm_user")
        table.check(both, seen)
        both.execute("RESET ROLE")
        table.check(both)


def test_a_policy_that_reads_a_setting_follows_it(table, superuser):
    superuser.execute("ALTER TABLE passage ENABLE ROW LEVEL SECURITY")
    superuser.execute(
        "CREATE POLICY most ON passage TO llm_user USING (id < coalesce(current_setting('app.most', true), '0')::int)"
    )
    for most in (100, 50, 300):
        table.searcher.execute(f"SET app.most = {most}")
        table.check(rows={number: row for number, row in table.rows.items() if number < most})


def test_who_may_not_read_the_table_finds_nothing_out(table, superuser, superuser_dsn):
    superuser.execute("REVOKE SELECT ON passage FROM llm_user")
    with psycopg.connect(superuser_dsn, autocommit=True) as both:
        table.check(both)
        both.execute("SET ROLE llm_user")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            table.check(both)


def test_a_table_too_large_to_keep_is_searched_all_the_same(table):
    table.searcher.execute("SET llm.search_mb = 0")
    table.check()
    table.insert(vectors(10, 6), 4000)
    table.check()


@pytest.mark.parametrize("type", ["real[]", "vector"])
def test_other_types_give_the_same(table, superuser, type):
    if type == "vector":
        if not superuser.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'").fetchone():
            pytest.skip("pgvector is not installed")
        superuser.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    superuser.execute(sql.SQL("ALTER TABLE passage ADD numbers " + type))
    superuser.execute(sql.SQL("UPDATE passage SET numbers = llm.floats(embedding)::real[]::" + type))
    superuser.execute("ALTER TABLE passage DROP embedding")
    superuser.execute("ALTER TABLE passage RENAME numbers TO embedding")
    table.check()


@pytest.fixture
def vector_type(superuser):
    """A type named as pgvector's, of bytes that are its binary form: servers need not have the extension."""
    with superuser.transaction():
        superuser.execute("CREATE SCHEMA stand_in")
        superuser.execute("CREATE TYPE stand_in.vector")
        for name, takes, gives in (
            ("byteain", "cstring", "stand_in.vector"),
            ("byteaout", "stand_in.vector", "cstring"),
            ("bytearecv", "internal", "stand_in.vector"),
            ("byteasend", "stand_in.vector", "bytea"),
        ):
            function = f"CREATE FUNCTION stand_in.{name}({takes}) RETURNS {gives}"
            superuser.execute(f"{function} LANGUAGE internal IMMUTABLE STRICT AS '{name}'")
        superuser.execute(
            """CREATE TYPE stand_in.vector (INPUT = stand_in.byteain, OUTPUT = stand_in.byteaout,
                RECEIVE = stand_in.bytearecv, SEND = stand_in.byteasend, LIKE = bytea)"""
        )
        superuser.execute("GRANT USAGE ON SCHEMA stand_in TO llm_user")
    yield "stand_in.vector"
    superuser.execute("DROP SCHEMA stand_in CASCADE")


def test_pgvectors_binary_form_is_read_as_its_client_writes_it(table, superuser, vector_type):
    superuser.execute(f"ALTER TABLE passage DROP embedding, ADD embedding {vector_type}")
    for number, row in table.rows.items():
        content = "\\x" + Vector(row).to_binary().hex()
        superuser.execute("UPDATE passage SET embedding = %s WHERE id = %s", (content, number))
    table.check()
    table.searcher.execute("SET llm.search_mb = 0")
    table.check()


def test_rows_without_an_embedding_or_a_length_are_not_found(table):
    table.superuser.execute("UPDATE passage SET embedding = NULL WHERE id < 10")
    table.superuser.execute("UPDATE passage SET embedding = %s WHERE id = 10", [bytes(4 * WIDTH)])
    table.rows = {number: row for number, row in table.rows.items() if number > 10}
    table.check(k=500)


@pytest.mark.parametrize(
    ("numbers", "detail"), [("{}", "0"), ("{1,2,3}", "3"), ("{1,NULL}", "NULL elements"), ("{{1},{2}}", None)]
)
def test_an_array_that_is_no_vector_is_an_error_that_says_what_it_is(table, numbers, detail):
    table.superuser.execute("ALTER TABLE passage DROP embedding, ADD embedding real[]")
    table.superuser.execute("UPDATE passage SET embedding = %s WHERE id = 7", [numbers])
    query = "SELECT * FROM llm.search('{1,2}'::real[], 'passage')"
    with pytest.raises(psycopg.errors.InvalidParameterValue) as error:
        table.searcher.execute(query)
    if detail is not None:
        assert error.value.diag.message_detail == f"it has one of {detail}"


@pytest.mark.parametrize("megabytes", [0, 1024])
def test_rows_that_are_not_finite_are_not_found_very_long_and_very_short_ones_are(table, megabytes):
    table.searcher.execute("SELECT set_config('llm.search_mb', %s, false)", [str(megabytes)])
    ill = np.ones((3, WIDTH), np.float32)
    ill[[0, 1, 2], [1, 2, 3]] = np.nan, np.inf, -np.inf
    table.insert(ill, 7000)
    for number in range(7000, 7003):
        del table.rows[number]
    table.check(k=503)
    query = vectors(1, 99)[0] / np.float32(8)
    far = [query * np.float32(scale) for scale in (1e38, 1e-36)]
    table.insert(far, 8000)
    found = table.searcher.execute(SEARCH, (query.tobytes(), 2)).fetchall()
    assert [number for number, _ in found] in ([8000, 8001], [8001, 8000])
    assert [cosine for _, cosine in found] == pytest.approx([1, 1], abs=1e-6)
    for scale in (1e38, 1e-36):
        again = table.searcher.execute(SEARCH, ((query * np.float32(scale)).tobytes(), 2)).fetchall()
        assert {number for number, _ in again} == {8000, 8001}


def test_a_vector_of_another_width_is_an_error_that_says_which(table):
    table.superuser.execute("UPDATE passage SET embedding = '\\x00000000' WHERE id = 7")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="does not hold vectors of 36 numbers"):
        table.check()


def test_an_empty_table_has_nothing_to_find(table):
    table.superuser.execute("DELETE FROM passage")
    assert table.searcher.execute(SEARCH, (vectors(1)[0].tobytes(), 5)).fetchall() == []


def test_texts_are_found_by_what_the_encoder_makes_of_them(table):
    texts = ["the cat sat on the mat", "hello world", "under the mat"]
    table.superuser.execute("DELETE FROM passage")
    table.superuser.execute(
        "INSERT INTO passage SELECT e.ordinal, t.body, e.embedding FROM llm.embed_many(%s, 'cls') AS e "
        "INNER JOIN unnest(%s::text[]) WITH ORDINALITY AS t (body, n) ON t.n = e.ordinal",
        (texts, texts),
    )
    for text in texts:
        query = "SELECT content ->> 'body', similarity, tuple FROM llm.search(%s, 'passage', 1, 'cls')"
        body, similarity, place = table.searcher.execute(query, [text]).fetchone()
        assert body == text and similarity == pytest.approx(1, abs=1e-6)
        assert call(table.searcher, "SELECT body FROM passage WHERE ctid = %s::tid", place) == text


@pytest.mark.parametrize("k", [0, -1, 10_001])
def test_k_has_a_range(table, k):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="k is out of range"):
        table.check(k=k)


def test_views_are_not_searched(table):
    table.superuser.execute("CREATE TEMPORARY VIEW seen AS SELECT * FROM passage")
    with pytest.raises(psycopg.errors.FeatureNotSupported, match="not an ordinary table") as error:
        table.superuser.execute("SELECT * FROM llm.search('\\x0000803f'::bytea, 'seen')")
    assert error.value.diag.message_detail == "it is a view"
    table.superuser.execute("DROP VIEW seen")
