"""Tasks over texts in the server: probabilities as transformers has them, and a task's forms agree."""

import json
import shutil
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
EXPECTED = json.loads((FIXTURES / "continuations" / "expected.json").read_text(encoding="utf-8"))
TEXT, LABELS = EXPECTED["text"], EXPECTED["labels"]["labels"]
CONDITION, CRITERION = EXPECTED["yes"]["condition"], EXPECTED["rating"]["criterion"]
TEMPLATE = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}</s>{% endfor %}assistant:"
TEXTS = [TEXT, "The dog was sad.", TEXT, None, "", "{text} {labels} }} </s> It's \U0001f408"]
ENGINES = ["numpy", "compiled"]
TOO_LONG = "word " * 5000
DETAILS = "SELECT label, probability FROM llm.classify_details(%s, %s, %s)"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, data: Path, own_data: Path, tmp_path_factory: pytest.TempPathFactory):
    chatty = tmp_path_factory.mktemp("models") / "chatty"
    shutil.copytree(data / STORIES["stories-hf"], chatty)
    (chatty / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    paths = {
        "asked": data / STORIES["stories-hf"],
        "asked-Q8_0": own_data / STORIES["stories-Q8_0"],
        "asked-encoder": FIXTURES / "encoders" / "mean",
        "chatty": chatty,
    }
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        superuser.execute("SELECT llm.warm_up()")
    with loaded(loader_dsn, paths):
        yield


def query(texts: list) -> str:
    """A query of numbered texts, as the set forms take one."""
    rows = ", ".join(f"({n}, {'NULL' if t is None else quoted(t)})" for n, t in enumerate(texts, 1))
    return f"SELECT n, t FROM (VALUES {rows}) AS v (n, t)"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def template_of(connection, task: str) -> str:
    return call(connection, "SELECT template FROM llm.prompts WHERE task = %s AND is_current", task)


@pytest.mark.parametrize("engine", ENGINES)
def test_probabilities_of_labels_are_those_of_transformers_and_add_up_to_one(user, engine):
    user.execute(f"SET llm.engine = '{engine}'")
    found = dict(user.execute(DETAILS, [TEXT, LABELS, "asked"]).fetchall())
    assert [found[label] for label in LABELS] == pytest.approx(EXPECTED["labels"]["probabilities"], abs=1e-4)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    best = user.execute("SELECT * FROM llm.classify(%s, %s, 'asked')", [TEXT, LABELS]).fetchone()
    assert best == max(found.items(), key=lambda item: item[1]) == next(iter(found.items()))


@pytest.mark.parametrize("engine", ENGINES)
def test_conditions_and_ratings_are_those_of_transformers(user, engine):
    user.execute(f"SET llm.engine = '{engine}'")
    yes = call(user, "SELECT probability FROM llm.matches_query(%s, %s, 'asked')", query([TEXT]), CONDITION)
    assert yes == pytest.approx(EXPECTED["yes"]["probability"], abs=1e-4)
    rating = call(user, "SELECT llm.rate(%s, %s, 'asked')", TEXT, CRITERION)
    assert rating == pytest.approx(EXPECTED["rating"]["rating"], abs=1e-3)


def test_a_condition_is_undecided_where_no_answer_is_certain_enough(user):
    yes = EXPECTED["yes"]["probability"]
    answer, larger = yes > 0.5, max(yes, 1 - yes)
    matches = "SELECT llm.matches(%s, %s, 'asked', %s)"
    assert call(user, matches, TEXT, CONDITION, 0.5) is answer
    assert call(user, matches, TEXT, CONDITION, larger - 1e-3) is answer
    assert call(user, matches, TEXT, CONDITION, larger + 1e-3) is None


@pytest.mark.parametrize(("engine", "model"), [("numpy", "asked"), ("compiled", "asked"), ("compiled", "asked-Q8_0")])
def test_the_set_forms_give_what_the_row_forms_give_bit_for_bit(user, engine, model):
    user.execute(f"SET llm.engine = '{engine}'")
    numbered = list(enumerate(TEXTS, 1))
    labels = [
        (str(n), *user.execute("SELECT * FROM llm.classify(%s, %s, %s)", [t, LABELS, model]).fetchone(), None)
        for n, t in numbered
    ]
    assert labels[3] == ("4", None, None, None) and labels[0][2] is not None
    classified = user.execute("SELECT * FROM llm.classify_query(%s, %s, %s)", [query(TEXTS), LABELS, model]).fetchall()
    assert classified == labels
    rated = user.execute("SELECT * FROM llm.rate_query(%s, 'sad', %s)", [query(TEXTS), model]).fetchall()
    assert rated == [(str(n), call(user, "SELECT llm.rate(%s, 'sad', %s)", t, model), None) for n, t in numbered]
    matched = user.execute(
        "SELECT id, matches, error FROM llm.matches_query(%s, 'it is sad', %s, 0.5)", [query(TEXTS), model]
    ).fetchall()
    assert matched == [
        (str(n), call(user, "SELECT llm.matches(%s, 'it is sad', %s, 0.5)", t, model), None) for n, t in numbered
    ]


def test_many_rows_come_in_the_order_of_their_query(user):
    texts = [f"{'Tim ' * (n % 7)}{n}" for n in range(1, 101)]
    rows = user.execute("SELECT id, label FROM llm.classify_query(%s, %s, 'asked')", [query(texts), LABELS]).fetchall()
    assert [id for id, _ in rows] == [str(n) for n in range(1, 101)]
    assert {label for _, label in rows} <= set(LABELS)


def test_a_text_is_data_its_braces_and_control_tokens_stay_text(user):
    """Of answers of one token, the probabilities have the ratio that llm.next_tokens gives behind the whole prompt."""
    text, labels = "{labels} {text} {{x}} <s> </s> {", ["the", "and", "a"]
    prompt = template_of(user, "classify").replace("{labels}", "- the\n- and\n- a", 1).replace("{text}", text, 1)
    logprobs = dict(user.execute("SELECT token, logprob FROM llm.next_tokens(%s, 512, 'asked')", [prompt]).fetchall())
    expected = np.exp([logprobs[f" {label}"] for label in labels])
    found = dict(user.execute(DETAILS, [text, labels, "asked"]).fetchall())
    assert [found[label] for label in labels] == pytest.approx((expected / expected.sum()).tolist(), abs=1e-6)


def test_a_model_with_a_chat_template_is_asked_in_a_turn_that_a_text_cannot_end(user):
    labels = ["the", "and", "a"]
    prompt = template_of(user, "classify").replace("{labels}", "- the\n- and\n- a").replace("{text}", TEXT)
    tokens = call(user, "SELECT llm.tokenize(%s, 'chatty', FALSE, TRUE)", f"<s>user: {prompt}</s>assistant:")
    (row,) = user.execute(
        "SELECT llm.floats(logits) FROM llm.logits(%s, 'chatty') ORDER BY \"position\" DESC LIMIT 1", [tokens]
    ).fetchone()
    ids = [call(user, "SELECT llm.tokenize(%s, 'chatty', FALSE)", label) for label in labels]
    assert all(len(one) == 1 for one in ids)
    expected = np.exp([row[one[0]] for one in ids])
    found = dict(user.execute(DETAILS, [TEXT, labels, "chatty"]).fetchall())
    assert [found[label] for label in labels] == pytest.approx((expected / expected.sum()).tolist(), abs=1e-5)
    turns = "SELECT prefilled + reused FROM llm.generation_stats()"
    user.execute("SELECT llm.rate(%s, 'a', 'chatty')", ["x" * 4])
    plain = call(user, turns)
    user.execute("SELECT llm.rate(%s, 'a', 'chatty')", ["</s>"])
    assert call(user, turns) > plain - 4  # four characters of text, not one token that ends a turn


def test_a_label_may_begin_with_another(user):
    found = dict(user.execute(DETAILS, [TEXT, ["the", "the dog", "the dog and", "a"], "asked"]).fetchall())
    assert sum(found.values()) == pytest.approx(1, abs=1e-12) and min(found.values()) >= 0


def test_equal_texts_are_computed_once_in_a_statement(user):
    user.execute("SET llm.kv_cache_mb = 0")
    prefilled = "SELECT prefilled FROM llm.generation_stats()"
    computed = []
    for texts in ([TEXT], [TEXT] * 100):
        user.execute("SELECT * FROM llm.rate_query(%s, 'sad', 'asked')", [query(texts)]).fetchall()
        computed.append(call(user, prefilled))
    assert computed[0] == computed[1] > 0
    user.execute("RESET llm.kv_cache_mb")
    user.execute("SELECT llm.reset()")
    user.execute("SELECT llm.rate(%s, 'sad', 'asked') FROM generate_series(1, 5)", [TEXT]).fetchall()
    assert call(user, "SELECT reused FROM llm.generation_stats()") == 0  # a second time would reuse the first's prefix


def test_the_rows_of_a_query_share_what_their_prompts_begin_with(user):
    user.execute("SET llm.kv_cache_mb = 0")
    user.execute("SELECT * FROM llm.rate_query(%s, 'sad', 'asked-Q8_0')", [query(["a", "b", "c", "d"])]).fetchall()
    prefilled, reused = user.execute("SELECT prefilled, reused FROM llm.generation_stats()").fetchone()
    assert reused > prefilled


def test_a_text_that_cannot_be_answered_is_an_error_or_null(user):
    null = json.dumps({"on_error": "null"})
    for statement in ("llm.rate(%s, 'a', 'asked'", "llm.matches(%s, 'a', 'asked'", "llm.classify(%s, '{a,b}', 'asked'"):
        with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="longer than the model's context"):
            user.execute(f"SELECT {statement})", [TOO_LONG])
    assert call(user, "SELECT llm.rate(%s, 'a', 'asked', %s)", TOO_LONG, null) is None
    assert call(user, "SELECT llm.matches(%s, 'a', 'asked', options => %s)", TOO_LONG, null) is None
    assert call(user, "SELECT label FROM llm.classify(%s, '{a,b}', 'asked', %s)", TOO_LONG, null) is None
    assert call(user, "SELECT count(*) FROM llm.classify_details(%s, '{a,b}', 'asked', %s)", TOO_LONG, null) == 0


