"""Many rows at once in the server: each is what llm.generate gives for it, whatever happens to the others."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

PROMPTS = ["Once upon a time", "Lily", "The dog and the cat", "Once upon a time there was", "", "One day, Tim"]
MANY = "SELECT * FROM llm.generate_many(%s, %s, %s, temperature => %s, seed => %s) ORDER BY ordinal"
ONE = (
    "SELECT text, finish_reason, completion_tokens FROM llm.generate_details(%s, %s, %s, temperature => %s, seed => %s)"
)
COMPILED = ["batch-stories", "batch-Q8_0"]


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    """Story models, and the engine compiled."""
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(
        loader_dsn, {"batch-stories": own_data / STORIES["stories"], "batch-Q8_0": own_data / STORIES["stories-Q8_0"]}
    ):
        yield


@pytest.fixture
def compiled(user: psycopg.Connection) -> psycopg.Connection:
    """A session that the compiled engine answers, and that reuses nothing of earlier prompts."""
    user.execute("SET llm.engine = 'compiled'")
    user.execute("SET llm.kv_cache_mb = 0")
    user.execute("SELECT llm.generate('', 'batch-Q8_0', 1)")  # so that its weights are packed
    return user


def alone(connection, prompts, model, tokens, temperature, seed):
    """What llm.generate_details gives for each, row n with seed + n, as generate_many's rows."""
    return [
        (place + 1, *connection.execute(ONE, [prompt, model, tokens, temperature, seed + place]).fetchone(), None)
        for place, prompt in enumerate(prompts)
    ]


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("model", COMPILED)
def test_each_row_is_what_generate_gives_for_it_with_its_seed(compiled, model, temperature):
    given = compiled.execute(MANY, [PROMPTS, model, 70, temperature, 42]).fetchall()
    assert given == alone(compiled, PROMPTS, model, 70, temperature, 42)


def test_a_pass_that_takes_longer_than_the_look_for_a_lost_client_comes_to_its_end(compiled):
    long = "SELECT llm.generate(repeat('Once upon a time ', 80), 'batch-Q8_0', 5)"
    expected = call(compiled, long)
    compiled.execute("SET statement_timeout = '60s'")
    compiled.execute("SET client_connection_check_interval = '1ms'")
    assert call(compiled, long) == expected


@pytest.mark.parametrize("temperature", [0, 1])
def test_the_numpy_engine_gives_each_row_as_alone_too(user, temperature):
    user.execute("SET llm.engine = 'numpy'")
    given = user.execute(MANY, [PROMPTS[:3], "batch-stories", 20, temperature, 42]).fetchall()
    assert given == alone(user, PROMPTS[:3], "batch-stories", 20, temperature, 42)


def test_more_rows_than_run_at_once_with_a_common_beginning(compiled):
    system = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    prompts = [f"{system}{'One day, she saw a dog. ' * (n % 5)}Number {n}" for n in range(70)]
    given = compiled.execute(MANY, [prompts, "batch-Q8_0", 5 + 3, 1, 7]).fetchall()
    stats = compiled.execute("SELECT * FROM llm.generation_stats()").fetchone()
    assert given == alone(compiled, prompts, "batch-Q8_0", 8, 1, 7)
    assert stats[1] > stats[0]  # more was shared than computed


def test_rows_are_the_same_with_memory_for_few_of_them(compiled):
    prompts = [f"{name} went to the park. " * 12 for name in ("Lily", "Tim", "Tom", "Ben", "Sue", "Max", "Mia", "Sam")]
    compiled.execute("SET llm.batch_mb = 1")
    given = compiled.execute(MANY, [prompts, "batch-stories", 60, 1, 3]).fetchall()
    assert given == alone(compiled, prompts, "batch-stories", 60, 1, 3)


def test_a_failing_row_fills_its_own_error_and_does_not_sink_the_rest(compiled):
    prompts = ["Once", None, "word " * 2000, "Lily"]
    given = compiled.execute(MANY, [prompts, "batch-Q8_0", 10, 0, 0]).fetchall()
    assert [row[:1] + row[1:] for row in (given[0], given[3])] == [
        alone(compiled, prompts[:1], "batch-Q8_0", 10, 0, 0)[0],
        (4, *alone(compiled, ["Lily"], "batch-Q8_0", 10, 0, 3)[0][1:]),
    ]
    assert given[1] == (2, None, None, None, "the prompt is null")
    assert given[2][1:4] == (None, None, None)
    assert "longer than the model's context: it has" in given[2][4]


