"""llm.generate and what belongs to it, on story models: their texts and logits by transformers and by llama2.c."""

import json
import subprocess
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

REFERENCE = "stories260K-reference"
QUANTISED = [name for name in STORIES if name not in ("stories", "stories-hf")]
STOP = "wanted to play"  # is in both models' stories
GENERATE = "SELECT llm.generate(%s, model => %s, max_tokens => %s)"


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str, each_data: Path):
    with loaded(loader_dsn, {name: each_data / path for name, path in STORIES.items()}):
        yield


@pytest.fixture(scope="module")
def author_text(each_data: Path) -> str:
    """The text of 200 greedy tokens from nothing, by transformers, or as llama2.c's author expects it."""
    return (each_data / REFERENCE / "karpathy_expected_stdout_n200.txt").read_text()


def details(connection, prompt, **arguments):
    names = "".join(f", {name} => %({name})s" for name in arguments)
    with connection.cursor(row_factory=psycopg.rows.namedtuple_row) as cursor:
        query = f"SELECT * FROM llm.generate_details(%(prompt)s, model => 'stories'{names})"
        return cursor.execute(query, {"prompt": prompt, **arguments}).fetchone()


@pytest.mark.parametrize("model", ["stories", "stories-hf"])
def test_psql_prints_the_authors_text_byte_for_byte(loader_dsn, author_text, model):
    query = f"SELECT llm.generate('', model => '{model}', max_tokens => 200)"
    command = ["psql", "--no-psqlrc", "--no-align", "--tuples-only", "--dbname", loader_dsn, "--command", query]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert printed == author_text.encode() + b"\n"


@pytest.mark.parametrize("model", ["stories", "stories-hf"])
def test_256_greedy_tokens_are_the_references(user, each_data, model):
    expected = (each_data / REFERENCE / "greedy_bos_256.txt").read_text()
    assert call(user, GENERATE, "", model, 256) + "\n" == expected


@pytest.mark.parametrize("case", ["case2", "case3"])
@pytest.mark.parametrize("model", ["stories", "stories-hf"])
def test_logits_are_the_references_at_every_position(user, each_data, case, model):
    tokens = json.loads((each_data / REFERENCE / f"{case}.json").read_text())["tokens"]
    expected = np.fromfile(each_data / REFERENCE / f"{case}.logits.f32", "<f4").reshape(len(tokens), -1)
    np.testing.assert_allclose(logits(user, tokens, model), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("model", QUANTISED)
def test_logits_of_quantised_copies_are_those_of_the_dequantised_weights(user, each_data, model):
    """In the numpy engine, which dequantises too; the compiled one multiplies in the blocks' own integers."""
    user.execute("SET llm.engine = numpy")
    folder, kind = each_data / "stories260K-quant-derived", model.removeprefix("stories-")
    cases = {case["file"]: case["tokens"] for case in json.loads((folder / "expected.json").read_text())}
    tokens = cases[Path(STORIES[model]).name]
    expected = np.fromfile(folder / f"{kind}.case2.logits.f32", "<f4").reshape(len(tokens), -1)
    np.testing.assert_allclose(logits(user, tokens, model), expected, rtol=0, atol=1e-4)


def logits(connection, tokens, model):
    rows = connection.execute("SELECT * FROM llm.logits(%s, %s)", [tokens, model]).fetchall()
    assert [position for position, _ in rows] == list(range(len(tokens)))
    return np.array([np.frombuffer(row, "<f4") for _, row in rows])


def test_a_continuation_does_not_repeat_its_prompt(user, author_text):
    prompt = author_text[:100].rpartition(" ")[0]
    assert author_text.startswith(prompt + call(user, GENERATE, prompt, "stories", 20))
    echoed = call(user, "SELECT llm.generate(%s, 'stories', 20, options => '{\"echo\": true}')", prompt)
    assert echoed.startswith(prompt) and author_text.startswith(echoed)


def test_details_tell_the_tokens_and_how_it_ended(user, author_text):
    row = details(user, "Once upon a time", max_tokens=30)
    assert row._fields == ("text", "tokens", "finish_reason", "prompt_tokens", "completion_tokens", "milliseconds")
    prompt = call(user, "SELECT llm.tokenize('Once upon a time', 'stories')")
    assert author_text.startswith("Once upon a time" + row.text)
    assert (row.finish_reason, row.prompt_tokens, row.completion_tokens) == ("length", len(prompt), 30)
    assert call(user, "SELECT llm.detokenize(%s, 'stories')", prompt + row.tokens) == "Once upon a time" + row.text
    assert row.milliseconds > 0


def test_a_stop_string_ends_the_text_before_it(user, author_text):
    row = details(user, "", max_tokens=200, stop=["nothing like it", STOP])
    assert row.finish_reason == "stop_string"
    assert row.text == author_text[: author_text.index(STOP)]
    assert call(user, "SELECT llm.detokenize(%s, 'stories')", row.tokens).startswith(row.text + STOP)


def test_a_stop_token_ends_the_text(user):
    plain = details(user, "", max_tokens=20)
    row = details(user, "", max_tokens=20, options=json.dumps({"stop_tokens": [plain.tokens[7]]}))
    assert (row.finish_reason, row.tokens) == ("stop", plain.tokens[: plain.tokens.index(plain.tokens[7])])


def test_an_end_of_sequence_token_ends_the_text_unless_it_is_ignored(user):
    """Greedily it takes thousands of tokens; at temperature 100 all are about as likely, and seed 65 draws it soon."""
    sampling = {"max_tokens": 12, "temperature": 100.0, "seed": 65}
    ended = details(user, "", **sampling)
    assert ended.finish_reason == "stop" and ended.completion_tokens == len(ended.tokens) < 12
    ignored = details(user, "", options='{"ignore_eos": true}', **sampling)
    assert ignored.finish_reason == "length" and ignored.completion_tokens == 12
    assert ignored.tokens[: len(ended.tokens)] == ended.tokens
    assert ignored.tokens[len(ended.tokens)] == 2  # </s>


def test_the_same_seed_gives_the_same_text_and_another_seed_another(user):
    query = "SELECT llm.generate('', 'stories', 40, temperature => 1.5, seed => %s)"
    first, second, other = (call(user, query, seed) for seed in (7, 7, 8))
    assert first == second != other
    assert len({call(user, query, None) for _ in range(4)}) > 1


def test_sampling_from_one_token_is_greedy(user, author_text):
    for one in ("top_k => 1", "top_p => 0", "min_p => 1"):
        text = call(user, f"SELECT llm.generate('', 'stories', 40, temperature => 2, seed => 1, {one})")
        assert author_text.startswith(text)


def test_a_repeat_penalty_changes_a_text_that_repeats_itself(user, author_text):
    text = call(user, "SELECT llm.generate('', 'stories', 200, repeat_penalty => 1.3)")
    assert text != author_text


def test_a_text_ends_where_the_context_ends(user):
    room = 20
    context = call(user, "SELECT context_length FROM llm.models WHERE name = 'stories'")
    story = call(user, "SELECT llm.tokenize(repeat('Once upon a time, ', 400), 'stories', add_special => false)")
    prompt = call(user, "SELECT llm.detokenize(%s, 'stories')", story[: context - room - 1])
    row = details(user, prompt, max_tokens=1000)
    assert row.finish_reason == "length"
    assert row.prompt_tokens + row.completion_tokens == context
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="tokens longer than the model's context") as e:
        details(user, prompt * 2)
    assert e.value.diag.message_detail.endswith(f"the context holds {context}")


