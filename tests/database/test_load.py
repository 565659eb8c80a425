"""Loading into a server: all of a model or nothing, its bytes as they were, and nothing sent twice."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from loaders.cli import app
from loaders.gguf.container import read_container
from loaders.reader import read_model
from loaders.upload import upload as upload_module
from loaders.upload.background_uploads import Ahead
from loaders.upload.upload import upload
from plpython.model.decoder import Architecture

VIEWS = ("llm.models", "llm.tensors", "llm.tokens", "llm_atoms.atoms", "llm.files")
TABLES = ("tile", "tensor", "tensor_tile", "tokenizer", "token", "model", "model_tensor", "file_segment")


@pytest.fixture
def families() -> Path:
    """The folder of tiny random models."""
    return Path(__file__).parent.parent / "fixtures" / "families"


@pytest.fixture
def hartonomous(loader_dsn):
    """hartonomous("load", …) runs the command line as a loader."""
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--dsn", loader_dsn])


@pytest.fixture
def connection(loader_dsn):
    """A loader's connection; what the test loaded goes when it ends."""
    with psycopg.connect(loader_dsn, autocommit=True) as connection:
        before = names(connection)
        yield connection
        for name in names(connection) - before:
            connection.execute("SELECT llm.drop_model(%s)", (name,))


@pytest.fixture
def fresh(own_data, tmp_path) -> Path:
    """A copy of the story model whose weights no database has: the last bits of its numbers are random.

    Its output.weight stays equal to its embedding.
    """
    content = bytearray((own_data / "stories260K/stories260K.gguf").read_bytes())
    tensors = {tensor.name: tensor for tensor in read_container(memoryview(bytes(content))).tensors}
    first = min(tensor.offset for tensor in tensors.values())
    content[first::4] = os.urandom(len(content[first::4]))
    embedding, head = tensors["token_embd.weight"], tensors["output.weight"]
    content[head.offset : head.offset + head.bytes] = content[embedding.offset : embedding.offset + embedding.bytes]
    path = tmp_path / "fresh.gguf"
    path.write_bytes(content)
    return path