def test_the_rows_of_a_query_go_on_after_an_error_unless_it_is_to_be_raised(user):
    given = query(["a", TOO_LONG, "b"])
    rows = user.execute("SELECT * FROM llm.rate_query(%s, 'sad', 'asked')", [given]).fetchall()
    assert [rating is None for _, rating, _ in rows] == [False, True, False]
    assert "longer than the model's context" in rows[1][2] and rows[0][2] is rows[2][2] is None
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        user.execute("SELECT * FROM llm.rate_query(%s, 'sad', 'asked', %s)", [given, json.dumps({"on_error": "raise"})])


def test_what_is_wrong_with_a_call_is_never_an_error_of_a_row(user):
    for statement, message in (
        ("llm.classify_query('SELECT 1, ''a''', ARRAY['a', 'a'], 'asked')", "labels does not fit"),
        ("llm.classify_query('SELECT 1', ARRAY['a'], 'asked')", "1 column, not an id"),
        ("llm.rate_query('SELECT 1, ''a''', 'a', 'asked', '{\"on_error\": \"no\"}')", "on_error does not fit"),
        ("llm.matches_query('SELECT 1, ''a''', 'a', 'asked', 2)", "certainty is out of range"),
    ):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
            user.execute(f"SELECT * FROM {statement}")
    with pytest.raises(psycopg.errors.FeatureNotSupported):
        user.execute("SELECT llm.rate('a', 'b', 'asked-encoder')")


