"""llm.forward, the transformer as one SQL query: every family, the engine's bits, prefill and decode."""

import math
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.database.models import FAMILIES, STORIES, call, loaded

CASES = sorted(path.parent.name for path in FAMILIES.glob("*/expected.npz"))
FORWARD = "SELECT llm.forward(%s, model => %s, cache => %s, start => %s)"

# A generation in SQL alone: each step is one row, the tokens so far and those that the model has not seen.
GENERATE_IN_SQL = """
WITH RECURSIVE

cache AS MATERIALIZED (
    SELECT llm.new_kv_cache(%(model)s) AS id
),

story (tokens, fresh) AS (
    SELECT t, t FROM llm.tokenize(%(prompt)s, %(model)s) AS t
    UNION ALL
    SELECT tokens || next, ARRAY[next]
    FROM story
    CROSS JOIN cache
    CROSS JOIN llm.forward(fresh, %(model)s, cache.id, cardinality(tokens) - cardinality(fresh)) AS logits
    CROSS JOIN llm.sample(logits) AS next
    WHERE cardinality(tokens) <= %(max_tokens)s
)

SELECT llm.detokenize(tokens, %(model)s) FROM story ORDER BY cardinality(tokens) DESC LIMIT 1
"""


@pytest.fixture(scope="module", autouse=True)
def families(loader_dsn: str):
    with loaded(loader_dsn, {case: FAMILIES / case for case in CASES}):
        yield


@pytest.fixture(scope="module")
def stories(loader_dsn: str, each_data: Path):
    names = ("stories", "stories-hf", "stories-Q8_0")
    with loaded(loader_dsn, {name: each_data / STORIES[name] for name in names}):
        yield names


@pytest.fixture(params=["numpy", "compiled"])
def engine(request: pytest.FixtureRequest, superuser: psycopg.Connection) -> str:
    """Each engine, ready to compute."""
    if request.param == "compiled":
        superuser.execute("SELECT llm.warm_up()")
    return request.param


@pytest.fixture
def user(user: psycopg.Connection, engine: str) -> psycopg.Connection:
    """A session that computes with the engine: the query's operators are that engine's."""
    user.execute(f"SET llm.engine = {engine}")
    return user


def tolerance(connection, case):
    """How far logits may be from those of transformers: where the compiled engine holds half precision, further."""
    types = "SELECT count(*) FROM llm.tensors WHERE model = %s AND type <> 'F32'"
    compiled = call(connection, "SELECT current_setting('llm.engine')") == "compiled"
    return 0.03 if compiled and call(connection, types, case) else 1e-4


def forward(connection, tokens, model, cache=None, start=0):
    return call(connection, FORWARD, list(map(int, tokens)), model, cache, start)


def engine_logits(connection, prompt, model):
    """All logits after a prompt as the engine behind llm.generate computes them."""
    query = """
    SELECT array_agg(t.logit ORDER BY t.token_id)
    FROM llm.next_tokens(%s, (llm.architecture(%s) ->> 'vocabulary_size')::integer, %s) AS t
    """
    return np.array(call(connection, query, prompt, model, model), np.float32).tobytes()


def expected(case):
    saved = np.load(FAMILIES / case / "expected.npz")
    return saved["tokens"], saved["logits"]


@pytest.mark.parametrize("case", CASES)
def test_one_query_is_every_family_as_transformers_computes_it(user, case):
    tokens, logits = expected(case)
    assert len(tokens) > 64
    for n in (1, 64, 65, len(tokens)):
        computed = np.frombuffer(forward(user, tokens[:n], case), "<f4")
        np.testing.assert_allclose(computed, logits[n - 1], rtol=0, atol=tolerance(user, case))


@pytest.mark.parametrize("case", CASES)
def test_decoding_with_a_cache_continues_what_a_prefill_began(user, case):
    tokens, logits = expected(case)
    cache = call(user, "SELECT llm.new_kv_cache(%s)", case)
    forward(user, tokens[:-5], case, cache)
    for position in range(len(tokens) - 5, len(tokens)):
        computed = forward(user, tokens[position : position + 1], case, cache, position)
        np.testing.assert_allclose(np.frombuffer(computed, "<f4"), logits[position], rtol=0, atol=tolerance(user, case))


@pytest.mark.parametrize("case", CASES)
def test_a_prefill_has_the_bits_of_the_engine(user, case):
    for prompt in ("a", "the quick brown fox " * 4, "lorem ipsum " * 10):
        tokens = call(user, "SELECT llm.tokenize(%s, %s)", prompt, case)
        if len(tokens) <= call(user, "SELECT context_length FROM llm.models WHERE name = %s", case):
            assert forward(user, tokens, case) == engine_logits(user, prompt, case)