def test_half_a_character_never_breaks_a_query(user):
    """The story model writes other characters byte by byte; every cut through one must be text."""
    tokens = call(user, "SELECT llm.tokenize('é€😀', 'stories', add_special => false)")
    assert call(user, "SELECT llm.detokenize(%s, 'stories')", tokens) == "é€😀"
    for end in range(len(tokens)):
        assert set(call(user, "SELECT llm.detokenize(%s, 'stories')", tokens[:end])) <= set(" é€😀\ufffd")
    for seed in range(5):
        row = details(user, "é", max_tokens=30, temperature=20.0, seed=seed)
        assert row.text is not None and len(row.tokens) <= 30


def test_next_tokens_rank_what_greedy_generation_takes_first(user):
    rows = user.execute("SELECT * FROM llm.next_tokens('Once upon a', 5, 'stories')").fetchall()
    assert [rank for rank, *_ in rows] == [1, 2, 3, 4, 5]
    assert rows[0][1:3] == (details(user, "Once upon a", max_tokens=1).tokens[0], " time")
    tokens = call(user, "SELECT llm.tokenize('Once upon a', 'stories')")
    last = logits(user, tokens, "stories")[-1].astype(float)
    expected = last - last.max() - np.log(np.exp(last - last.max()).sum())
    for _, token, _, logit, logprob in rows:
        assert logit == pytest.approx(last[token], abs=1e-4)
        assert logprob == pytest.approx(expected[token], abs=1e-4)
    assert len(user.execute("SELECT * FROM llm.next_tokens('Once', model => 'stories')").fetchall()) == 10


def test_tokens_are_the_references(user, each_data):
    for case in ("case2", "case3"):
        known = json.loads((each_data / REFERENCE / f"{case}.json").read_text())
        prompt = (each_data / REFERENCE / f"{case}.prompt.txt").read_text()
        assert call(user, "SELECT llm.tokenize(%s, 'stories')", prompt) == known["tokens"][: known["n_prompt"]]


def test_control_tokens_in_a_text_are_text_unless_asked_otherwise(user):
    text = "<s>a</s>"
    as_text = call(user, "SELECT llm.tokenize(%s, 'stories', add_special => false)", text)
    assert call(user, "SELECT llm.detokenize(%s, 'stories')", as_text) == text
    parsed = call(user, "SELECT llm.tokenize(%s, 'stories', false, parse_special => true)", text)
    assert len(parsed) < len(as_text) and parsed[0] == 1


