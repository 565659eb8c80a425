"""llm.generate_json, _regex, _choice and _grammar on a story model that knows nothing of JSON: the masks do it all."""

import itertools
import json
import re
from pathlib import Path

import psycopg
import pytest
from jsonschema import Draft202012Validator

from tests.database.models import STORIES, call, loaded

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "kind": {"enum": ["cat", "dog", "child"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}
JSON = "SELECT llm.generate_json(%s, %s, 'stories', max_tokens => 200, temperature => 1, seed => %s)"


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str, data: Path):
    with loaded(loader_dsn, {"stories": data / STORIES["stories"]}):
        yield


@pytest.fixture(params=["numpy", "auto"])
def either(user, request):
    user.execute(f"SET llm.engine = {request.param}")
    return user


def test_every_json_value_is_valid(either):
    for seed in range(10):
        value = call(either, JSON, "A cat is", json.dumps(PERSON), seed)
        assert Draft202012Validator(PERSON).is_valid(value)


def test_the_same_seed_gives_the_same_value_alone_and_in_a_batch(user):
    prompts = ["A cat is", "Once upon a time", "A dog is"]
    options = json.dumps({"schema": PERSON})
    rows = user.execute(
        "SELECT ordinal, response::jsonb, error FROM llm.generate_many(%s, 'stories', max_tokens => 200, "
        "temperature => 1, seed => 7, options => %s) ORDER BY ordinal",
        [prompts, options],
    ).fetchall()
    alone = [call(user, JSON, prompt, json.dumps(PERSON), 7 + number) for number, prompt in enumerate(prompts)]
    assert rows == [(number, value, None) for number, value in enumerate(alone, 1)]


def test_a_text_matches_the_pattern_and_is_a_choice_and_a_sentence(either):
    arguments = "'stories', temperature => 1, seed => %s"
    for seed in range(5):
        date = call(either, f"SELECT llm.generate_regex('It was on', '[0-9]{{4}}-[0-9]{{2}}', {arguments})", seed)
        assert re.fullmatch("[0-9]{4}-[0-9]{2}", date)
        choices = "ARRAY['yes', 'no', 'perhaps']"
        assert call(either, f"SELECT llm.generate_choice('Was it?', {choices}, {arguments})", seed) in (
            "yes",
            "no",
            "perhaps",
        )
        grammar = 'root ::= word (" " word){2}\nword ::= "cat" | "dog"'
        sentence = call(either, f"SELECT llm.generate_grammar('A', %s, {arguments})", grammar, seed)
        assert re.fullmatch("(cat|dog)( (cat|dog)){2}", sentence)


def test_null_gives_null_and_leaves_a_schema_unread(user):
    assert call(user, "SELECT llm.generate_json(NULL, '{\"not\": {}}', 'stories')") is None