def names(connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM llm.models")}


def row_counts(superuser) -> dict[str, int]:
    return {t: superuser.execute(f"SELECT count(*) FROM llm_store.{t}").fetchone()[0] for t in TABLES}


def stored_files(connection, name: str) -> dict[str, bytes]:
    """The loaded files, put together from their segments."""
    rows = connection.execute(
        """
        SELECT f.path, string_agg(t.content, ''::bytea ORDER BY f.ordinal, tt.ordinal)
        FROM llm_store.model AS m
        INNER JOIN llm_store.file_segment AS f ON f.model_id = m.id
        LEFT JOIN llm_store.model_tensor AS mt ON mt.model_id = m.id AND mt.name = f.tensor_name
        LEFT JOIN llm_store.tensor_tile AS tt ON tt.tensor_hash = mt.tensor_hash
        INNER JOIN llm_store.tile AS t ON t.hash = coalesce(f.tile_hash, tt.tile_hash)
        WHERE m.name = %s
        GROUP BY f.path
        """,
        (name,),
    )
    return dict(rows.fetchall())


def test_a_gguf_is_loaded_listed_verified_and_dropped(own_data, hartonomous, connection):
    path = own_data / "stories260K/stories260K.gguf"
    loaded = hartonomous("load", path, "--name", "load-gguf", "--no-pack")
    assert loaded.exit_code == 0, loaded.output
    first, following = loaded.stdout.splitlines()
    assert first.startswith("loaded load-gguf: 1.2 MB, ")
    assert following == "next: SELECT llm.generate('Once upon a time', model => 'load-gguf');"
    line = next(line for line in hartonomous("list").stdout.splitlines() if line.startswith("load-gguf\t"))
    assert line.split("\t")[1:6] == ["llama", "0.3 M", "1.2 MB", "2,048", "gguf"]
    verified = hartonomous("verify", "load-gguf")
    assert verified.exit_code == 0, verified.output
    assert stored_files(connection, "load-gguf") == {path.name: path.read_bytes()}
    assert hartonomous("drop", "load-gguf").stdout == "dropped load-gguf\n"
    assert "load-gguf" not in names(connection)


def test_what_load_says_to_type_next_works(each_data, hartonomous, connection):
    loaded = hartonomous("load", each_data / "stories260K/stories260K.gguf", "--name", "load-next")
    query = loaded.stdout.splitlines()[-1].removeprefix("next: ")
    reference = (each_data / "stories260K-reference/greedy_bos_256.txt").read_text()
    text = connection.execute(query).fetchone()[0]
    assert text
    assert reference.startswith("Once upon a time" + text)


def test_a_hugging_face_folder_keeps_every_file(own_data, connection):
    folder = own_data / "stories260K-hf-derived"
    upload(connection, read_model(folder), "load-hf")
    files = stored_files(connection, "load-hf")
    assert set(files) == {path.name for path in folder.iterdir()}
    for name, content in files.items():
        assert hashlib.sha256(content).digest() == hashlib.sha256((folder / name).read_bytes()).digest()


def test_a_sharded_folder_is_loaded(connection, families):
    folder = families / "qwen3"
    upload(connection, read_model(folder), "load-sharded")
    files = stored_files(connection, "load-sharded")
    assert {name: files[name] for name in files} == {name: (folder / name).read_bytes() for name in files}
    assert sum(name.endswith(".safetensors") for name in files) == 3


def test_the_stored_architecture_is_the_files(own_data, connection):
    model = read_model(own_data / "stories260K/stories260K.gguf")
    upload(connection, model, "load-architecture")
    query = "SELECT architecture FROM llm_store.model WHERE name = 'load-architecture'"
    assert Architecture.from_config(connection.execute(query).fetchone()[0]) == model.architecture


def test_nothing_is_sent_or_stored_twice(own_data, superuser, connection):
    model = read_model(own_data / "stories260K/stories260K.gguf")
    upload(connection, model, "load-first")
    before = row_counts(superuser)
    again = upload(connection, model, "load-second")
    after = row_counts(superuser)
    assert again.sent_bytes == 0
    assert {t: after[t] for t in ("tile", "tensor", "tensor_tile", "tokenizer", "token")} == {
        t: before[t] for t in ("tile", "tensor", "tensor_tile", "tokenizer", "token")
    }
    tiles = superuser.execute("SELECT count(*), count(DISTINCT hash) FROM llm_store.tile").fetchone()
    assert tiles[0] == tiles[1]


def test_tiles_that_repeat_within_a_file_are_sent_once(fresh, connection):
    model = read_model(fresh)
    embedding, head = (
        next(t.data for t in model.tensors if t.name == n) for n in ("token_embd.weight", "output.weight")
    )
    assert embedding == head
    assert upload(connection, model, "load-repeated").sent_bytes <= model.bytes() - len(head)


def test_a_name_that_is_taken_is_refused_and_can_be_replaced(own_data, hartonomous, connection):
    gguf, folder = own_data / "stories260K/stories260K.gguf", own_data / "stories260K-hf-derived"
    assert hartonomous("load", gguf, "--name", "load-taken").exit_code == 0
    refused = hartonomous("load", folder, "--name", "load-taken")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == [
        'error: model "load-taken" already exists',
        "hint: Choose another name, drop that model first, or replace it.",
    ]
    assert container(connection, "load-taken") == "gguf"
    replaced = hartonomous("load", folder, "--name", "load-taken", "--replace")
    assert replaced.exit_code == 0, replaced.output
    assert container(connection, "load-taken") == "huggingface"


def test_a_load_ends_with_a_query_that_suits_the_model(own_data, hartonomous, connection):
    tidy = Path(__file__).resolve().parents[2] / "tidy" / "tidy.gguf"
    for file, answer in ((own_data / "stories260K/stories260K.gguf", ", there was"), (tidy, "2024-03-03")):
        told = hartonomous("load", file, "--name", "load-next").stdout.splitlines()[-1]
        query = told.removeprefix("next: ")
        assert connection.execute(query).fetchone()[0].startswith(answer)
        connection.execute("SELECT llm.drop_model('load-next')")


def test_what_is_not_a_name_is_refused_before_the_model_is_looked_at(connection):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match='"two words" is not a name for a model'):
        upload(connection, None, "two words")


def container(connection, name: str) -> str:
    return connection.execute("SELECT container FROM llm.models WHERE name = %s", (name,)).fetchone()[0]


@pytest.mark.parametrize("name", ["", "two words", "-dash", "x" * 101, "semi;colon"])
def test_a_name_that_cannot_be_one_is_refused_by_the_server(own_data, hartonomous, connection, name):
    before = names(connection)
    result = hartonomous("load", own_data / "stories260K/stories260K.gguf", f"--name={name}")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) <= 2
    assert names(connection) == before


def test_broken_files_leave_no_row_behind(each_data, superuser, hartonomous):
    files = [*each_data.glob("gguf-malformed/*.gguf"), *each_data.glob("safetensors-malformed/*.safetensors")]
    assert len(files) == 23  # 15 and 8
    before = row_counts(superuser)
    for file in files:
        assert hartonomous("load", file, "--name", "load-broken").exit_code == 1
    assert row_counts(superuser) == before


