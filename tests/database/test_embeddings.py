"""llm.embed and its like: sentence-transformers' embeddings are the answers; decoders embed too."""

import json
from pathlib import Path

import numpy as np
import psycopg
import pytest

from loaders.reader import read_model
from loaders.upload.upload import upload
from tests.database.models import call, loaded

ENCODERS = Path(__file__).parent.parent / "fixtures" / "encoders"
FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"
MODELS = {"mean": ENCODERS / "mean", "cls": ENCODERS / "cls", "qwen2": FAMILIES / "qwen2"}


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str):
    with loaded(loader_dsn, MODELS):
        yield


@pytest.fixture(params=["numpy", "compiled"])
def engine(user, request) -> str:
    """The session computes with one engine, then with the other."""
    user.execute("SELECT set_config('llm.engine', %s, false)", [request.param])
    return request.param


@pytest.fixture(params=["mean", "cls"])
def encoder(request) -> str:
    return request.param


def expected(name: str) -> tuple[list[str], np.ndarray]:
    """Texts, and what sentence-transformers makes of them."""
    answers = json.loads((ENCODERS / name / "expected.json").read_text())
    return answers["texts"], np.array(answers["embeddings"], np.float32)


def many(connection, texts, *arguments) -> list[np.ndarray | None]:
    marks = "".join(", %s" for _ in arguments)
    rows = connection.execute(f"SELECT * FROM llm.embed_many(%s{marks})", (texts, *arguments)).fetchall()
    assert [ordinal for ordinal, _ in rows] == list(range(1, len(texts) + 1))
    return [None if content is None else np.frombuffer(content, "<f4") for _, content in rows]


def test_embeddings_are_those_of_sentence_transformers(user, engine, encoder):
    texts, answers = expected(encoder)
    np.testing.assert_allclose(many(user, texts, encoder), answers, rtol=0, atol=5e-6)


def test_one_text_alone_has_the_embedding_that_it_has_among_many(user, engine, encoder):
    texts, _ = expected(encoder)
    together = many(user, texts, encoder)
    for text, embedding in zip(texts, together, strict=True):
        alone = np.array(call(user, "SELECT llm.embed(%s, %s)", text, encoder), np.float32)
        np.testing.assert_array_equal(alone, embedding)
        assert call(user, "SELECT llm.embed_bytes(%s, %s)", text, encoder) == embedding.tobytes()


def test_null_among_many_texts_has_the_embedding_null(user):
    found = many(user, ["a", None, "b"], "mean")
    assert found[1] is None and found[0] is not None and found[2] is not None


def test_a_timeout_ends_the_embedding_of_many_texts_and_the_session_goes_on(user):
    user.execute("SET llm.engine = 'numpy'")
    user.execute("SET statement_timeout = '200ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        user.execute("SELECT count(*) FROM llm.embed_many(array_fill('the cat'::text, ARRAY[200000]), 'mean')")
    user.execute("RESET statement_timeout")
    assert len(call(user, "SELECT llm.embed('a', 'mean')")) == 64


def test_a_timeout_ends_the_chunking_of_a_long_text_and_the_session_goes_on(user):
    user.execute("SELECT llm.embed('a', 'mean')")
    user.execute("SET statement_timeout = '300ms'")
    with pytest.raises(psycopg.errors.QueryCanceled):
        user.execute("SELECT count(*) FROM llm.chunk(repeat('word ', 1000000), 'mean')")
    user.execute("RESET statement_timeout")
    rows = user.execute("SELECT chunk FROM llm.chunk('the cat', 'mean')").fetchall()
    assert rows == [("the cat",)]


def test_a_very_long_text_has_the_embedding_of_its_beginning(user, engine):
    texts = ["the cat " * count for count in (100, 400_000)]
    beginning, whole = many(user, texts, "mean")
    np.testing.assert_array_equal(whole, beginning)


def test_no_texts_have_no_embeddings(user):
    assert many(user, [], "mean") == []


def test_similarity_is_the_cosine_of_arrays_and_of_bytes(user):
    a, b = many(user, ["the cat", "hello world"], "cls")
    cosine = float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    query = "SELECT llm.similarity(llm.{0}(%s, 'cls'), llm.{0}(%s, 'cls'))"
    for function in ("embed", "embed_bytes"):
        assert call(user, query.format(function), "the cat", "hello world") == pytest.approx(cosine, abs=1e-6)


def test_a_decoder_embeds_too_by_the_mean_or_by_the_last_token(user, engine):
    mean = np.array(call(user, "SELECT llm.embed('the hat', 'qwen2')"))
    last = np.array(call(user, "SELECT llm.embed('the hat', 'qwen2', 'last')"))
    assert len(mean) == 42 and abs(mean @ mean - 1) < 1e-5 and abs(last @ last - 1) < 1e-5
    assert mean @ last < 0.999


def test_both_engines_embed_with_a_decoder_alike(user):
    texts = ["the hat", "a cat in the hat, " * 9]
    found = []
    for name in ("numpy", "compiled"):
        user.execute("SELECT set_config('llm.engine', %s, false)", [name])
        found.append(many(user, texts, "qwen2", "last"))
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-5)


