"""What a tokenizer cannot do is an error of the text: no row ends a batch. A load that is refused stores nothing."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from loaders.errors import SourceError
from loaders.reader import read_model
from loaders.upload.upload import upload
from plpython.server.errors import ModelError
from tests.database.models import FAMILIES, call, loaded

ENCODERS = FAMILIES.parent / "encoders"
STRANGE = "\u4e16"  # no token of either vocabulary, whose unknown token is not there
PROBLEM = "the tokenizer cannot encode the text"
TABLES = ("tile", "tensor", "tensor_tile", "tokenizer", "token", "model", "model_tensor", "file_segment")


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A decoder and an encoder whose unknown token is not in the vocabulary: the library raises for a character."""
    folders = {}
    for name, source in (("decoder", FAMILIES / "llama2"), ("encoder", ENCODERS / "mean")):
        folders[name] = tmp_path_factory.mktemp("models") / name
        shutil.copytree(source, folders[name])
        change(folders[name] / "tokenizer.json", lambda document: document["model"].update(unk_token="[gone]"))
    change(folders["encoder"] / "tokenizer_config.json", lambda own: own.update(unk_token="[gone]"))
    with loaded(loader_dsn, {f"strange-{name}": folder for name, folder in folders.items()}):
        yield


def change(path: Path, edit: Callable[[dict], None]) -> None:
    document = json.loads(path.read_text()) if path.exists() else {}
    edit(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("query", ["llm.tokenize(%s, %s)", "llm.generate(%s, %s)", "llm.logits(llm.tokenize(%s, %s))"])
def test_a_text_that_cannot_be_encoded_is_an_invalid_parameter(user, query):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=PROBLEM) as problem:
        user.execute(f"SELECT {query}", (STRANGE, "strange-decoder"))
    assert "not found in the vocabulary" in problem.value.diag.message_detail


@pytest.mark.parametrize("query", ["llm.embed(%s, %s)", "llm.chunk(%s, %s)"])
def test_so_is_one_that_cannot_be_embedded(user, query):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=PROBLEM):
        user.execute(f"SELECT {query}", (STRANGE, "strange-encoder"))


def test_in_an_array_of_prompts_it_is_the_rows_error(user):
    rows = user.execute(
        "SELECT ordinal, error FROM llm.generate_many(%s, 'strange-decoder', max_tokens => 1) ORDER BY ordinal",
        (["a", STRANGE, "b"],),
    ).fetchall()
    assert [(ordinal, error is None) for ordinal, error in rows] == [(1, True), (2, False), (3, True)]
    assert rows[1][1].startswith(PROBLEM)


QUERY = f"SELECT n, CASE n WHEN 2 THEN '{STRANGE}' ELSE 'a' END FROM generate_series(1, 3) AS n"


def test_in_a_query_it_is_the_rows_error(user):
    rows = user.execute(
        "SELECT id, error FROM llm.generate_query(%s, 'strange-decoder', max_tokens => 1) ORDER BY id", (QUERY,)
    ).fetchall()
    assert [(row_id, error is None) for row_id, error in rows] == [("1", True), ("2", False), ("3", True)]


def test_in_a_query_into_a_table_it_is_the_rows_error(user, superuser):
    superuser.execute(
        "CREATE TABLE strange_answers (id integer, response text, finish_reason text, tokens integer, error text)"
    )
    try:
        superuser.execute("GRANT SELECT, INSERT ON strange_answers TO PUBLIC")
        user.execute("CALL llm.generate_into(%s, 'strange_answers', 'strange-decoder', 1)", (QUERY,))
        rows = user.execute("SELECT id, error IS NULL FROM strange_answers ORDER BY id").fetchall()
        assert rows == [(1, True), (2, False), (3, True)]
    finally:
        superuser.execute("DROP TABLE strange_answers")


def test_among_texts_to_embed_it_has_no_embedding_and_a_warning_says_why(user):
    notices = []
    user.add_notice_handler(lambda notice: notices.append((notice.message_primary, notice.message_detail)))
    texts = ["the cat", STRANGE, None, "the mat"]
    rows = user.execute("SELECT * FROM llm.embed_many(%s, 'strange-encoder')", (texts,)).fetchall()
    assert [(ordinal, embedding is None) for ordinal, embedding in rows] == [
        (1, False),
        (2, True),
        (3, True),
        (4, False),
    ]
    assert bytes(rows[3][1]) == bytes(call(user, "SELECT llm.embed_bytes('the mat', 'strange-encoder')"))
    ((_, detail),) = [notice for notice in notices if notice[0] == "llm: 1 of 4 texts have no embedding"]
    assert detail.startswith(f"text 2: {PROBLEM}")


def _long_token(folder: Path) -> None:
    change(folder / "tokenizer.json", lambda document: document["model"]["vocab"].update({"a" * 3000: 42}))


REFUSED = {
    "a file of two lines": lambda folder: (folder / "a\nb.json").write_text("{}"),
    "a file with an escape": lambda folder: (folder / "a\x1b.txt").write_text("{}"),
    "a token that no index can hold": _long_token,
    "a template with U+0000": lambda folder: (folder / "chat_template.jinja").write_text("a\0b"),
    "an unknown key": lambda folder: change(folder / "tokenizer_config.json", lambda own: own.update(unheard_of=1)),
    "an end beyond the vocabulary": lambda folder: change(
        folder / "generation_config.json", lambda own: own.update(eos_token_id=67)
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_load_that_is_refused_stores_nothing(tmp_path, superuser, loader_dsn, reason):
    shutil.copytree(FAMILIES / "qwen3", tmp_path / "model")
    change(tmp_path / "model" / "config.json", lambda config: config.update(rms_norm_eps=3e-5))  # tiles of its own
    REFUSED[reason](tmp_path / "model")
    before = _counts(superuser)
    with psycopg.connect(loader_dsn, autocommit=True) as loader, pytest.raises((SourceError, ModelError)):
        upload(loader, read_model(tmp_path / "model"), "strange-refused")
    assert _counts(superuser) == before


def _counts(superuser: psycopg.Connection) -> dict[str, int]:
    return {t: superuser.execute(f"SELECT count(*) FROM llm_store.{t}").fetchone()[0] for t in TABLES}
