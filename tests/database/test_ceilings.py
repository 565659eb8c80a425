"""What a user may make grow, and the superuser's limits to it: llm_runtime.call_limits()."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

CHECKOUT = Path(__file__).parent.parent.parent
ENCODER = CHECKOUT / "tests/fixtures/encoders/mean"
LIMITS = (
    *("kv_cache_mb", "batch_mb", "search_mb", "max_tokens", "seconds"),
    *("text_mb", "piece_mb", "elements", "activation_mb"),
)
MEGABYTE = 1 << 20

# Every argument of a size of its own that a user may give, by its name and type, and what limits it.
NAME, ONE = "1,000 characters, a name that is looked up", "one value of a fixed size"
BOUNDED_BY = {
    ("prompt", "text"): "text_mb",
    ("prompts", "text[]"): "text_mb, elements",
    ("models", "text[]"): "text_mb, elements",
    ("text", "text"): "text_mb, piece_mb",
    ("texts", "text[]"): "text_mb, elements",
    ("stop", "text[]"): "text_mb, elements",
    ("messages", "jsonb"): "text_mb",
    ("tools", "jsonb"): "text_mb",
    ("question", "text"): "text_mb",
    **{(name, "text"): "text_mb" for name in ("condition", "criterion", "language")},
    ("labels", "text[]"): "text_mb, 1,000 labels",
    ("choices", "text[]"): "64 KiB",
    ("schema", "jsonb"): "64 KiB",
    **{(name, "text"): "64 KiB" for name in ("grammar", "pattern")},
    ("kind", "text"): "one of ten words",
    ("value", "text"): "100 bytes",
    ("options", "jsonb"): "1 MB, and elements",
    ("query", "text"): "text_mb",
    ("query", "bytea"): "activation_mb",
    ("query", "double precision[]"): "elements, activation_mb",
    ("tokens", "integer[]"): "elements, activation_mb",
    ("positions", "integer[]"): "elements",
    ("history", "integer[]"): "elements",
    ("numbers", "double precision[]"): "elements",
    **{(name, "bytea"): "activation_mb" for name in ("x", "y", "q", "k", "v", "gate", "up", "logits", "residual")},
    **{(name, "bytea"): "activation_mb" for name in ("a", "b")},
    **{(name, "double precision[]"): "elements, activation_mb" for name in ("a", "b")},
    **{(name, "text"): NAME for name in ("model", "weight", "bias", "gate", "up", "matrix", "pooling")},
    **{(name, "text"): NAME for name in ("a", "b", "c", "token")},
    ("content", "bytea"): ONE,
    ("content_hash", "bytea"): NAME,
    ("point", "geometry"): ONE,
    ("geom", "geometry"): ONE,
    ("coordinates", "bigint[]"): "8 dimensions",
    ("key", "numeric"): ONE,
}
FIXED = ("integer", "bigint", "double precision", "boolean", "regclass", "regtype", "name")


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str, own_data: Path) -> Iterator[None]:
    sources = {"limited": own_data / STORIES["stories"], "reader": ENCODER, "small": CHECKOUT / "tidy/tidy.gguf"}
    with loaded(loader_dsn, sources):
        yield


@pytest.fixture
def limit(superuser: psycopg.Connection) -> Iterator:
    """limit(text_mb=1, …) is what a superuser does to change limits, all others being none; they are put back."""
    before = call(superuser, "SELECT pg_get_functiondef('llm_runtime.call_limits()'::regprocedure)")

    def to(**given):
        assert set(given) <= set(LIMITS)
        columns = ", ".join(f"OUT {name} integer" for name in LIMITS)
        numbers = ", ".join(f"{given.get(name, 'NULL')}::integer" for name in LIMITS)
        superuser.execute(
            f"CREATE OR REPLACE FUNCTION llm_runtime.call_limits({columns}) LANGUAGE sql IMMUTABLE PARALLEL SAFE "
            f"BEGIN ATOMIC SELECT {numbers}; END"
        )

    yield to
    superuser.execute(before)


def test_every_argument_that_can_grow_is_in_the_table(superuser):
    rows = superuser.execute(
        """SELECT DISTINCT a.name, pg_catalog.format_type(a.type, NULL)
        FROM pg_catalog.pg_proc AS p,
            unnest(p.proargtypes::oid[], p.proargnames[1 : p.pronargs]) AS a (type, name)
        WHERE p.pronamespace IN ('llm'::regnamespace, 'llm_atoms'::regnamespace)
            AND has_function_privilege('llm_user', p.oid, 'EXECUTE')"""
    ).fetchall()
    assert {row for row in rows if row[1] not in FIXED} == set(BOUNDED_BY)


REFUSALS = [
    ("SELECT llm.generate('a', 'limited', 65)", {"max_tokens": 64}, "65", "64"),
    ("SELECT llm.generate('a', 'limited')", {"kv_cache_mb": 300}, "1000000000", "300"),
    ("SELECT * FROM llm.generate_many('{a}', 'limited')", {"batch_mb": 300}, "1000000000", "300"),
    ("SELECT * FROM llm.search('{1}'::real[], 'vectors')", {"search_mb": 300}, "1000000000", "300"),
    ("SELECT llm.generate(repeat('a', 1048577), 'limited')", {"text_mb": 1}, "1048577 bytes", "1048576"),
    ("SELECT * FROM llm.next_tokens(repeat('a', 1048577), 1, 'limited')", {"text_mb": 1}, "1048577 bytes", "1048576"),
    ("SELECT llm.tokenize(repeat('a', 1048577), 'limited')", {"text_mb": 1}, "1048577 bytes", "1048576"),
    ("SELECT llm.tokenize(repeat('a', 1048577), 'limited')", {"piece_mb": 1}, "1048577 bytes", "1048576"),
    ("SELECT llm.embed_bytes(repeat('-', 1048577), 'reader')", {"piece_mb": 1}, "1048577 bytes", "1048576"),
    ("SELECT llm.embed(repeat('a ', 524289), 'reader')", {"text_mb": 1}, "1048578 bytes", "1048576"),
    ("SELECT * FROM llm.chunk(repeat('a ', 524289), 'reader')", {"text_mb": 1}, "1048578 bytes", "1048576"),
    ("SELECT * FROM llm.search(repeat('a ', 524289), 'vectors', 1, 'reader')", {"text_mb": 1}, "1048578", "1048576"),
    ("SELECT * FROM llm.embed_many(array_fill('a'::text, '{70000}'), 'reader')", {"elements": 69999}, "70000", "69999"),
    (
        "SELECT * FROM llm.embed_many(array_fill(repeat('a', 1024), '{1025}'), 'reader')",
        *({"text_mb": 1}, "1049600 bytes", "1048576"),
    ),
    ("SELECT * FROM llm.generate_many(array_fill('a'::text, '{70000}'), 'limited')", {"elements": 9}, "70000", "9"),
    (
        "SELECT llm.generate('a', 'limited', stop => array_fill('a'::text, '{70000}'))",
        *({"elements": 69999}, "70000", "69999"),
    ),
    ("SELECT llm.detokenize(array_fill(300, '{70000}'), 'limited')", {"elements": 69999}, "70000", "69999"),
    ("SELECT * FROM llm.logits(array_fill(300, '{70000}'), 'limited')", {"elements": 69999}, "70000", "69999"),
    ("SELECT llm.forward(array_fill(300, '{70000}'), 'limited')", {"elements": 69999}, "70000", "69999"),
    ("SELECT llm.sample('\\x00000000', history => array_fill(0, '{70000}'))", {"elements": 69999}, "70000", "69999"),
    ("SELECT llm.bytes(array_fill(1.0::float8, '{70000}'))", {"elements": 69999}, "70000", "69999"),
    ("SELECT llm.floats(convert_to(repeat('aaaa', 70000), 'UTF8'))", {"elements": 69999}, "70000", "69999"),
    ("SELECT llm.similarity(array_fill(1::real, '{70000}'), '{1}'::real[])", {"elements": 69999}, "70000", "69999"),
    ("SELECT llm.similarity('{1}'::real[], array_fill(1::real, '{70000}'))", {"elements": 69999}, "70000", "69999"),
    (
        "SELECT * FROM llm.search(array_fill(1::real, '{70000}'), 'vectors')",
        *({"elements": 69999}, "70000", "69999"),
    ),
    ("SELECT llm.embedding(array_fill(300, '{4097}'), 'limited')", {"activation_mb": 1}, "1048832 bytes", "1048576"),
    ("SELECT llm.floats(convert_to(repeat('a', 1048580), 'UTF8'))", {"activation_mb": 1}, "1048580 bytes", "1048576"),
    (
        "SELECT llm.linear(convert_to(repeat('a', 262144), 'UTF8'), 'token_embd.weight', 'limited')",
        *({"activation_mb": 1}, "2097152 bytes", "1048576"),
    ),
    (
        "SELECT llm.similarity(convert_to(repeat('a', 1048580), 'UTF8'), '\\x00000000'::bytea)",
        *({"activation_mb": 1}, "1048580 bytes", "1048576"),
    ),
]


@pytest.fixture
def greedy(connect_as):
    """A user whose settings ask for all there is, in a new session, so that its peak of memory is the test's."""
    user = connect_as("llm_user")
    user.execute("CREATE TEMP TABLE vectors AS SELECT 1 AS id, ARRAY[1]::real[] AS embedding")
    for name in ("kv_cache_mb", "batch_mb", "search_mb"):
        user.execute(f"SET llm.{name} = 1000000000")
    return user


