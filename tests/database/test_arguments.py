"""Every function of the surface from psycopg with plain Python values, and what wrong arguments give."""

import psycopg
import pytest

from tests.database.models import FAMILIES, call, loaded

MODEL = "surface-qwen2"


@pytest.fixture(scope="module", autouse=True)
def model(loader_dsn: str):
    with loaded(loader_dsn, {MODEL: FAMILIES / "qwen2"}):
        yield


def f32(connection, *numbers):
    return call(connection, "SELECT llm.bytes(%s)", list(map(float, numbers)))


def size(connection, key):
    return call(connection, "SELECT llm.architecture(%s)", MODEL)[key]


def test_every_argument_of_generate_takes_a_plain_python_value(user):
    arguments = {
        "model": MODEL,
        "max_tokens": 5,
        "temperature": 0.7,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.05,
        "repeat_penalty": 1.1,
        "seed": 2**62,
        "stop": ["zzz", "yyy"],
        "options": psycopg.types.json.Jsonb({"echo": True, "ignore_eos": True, "stop_tokens": []}),
    }
    names = ", ".join(f"{name} => %({name})s" for name in arguments)
    text = user.execute(f"SELECT llm.generate(%(prompt)s, {names})", {"prompt": "ab", **arguments}).fetchone()[0]
    assert text.startswith("ab")
    row = user.execute(
        f"SELECT * FROM llm.generate_details(%(prompt)s, {names})", {"prompt": "ab", **arguments}
    ).fetchone()
    assert row[0] == text
    assert [type(value) for value in row] == [str, list, str, int, int, float]


def test_every_argument_of_generate_may_be_null(user):
    """NULL is the default of each; a model without a name is another test's."""
    query = "SELECT llm.generate(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    plain = call(user, "SELECT llm.generate('ab', %s)", MODEL)
    assert call(user, query, "ab", MODEL, *[None] * 9) == plain
    assert call(user, query, None, *[None] * 10) is None
    assert user.execute("SELECT * FROM llm.generate_details(%s)", [None]).fetchall() == [(None,) * 6]


def test_every_other_function_takes_plain_python_values(user):
    tokens = call(user, "SELECT llm.tokenize(%s, %s, %s, %s)", "ab", MODEL, True, False)
    assert call(user, "SELECT llm.detokenize(%s, %s)", tokens, MODEL) == "ab"
    rows = user.execute("SELECT * FROM llm.next_tokens(%s, %s, %s)", ["ab", 3, MODEL]).fetchall()
    assert [[type(value) for value in row] for row in rows] == [[int, int, str, float, float]] * 3
    rows = user.execute("SELECT * FROM llm.logits(%s, %s)", [tokens, MODEL]).fetchall()
    assert [position for position, _ in rows] == list(range(len(tokens)))
    assert {len(logits) for _, logits in rows} == {4 * size(user, "vocabulary_size")}
    cache = call(user, "SELECT llm.new_kv_cache(%s)", MODEL)
    logits = call(user, "SELECT llm.forward(%s, %s, %s, %s)", tokens, MODEL, cache, 0)
    assert logits == rows[-1][1] or len(logits) == len(rows[-1][1])
    sample = "SELECT llm.sample(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
    assert 0 <= call(user, sample, logits, 0.8, 40, 0.9, 0.01, 1.1, 5, tokens, 7, "{}") < size(user, "vocabulary_size")
    assert call(user, "SELECT llm.free_kv_cache(%s)", cache) is True
    assert call(user, "SELECT llm.engine()").startswith(("numpy ", "compiled "))


