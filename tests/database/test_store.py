"""Loading, sharing, dropping and collecting models, from several sessions and as roles that may do no more."""

import hashlib
import json
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest

from plpython.model.decoder import Architecture

ARCHITECTURE = Architecture(
    family="llama",
    vocabulary_size=3,
    hidden_size=4,
    layers=2,
    heads=2,
    kv_heads=1,
    head_dim=2,
    ffn_size=6,
    context_length=16,
    norm_epsilon=1e-5,
    rope_theta=10000.0,
    rope_interleaved=True,
    tied_embeddings=True,
)
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
TOKENIZER = json.dumps(
    {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]},
    }
)
ORPHANS = """
SELECT 'tensor tile' FROM llm_store.tensor_tile AS u
WHERE NOT EXISTS (SELECT FROM llm_store.tile AS t WHERE t.hash = u.tile_hash)
UNION ALL
SELECT 'model tensor' FROM llm_store.model_tensor AS m
WHERE NOT EXISTS (SELECT FROM llm_store.tensor AS t WHERE t.hash = m.tensor_hash)
UNION ALL
SELECT 'token' FROM llm_store.token AS t
WHERE NOT EXISTS (SELECT FROM llm_store.tokenizer AS k WHERE k.id = t.tokenizer_id)
"""


def contents(seed: int, own: int = 0) -> dict[str, bytes]:
    """Random weights by tensor name; two models that differ in `own` alone differ in one tensor."""
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.standard_normal(shape).astype("<f4").tobytes() for name, shape in ARCHITECTURE.tensors().items()
    }
    weights["output_norm.weight"] = np.full(ARCHITECTURE.hidden_size, own, "<f4").tobytes()
    return weights


def manifest(weights: dict[str, bytes]) -> str:
    shapes = ARCHITECTURE.tensors()
    tensors = [
        {"name": name, "type": "F32", "shape": list(shapes[name]), "tiles": [hashlib.sha256(content).hexdigest()]}
        for name, content in weights.items()
    ]
    return json.dumps(
        {
            "architecture": ARCHITECTURE.to_config(),
            "tokenizer_settings": {},
            "container": "gguf",
            "tensors": tensors,
            "files": [{"path": "model.gguf", "segments": [{"tensor": name} for name in weights]}],
        }
    )


def upload(connection: psycopg.Connection, weights: dict[str, bytes]) -> None:
    with connection.cursor().copy("COPY llm_store.upload (content) FROM STDIN BINARY") as copy:
        copy.set_types(["bytea"])
        for content in weights.values():
            copy.write_row([content])


def publish(connection: psycopg.Connection, name: str, weights: dict[str, bytes], tokenizer: str = TOKENIZER) -> int:
    query = "SELECT llm_store.publish(%s, %s::jsonb, %s)"
    return connection.execute(query, [name, manifest(weights), tokenizer]).fetchone()[0]


def load(connection: psycopg.Connection, name: str, weights: dict[str, bytes]) -> int:
    upload(connection, weights)
    return publish(connection, name, weights)