@pytest.mark.parametrize(("query", "limits", "asked", "allowed"), REFUSALS)
def test_what_is_above_a_limit_is_refused_with_what_was_asked_and_what_is_allowed(
    greedy, limit, query, limits, asked, allowed
):
    limit(**limits)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded) as refusal:
        greedy.execute(query).fetchall()
    (name,) = limits
    assert name in refusal.value.diag.message_primary
    assert refusal.value.diag.message_detail.startswith(f"asked {asked}")
    assert refusal.value.diag.message_detail.endswith(f"allowed {allowed}")
    assert "llm_runtime.call_limits()" in refusal.value.diag.message_hint


def test_without_limits_what_users_ask_for_is_theirs(greedy, limit):
    limit()
    assert call(greedy, "SELECT llm.generate('a', 'limited', 2)") is not None
    assert call(greedy, "SELECT count(*) FROM llm.search('{1}'::real[], 'vectors')") == 1
    assert call(greedy, "SELECT cardinality(llm.tokenize(repeat('word ', 300000), 'limited'))") > 300_000


def test_a_limit_below_a_settings_default_is_the_default(user, limit):
    limit(kv_cache_mb=1, batch_mb=1, search_mb=1)
    assert call(user, "SELECT llm.generate('a', 'limited', 2)") is not None