def test_equal_prompts_differ_when_tokens_are_drawn(compiled):
    rows = compiled.execute(MANY, [["Once"] * 5, "batch-Q8_0", 20, 1, 1]).fetchall()
    assert len({response for _, response, *_ in rows}) == 5


def test_echo_begins_each_response_with_its_prompt(compiled):
    query = (
        "SELECT response FROM llm.generate_many(%s, 'batch-Q8_0', 3, options => '{\"echo\": true}') ORDER BY ordinal"
    )
    rows = compiled.execute(query, [["Once", "Lily"]]).fetchall()
    assert [row[0][:4] for row in rows] == ["Once", "Lily"]


def test_no_prompts_give_no_rows(compiled):
    assert compiled.execute("SELECT * FROM llm.generate_many('{}', 'batch-Q8_0')").fetchall() == []


def test_a_batch_can_be_cancelled_and_the_session_goes_on(compiled):
    prompts = ["Once upon a time"] * 200
    timer = threading.Timer(0.2, compiled.cancel)
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        compiled.execute(MANY, [prompts, "batch-stories", 400, 1, 1])
    timer.join()
    assert compiled.execute(MANY, [["Once"], "batch-stories", 5, 0, 0]).fetchall() == alone(
        compiled, ["Once"], "batch-stories", 5, 0, 0
    )


QUERY = "SELECT * FROM llm.generate_query(%s, 'batch-Q8_0', 6)"


def test_a_query_gives_its_ids_with_their_responses(compiled):
    rows = compiled.execute(QUERY, ["SELECT n * 10, 'Number ' || n FROM generate_series(1, 50) AS n;"]).fetchall()
    prompts = [f"Number {n}" for n in range(1, 51)]
    expected = alone(compiled, prompts, "batch-Q8_0", 6, 0, 0)
    assert sorted(rows, key=lambda row: int(row[0])) == [(str(10 * n), *rest) for n, *rest in expected]


def test_a_query_runs_with_the_callers_rights(compiled):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        compiled.execute(QUERY, ["SELECT 1, rolpassword FROM pg_catalog.pg_authid"])


@pytest.mark.parametrize(
    ("query", "gives"),
    [("SELECT 1", "1 column"), ("SELECT 1, 'a', 'b'", "3 columns"), ("SELECT", "0 columns")],
)
def test_a_query_that_does_not_give_an_id_and_a_prompt_is_refused(compiled, query, gives):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        compiled.execute(QUERY, [query])
    told = refusal.value.diag
    assert told.message_primary == f"llm: the query gives {gives}, not an id and a prompt"
    assert "SELECT id, body FROM post" in told.message_hint


@pytest.mark.parametrize("query", ["", "SHOW work_mem", "DELETE FROM nowhere RETURNING 1, 2", "SELEC 1, 2"])
def test_what_is_no_query_of_rows_is_a_syntax_error_with_the_shape_of_one(compiled, query):
    with pytest.raises(psycopg.errors.SyntaxError) as refusal:
        compiled.execute(QUERY, [query])
    assert refusal.value.diag.message_primary.startswith("llm: syntax error")
    assert "SELECT id, body FROM post" in refusal.value.diag.message_hint


def test_several_statements_are_refused_and_none_is_run(compiled):
    compiled.execute("CREATE TEMP TABLE victim AS SELECT 1 AS id")
    query = "SELECT 1, 'Once') AS q; DELETE FROM victim; SELECT * FROM (SELECT 1, 'Once'"
    with pytest.raises(psycopg.errors.InvalidCursorDefinition) as refusal:
        compiled.execute(QUERY, [query])
    assert "SELECT id, body FROM post" in refusal.value.diag.message_hint
    assert call(compiled, "SELECT count(*) FROM victim") == 1


def test_an_error_in_a_query_points_to_its_place(compiled):
    with pytest.raises(psycopg.errors.UndefinedTable) as refusal:
        compiled.execute(QUERY, ["SELECT 1, x FROM nowhere_at_all"])
    told = refusal.value.diag
    assert told.message_primary == 'llm: relation "nowhere_at_all" does not exist'
    assert told.internal_query[int(told.internal_position) - 1 :].startswith("nowhere_at_all")