def test_every_operator_takes_plain_python_values(user):
    a = call(user, "SELECT llm.architecture(%s)", MODEL)
    x = call(user, "SELECT llm.embedding(%s, %s)", [3, 4], MODEL)
    assert len(x) == 2 * 4 * a["hidden_size"]
    x = call(user, "SELECT llm.rms_norm(%s, %s, %s, %s)", x, "blk.0.attn_norm.weight", MODEL, 1e-6)
    q, k, v = (
        call(user, "SELECT llm.linear(%s, %s, %s, %s)", x, f"blk.0.attn_{n}.weight", MODEL, f"blk.0.attn_{n}.bias")
        for n in "qkv"
    )
    assert len(q) == 2 * 4 * a["heads"] * a["head_dim"]
    q, k = (call(user, "SELECT llm.rope(%s, %s, %s)", y, [0, 1], MODEL) for y in (q, k))
    parts = user.execute("SELECT * FROM llm.queries_keys_values(%s, %s, %s, %s)", [x, 0, [0, 1], MODEL]).fetchone()
    assert parts == (q, k, v)
    y = call(user, "SELECT llm.attention(%s, %s, %s, %s, %s, %s, %s)", q, k, v, None, 0, [0, 1], MODEL)
    assert len(y) == len(q)
    assert len(call(user, "SELECT llm.add(%s, %s)", y, q)) == len(q)
    assert len(call(user, "SELECT llm.swiglu(%s, %s)", y, q)) == len(q)
    gate, up = (call(user, "SELECT llm.linear(%s, %s, %s)", x, f"blk.0.ffn_{n}.weight", MODEL) for n in ("gate", "up"))
    whole = "SELECT llm.swiglu(%s, 'blk.0.ffn_gate.weight', 'blk.0.ffn_up.weight', %s)"
    assert call(user, whole, x, MODEL) == call(user, "SELECT llm.swiglu(%s, %s)", gate, up)
    down = "SELECT llm.linear(%s, 'blk.0.ffn_down.weight', %s, residual => %s)"
    assert call(user, down, gate, MODEL, x) == call(
        user, "SELECT llm.add(%s, llm.linear(%s, 'blk.0.ffn_down.weight', %s))", x, gate, MODEL
    )
    assert len(call(user, "SELECT llm.softmax(%s, %s)", y, a["head_dim"])) == len(q)
    assert len(call(user, "SELECT llm.last_row(%s, %s)", y, a["head_dim"])) == 4 * a["head_dim"]
    assert call(user, "SELECT llm.floats(%s)", f32(user, 1.5, -2)) == [1.5, -2.0]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT llm.generate('a', %s)",
        "SELECT llm.generate_details('a', %s)",
        "SELECT llm.next_tokens('a', 1, %s)",
        "SELECT llm.logits(ARRAY[1], %s)",
        "SELECT llm.tokenize('a', %s)",
        "SELECT llm.detokenize(ARRAY[1], %s)",
        "SELECT llm.architecture(%s)",
        "SELECT llm.embedding(ARRAY[1], %s)",
        "SELECT llm.linear('\\x00', 'output.weight', %s)",
        "SELECT llm.rms_norm('\\x00', 'output_norm.weight', %s)",
        "SELECT llm.rope('\\x00', ARRAY[0], %s)",
        "SELECT llm.queries_keys_values('\\x00', 0, ARRAY[0], %s)",
        "SELECT llm.swiglu('\\x00', 'blk.0.ffn_gate.weight', 'blk.0.ffn_up.weight', %s)",
        "SELECT llm.attention('\\x00', '\\x00', '\\x00', NULL, 0, ARRAY[0], %s)",
        "SELECT llm.new_kv_cache(%s)",
        "SELECT llm.forward(ARRAY[1], %s)",
    ],
)
@pytest.mark.parametrize("name", ["no such model", "", "x" * 10_000])
def test_a_model_that_is_not_there_is_an_error_that_says_where_to_look(user, query, name):
    with pytest.raises(psycopg.errors.UndefinedObject, match="does not exist") as error:
        user.execute(query, [name])
    assert "llm.models" in error.value.diag.message_hint


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("max_tokens => -1", "max_tokens"),
        ("temperature => -0.1", "temperature"),
        ("temperature => 'Infinity'", "temperature"),
        ("top_k => -1", "top_k"),
        ("top_p => 1.1", "top_p"),
        ("top_p => 'NaN'", "top_p"),
        ("min_p => -1", "min_p"),
        ("repeat_penalty => 0", "repeat_penalty"),
        ("stop => ARRAY['']", "stop"),
        ("stop => ARRAY[NULL]", "stop"),
        ("options => '[]'", "options"),
        ("""options => '{"echo": 1}'""", "options.echo"),
        ("""options => '{"stop_tokens": [-1]}'""", "options.stop_tokens"),
        ("""options => '{"temperature": 1}'""", 'unknown option "temperature"'),
    ],
)
def test_an_argument_out_of_range_is_named(user, arguments, named):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=named):
        user.execute(f"SELECT llm.generate('a', model => %s, {arguments})", [MODEL])


def test_the_smallest_requests_have_answers(user):
    assert call(user, "SELECT llm.generate('a', %s, max_tokens => 0)", MODEL) == ""
    assert call(user, "SELECT finish_reason FROM llm.generate_details('a', %s, max_tokens => 0)", MODEL) == "length"
    assert call(user, "SELECT llm.tokenize('', %s, add_special => false)", MODEL) == []
    assert call(user, "SELECT llm.detokenize('{}', %s)", MODEL) == ""
    assert user.execute("SELECT * FROM llm.logits('{}', %s)", [MODEL]).fetchall() == []
    assert call(user, "SELECT llm.softmax('')") == b""