def test_a_prefill_of_real_models_has_the_bits_of_the_engine(user, stories):
    for model in stories:
        for prompt in ("", "Once upon a time", "Lily and Tom went to the park. " * 20):
            tokens = call(user, "SELECT llm.tokenize(%s, %s)", prompt, model)
            assert forward(user, tokens, model) == engine_logits(user, prompt, model)


def test_a_generation_in_sql_alone_writes_the_authors_text(user, stories, each_data):
    text = (each_data / "stories260K-reference" / "karpathy_expected_stdout_n200.txt").read_text()
    for model in stories[:2]:
        arguments = {"model": model, "prompt": "", "max_tokens": 200}
        assert user.execute(GENERATE_IN_SQL, arguments).fetchone()[0] == text


@pytest.mark.parametrize("case", CASES)
def test_a_generation_in_sql_alone_is_llm_generate(user, case):
    text = call(user, "SELECT llm.generate('ab', %s, 20, options => '{\"echo\": true, \"ignore_eos\": true}')", case)
    prompt = len(call(user, "SELECT llm.tokenize('ab', %s)", case))
    arguments = {"model": case, "prompt": "ab", "max_tokens": prompt + 19}
    assert user.execute(GENERATE_IN_SQL, arguments).fetchone()[0].startswith(text)


def test_decoding_has_the_bits_of_the_engine(user, stories):
    """Step by step with a KV cache: what llm.logits gives for the whole text at once."""
    tokens = list(range(3, 75))
    for model in stories:
        cache = call(user, "SELECT llm.new_kv_cache(%s)", model)
        steps = [forward(user, tokens[:65], model, cache)]
        steps += [forward(user, [token], model, cache, place) for place, token in enumerate(tokens[65:], 65)]
        whole = user.execute("SELECT logits FROM llm.logits(%s, %s) ORDER BY position", [tokens, model]).fetchall()
        if call(user, "SELECT current_setting('llm.engine')") == "compiled":
            assert steps == [logits for (logits,) in whole[64:]]
        else:  # numpy's bits depend on how many tokens are computed together
            for one, (other,) in zip(steps, whole[64:], strict=True):
                np.testing.assert_allclose(np.frombuffer(one, "<f4"), np.frombuffer(other, "<f4"), atol=1e-3)


def test_a_cache_of_one_engine_is_refused_by_the_other(user, engine):
    cache = call(user, "SELECT llm.new_kv_cache('qwen2')")
    forward(user, [1, 2], "qwen2", cache)
    user.execute(f"SET llm.engine = {'numpy' if engine == 'compiled' else 'compiled'}")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="belongs to another engine"):
        forward(user, [3], "qwen2", cache, 2)
    user.execute(f"SET llm.engine = {engine}")
    forward(user, [3], "qwen2", cache, 2)


def test_a_sequence_may_go_back_and_take_another_way(user):
    tokens, _ = expected("qwen2")
    cache = call(user, "SELECT llm.new_kv_cache('qwen2')")
    first = forward(user, tokens[:20], "qwen2", cache)
    other = forward(user, tokens[30:40], "qwen2", cache, 10)
    assert other != forward(user, tokens[10:20], "qwen2", cache, 10)
    assert forward(user, tokens[30:40], "qwen2", cache, 10) == other
    assert forward(user, tokens[:20], "qwen2", cache) == first


def test_two_caches_do_not_disturb_each_other(user):
    tokens, _ = expected("qwen3")
    one, two = (call(user, "SELECT llm.new_kv_cache('qwen3')") for _ in range(2))
    forward(user, tokens[:9], "qwen3", one)
    forward(user, tokens[20:29], "qwen3", two)
    alone = forward(user, tokens[9:10], "qwen3", one, 9)
    forward(user, tokens[40:50], "qwen3")  # without a cache
    assert forward(user, tokens[9:10], "qwen3", one, 9) == alone
    assert forward(user, tokens[9:10], "qwen3", two, 9) != alone


def test_a_cache_survives_a_rollback_and_ends_when_it_is_freed(user):
    with user.transaction(force_rollback=True):
        cache = call(user, "SELECT llm.new_kv_cache('llama2')")
        forward(user, [1, 2], "llama2", cache)
    forward(user, [3], "llama2", cache, 2)
    assert call(user, "SELECT llm.free_kv_cache(%s)", cache)
    assert not call(user, "SELECT llm.free_kv_cache(%s)", cache)
    with pytest.raises(psycopg.errors.UndefinedObject, match="no KV cache"):
        forward(user, [3], "llama2", cache, 3)


def test_a_start_beyond_the_cache_is_an_error_and_leaves_it_as_it_is(user):
    cache = call(user, "SELECT llm.new_kv_cache('llama2')")
    forward(user, [1, 2], "llama2", cache)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no positions 2 to 4 of layer 0"):
        forward(user, [1], "llama2", cache, 5)
    forward(user, [3], "llama2", cache, 2)