@pytest.mark.parametrize(
    ("query", "message", "rest"),
    [
        ("SELECT 1, 'a' FROM", "syntax error at end of input", ""),
        ("SELECT 1, 'a' WHERE (", "syntax error at end of input", ""),
        ("SELECT 1) AS a, (SELECT 'x'", 'syntax error at or near ")"', ") AS a"),
        ("  SELECT id, 'a' FRM post", 'syntax error at or near "post"', "post"),
        ("SELECT 1, nope\n-- why", 'column "nope" does not exist', "nope"),
        ("SELECT 1, nope('a')", "function nope(unknown) does not exist", "nope('a')"),
        ("", "syntax error at end of input", ""),
        ("-- nothing", "syntax error at end of input", ""),
        ("EXPLAIN SELECT 1, 'a'", 'syntax error at or near "SELECT"', "SELECT"),
        (
            "WITH d AS (DELETE FROM pg_temp.x RETURNING 1, 'a') SELECT * FROM d",
            "WITH clause containing a data-modifying statement must be at the top level",
            "d AS",
        ),
    ],
)
@pytest.mark.parametrize("call", [QUERY, "CALL llm.generate_into(%s, 'pg_temp.x'::regclass, 'batch-Q8_0', 2)"])
def test_an_error_in_a_query_quotes_the_callers_text_and_nothing_of_ours(compiled, query, message, rest, call):
    compiled.execute("CREATE TEMP TABLE x (id text, response text, finish_reason text, tokens integer, error text)")
    with pytest.raises(psycopg.Error) as refusal:
        compiled.execute(call, [query])
    told = refusal.value.diag
    assert told.message_primary == f"llm: {message}"
    assert told.internal_query == query
    assert query[int(told.internal_position) - 1 :].startswith(rest)


LATE = "SELECT n, 'Number ' || 1 / (60 - n) FROM generate_series(1, 100) AS n"
SHAPES = ["SELECT * FROM {}", "SELECT (r).* FROM (SELECT {} AS r) AS q", "SELECT count(*) FROM {}"]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_in_a_later_row_of_a_query_has_its_own_message(compiled, shape):
    with pytest.raises(psycopg.errors.DivisionByZero) as late:
        compiled.execute(shape.format("llm.generate_query(%s, 'batch-Q8_0', 2)"), [LATE]).fetchall()
    assert late.value.diag.message_primary == "llm: division by zero"


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "rows",
    [
        "llm.generate_many(array_fill('Once'::text, ARRAY[100000]), 'batch-Q8_0', 200)",
        "llm.generate_query($$SELECT n, 'Once' FROM generate_series(1, 100000) AS n$$, 'batch-Q8_0', 200)",
    ],
    ids=["generate_many", "generate_query"],
)
def test_a_timeout_between_rows_says_what_postgresql_says(compiled, shape, rows):
    compiled.execute("SET statement_timeout = 500")
    with pytest.raises(psycopg.errors.QueryCanceled) as late:
        compiled.execute(shape.format(rows)).fetchall()
    assert late.value.diag.message_primary == "llm: canceling statement due to statement timeout"


def test_columns_are_counted_without_running_the_query(compiled):
    compiled.execute("CREATE TEMP SEQUENCE run_so_far")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        compiled.execute(QUERY, ["SELECT nextval('run_so_far')"])
    assert call(compiled, "SELECT is_called FROM run_so_far") is False


def test_rows_of_a_query_come_as_they_are_finished(compiled):
    """A cursor over the select list reads the query no further than it must."""
    compiled.execute("CREATE TEMP SEQUENCE read_so_far")
    with compiled.transaction():
        compiled.execute(
            "DECLARE answers CURSOR FOR SELECT llm.generate_query("
            "'SELECT n, ''Once'' || nextval(''read_so_far'') FROM generate_series(1, 100000) AS n', 'batch-Q8_0', 2)"
        )
        assert len(compiled.execute("FETCH 5 FROM answers").fetchall()) == 5
        assert call(compiled, "SELECT last_value FROM read_so_far") < 1000


@pytest.fixture
def answers(superuser: psycopg.Connection) -> Iterator[str]:
    """A table that everybody may fill."""
    name = "answers_of_a_test"
    superuser.execute(
        f"CREATE TABLE {name} (id integer PRIMARY KEY, response text, finish_reason text, tokens integer, error text)"
    )
    superuser.execute(f"GRANT SELECT, INSERT ON {name} TO PUBLIC")
    yield name
    superuser.execute(f"DROP TABLE {name}")


