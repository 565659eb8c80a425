"""The compiled engine in the server: its answers, and packed weights that sessions share, mend, evict and race for."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest
from safetensors.numpy import save_file

from tests.database.models import FAMILIES, STORIES, call, loaded

REFERENCE = "stories260K-reference"
GENERATE = "SELECT llm.generate(%s, model => %s, max_tokens => %s)"
# Largest difference from the logits of the dequantised weights in float32, whose standard deviation is 7.4: F16 rounds
# keys and values to half precision, the others also activations to int8.
TOLERANCES = {"F16": 0.05, "Q8_0": 0.8, "Q4_0": 0.8}
BIG = {"vocab_size": 67, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 3}
HEADS = {"num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64}


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path, tmp_path_factory) -> Iterator[None]:
    """The story models and a larger one, and the engine compiled."""
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    paths = {f"pack-{name}": own_data / path for name, path in STORIES.items()}
    paths["pack-big"] = big_model(tmp_path_factory.mktemp("big"))
    with loaded(loader_dsn, paths):
        yield


@pytest.fixture(scope="module")
def answered(loader_dsn: str, each_data: Path) -> Iterator[Path]:
    """A folder of data with answers; its story models are there as answered-…"""
    with loaded(loader_dsn, {f"answered-{name}": each_data / path for name, path in STORIES.items()}):
        yield each_data


def big_model(folder: Path) -> Path:
    """A Llama of 40 MB with random weights: packing it takes long enough to be disturbed."""
    source = FAMILIES / "llama2"
    config = json.loads((source / "config.json").read_text()) | BIG | HEADS
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    hidden, ffn, kv = BIG["hidden_size"], BIG["intermediate_size"], HEADS["num_key_value_heads"] * HEADS["head_dim"]
    shapes = {"model.embed_tokens": (67, hidden), "lm_head": (67, hidden), "model.norm": (hidden,)}
    for layer in range(BIG["num_hidden_layers"]):
        shapes |= {
            f"model.layers.{layer}.{name}": shape
            for name, shape in {
                "input_layernorm": (hidden,),
                "post_attention_layernorm": (hidden,),
                "self_attn.q_proj": (hidden, hidden),
                "self_attn.k_proj": (kv, hidden),
                "self_attn.v_proj": (kv, hidden),
                "self_attn.o_proj": (hidden, hidden),
                "mlp.gate_proj": (ffn, hidden),
                "mlp.up_proj": (ffn, hidden),
                "mlp.down_proj": (hidden, ffn),
            }.items()
        }
    rng = np.random.default_rng(7)
    weights = {
        f"{name}.weight": rng.normal(0 if len(shape) > 1 else 1, shape[-1] ** -0.5, shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture
def new_session(connect_as: Callable) -> Callable[[], psycopg.Connection]:
    """new_session() is a session of a loader that runs the compiled engine; its notices are in `.told`."""

    def new() -> psycopg.Connection:
        connection = connect_as("llm_loader")
        connection.execute("SET llm.engine = 'compiled'")
        connection.told = []
        connection.add_notice_handler(lambda notice: connection.told.append(notice.message_primary))
        return connection

    return new


@pytest.fixture
def session(new_session) -> psycopg.Connection:
    return new_session()


@pytest.fixture(scope="module")
def author_text(own_data: Path) -> str:
    return (own_data / REFERENCE / "karpathy_expected_stdout_n200.txt").read_text()


@pytest.fixture
def partial_files(on_server) -> Callable[[], list[str]]:
    return lambda: on_server("found = [str(path) for path in packed.glob('*/*.partial')]")


def logits(connection, tokens, model):
    rows = connection.execute("SELECT logits FROM llm.logits(%s, %s) ORDER BY position", [tokens, model])
    return np.array([np.frombuffer(row, "<f4") for (row,) in rows])


def cache(connection, model):
    """The row of llm.cache, or None."""
    return connection.execute("SELECT * FROM llm.cache WHERE model = %s", [model]).fetchone()


# Answers


def test_the_compiled_engine_runs_where_it_is_asked_for(session):
    assert call(session, "SELECT llm.engine()").startswith("compiled by numba")


@pytest.mark.parametrize("model", ["answered-stories", "answered-stories-hf"])
def test_the_authors_text_byte_for_byte(session, answered, model):
    expected = (answered / REFERENCE / "karpathy_expected_stdout_n200.txt").read_text()
    assert call(session, GENERATE, "", model, 200) == expected


@pytest.mark.parametrize("case", ["case2", "case3"])
def test_logits_are_the_references_at_every_position(session, answered, case):
    tokens = json.loads((answered / REFERENCE / f"{case}.json").read_text())["tokens"]
    expected = np.fromfile(answered / REFERENCE / f"{case}.logits.f32", "<f4").reshape(len(tokens), -1)
    np.testing.assert_allclose(logits(session, tokens, "answered-stories"), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", TOLERANCES)
def test_logits_of_quantised_copies_are_near_those_of_the_dequantised_weights(session, answered, kind):
    folder = answered / "stories260K-quant-derived"
    cases = {case["file"]: case["tokens"] for case in json.loads((folder / "expected.json").read_text())}
    tokens = cases[f"stories260K-{kind}.gguf"]
    expected = np.fromfile(folder / f"{kind}.case2.logits.f32", "<f4").reshape(len(tokens), -1)
    computed = logits(session, tokens, f"answered-stories-{kind}")
    np.testing.assert_allclose(computed, expected, rtol=0, atol=TOLERANCES[kind])
    assert np.mean(computed.argmax(1) == expected.argmax(1)) > 0.95


def test_both_engines_can_be_used_in_one_session(session, author_text):
    for engine in ("numpy", "compiled", "numpy"):
        session.execute(f"SET llm.engine = '{engine}'")
        assert author_text.startswith(call(session, GENERATE, "", "pack-stories", 30))


def test_weights_that_are_mapped_are_not_decoded_too(superuser_dsn):
    with psycopg.connect(superuser_dsn, autocommit=True) as fresh:
        fresh.execute("SET llm.engine = 'compiled'")
        call(fresh, GENERATE, "", "pack-stories", 5)
        fresh.execute(
            """DO $do$
            import sys
            assert sys.modules[GD['llm']._package + '.weights.tensors'].cache.bytes == 0
            $do$ LANGUAGE plpython3u"""
        )


# Shared files


def test_the_first_use_packs_and_the_cache_tells_it(session):
    session.execute("SELECT llm.evict('pack-stories')")
    assert cache(session, "pack-stories") is None or cache(session, "pack-stories")[1] == 0
    call(session, GENERATE, "", "pack-stories", 1)
    _, tensors, of_tensors, size, built, last_used = cache(session, "pack-stories")
    assert tensors == of_tensors > 40
    assert size > call(session, "SELECT llm.pack('pack-stories')") > 1_000_000
    assert built <= last_used


def test_models_share_the_files_of_equal_tensors(session):
    session.execute("SELECT llm.evict()")
    call(session, "SELECT llm.pack('pack-stories')")
    packed = call(session, "SELECT count(*) FROM llm.packed_tensors()")
    call(session, "SELECT llm.pack('pack-stories-F16')")
    norms = 11
    assert call(session, "SELECT count(*) FROM llm.packed_tensors()") == 2 * packed - norms


def test_sessions_that_pack_at_once_share_the_work_and_end_alike(new_session, session, partial_files):
    session.execute("SELECT llm.evict('pack-big')")
    sessions = [new_session() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        sizes = list(pool.map(lambda one: call(one, "SELECT llm.pack('pack-big')"), sessions))
        texts = list(pool.map(lambda one: call(one, GENERATE, "a", "pack-big", 20), sessions))
    assert len(set(sizes)) == len(set(texts)) == 1
    assert cache(session, "pack-big")[1] == cache(session, "pack-big")[2]
    assert partial_files() == []


@pytest.mark.parametrize("how", ["pg_cancel_backend", "pg_terminate_backend"])
def test_packing_that_is_ended_at_random_moments_is_taken_up_by_the_next(new_session, superuser, how, partial_files):
    expected = call(new_session(), GENERATE, "a", "pack-big", 20)
    moments, ended = random.Random(3), 0
    for _ in range(6):
        packing = new_session()
        packing.execute("SELECT llm.evict('pack-big')")
        timer = threading.Timer(
            moments.uniform(0, 0.15), superuser.execute, [f"SELECT {how}({packing.info.backend_pid})"]
        )
        timer.start()
        try:
            packing.execute("SELECT llm.pack('pack-big')")
        except (psycopg.errors.QueryCanceled, psycopg.errors.AdminShutdown):
            ended += 1
        timer.join()
    assert ended > 0
    assert call(new_session(), GENERATE, "a", "pack-big", 20) == expected
    assert partial_files() == []


def test_a_session_that_waits_for_another_to_pack_can_be_cancelled(session, on_server):
    """The test holds the lock of a file as a session that packs it does."""
    call(session, "SELECT llm.pack('pack-big')")
    files = on_server("found = [str(path) for path in files('pack-big')]")
    session.execute("SELECT llm.evict('pack-big')")
    held = "\n".join(
        f"GD.setdefault('held', []).append(os.open({path + '.partial'!r}, os.O_CREAT | os.O_RDONLY, 0o400)); "
        f"__import__('fcntl').flock(GD['held'][-1], 2)"
        for path in files
    )
    on_server(held)
    try:
        session.execute("SET statement_timeout = 300")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute("SELECT llm.pack('pack-big')")
    finally:
        on_server("for descriptor in GD.pop('held'): os.close(descriptor)")
    session.execute("SET statement_timeout = 0")
    assert call(session, "SELECT llm.pack('pack-big')") > 1e7


def test_a_truncated_file_is_packed_again_and_a_warning_names_the_tensor(new_session, on_server, author_text):
    call(new_session(), "SELECT llm.pack('pack-stories')")
    on_server("path = files('pack-stories')[3]\npath.chmod(0o600)\nos.truncate(path, 1000)\npath.chmod(0o400)")
    session = new_session()
    assert author_text.startswith(call(session, GENERATE, "", "pack-stories", 50))
    assert any("is damaged and is built again" in told and 'tensor "' in told for told in session.told)


def test_a_changed_byte_is_found_after_the_next_start_of_the_server(new_session, on_server, author_text):
    call(new_session(), "SELECT llm.pack('pack-stories')")
    on_server(
        "path = files('pack-stories')[5]\npath.chmod(0o600)\n"
        "content = bytearray(path.read_bytes())\ncontent[7] ^= 1\npath.write_bytes(content)\npath.chmod(0o400)\n"
        "for path in packed.glob('*/verified.*'):\n    path.unlink()"  # as a start of the server makes it worthless
    )
    session = new_session()
    assert author_text.startswith(call(session, GENERATE, "", "pack-stories", 50))
    assert any("is damaged and is built again" in told for told in session.told)


def test_a_session_generates_on_while_its_files_are_evicted(new_session, author_text):
    generating, evicting = new_session(), new_session()
    call(generating, GENERATE, "", "pack-stories", 1)
    with ThreadPoolExecutor(1) as pool:
        texts = pool.submit(lambda: [call(generating, GENERATE, "", "pack-stories", 200) for _ in range(5)])
        for _ in range(5):
            call(evicting, "SELECT llm.evict('pack-stories')")
            time.sleep(0.02)
        assert set(texts.result()) == {author_text}
    assert author_text.startswith(call(new_session(), GENERATE, "", "pack-stories", 20))


def test_collecting_removes_the_packed_files_of_what_no_model_has_any_more(superuser):
    def packed() -> set[bytes]:
        return {hash for (hash,) in superuser.execute("SELECT tensor_hash FROM llm.packed_tensors()")}

    superuser.execute("SELECT llm.fork('pack-stories', 'pack-gone')")
    superuser.execute("SELECT llm.scale_tensor('pack-gone', 'output_norm.weight', 2)")
    query = "SELECT hash FROM llm.tensors WHERE model = 'pack-gone' ORDER BY name = 'output_norm.weight'"
    *shared, own = (hash for (hash,) in superuser.execute(query))
    call(superuser, "SELECT llm.pack('pack-gone')")
    assert packed() >= {own, *shared}
    superuser.execute("SELECT llm.drop_model('pack-gone')")
    superuser.execute("CALL llm.collect()")
    assert own not in packed() and packed() >= set(shared)


LIMITS = "CREATE OR REPLACE FUNCTION llm_runtime.pack_limits(OUT bytes bigint, OUT free_bytes bigint) LANGUAGE sql"


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ("1000000000000, 1000000000000000", psycopg.errors.DiskFull),
        ("1000000, 0", psycopg.errors.ConfigurationLimitExceeded),
    ],
)
def test_what_the_disk_or_the_limit_does_not_allow_is_a_clean_error_and_leaves_nothing(superuser, limits, error):
    superuser.execute("SELECT llm.evict('pack-big')")
    with superuser.transaction(force_rollback=True):
        superuser.execute(f"{LIMITS} AS 'SELECT {limits.replace(',', '::bigint,')}::bigint'")
        with pytest.raises(error) as refusal, superuser.transaction():
            superuser.execute("SELECT llm.pack('pack-big')")
        assert "llm.engine = 'numpy'" in refusal.value.diag.message_hint
        assert cache(superuser, "pack-big") is None
    assert call(superuser, "SELECT llm.pack('pack-big')") > 1e7


def test_at_the_limit_the_model_unused_longest_goes_first(superuser):
    superuser.execute("SELECT llm.evict()")
    for model in ("pack-stories", "pack-stories-Q8_0"):
        call(superuser, "SELECT llm.pack(%s)", model)
    used = call(superuser, "SELECT sum(bytes) FROM llm.packed_tensors()")
    with superuser.transaction(force_rollback=True):
        superuser.execute(f"{LIMITS} AS 'SELECT {used}::bigint, 0::bigint'")
        call(superuser, "SELECT llm.pack('pack-stories-Q4_0')")
        gone, kept, packed = (cache(superuser, f"pack-stories{kind}") for kind in ("", "-Q8_0", "-Q4_0"))
        assert gone[1] < gone[2]
        assert (kept[1], packed[1]) == (kept[2], packed[2])


# Edits and rights


def test_an_edit_in_a_transaction_packs_one_tensor_and_a_rollback_brings_the_old_answer(superuser):
    superuser.execute("SET llm.engine = 'compiled'")
    before = logits(superuser, [3, 4, 5], "pack-big")
    files = packed_tensors(superuser)
    with superuser.transaction(force_rollback=True):
        values = np.random.default_rng().standard_normal((256, 512), np.float32)  # new ones, which nobody packed yet
        replace_tensor(superuser, "pack-big", "blk.0.attn_v.weight", values)
        edited = logits(superuser, [3, 4, 5], "pack-big")
        assert len(packed_tensors(superuser) - files) == 1
    assert abs(edited - before).max() > 0.1
    assert logits(superuser, [3, 4, 5], "pack-big").tobytes() == before.tobytes()


def packed_tensors(connection):
    return {tensor for (tensor,) in connection.execute("SELECT tensor_hash FROM llm.packed_tensors()")}


def replace_tensor(connection, model, name, values):
    """Put other values in a tensor's place, in the open transaction."""
    content = values.tobytes()
    tile = hashlib.sha256(content).hexdigest()
    connection.execute("INSERT INTO llm_store.tile (content) VALUES (%s)", [content])
    tensor = {"name": name, "type": "F32", "shape": list(values.shape), "tiles": [tile]}
    stored = call(connection, "SELECT hash FROM llm_store.store_tensors(%s::jsonb)", json.dumps([tensor]))
    connection.execute(
        "UPDATE llm_store.model_tensor SET tensor_hash = %s "
        "WHERE name = %s AND model_id = (SELECT id FROM llm_store.model WHERE name = %s)",
        [stored, name, model],
    )


def test_a_role_may_use_a_model_whose_weights_it_cannot_read(superuser_dsn, author_text):
    with psycopg.connect(superuser_dsn, autocommit=True) as fresh, fresh.transaction(force_rollback=True):
        fresh.execute("CREATE ROLE without_weights IN ROLE llm_user")
        fresh.execute("REVOKE SELECT ON llm_store.tile, llm_store.tensor_tile FROM llm_user")
        fresh.execute("SELECT llm.evict('pack-stories')")
        fresh.execute("SET LOCAL ROLE without_weights")
        fresh.execute("SET LOCAL llm.engine = 'compiled'")
        assert author_text.startswith(call(fresh, GENERATE, "", "pack-stories", 20))
        fresh.execute("SET LOCAL llm.engine = 'numpy'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), fresh.transaction():
            fresh.execute(GENERATE, ["", "pack-stories", 1])


def test_who_generates_may_pack_but_not_evict(user):
    assert call(user, "SELECT llm.pack('pack-stories')") > 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("SELECT llm.evict('pack-stories')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("SELECT llm.warm_up()")