def test_oversized_requests_say_by_how_much(user):
    context = size(user, "context_length")
    for query in ("SELECT llm.generate(%s, %s)", "SELECT * FROM llm.next_tokens(%s, 1, %s)"):
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="tokens longer than the model's context"):
            user.execute(query, ["a b " * 10 * context, MODEL]).fetchall()
    for query in ("SELECT * FROM llm.logits(%s, %s)", "SELECT llm.forward(%s, %s)"):
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match=r"1 tokens longer|do not fit"):
            user.execute(query, [[1] * (context + 1), MODEL]).fetchall()
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="k is out of range"):
        user.execute("SELECT * FROM llm.next_tokens('a', %s, %s)", [2**30, MODEL]).fetchall()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"SELECT llm.next_tokens('a', 0, '{MODEL}')", "llm: k is out of range"),
        ("SELECT llm.next_tokens('a', 1, 'no such')", 'llm: model "no such" does not exist'),
        (f"SELECT llm.logits(ARRAY[-1], '{MODEL}')", "llm: tokens is out of range"),
        (f"SELECT llm.generate_many(ARRAY['a'], '{MODEL}', -1)", "llm: max_tokens is out of range"),
        (f"SELECT llm.diff('{MODEL}', NULL)", "llm: no model is named"),
    ],
)
def test_a_function_of_rows_says_what_is_wrong_in_the_message_and_not_in_the_detail(user, query, message):
    """PL/Python says "error fetching next item from iterator" of an error after the first row."""
    with pytest.raises(psycopg.Error) as refusal:
        user.execute(query)
    assert refusal.value.diag.message_primary == message


@pytest.mark.parametrize("name", ["drop_model", "set_default_model", "verify"])
def test_a_model_without_a_name_is_an_error_that_says_so(connect_as, name):
    with pytest.raises(psycopg.errors.UndefinedObject) as refusal:
        connect_as("llm_loader").execute(f"SELECT llm.{name}(NULL)")
    assert refusal.value.diag.message_primary == "no model is named"
    assert "llm.models" in refusal.value.diag.message_hint


@pytest.mark.parametrize("tokens", [[-1], [10**9], [1, None]])
@pytest.mark.parametrize("query", ["llm.detokenize", "llm.logits", "llm.embedding", "llm.forward"])
def test_ids_that_are_no_tokens_are_refused(user, query, tokens):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"tokens (is out of range|does not fit)"):
        user.execute(f"SELECT {query}(%s, %s)", [tokens, MODEL]).fetchall()


def test_activations_of_a_wrong_size_and_tensors_that_are_not_there_are_refused(user):
    x = f32(user, *[1.0] * size(user, "hidden_size"))
    for activation in (b"", b"abc", x + x[:4]):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="argument x does not fit"):
            user.execute("SELECT llm.linear(%s, 'blk.0.attn_q.weight', %s)", [activation, MODEL])
    with pytest.raises(psycopg.errors.UndefinedObject, match=r'no tensor "blk\.0\.attn_z\.weight"') as error:
        user.execute("SELECT llm.linear(%s, 'blk.0.attn_z.weight', %s)", [x, MODEL])
    assert "llm.tensors" in error.value.diag.message_hint


def test_a_cache_belongs_to_the_role_that_made_it(superuser, connect_as):
    """Roles of one session share the interpreter, and nothing else."""
    cache = call(superuser, "SELECT llm.new_kv_cache(%s)", MODEL)
    call(superuser, "SELECT llm.forward(ARRAY[1], %s, %s)", MODEL, cache)
    superuser.execute("SET ROLE llm_user")
    with pytest.raises(psycopg.errors.UndefinedObject, match="no KV cache"):
        call(superuser, "SELECT llm.forward(ARRAY[1], %s, %s, 1)", MODEL, cache)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="start is 1 and there is no KV cache"):
        call(superuser, "SELECT llm.forward(ARRAY[1], %s, NULL, 1)", MODEL)
    superuser.execute("RESET ROLE")
    call(superuser, "SELECT llm.forward(ARRAY[1], %s, %s, 1)", MODEL, cache)


def test_a_role_that_loses_its_rights_loses_the_model_that_its_session_has_loaded(superuser):
    superuser.execute("SET ROLE llm_user")
    call(superuser, "SELECT llm.generate('a', %s, 1)", MODEL)
    superuser.execute("RESET ROLE")
    with superuser.transaction(force_rollback=True):
        superuser.execute("CREATE ROLE llm_test_stranger; SET LOCAL ROLE llm_test_stranger")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), superuser.transaction():
            superuser.execute("SELECT llm.generate('a', %s, 1)", [MODEL])
        superuser.execute("RESET ROLE; REVOKE SELECT ON llm_store.model FROM llm_user; SET LOCAL ROLE llm_user")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), superuser.transaction():
            superuser.execute("SELECT llm.generate('a', %s, 1)", [MODEL])
        superuser.execute("RESET ROLE")