def test_who_does_not_say_max_tokens_has_what_is_allowed(user, limit):
    limit(max_tokens=3)
    options = '{"ignore_eos": true}'
    details = user.execute("SELECT * FROM llm.generate_details('a', 'limited', options => %s)", [options]).fetchone()
    many = user.execute("SELECT * FROM llm.generate_many('{a}', 'limited', options => %s)", [options]).fetchone()
    assert details[4] == many[3] == 3
    limit(max_tokens=200)
    details = user.execute("SELECT * FROM llm.generate_details('a', 'limited', options => %s)", [options]).fetchone()
    assert details[4] == 128


LONG_NAMES = [
    "SELECT llm.generate('a', {name})",
    "SELECT llm.tokenize('a', {name})",
    "SELECT llm.embed('a', {name})",
    "SELECT llm.fork({name}, 'copy')",
    "SELECT llm.rms_norm('\\x00000000', {name}, 'limited')",
    "SELECT llm.scale_tensor('limited', {name}, 2)",
    "SELECT llm.weight({name}, 0, 0, 'limited')",
    "SELECT llm.matrix({name}, 'limited')",
    "SELECT llm.embedding({name}, 'limited')",
]


@pytest.mark.parametrize("query", LONG_NAMES)
def test_a_name_of_more_than_a_thousand_characters_is_refused_and_not_repeated(superuser, query):
    name = "repeat('m', 1001)"
    with pytest.raises(psycopg.errors.UndefinedObject) as refusal, superuser.transaction():
        superuser.execute(query.format(name=name))
    diagnosis = refusal.value.diag
    assert diagnosis.message_detail.endswith("the name has 1001 characters, allowed are 1000")
    assert len(diagnosis.message_primary) < 200
    with pytest.raises(psycopg.errors.UndefinedObject) as unknown, superuser.transaction():
        superuser.execute(query.format(name="repeat('m', 1000)"))
    assert len(unknown.value.diag.message_primary) < 200