INTO = "CALL llm.generate_into(%s, %s::regclass, 'batch-Q8_0', %s)"


def test_a_table_is_filled_with_what_the_query_gives(compiled, answers):
    compiled.execute(
        INTO, ["SELECT n, CASE WHEN n <> 3 THEN 'Number ' || n END FROM generate_series(1, 5) n", answers, 6]
    )
    rows = compiled.execute(f"SELECT * FROM {answers} ORDER BY id").fetchall()
    expected = alone(compiled, [f"Number {n}" for n in range(1, 6)], "batch-Q8_0", 6, 0, 0)
    expected[2] = (3, None, None, None, "the prompt is null")
    assert rows == expected


def test_what_was_committed_stays_when_the_call_is_cancelled_and_the_same_call_goes_on(compiled, answers):
    query = (
        f"SELECT n, 'Number ' || n FROM generate_series(1, 1000000) AS n "
        f"WHERE NOT EXISTS (SELECT FROM {answers} AS a WHERE a.id = n) AND n <= %s"
    )
    timer = threading.Timer(4, compiled.cancel)
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        compiled.execute(INTO, [query % 1000000, answers, 100])
    timer.join()
    done = call(compiled, f"SELECT count(*) FROM {answers}")
    assert done > 0
    compiled.execute(INTO, [query % (done + 5), answers, 100])
    assert call(compiled, f"SELECT count(*) FROM {answers} WHERE id <= %s", done + 5) == done + 5


def test_in_a_transaction_block_the_procedure_says_that_it_cannot_commit(compiled, answers):
    with pytest.raises(psycopg.errors.InvalidTransactionTermination) as refusal, compiled.transaction():
        compiled.execute(INTO, ["SELECT 1, 'Once'", answers, 2])
    assert "outside of a transaction" in refusal.value.diag.message_hint


def test_a_table_without_the_columns_is_refused_before_anything_is_computed(compiled):
    compiled.execute("CREATE TEMP TABLE lacking (id integer, response text)")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        compiled.execute(INTO, ["SELECT 1, 'Once'", "lacking", 2])
    assert refusal.value.diag.message_primary == "llm: table lacking has no column finish_reason"


def memory(connection):
    """Bytes of the session's process that are its own."""
    status = Path("/proc", str(connection.info.backend_pid), "status").read_text()
    return 1024 * int(status.partition("RssAnon:")[2].split()[0])


def test_ten_thousand_rows_take_no_more_memory_than_a_thousand(compiled):
    def rows(count):
        query = f"SELECT n, 'Number ' || n FROM generate_series(1, {count}) AS n"
        answer = "SELECT (r).error FROM (SELECT llm.generate_query(%s, 'batch-Q8_0', 2) AS r OFFSET 0) AS q"
        return sum(error is None for (error,) in compiled.execute(answer, [query]))

    assert rows(1000) == 1000
    before = memory(compiled)
    assert rows(10_000) == 10_000
    assert memory(compiled) - before < 8 << 20


def test_ten_thousand_rows_into_a_table_take_no_more_memory_than_a_thousand(compiled, answers):
    def fill(first, last):
        query = f"SELECT n, 'Number ' || n FROM generate_series({first}, {last}) AS n"
        compiled.execute("CALL llm.generate_into(%s, %s::regclass, 'batch-Q8_0', 2)", [query, answers])

    fill(1, 1000)
    before = memory(compiled)
    fill(1001, 11_000)
    assert memory(compiled) - before < 8 << 20
    assert call(compiled, f"SELECT count(*) FROM {answers} WHERE error IS NULL") == 11_000


def test_a_cancelled_query_of_ten_thousand_rows_leaves_the_session_well(compiled):
    query = "SELECT n, 'Number ' || n FROM generate_series(1, 10000) AS n"
    timer = threading.Timer(0.3, compiled.cancel)
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        compiled.execute("SELECT count(*) FROM llm.generate_query(%s, 'batch-Q8_0', 50)", [query])
    timer.join()
    began = time.monotonic()
    assert call(compiled, "SELECT llm.generate('Once', 'batch-Q8_0', 5)") is not None
    assert time.monotonic() - began < 60