def test_a_decoders_last_vector_is_the_one_that_its_logits_come_from(user):
    """The head of qwen2 is its embedding: the logits of the last token are the vector before normalising, times it."""
    user.execute("SET llm.engine = 'numpy'")
    tokens = call(user, "SELECT llm.tokenize('the hat', 'qwen2')")
    table = call(user, "SELECT llm.embedding(%s::int[], 'qwen2')", list(range(67)))
    table = np.frombuffer(table, "<f4").reshape(67, 42)
    vector = np.array(call(user, "SELECT llm.embed('the hat', 'qwen2', 'last')"), np.float32)
    rows = user.execute("SELECT logits FROM llm.logits(%s::int[], 'qwen2')", [tokens]).fetchall()
    logits = np.frombuffer(rows[-1][0], "<f4")
    ratio = logits / (table @ vector)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT llm.generate('a', 'mean')",
        "SELECT * FROM llm.generate_many(ARRAY['a'], 'mean')",
        "SELECT * FROM llm.next_tokens('a', 3, 'mean')",
        "SELECT * FROM llm.logits(ARRAY[5], 'mean')",
        "SELECT llm.forward(ARRAY[5], 'mean')",
        "SELECT llm.new_kv_cache('mean')",
        "SELECT llm.rope(llm.embedding(ARRAY[5], 'mean'), ARRAY[0], 'mean')",
    ],
)
def test_what_only_a_decoder_can_do_says_so_of_an_encoder(user, query):
    with pytest.raises(psycopg.errors.FeatureNotSupported, match='"mean" is an encoder') as error:
        user.execute(query)
    assert "llm.embed" in error.value.diag.message_hint


@pytest.mark.parametrize(("model", "pooling"), [("mean", "last"), ("qwen2", "cls"), ("mean", "max")])
def test_a_pooling_that_the_model_does_not_have_is_an_error(user, model, pooling):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="pooling"):
        user.execute("SELECT llm.embed('a', %s, %s)", [model, pooling])


@pytest.fixture
def owner(loader_dsn: str):
    """A transaction of the models' owner that comes to nothing."""
    with psycopg.connect(loader_dsn) as connection:
        yield connection
        connection.rollback()


def test_a_default_of_each_kind_is_chosen_apart(owner):
    owner.execute("SELECT llm.set_default_model('cls'), llm.set_default_model('qwen2')")
    defaults = owner.execute("SELECT name FROM llm.models WHERE is_default ORDER BY 1").fetchall()
    assert defaults == [("cls",), ("qwen2",)]
    assert call(owner, "SELECT llm.embed_bytes('a')") == call(owner, "SELECT llm.embed_bytes('a', 'cls')")


def test_when_the_default_encoder_is_dropped_no_other_model_embeds(owner):
    owner.execute("SELECT llm.set_default_model('cls')")
    owner.execute("SELECT llm.drop_model('cls')")
    for query in ("llm.embed('a')", "llm.embed_bytes('a')", "llm.similarity('a', 'b')"):
        with pytest.raises(psycopg.errors.UndefinedObject, match="no default encoder"), owner.transaction():
            owner.execute(f"SELECT {query}")