SECONDS = [
    "SELECT llm.generate('a', 'limited')",
    "SELECT * FROM llm.generate_many('{a}', 'limited')",
    "SELECT * FROM llm.generate_query('SELECT 1, ''a''', 'limited')",
    "SELECT * FROM llm.next_tokens('a', 1, 'limited')",
    "SELECT * FROM llm.logits('{300}', 'limited')",
    "SELECT llm.embed('a', 'limited')",
]


@pytest.mark.parametrize("engine", ["auto", "numpy"])
@pytest.mark.parametrize("query", SECONDS)
def test_a_call_that_computes_longer_than_it_may_is_ended(user, limit, query, engine):
    user.execute(f"SET llm.engine = {engine}")
    limit(seconds=0)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="computes for longer than the limit") as ended:
        user.execute(query).fetchall()
    assert ended.value.diag.message_detail == "it has computed for 0 seconds, allowed 0"
    limit(seconds=100)
    assert user.execute(query).fetchall()


def test_a_text_whose_keys_and_values_take_too_much_memory_is_refused(user, limit):
    shape = call(user, "SELECT llm.architecture('limited')")
    fit = MEGABYTE // (2 * 4 * shape["layers"] * shape["kv_heads"] * shape["head_dim"])  # float32 keys and values
    limit(batch_mb=1)
    row = user.execute("SELECT * FROM llm.generate_details('a', 'limited', 2000, options => '{\"ignore_eos\": true}')")
    found = row.fetchone()
    assert found[3] + found[4] == fit and found[2] == "length"
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="memory of the prompt's keys and values"):
        user.execute("SELECT llm.generate(repeat('word ', 400), 'limited')")


def test_the_kv_caches_of_a_session_have_a_limit_all_together(user, limit):
    limit(kv_cache_mb=1)
    caches = [call(user, "SELECT llm.new_kv_cache('limited')") for _ in range(2)]
    query = "SELECT llm.forward(array_fill(300, '{400}'), 'limited', %s)"
    assert call(user, query, caches[0])
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="KV caches is above the limit kv_cache_mb"):
        for cache in caches[1:]:
            call(user, query, cache)
            call(user, "SELECT llm.forward(array_fill(300, '{400}'), 'limited')")
    call(user, "SELECT llm.free_kv_cache(%s)", caches[0])
    assert call(user, query, caches[1])


def test_a_user_may_not_change_the_limits(user):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("CREATE OR REPLACE FUNCTION llm_runtime.call_limits() RETURNS integer LANGUAGE sql AS 'SELECT 1'")


def peak(connection):
    """The most memory that the server process of a connection has had, in bytes."""
    lines = Path(f"/proc/{connection.info.backend_pid}/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.fixture
def large(connect_as, superuser):
    """A user, and texts of 26 and 2.6 MB in a table."""
    user = connect_as("llm_user")
    user.execute(
        "CREATE TEMP TABLE large AS "
        "SELECT n, repeat('date: 1.1.20 ', n) AS text FROM unnest(ARRAY[2000000, 200000]) AS n"
    )
    call(user, "SELECT llm.generate('date: 1.1.20', 'small')")
    call(user, "SELECT llm.embed_bytes('date', 'reader')")
    return user


@pytest.mark.parametrize("count", [200_000, 2_000_000])
@pytest.mark.parametrize("function", ["generate", "generate_details"])
def test_a_prompt_that_is_much_too_long_takes_no_memory(large, function, count):
    before = peak(large)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="longer than the model's context") as refusal:
        large.execute(f"SELECT llm.{function}(text, 'small') FROM large WHERE n = %s", [count])
    assert refusal.value.diag.message_detail.startswith(f"the prompt has {13 * count} bytes, allowed ")
    assert peak(large) - before < 10 * MEGABYTE  # it is not even read


def test_large_prompts_of_a_query_stay_in_the_server(large):
    before = peak(large)
    query = "SELECT error FROM llm.generate_query('SELECT g, text FROM large, generate_series(1, 40) AS g', 'small')"
    errors = large.execute(query).fetchall()
    assert len(errors) == 80 and all("bytes, allowed" in error for (error,) in errors)
    assert peak(large) - before < 50 * MEGABYTE