def test_an_encoder_classifies_as_scikit_learns_nearest_centroid_does(user):
    expected = EXPECTED["encoder"]
    labels = expected["labels"]
    rows = user.execute(
        "SELECT label, probability, error FROM llm.classify_query(%s, %s, 'asked-encoder')",
        [query(expected["texts"]), labels],
    ).fetchall()
    assert [label for label, _, _ in rows] == expected["nearest"] and len(set(expected["nearest"])) > 1
    vectors = [np.array(call(user, "SELECT llm.embed(%s, 'asked-encoder')", text)) for text in [TEXT, *labels]]
    units = [vector / np.linalg.norm(vector) for vector in vectors]
    weights = np.exp(20 * np.array([units[0] @ label for label in units[1:]]))
    found = dict(user.execute(DETAILS, [TEXT, labels, "asked-encoder"]).fetchall())
    assert [found[label] for label in labels] == pytest.approx((weights / weights.sum()).tolist(), abs=1e-5)
    one_by_one = [
        (*user.execute("SELECT * FROM llm.classify(%s, %s, 'asked-encoder')", [text, labels]).fetchone(), None)
        for text in expected["texts"]
    ]
    assert rows == one_by_one


def test_a_prompt_that_was_set_is_what_the_next_statement_asks(loader):
    before = call(loader, "SELECT llm.rate(%s, 'sad', 'asked')", TEXT)
    with loader.transaction(force_rollback=True):
        assert call(loader, "SELECT llm.set_prompt('rate', '{criterion} {{}} {text}')") >= 1
        assert call(loader, "SELECT llm.rate(%s, 'sad', 'asked')", TEXT) != before
        loader.execute("SELECT llm.set_prompt('rate')")
        assert call(loader, "SELECT llm.rate(%s, 'sad', 'asked')", TEXT) == before