def names(connection: psycopg.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM llm.models")}


def problems(connection: psycopg.Connection, name: str) -> list:
    return connection.execute("SELECT * FROM llm.verify(%s)", [name]).fetchall()


@pytest.fixture
def clean(superuser: psycopg.Connection):
    """Models whose names begin with "store-" go when the test ends, and what they leave."""
    yield
    for (name,) in superuser.execute("SELECT name FROM llm.models WHERE name LIKE 'store-%'").fetchall():
        superuser.execute("SELECT llm.drop_model(%s)", [name])
    superuser.execute("CALL llm.collect('0')")


@pytest.mark.usefixtures("clean")
def test_a_model_appears_with_the_commit_and_not_before(loader, user):
    weights = contents(1)
    upload(loader, weights)
    with loader.transaction():
        publish(loader, "store-1", weights)
        assert "store-1" in names(loader)
        assert "store-1" not in names(user)
    assert "store-1" in names(user)
    assert problems(user, "store-1") == []


@pytest.mark.usefixtures("clean")
def test_a_rollback_leaves_nothing_but_tiles_that_collect_removes(loader, superuser):
    weights = contents(2)
    upload(loader, weights)
    with loader.transaction(force_rollback=True):
        publish(loader, "store-1", weights)
    tiles = [hashlib.sha256(content).digest() for content in weights.values()]
    assert loader.execute("SELECT count(*) FROM llm_store.missing_tiles(%s)", [tiles]).fetchone() == (0,)
    assert "store-1" not in names(loader)
    loader.execute("CALL llm.collect('0')")
    assert loader.execute("SELECT count(*) FROM llm_store.missing_tiles(%s)", [tiles]).fetchone() == (len(set(tiles)),)


@pytest.mark.usefixtures("clean")
def test_what_was_refused_leaves_no_row(loader, superuser):
    weights = contents(3)
    upload(loader, dict(list(weights.items())[:-1]))
    tables = ("tensor", "tensor_tile", "tokenizer", "token", "model", "model_tensor", "file_segment")

    def counts() -> list:
        return [superuser.execute(f"SELECT count(*) FROM llm_store.{table}").fetchone() for table in tables]

    before = counts()
    with pytest.raises(psycopg.errors.UndefinedObject, match="is not stored") as raised:
        publish(loader, "store-1", weights)
    assert "llm_store.missing_tiles" in raised.value.diag.message_hint
    assert counts() == before


@pytest.mark.usefixtures("clean")
def test_equal_models_have_equal_hashes_and_store_nothing_twice(loader, superuser):
    def stored() -> int:
        return superuser.execute("SELECT count(*) FROM llm_store.tile").fetchone()[0]

    load(loader, "store-1", contents(4))
    before = stored()
    load(loader, "store-2", contents(4))
    assert stored() == before
    load(loader, "store-3", contents(4, own=1))
    assert stored() == before + 1
    query = "SELECT hash FROM llm.models WHERE name LIKE 'store-%' ORDER BY name"
    first, second, third = (bytes(row[0]) for row in loader.execute(query))
    assert first == second != third


@pytest.mark.usefixtures("clean")
def test_the_stored_arrays_are_the_loaded_ones(loader, superuser):
    weights = contents(5)
    load(loader, "store-1", weights)
    query = """
    SELECT t.name, string_agg(s.content, '' ORDER BY u.ordinal)
    FROM llm.tensors AS t
    INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
    INNER JOIN llm_store.tile AS s ON s.hash = u.tile_hash
    WHERE t.model = 'store-1' GROUP BY t.name
    """
    assert {name: bytes(content) for name, content in superuser.execute(query)} == weights


@pytest.mark.usefixtures("clean")
def test_the_qwen_vocabulary_becomes_one_row_a_token(loader, each_data):
    definition = (each_data / "tokenizers" / "qwen2.5" / "tokenizer.json").read_text(encoding="utf-8")
    library = json.loads(definition)
    known = len(library["model"]["vocab"].keys() | {token["content"] for token in library["added_tokens"]})
    settings = json.dumps({"vocabulary_size": known + 271})
    (tokenizer,) = loader.execute("SELECT llm_store.store_tokenizer(%s, %s)", [definition, settings]).fetchone()
    words = [library["model"]["vocab"][word] for word in ("Hello", "\u0120world")]  # 9707 and 1879 of Qwen2.5
    query = """
    SELECT count(*), count(*) FILTER (WHERE kind = 'unused'), max(id),
        string_agg(bytes, '' ORDER BY id = %s DESC) FILTER (WHERE id = ANY (%s))
    FROM llm_store.token WHERE tokenizer_id = %s
    """
    rows, unused, last, hello_world = loader.execute(query, [words[0], words, tokenizer]).fetchone()
    assert (rows, unused, last) == (known + 271, 271, known + 270)
    assert bytes(hello_world) == b"Hello world"


@pytest.mark.usefixtures("clean")
def test_a_flipped_bit_stops_the_model_and_is_named(loader, superuser_dsn):
    load(loader, "store-1", contents(6))
    with psycopg.connect(superuser_dsn) as superuser:  # nothing is committed
        superuser.execute("ALTER TABLE llm_store.tile ALTER COLUMN hash DROP EXPRESSION")
        superuser.execute("""
            UPDATE llm_store.tile SET content = set_bit(content, 9, 1 - get_bit(content, 9)) WHERE hash = (
                SELECT u.tile_hash FROM llm.tensors AS t
                INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
                WHERE t.model = 'store-1' AND t.name = 'blk.1.ffn_up.weight')""")
        assert problems(superuser, "store-1") == [("blk.1.ffn_up.weight", "tile 0 has changed")]
        with pytest.raises(psycopg.errors.DataCorrupted, match=r"blk\.1\.ffn_up\.weight"):
            superuser.execute("SELECT llm.generate('ab', model => 'store-1', max_tokens => 2)")
        superuser.rollback()
    assert problems(loader, "store-1") == []


@pytest.mark.usefixtures("clean")
def test_a_row_whose_tile_is_missing_is_an_error_that_names_the_tensor(loader, superuser_dsn):
    load(loader, "store-1", contents(6))
    with psycopg.connect(superuser_dsn) as superuser:  # nothing is committed
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("""
            DELETE FROM llm_store.tile WHERE hash IN (
                SELECT u.tile_hash FROM llm.tensors AS t
                INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
                WHERE t.model = 'store-1' AND t.name = 'blk.1.ffn_up.weight')""")
        with pytest.raises(psycopg.errors.DataCorrupted, match=r"blk\.1\.ffn_up\.weight"):
            superuser.execute("SELECT llm.weight('blk.1.ffn_up.weight', 0, 0, 'store-1')")
        superuser.rollback()


@pytest.mark.usefixtures("clean")
def test_a_load_that_is_not_committed_keeps_what_it_needs_from_collect(connect_as: Callable):
    one, two = connect_as("llm_loader"), connect_as("llm_loader")
    weights = contents(7)
    upload(one, weights)
    with one.transaction():
        publish(one, "store-1", weights)
        two.execute("SET statement_timeout = '5s'")  # it must not wait for the load either
        two.execute("CALL llm.collect('0')")
    assert problems(one, "store-1") == []


@pytest.mark.usefixtures("clean")
def test_a_tensor_that_collect_removes_is_stored_again_by_the_load_that_waited(connect_as: Callable, superuser):
    one, two = connect_as("llm_loader"), connect_as("llm_loader")
    weights = contents(8)
    load(one, "store-1", weights)
    one.execute("SELECT llm.drop_model('store-1')")
    with one.transaction():
        one.execute("SELECT llm_store.collect_batch('1 day', 1000)")  # tensors go, the young tiles stay
        publishing = threading.Thread(target=publish, args=(two, "store-2", weights))
        publishing.start()
        publishing.join(0.3)
        assert publishing.is_alive(), "it waits for the rows that are going"
    publishing.join(10)
    assert problems(one, "store-2") == []


@pytest.mark.usefixtures("clean")
def test_four_sessions_that_load_and_drop_and_collect_leave_no_orphan_and_never_deadlock(connect_as, superuser):
    connections = [connect_as("llm_loader") for _ in range(4)]
    expected = (
        psycopg.errors.UndefinedObject,  # a tile was collected between upload and publish: the loader tries again
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.DuplicateObject,
    )

    def work(number: int) -> int:
        random_number = random.Random(number)
        connection, done = connections[number], 0
        for step in range(25):
            name = f"store-{number}-{random_number.randrange(3)}"
            try:
                if random_number.random() < 0.5:
                    load(connection, name, contents(random_number.randrange(3), random_number.randrange(3)))
                elif random_number.random() < 0.5:
                    connection.execute("SELECT llm.drop_model(%s)", [name])
                elif random_number.random() < 0.5:
                    with connection.transaction(force_rollback=True):
                        load(connection, f"store-{number}-{step}", contents(random_number.randrange(3)))
                else:
                    connection.execute("CALL llm.collect('0')")
                done += 1
            except expected:
                pass
        return done

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) > 25
    assert superuser.execute(ORPHANS).fetchall() == []
    for name in names(superuser):
        if name.startswith("store-"):
            assert problems(superuser, name) == []