def test_the_default_model_is_the_one_that_is_chosen(superuser, author_text):
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.set_default_model('stories-hf')")
        assert call(superuser, "SELECT llm.generate('', max_tokens => 200)") == author_text
        assert author_text.startswith(call(superuser, "SELECT generate('Once upon')"), len("Once upon"))
        superuser.execute("SELECT llm.drop_model('stories-hf')")
        with pytest.raises(psycopg.errors.UndefinedObject, match="no model is named") as error:
            superuser.execute("SELECT llm.generate('')")
        assert "llm.set_default_model" in error.value.diag.message_hint


WITHOUT_A_NAME = ["llm.generate('')", "generate('')", "llm.tokenize('a')", "llm.next_tokens('a')", "llm.architecture()"]


def refuses_without_a_name(connection) -> bool:
    """Whether every call that names no model is an error."""
    for query in WITHOUT_A_NAME:
        try:
            with connection.transaction():
                connection.execute(f"SELECT {query}")
            return False
        except psycopg.errors.UndefinedObject as error:
            assert "no default decoder" in error.diag.message_primary
    return True


def test_when_the_default_is_dropped_no_other_model_answers(superuser):
    """Not the last one left, not one that is loaded afterwards, not a fork; until one is chosen."""
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.set_default_model('stories-hf')")
        superuser.execute("SELECT llm.fork('stories-hf', 'stories-fork')")
        superuser.execute("SELECT llm.drop_model('stories-hf')")
        assert refuses_without_a_name(superuser)
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE family <> 'bert' AND name <> 'stories'")
        assert refuses_without_a_name(superuser)
        superuser.execute("SELECT llm.fork('stories', 'stories-next')")
        assert refuses_without_a_name(superuser)
        superuser.execute("SELECT llm.set_default_model('stories-next')")
        assert not refuses_without_a_name(superuser)


def test_a_drop_of_the_default_that_is_rolled_back_changes_nothing(superuser, author_text):
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.set_default_model('stories-hf')")
        with superuser.transaction(force_rollback=True):
            superuser.execute("SELECT llm.drop_model('stories-hf')")
            assert refuses_without_a_name(superuser)
        assert call(superuser, "SELECT llm.generate('', max_tokens => 200)") == author_text


def test_a_renamed_default_stays_the_default(superuser, author_text):
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.set_default_model('stories-hf')")
        superuser.execute("UPDATE llm_store.model SET name = 'renamed' WHERE name = 'stories-hf'")
        assert call(superuser, "SELECT llm.generate('', max_tokens => 200)") == author_text


def test_generation_writes_nothing(user, author_text):
    with user.transaction():
        user.execute("SET TRANSACTION READ ONLY")
        assert author_text.startswith(call(user, GENERATE, "", "stories", 10))


def test_explain_generates_nothing(user):
    user.execute("EXPLAIN SELECT llm.generate('', model => 'no such model')")


def test_an_edit_inside_a_transaction_is_seen_there_and_gone_after_it(superuser, author_text):
    text = call(superuser, GENERATE, "", "stories", 20)
    with superuser.transaction(force_rollback=True):
        superuser.execute(SWAP_UP_AND_GATE)
        assert call(superuser, GENERATE, "", "stories", 20) != text
    assert call(superuser, GENERATE, "", "stories", 20) == text and author_text.startswith(text)


SWAP_UP_AND_GATE = """
UPDATE llm_store.model_tensor AS mt SET tensor_hash = (
    SELECT other.tensor_hash FROM llm_store.model_tensor AS other
    WHERE other.model_id = mt.model_id AND other.name = 'blk.1.ffn_up.weight'
)
FROM llm_store.model AS m
WHERE m.id = mt.model_id AND m.name = 'stories' AND mt.name = 'blk.1.ffn_gate.weight'
"""


def test_the_plain_generate_is_refused_where_its_name_is_taken(superuser, superuser_dsn):
    """The one that is deployed takes the name from another; nothing of it changes."""
    script = Path(__file__).parents[2] / "deploy" / "function_generate_wrapper.sql"
    command = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--set", "generate_schema=public"]
    before = call(superuser, "SELECT xmin::text FROM pg_catalog.pg_proc WHERE oid = 'public.generate'::regproc")
    refused = subprocess.run(
        [*command, "--dbname", superuser_dsn, "--file", script], capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "already a function public.generate(text)" in refused.stderr and "--set generate_schema" in refused.stderr
    assert call(superuser, "SELECT xmin::text FROM pg_catalog.pg_proc WHERE oid = 'public.generate'::regproc") == before
    refused = subprocess.run(
        [*command[:-1], "generate_schema=nowhere", "--dbname", superuser_dsn, "--file", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0 and "there is no schema nowhere" in refused.stderr