# Loads with a small batch and kills itself, as the machine might, when a part of the bytes is there.
KILLED_LOAD = """
import os, signal, sys
import psycopg
from pathlib import Path
from loaders.reader import read_model
from loaders.upload import upload

upload.BATCH_BYTES = 100_000
path, dsn, limit = sys.argv[1:]
done = 0

def progress(size):
    global done
    done += size
    if done > int(limit):
        os.kill(os.getpid(), signal.SIGKILL)

with psycopg.connect(dsn, autocommit=True) as connection:
    upload.upload(connection, read_model(Path(path)), "load-killed", progress=progress)
"""


def test_a_load_killed_half_way_shows_nothing_and_goes_on_when_run_again(fresh, superuser, loader_dsn, connection):
    before = row_counts(superuser)
    command = [sys.executable, "-c", KILLED_LOAD, str(fresh), loader_dsn, "600000"]
    killed = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
    assert killed.returncode == -signal.SIGKILL
    after = row_counts(superuser)
    assert after["tile"] > before["tile"]
    assert {t: n for t, n in after.items() if t != "tile"} == {t: n for t, n in before.items() if t != "tile"}
    assert "load-killed" not in names(connection)
    model = read_model(fresh)
    again = upload(connection, model, "load-killed")
    assert 0 < again.sent_bytes < model.bytes() - 400_000
    assert stored_files(connection, "load-killed") == {fresh.name: fresh.read_bytes()}


# Kills itself when the tokenizer and some tensors are stored ahead and only a part of the tiles.
KILLED_AHEAD = """
import os, signal, sys
import psycopg
from pathlib import Path
from loaders.reader import read_model
from loaders.upload import upload
from loaders.upload.background_uploads import Ahead

upload.BATCH_BYTES = 200_000
path, dsn = sys.argv[1:]
connect = lambda: psycopg.connect(dsn, autocommit=True)

class Killed(Ahead):
    def tensors(self, tensors):
        super().tensors(tensors)
        if tensors:
            self.wait()
            os.kill(os.getpid(), signal.SIGKILL)

with connect() as connection, Killed(connect) as beside:
    upload.upload(connection, read_model(Path(path)), "load-ahead", ahead=beside)
"""


@pytest.fixture
def fresh_f16(own_data, tmp_path) -> Path:
    """A copy of it as F16 with random weights and a vocabulary that no database has."""
    content = bytearray((own_data / "stories260K-quant-derived/stories260K-F16.gguf").read_bytes())
    first = min(tensor.offset for tensor in read_container(memoryview(bytes(content))).tensors)
    content[first::2] = os.urandom(len(content[first::2]))
    word = "\u2581little".encode()
    assert content.count(word, 0, first) > 0
    path = tmp_path / "fresh-f16.gguf"
    path.write_bytes(content.replace(word, "\u2581".encode() + os.urandom(3).hex().encode()))
    return path


def test_what_a_killed_load_stored_ahead_is_not_seen_and_is_found_or_collected(
    fresh_f16, superuser, loader_dsn, connection
):
    # llm_atoms.nearby_atoms looks at every atom of no model that is nearer: leave none of other tests.
    superuser.execute("CALL llm.collect('0 seconds')")
    stored = row_counts(superuser)
    atoms = superuser.execute("SELECT count(*) FROM llm_store.atom").fetchone()
    views = {view: superuser.execute(f"SELECT count(*) FROM {view}").fetchone() for view in VIEWS}
    command = [sys.executable, "-c", KILLED_AHEAD, str(fresh_f16), loader_dsn]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    ahead = row_counts(superuser)
    assert ahead["tokenizer"] == stored["tokenizer"] + 1
    assert ahead["tensor"] > stored["tensor"]
    assert ahead["model"] == stored["model"]
    assert {view: superuser.execute(f"SELECT count(*) FROM {view}").fetchone() for view in VIEWS} == views
    assert shown_of_no_model(superuser) == [[], [], []]
    assert upload(connection, read_model(fresh_f16), "load-ahead").sent_bytes > 0
    assert shown_of_no_model(superuser) == [[], [], []]
    assert row_counts(superuser)["tokenizer"] == ahead["tokenizer"]
    assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
    connection.execute("SELECT llm.drop_model('load-ahead')")
    superuser.execute("CALL llm.collect('0 seconds')")
    assert row_counts(superuser)["tokenizer"] <= stored["tokenizer"]
    assert superuser.execute("SELECT count(*) FROM llm_store.atom").fetchone() <= atoms