def test_a_user_may_not_upload_publish_drop_or_collect(user):
    for statement in (
        "COPY llm_store.upload (content) FROM STDIN BINARY",
        "INSERT INTO llm_store.tile (content) VALUES ('x')",
        "SELECT llm_store.missing_tiles('{}')",
        "SELECT llm_store.publish('store-1', '{}', '{}')",
        "SELECT llm.drop_model('store-1')",
        "SELECT llm.set_default_model('store-1')",
        "CALL llm.collect()",
        "SELECT llm_store.store_tokenizer('{}', '{}')",
        "SELECT llm_store.store_tensors('[]')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute(statement)


def test_a_loader_writes_by_the_doors_only(loader):
    for statement in (
        "INSERT INTO llm_store.tile (content, stored_at) VALUES ('x', 'infinity')",
        "UPDATE llm_store.tile SET content = 'x'",
        "DELETE FROM llm_store.tile",
        "INSERT INTO llm_store.tensor VALUES (sha256('x'), 'F32', '{1}', 1, 4)",
        "INSERT INTO llm_store.tensor_tile VALUES (sha256('x'), 0, sha256('x'))",
        "INSERT INTO llm_store.token VALUES (1, 1, 'x', 'x', 'normal')",
        "UPDATE llm_store.model SET hash = sha256('x')",
        "UPDATE llm_store.model SET owner = 'postgres'",
        "UPDATE llm_store.model_tensor SET name = 'x'",
        "TRUNCATE llm_store.model CASCADE",
        "CREATE TABLE llm_store.mine ()",
        "CREATE FUNCTION llm.mine() RETURNS integer LANGUAGE sql RETURN 1",
        "CREATE OR REPLACE FUNCTION llm_runtime.reference__operators() RETURNS void LANGUAGE plpython3u AS 'pass'",
        "ALTER TABLE llm_store.model DISABLE ROW LEVEL SECURITY",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            loader.execute(statement)


@pytest.mark.usefixtures("clean")
def test_a_loader_drops_its_own_models_and_those_of_its_teams(connect_as: Callable, superuser):
    ann, bob = connect_as("llm_loader"), connect_as("llm_loader")
    load(ann, "store-1", contents(9))
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match='must be owner of model "store-1"'):
        bob.execute("SELECT llm.drop_model('store-1')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match='must be owner of model "store-1"'):
        bob.execute(
            "SELECT llm_store.publish('store-1', %s::jsonb, %s, replace => true)", [manifest(contents(9)), TOKENIZER]
        )
    anns_role, bobs_role = (c.execute("SELECT session_user").fetchone()[0] for c in (ann, bob))
    superuser.execute(f'GRANT "{anns_role}" TO "{bobs_role}"')
    bob.execute("SELECT llm.drop_model('store-1')")
    assert "store-1" not in names(ann)


@pytest.mark.usefixtures("clean")
def test_a_replaced_default_model_stays_the_default(loader, superuser):
    before = superuser.execute("SELECT name FROM llm.models WHERE is_default AND family <> 'bert'").fetchone()
    try:
        load(loader, "store-1", contents(10))
        superuser.execute("SELECT llm.set_default_model('store-1')")
        loader.execute(
            "SELECT llm_store.publish('store-1', %s::jsonb, %s, replace => true)", [manifest(contents(10)), TOKENIZER]
        )
        assert ("store-1",) in loader.execute("SELECT name FROM llm.models WHERE is_default").fetchall()
    finally:
        if before is not None:
            superuser.execute("SELECT llm.set_default_model(%s)", before)


@pytest.mark.usefixtures("clean")
def test_a_loader_acts_as_the_role_that_it_has_set(connect_as: Callable, superuser):
    team, member = connect_as("llm_loader"), connect_as("llm_loader")
    team_role, member_role = (c.execute("SELECT session_user").fetchone()[0] for c in (team, member))
    superuser.execute(f'GRANT "{team_role}" TO "{member_role}"')
    member.execute(f'SET ROLE "{team_role}"')
    load(member, "store-1", contents(11))
    member.execute("RESET ROLE")
    assert member.execute("SELECT owner::text FROM llm.models WHERE name = 'store-1'").fetchone() == (team_role,)