def test_two_texts_are_compared_by_meaning(user):
    query = "SELECT llm.similarity(llm.embed_bytes('a cat', 'cls'), llm.embed_bytes('a dog', 'cls'))"
    assert call(user, "SELECT llm.similarity('a cat', 'a dog', 'cls')") == call(user, query)
    assert call(user, "SELECT llm.similarity('a cat', %s, 'cls')", "a cat") == pytest.approx(1)
    assert call(user, "SELECT llm.similarity('a', %s)", None) is None


def test_without_a_name_the_default_encoder_embeds_and_a_decoder_generates(owner):
    owner.execute("SELECT llm.set_default_model('cls'), llm.set_default_model('qwen2')")
    assert len(call(owner, "SELECT llm.embed('a')")) == 36
    owner.execute("SET LOCAL llm.engine = 'numpy'")
    generated = call(owner, "SELECT llm.generate('a', max_tokens => 1)")
    assert generated == call(owner, "SELECT llm.generate('a', 'qwen2', max_tokens => 1)")


def test_an_encoder_in_eight_bits_is_close(loader, engine):
    loader.execute("SELECT llm.quantize('mean', 'mean-q8', 'Q8_0')")
    try:
        loader.execute("SELECT set_config('llm.engine', %s, false)", [engine])
        texts, answers = expected("mean")
        found = np.array(many(loader, texts, "mean-q8"))
        assert (found * answers).sum(axis=1).min() > 0.999
    finally:
        loader.execute("SELECT llm.drop_model('mean-q8')")


def test_a_loaded_folder_comes_back_byte_for_byte(loader_dsn, tmp_path):
    from loaders.export.export import export, plan_export

    with psycopg.connect(loader_dsn, autocommit=True) as connection:
        export(connection, plan_export(connection, "mean", tmp_path / "out", None, False))
    for path in ("config.json", "model.safetensors", "1_Pooling/config.json"):
        assert (tmp_path / "out" / path).read_bytes() == (ENCODERS / "mean" / path).read_bytes()


def test_a_model_can_be_published_again_under_its_name(loader_dsn, user):
    with psycopg.connect(loader_dsn, autocommit=True) as connection:
        upload(connection, read_model(ENCODERS / "mean"), "mean", replace=True)
    assert len(call(user, "SELECT llm.embed('a', 'mean')")) == 64


def test_a_truncated_text_is_told_once_a_statement(user):
    said = []
    user.add_notice_handler(lambda diagnostic: said.append((diagnostic.severity, diagnostic.message_primary)))
    user.execute("SET llm.engine = numpy")
    truncated = [("NOTICE", "llm: a text was truncated")]
    user.execute("SELECT llm.embed('the cat', 'cls')")
    assert said == []
    user.execute("SELECT llm.embed(repeat('the cat ', 300), 'cls') FROM generate_series(1, 3)")
    assert said == truncated
    user.execute("SELECT * FROM llm.embed_many(array_fill(repeat('the cat ', 300), '{3}'), 'cls')")
    assert said == 2 * truncated


def test_a_list_of_python_goes_in_as_it_came_out(user):
    one, other = (call(user, "SELECT llm.embed(%s, 'cls')", text) for text in ("a cat", "a dog"))
    as_bytes = "SELECT llm.similarity(llm.embed_bytes('a cat', 'cls'), llm.embed_bytes('a dog', 'cls'))"
    assert call(user, "SELECT llm.similarity(%s, %s)", one, other) == pytest.approx(call(user, as_bytes), abs=1e-6)
    assert call(user, "SELECT llm.similarity(llm.embed('a cat', 'cls'), %s)", one) == pytest.approx(1)
    for numbers in ("ARRAY[3, 4]", "ARRAY[3.0, 4.0]", "'{3,4}'::real[]"):
        assert call(user, f"SELECT llm.similarity({numbers}, ARRAY[4, 3])") == pytest.approx(0.96)