def shown_of_no_model(connection) -> list[list]:
    """What the functions of llm show of stored atoms, tensors and tokenizers that are not in llm_atoms.atoms."""

    def hashes(query: str) -> set[bytes]:
        return {row[0] for row in connection.execute(query)}

    shown = hashes("SELECT content_hash FROM llm_atoms.atoms")
    atoms = hashes("SELECT content_hash FROM llm_store.atom") - shown
    wholes = hashes("SELECT hash FROM llm_store.tensor UNION ALL SELECT hash FROM llm_store.tokenizer") - shown
    nearby = """SELECT n.content_hash FROM llm_store.atom AS a CROSS JOIN LATERAL llm_atoms.nearby_atoms(a.geom, 3) AS n
        WHERE a.content_hash = ANY (%s::bytea[])"""
    # Around these nearly all are of no model, and a search looks at all that are nearer than three that may be shown.
    near = [row for row in connection.execute(nearby, (sorted(atoms)[:3],)) if row[0] not in shown]
    step = "SELECT h.hash FROM unnest(%s::bytea[]) AS h (hash) CROSS JOIN LATERAL llm_atoms.{}(h.hash)"
    steps = (step.format(name) for name in ("decompose", "compose"))
    return [near, *(connection.execute(query, (sorted(atoms)[:100] + sorted(wholes),)).fetchall() for query in steps)]


def test_what_is_stored_ahead_is_what_publish_would_store(fresh_f16, loader_dsn, superuser, connection, monkeypatch):
    upload(connection, read_model(fresh_f16), "load-plain")
    plain = model_hash(connection, "load-plain")
    connection.execute("SELECT llm.drop_model('load-plain')")
    superuser.execute("CALL llm.collect('0 seconds')")
    monkeypatch.setattr(upload_module, "BATCH_BYTES", 100_000)
    with Ahead(lambda: psycopg.connect(loader_dsn, autocommit=True)) as ahead:
        upload(connection, read_model(fresh_f16), "load-ahead", ahead=ahead)
    assert model_hash(connection, "load-ahead") == plain
    assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
    assert connection.execute("SELECT * FROM llm.verify('load-ahead')").fetchall() == []


def test_a_tokenizer_that_the_server_refuses_ahead_ends_the_load(own_data, loader_dsn, connection, monkeypatch):
    monkeypatch.setattr(upload_module, "BATCH_BYTES", 100_000)
    model = read_model(own_data / "stories260K/stories260K.gguf")
    broken = dataclasses.replace(model, tokenizer_definition="{}")
    with Ahead(lambda: psycopg.connect(loader_dsn, autocommit=True)) as ahead, pytest.raises(psycopg.Error):
        upload(connection, broken, "load-ahead", ahead=ahead)
    assert "load-ahead" not in names(connection)


def model_hash(connection, name: str) -> bytes:
    return connection.execute("SELECT hash FROM llm.models WHERE name = %s", (name,)).fetchone()[0]


def test_a_model_is_not_seen_before_it_is_published(own_data, user, connection):
    seen = []

    def progress(_):
        seen.append("load-unseen" in names(user))

    upload(connection, read_model(own_data / "stories260K/stories260K.gguf"), "load-unseen", progress=progress)
    assert seen
    assert not any(seen)
    assert "load-unseen" in names(user)


def test_who_may_only_read_cannot_load(own_data, user):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        upload(user, read_model(own_data / "stories260K/stories260K.gguf"), "load-forbidden")


def test_the_command_line_says_which_role_is_missing_and_how_to_grant_it(own_data, superuser_dsn, user):
    role = user.execute("SELECT current_user").fetchone()[0]
    dsn = psycopg.conninfo.make_conninfo(superuser_dsn, options=f"-c role={role}")
    for arguments in (["load", str(own_data / "stories260K/stories260K.gguf"), "--name", "load-x"], ["drop", "load-x"]):
        result = CliRunner().invoke(app, [*arguments, "--dsn", dsn])
        assert result.exit_code == 1
        assert "permission denied" in result.stderr
        assert "GRANT llm_loader TO" in result.stderr


def test_a_database_without_hartonomous_says_so(own_data, superuser_dsn):
    parameters = psycopg.conninfo.conninfo_to_dict(superuser_dsn) | {"dbname": "template1"}
    dsn = psycopg.conninfo.make_conninfo("", **parameters)
    result = CliRunner().invoke(app, ["list", "--dsn", dsn])
    assert result.exit_code == 1
    assert "is hartonomous deployed in it?" in result.stderr


def test_the_tokenizer_is_stored_with_its_settings(own_data, connection):
    upload(connection, read_model(own_data / "stories260K/stories260K.gguf"), "load-tokenizer")
    rows = connection.execute(
        """
        SELECT t.definition, t.settings FROM llm_store.model AS m
        INNER JOIN llm_store.tokenizer AS t ON t.id = m.tokenizer_id WHERE m.name = 'load-tokenizer'
        """
    )
    definition, settings = rows.fetchone()
    assert json.loads(definition)["model"]["byte_fallback"] is True
    assert settings["bos_id"] == 1
    assert settings["eos_ids"] == [2]