def test_no_tokens_give_null_and_wrong_ones_an_error(user):
    assert call(user, "SELECT llm.forward(NULL, 'llama2')") is None
    assert call(user, "SELECT llm.forward('{}', 'llama2')") is None
    vocabulary, context = (
        call(user, "SELECT (llm.architecture('llama2') ->> %s)::integer", key)
        for key in ("vocabulary_size", "context_length")
    )
    for tokens in ([vocabulary], [-1], [1, None]):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=r"tokens (is out of range|does not fit)"):
            call(user, "SELECT llm.forward(%s, 'llama2')", tokens)
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded) as refusal:
        forward(user, [1] * 100_000, "llama2")
    assert f"{100_000 - context} too many" in refusal.value.diag.message_detail


def test_the_parts_can_be_looked_at(user, stories):
    """The first step of the model by hand: an embedding, its norm, and what softmax makes of the logits."""
    x = call(user, "SELECT llm.floats(llm.embedding(ARRAY[1, 2], 'stories'))")
    width = call(user, "SELECT (llm.architecture('stories') ->> 'hidden_size')::integer")
    assert len(x) == 2 * width
    normed = call(user, "SELECT llm.floats(llm.rms_norm(llm.bytes(%s), 'blk.0.attn_norm.weight', 'stories'))", x)
    scale = call(
        user, "SELECT llm.floats(llm.rms_norm(llm.bytes(%s), 'blk.0.attn_norm.weight', 'stories'))", [1.0] * width
    )
    root = math.sqrt(sum(number**2 for number in x[:width]) / width + 1e-5)
    np.testing.assert_allclose(normed[:width], np.array(x[:width]) / root * np.array(scale), rtol=1e-4, atol=1e-6)
    probabilities = call(user, "SELECT llm.floats(llm.softmax(llm.forward(ARRAY[1], 'stories')))")
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_an_edit_is_seen_at_once_also_within_one_statement(superuser):
    """A rollback to a savepoint inside the statement brings the old model back."""
    seen = superuser.execute("SELECT * FROM pg_temp.edit_and_forget()" if define_edit(superuser) else "").fetchall()
    names, logits = zip(*seen, strict=True)
    assert names == ("before", "edited", "rolled back", "again edited", "after")
    assert logits[0] == logits[2] == logits[4]
    assert logits[1] == logits[3] != logits[0]


def define_edit(superuser):
    superuser.execute("""
    CREATE FUNCTION pg_temp.edit() RETURNS void LANGUAGE sql AS $$
        UPDATE llm_store.model_tensor AS mt SET tensor_hash = (
            SELECT other.tensor_hash FROM llm_store.model_tensor AS other
            WHERE other.model_id = mt.model_id AND other.name = 'blk.0.ffn_up.weight'
        )
        FROM llm_store.model AS m
        WHERE m.id = mt.model_id AND m.name = 'qwen2' AND mt.name = 'blk.0.ffn_gate.weight'
    $$;
    CREATE FUNCTION pg_temp.edit_and_forget(OUT name text, OUT logits bytea) RETURNS SETOF record LANGUAGE plpgsql AS $$
    BEGIN
        name := 'before'; logits := llm.forward(ARRAY[1], 'qwen2'); RETURN NEXT;
        BEGIN
            PERFORM pg_temp.edit();
            name := 'edited'; logits := llm.forward(ARRAY[1], 'qwen2'); RETURN NEXT;
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
        END;
        name := 'rolled back'; logits := llm.forward(ARRAY[1], 'qwen2'); RETURN NEXT;
        BEGIN
            PERFORM pg_temp.edit();
            name := 'again edited'; logits := llm.forward(ARRAY[1], 'qwen2'); RETURN NEXT;
            RAISE division_by_zero;
        EXCEPTION WHEN division_by_zero THEN
        END;
        name := 'after'; logits := llm.forward(ARRAY[1], 'qwen2'); RETURN NEXT;
    END
    $$
    """)
    return True


def test_a_start_without_a_cache_is_an_error_that_says_where_to_get_one(user):
    """What the scratch cache holds may be another prompt's."""
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        call(user, "SELECT llm.forward(ARRAY[1], 'llama2', start => 5)")
    assert refusal.value.diag.message_primary == "llm: start is 5 and there is no KV cache"
    assert "llm.new_kv_cache" in refusal.value.diag.message_hint


@pytest.mark.parametrize("tokens", ["ARRAY[[1, 2], [3, 4]]", "ARRAY[1, NULL]"])
def test_tokens_of_two_dimensions_or_with_null_are_an_error(user, tokens):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        call(user, f"SELECT llm.forward({tokens}, 'llama2')")
    assert refusal.value.diag.message_primary == "llm: argument tokens does not fit"