@pytest.mark.parametrize(
    ("query", "state", "said"),
    [
        ("SELECT llm.generate_json('a', '{\"properties\": {\"a\": {\"not\": {}}}}', 'stories')", "0A000", '"not"'),
        ("SELECT llm.generate_json('a', '{\"type\": \"strin\"}', 'stories')", "22023", '"type"'),
        ("SELECT llm.generate_json('a', '{\"enum\": []}', 'stories')", "22023", "no value"),
        ("SELECT llm.generate_json('a', '[]', 'stories')", "22023", "options.schema"),
        ("SELECT llm.generate_json('a', '{}', 'stories', options => '{\"echo\": true}')", "22023", "options.echo"),
        ("SELECT llm.generate_json('a', '{}', 'stories', options => '{\"regex\": \"a\"}')", "22023", "together"),
        ("SELECT llm.generate('a', 'stories', stop => ARRAY['b'], options => '{\"regex\": \"a\"}')", "22023", "stop"),
        ("SELECT llm.generate_regex('a', '(', 'stories')", "22023", "cannot be read"),
        ("SELECT llm.generate_regex('a', 'x{200}', 'stories', 20)", "53400", "not complete"),
        ("SELECT llm.generate_regex('a', 'x', 'stories', 0)", "53400", "not complete"),
        ("SELECT llm.generate_choice('a', ARRAY[NULL], 'stories')", "22023", "choices"),
        ("SELECT llm.generate_choice('a', '{}', 'stories')", "22023", "choices"),
        ("SELECT llm.generate_grammar('a', 'nonsense', 'stories')", "22023", "GBNF"),
        ("SELECT llm.generate_grammar('a', repeat('x', 70000), 'stories')", "53400", "too large"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_the_session_goes_on(user, query, state, said):
    with pytest.raises(psycopg.Error) as error:
        user.execute(query)
    assert (error.value.sqlstate, said in f"{error.value}") == (state, True)
    assert call(user, "SELECT llm.generate_choice('a', ARRAY['b'], 'stories')") == "b"


def test_the_detail_shows_what_was_written(user):
    with pytest.raises(psycopg.Error) as error:
        user.execute("SELECT llm.generate_regex('a', 'abc[x]{200}', 'stories', 20)")
    assert "'abcxx" in error.value.diag.message_detail


def test_an_unfinished_text_is_the_error_of_its_row(user):
    rows = user.execute(
        "SELECT response, finish_reason, error FROM llm.generate_many(ARRAY['a', NULL, 'b'], 'stories', 5, "
        'options => \'{"regex": "x{200}"}\')'
    ).fetchall()
    assert len(rows) == 3
    assert all(response is None and error for response, _, error in rows)


def test_rules_that_name_each_other_by_the_thousand_do_not_end_the_server(user):
    names = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(4000)]
    rules = "".join(f'{one}:{other}"x"\n' for one, other in itertools.pairwise(names))
    grammar = f'start: {names[0]}\n{rules}{names[-1]}:"x"\n'
    with pytest.raises(psycopg.Error) as error:
        user.execute("SELECT llm.generate_grammar('a', %s, 'stories', 5)", [grammar])
    assert error.value.sqlstate == "53400"
    assert call(user, "SELECT 1") == 1


def test_a_cancelled_text_leaves_the_session_alive(user):
    user.execute("SET statement_timeout = 300")
    with pytest.raises(psycopg.errors.QueryCanceled):
        user.execute("SELECT llm.generate_regex('a', '[ab]{100000}', 'stories', 2000) FROM generate_series(1, 1000)")
    user.execute("RESET statement_timeout")
    assert call(user, "SELECT llm.generate_choice('a', ARRAY['b'], 'stories')") == "b"


@pytest.fixture
def stays(superuser_dsn: str):
    """A table with a column of each of ten types, and types with a CHECK."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA inn; GRANT USAGE ON SCHEMA inn TO PUBLIC;"
            "CREATE TYPE inn.kind AS ENUM ('guest', 'visitor', 'a \"b\"');"
            "CREATE DOMAIN inn.small AS integer CHECK (value BETWEEN 1 AND 3);"
            "CREATE TYPE inn.place AS (floor smallint, door varchar(4));"
            "CREATE TABLE inn.stay (kind inn.kind NOT NULL, kinds inn.kind[] NOT NULL, arrives date NOT NULL,"
            " at timestamptz NOT NULL, nights smallint NOT NULL, price numeric(6, 2) NOT NULL, paid boolean NOT NULL,"
            " name varchar(8) NOT NULL, id uuid NOT NULL, place inn.place NOT NULL, note varchar(20),"
            " twice integer GENERATED ALWAYS AS (2) STORED);"
            "CREATE TABLE inn.checked (small inn.small NOT NULL)"
        )
        yield connection
        connection.execute("DROP SCHEMA inn CASCADE")


ROW = "SELECT llm.generate_row('A guest', %s, 'stories', max_tokens => 1000, temperature => 1, seed => %s)"


def test_a_row_becomes_one_of_the_table(user, stays):
    written = 0
    for seed in range(5):
        try:
            value = call(user, ROW, "inn.stay", seed)
        except psycopg.errors.ConfigurationLimitExceeded:
            continue
        written += 1
        insert = (
            "INSERT INTO inn.stay SELECT kind, kinds, arrives, at, nights, price, paid, name, id, place, note "
            "FROM jsonb_populate_record(NULL::inn.stay, %s)"
        )
        stays.execute(insert, [json.dumps(value)])
    assert stays.execute("SELECT count(*) FROM inn.stay").fetchone()[0] == written > 0


def test_a_check_of_a_domain_that_does_not_hold_is_an_error(user, stays):
    seen = set()
    for seed in range(20):
        try:
            seen.add(call(user, ROW, "inn.checked", seed)["small"])
        except psycopg.errors.CheckViolation:
            seen.add("refused")
    assert "refused" in seen
    assert seen <= {1, 2, 3, "refused"}