def test_of_a_long_text_to_embed_only_the_beginning_is_read(large):
    short = call(large, "SELECT llm.embed_bytes(left(text, 1000), 'reader') FROM large LIMIT 1")
    before = peak(large)
    assert call(large, "SELECT llm.embed_bytes(text, 'reader') FROM large WHERE n = 2000000") == short
    assert peak(large) - before < 80 * MEGABYTE  # PL/Python's two copies of it


@pytest.mark.parametrize("unit", [" ", "a", "\U0001f642", "\u65e5"])
def test_a_prompt_of_one_word_or_of_spaces_is_refused_by_its_bytes(connect_as, unit):
    user = connect_as("llm_user")
    before = peak(user)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="longer than the model's context"):
        user.execute("SELECT llm.generate(repeat(%s, 10000000), 'limited')", [unit])
    assert peak(user) - before < 200 * MEGABYTE  # PostgreSQL's own two copies of the text, and what a first call loads


MANY = {"float8": 20_000_000, "integer": 20_000_000, "text": 3_000_000}
LARGE_ARRAYS = [
    ("float8", "llm.similarity(x, x)"),
    ("float8", "(SELECT count(*) FROM llm.search(x, 'vectors'))"),
    ("float8", "llm.bytes(x)"),
    ("integer", "llm.detokenize(x, 'limited')"),
    ("integer", "(SELECT count(*) FROM llm.logits(x, 'limited'))"),
    ("integer", "llm.forward(x, 'limited')"),
    ("integer", "llm.embedding(x, 'limited')"),
    ("integer", "llm.rope('\\x00000000', x, 'limited')"),
    ("integer", "(SELECT q FROM llm.queries_keys_values('\\x00000000', 0, x, 'limited'))"),
    ("integer", "llm.attention('\\x00', '\\x00', '\\x00', 1, 0, x, 'limited')"),
    ("integer", "llm.sample('\\x00000000', history => x)"),
    ("text", "(SELECT count(*) FROM llm.generate_many(x, 'limited'))"),
    ("text", "llm.generate('a', 'limited', stop => x)"),
    ("text", "(SELECT count(*) FROM llm.generate_query('SELECT 1, ''a''', 'limited', stop => x))"),
    ("text", "(SELECT count(*) FROM llm.embed_many(x, 'reader'))"),
]


@pytest.mark.parametrize(("kind", "call_of_it"), LARGE_ARRAYS)
def test_an_array_that_is_too_large_is_refused_before_python_makes_a_list_of_it(greedy, kind, call_of_it):
    query = f"SELECT {{}} FROM (SELECT array_fill(300::{kind}, '{{{{{MANY[kind]}}}}}') AS x OFFSET 0) AS large"
    greedy.execute("SELECT llm.similarity('{1}'::real[], '{1}'::real[])")
    greedy.execute(query.format("cardinality(x)"))
    before = peak(greedy)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="above the limit elements") as refusal:
        greedy.execute(query.format(call_of_it))
    assert refusal.value.diag.message_detail == f"asked {MANY[kind]}, allowed 1000000"
    assert peak(greedy) - before < 100 * MEGABYTE


@pytest.mark.parametrize("function", ["compose", "decompose"])
def test_what_is_no_hash_is_not_looked_for(greedy, function):
    query = "SELECT {} FROM (SELECT convert_to(repeat('a', 100000000), 'UTF8') AS x OFFSET 0) AS large"
    greedy.execute(query.format("octet_length(x)"))
    before = peak(greedy)
    assert greedy.execute(query.format(f"(SELECT count(*) FROM llm_atoms.{function}(x))")).fetchone()[0] == 0
    assert peak(greedy) - before < 250 * MEGABYTE  # the argument itself, as it is handed over


def test_many_bytes_are_not_made_numbers(greedy):
    query = "SELECT {} FROM (SELECT convert_to(repeat('a', 40000000), 'UTF8') AS x OFFSET 0) AS large"
    greedy.execute("SELECT llm.floats('\\x00000000')")
    greedy.execute(query.format("octet_length(x)"))
    before = peak(greedy)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="above the limit elements") as refusal:
        greedy.execute(query.format("llm.floats(x)"))
    assert refusal.value.diag.message_detail == "asked 10000000, allowed 1000000"
    assert peak(greedy) - before < 100 * MEGABYTE