def test_a_summary_is_what_the_model_generates_from_the_prompt(user):
    for task, given, called in (
        ("summarize", {}, "llm.summarize(%s, 'asked', 20)"),
        ("translate", {"language": "German"}, "llm.translate(%s, 'German', 'asked', 20)"),
    ):
        prompt = template_of(user, task).replace("{text}", TEXT)
        for place, value in given.items():
            prompt = prompt.replace(f"{{{place}}}", value)
        expected = call(user, "SELECT llm.generate(%s, 'asked', 20)", prompt)
        assert call(user, f"SELECT {called}", TEXT) == expected.strip()


@pytest.fixture
def by_default(superuser):
    """The story model is the default."""
    before = superuser.execute("SELECT name FROM llm.models WHERE is_default AND family <> 'bert'").fetchall()
    superuser.execute("SELECT llm.set_default_model('asked')")
    yield
    for (name,) in before:
        superuser.execute("SELECT llm.set_default_model(%s)", [name])


def test_aggregates_read_all_texts_at_once_where_they_fit(user, by_default):
    both = template_of(user, "ask_agg").replace("{question}", "Who?").replace("{text}", f"{TEXT}\n\nTim ran.")
    expected = call(user, "SELECT llm.generate(%s, 'asked', 64)", both).strip()
    asked = "SELECT llm.ask_agg(t, 'Who?' ORDER BY n) FROM (VALUES (2, 'Tim ran.'), (1, %s), (3, NULL)) AS v (n, t)"
    assert call(user, asked, TEXT) == expected


def test_aggregates_read_texts_in_groups_where_they_do_not_fit(user, by_default):
    many = "SELECT llm.summarize_agg(%s || n) FROM generate_series(1, 200) AS g (n)"
    found = call(user, many, TEXT)
    assert isinstance(found, str) and found == call(user, many, TEXT)
    assert call(user, "SELECT llm.summarize(%s, 'asked', 20)", TOO_LONG) is not None


def test_a_context_without_room_for_an_answer_is_an_error(user):
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="no room"):
        user.execute("SELECT llm.summarize('a', 'asked', 400)")
