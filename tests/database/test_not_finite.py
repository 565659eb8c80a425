"""Numbers that are no numbers: refused at load and at every edit, and never an answer where a superuser wrote them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import errors
from typer.testing import CliRunner

from loaders.cli import app
from loaders.reader import read_model
from loaders.upload.upload import upload
from plpython.model import encodings
from tests.database.models import FAMILIES, STORIES, call, loaded

NAN, INFINITY = np.float32(np.nan), np.float32(np.inf)
GATE, NORM = "blk.0.ffn_gate.weight", "blk.0.ffn_norm.weight"
KINDS = ("", "-F16", "-Q8_0")
ENCODER = FAMILIES.parent / "encoders" / "mean"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, own_data: Path) -> Iterator[None]:
    """A story model in three encodings, and a tiny encoder; the engine compiled."""
    paths = {f"finite{kind}": own_data / STORIES[f"stories{kind}"] for kind in KINDS}
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(superuser_dsn, paths | {"finite-encoder": ENCODER}):
        yield


@pytest.fixture
def fork(superuser: psycopg.Connection) -> Iterator[str]:
    """A fork of the story model, which goes with the test and with what it made."""
    superuser.execute("SELECT llm.fork('finite', 'finite-fork')")
    yield "finite-fork"
    superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name IN ('finite-fork', 'finite-new')")


def plant(superuser: psycopg.Connection, model: str, tensor: str, number: np.float32, offset: int = 0) -> None:
    """Write a float32, or half precision's, into the stored tensor of a model, as nobody but a superuser can."""
    hash, type, shape, content = superuser.execute(
        """SELECT t.hash, t.type, t.shape, string_agg(i.content, ''::bytea ORDER BY u.ordinal)
        FROM llm_store.model AS m INNER JOIN llm_store.model_tensor AS mt ON mt.model_id = m.id
        INNER JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
        INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
        INNER JOIN llm_store.tile AS i ON i.hash = u.tile_hash
        WHERE m.name = %s AND mt.name = %s GROUP BY t.hash""",
        (model, tensor),
    ).fetchone()
    planted = bytearray(content)
    value = number.tobytes() if type == "F32" else np.float16(number).tobytes()
    planted[offset : offset + len(value)] = value
    superuser.execute(
        """WITH tile AS (
            INSERT INTO llm_store.tile (content) VALUES (%(content)s) ON CONFLICT DO NOTHING
        ), ill AS (
            SELECT sha256(%(content)s) AS tile_hash,
                llm_store.tensor_hash(%(type)s, %(shape)s, ARRAY[sha256(%(content)s)]) AS hash
        ), tensor AS (
            INSERT INTO llm_store.tensor (hash, type, shape, rows_per_tile, bytes)
            SELECT i.hash, t.type, t.shape, t.rows_per_tile, t.bytes
            FROM ill AS i INNER JOIN llm_store.tensor AS t ON t.hash = %(hash)s ON CONFLICT DO NOTHING
        ), lies AS (
            INSERT INTO llm_store.tensor_tile (tensor_hash, ordinal, tile_hash)
            SELECT i.hash, 0, i.tile_hash FROM ill AS i ON CONFLICT DO NOTHING
        )
        UPDATE llm_store.model_tensor AS mt SET tensor_hash = i.hash FROM ill AS i, llm_store.model AS m
        WHERE m.name = %(model)s AND mt.model_id = m.id AND mt.name = %(tensor)s""",
        {"content": bytes(planted), "type": type, "shape": shape, "hash": hash, "model": model, "tensor": tensor},
    )


# Refused where they come in


def stored(superuser: psycopg.Connection) -> dict[str, int]:
    tables = ("tile", "tensor", "tokenizer", "model", "atom")
    return {table: call(superuser, f"SELECT count(*) FROM llm_store.{table}") for table in tables}


@pytest.mark.parametrize("value", [NAN, INFINITY, -INFINITY])
def test_a_load_is_refused_in_one_line_and_stores_nothing(superuser, loader_dsn, own_data, tmp_path, value):
    content = bytearray((own_data / STORIES["stories"]).read_bytes())
    content[-4:] = value.tobytes()
    path = tmp_path / "ill.gguf"
    path.write_bytes(content)
    ill = next(t for t in read_model(path).tensors if not np.isfinite(np.frombuffer(t.data, np.float32)).all())
    before = stored(superuser)
    done = CliRunner().invoke(app, ["load", str(path), "--name", "finite-new", "--dsn", loader_dsn])
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f'tensor "{ill.name}" holds NaN or infinity in row {ill.shape[0] - 1 if len(ill.shape) > 1 else 0}' in line
    assert stored(superuser) == before


def manifest(connection: psycopg.Connection, path: Path, type: str, ill: str, at: int) -> tuple[str, str]:
    """A manifest and tokenizer of the story model, matrices in a type, a tensor ill; all tiles are uploaded."""
    source, tensors = read_model(path / STORIES["stories"]), []
    for tensor in source.tensors:
        values = encodings.decode(tensor.type, tensor.data, tensor.shape)
        kind = type if len(tensor.shape) > 1 and tensor.shape[-1] % 32 == 0 else tensor.type
        raw = bytearray(encodings.encode(kind, values).tobytes())
        if tensor.name == ill:
            word = np.uint32(0x7FC00000) if kind == "F32" else np.uint16(0x7FC0 if kind == "BF16" else 0x7C00)
            raw[at : at + word.nbytes] = word.tobytes()
        connection.execute("INSERT INTO llm_store.upload (content) VALUES (%s)", (bytes(raw),))
        tile = call(connection, "SELECT encode(sha256(%s), 'hex')", bytes(raw))
        tensors.append({"name": tensor.name, "type": kind, "shape": list(tensor.shape), "tiles": [tile]})
    document = {
        "architecture": source.architecture.to_config(),
        "tokenizer_settings": source.tokenizer_settings,
        "container": "gguf",
        "tensors": tensors,
        "files": [],
    }
    return json.dumps(document), source.tokenizer_definition


@pytest.mark.parametrize("type", [type for type in encodings.ENCODED if encodings.BLOCKS[type][0] <= 32])
def test_the_server_refuses_a_manifest_with_an_ill_weight_by_tensor_and_row(loader, own_data, type):
    with loader.transaction(force_rollback=True):
        document, tokenizer = manifest(loader, own_data, type, GATE, 3 * encodings.row_bytes(type, 64))
        with pytest.raises(errors.InvalidParameterValue, match=f'tensor "{GATE}" holds NaN or infinity in row 3'):
            loader.execute("SELECT llm_store.publish('finite-new', %s, %s)", (document, tokenizer))


def test_the_server_refuses_tensors_that_are_stored_ahead(loader, own_data):
    with loader.transaction(force_rollback=True):
        document, _ = manifest(loader, own_data, "Q8_0", GATE, 0)
        with pytest.raises(errors.InvalidParameterValue, match=f'tensor "{GATE}" holds NaN or infinity in row 0'):
            loader.execute("SELECT llm_store.upload_tensors(%s)", (json.dumps(json.loads(document)["tensors"]),))


def test_an_ill_norm_is_refused_too(loader, own_data):
    with loader.transaction(force_rollback=True):
        document, tokenizer = manifest(loader, own_data, "Q8_0", NORM, 8)
        with pytest.raises(errors.InvalidParameterValue, match=f'tensor "{NORM}" holds NaN or infinity in row 0'):
            loader.execute("SELECT llm_store.publish('finite-new', %s, %s)", (document, tokenizer))


LARGE = np.full(64, 3e38, np.float32).tobytes()
ILL = np.array([1.0] * 63 + [np.nan], np.float32).tobytes()
EDITS = {
    "set_row": ("SELECT llm.set_row(%(m)s, 'output.weight', 3, %(ill)s)", 'tensor "output.weight" .* row 3'),
    "set_tensor": (
        f"SELECT llm.set_tensor(%(m)s, '{NORM}', %(ill)s)",
        f'tensor "{NORM}" holds NaN or infinity in row 0',
    ),
    "scale_tensor": (f"SELECT llm.scale_tensor(%(m)s, '{GATE}', 3e38), llm.scale_tensor(%(m)s, '{GATE}', 3e38)", "row"),
    "scale to NaN": (f"SELECT llm.scale_tensor(%(m)s, '{GATE}', 'NaN')", "factor is out of range"),
    "quantize": (
        "SELECT llm.set_row(%(m)s, 'output.weight', 7, %(large)s), llm.quantize(%(m)s, 'finite-new', 'Q8_0')",
        'tensor "output.weight" is Q8_0, which cannot hold the values of row 7',
    ),
    "to F16": (
        "SELECT llm.set_row(%(m)s, 'output.weight', 7, %(large)s), llm.quantize(%(m)s, 'finite-new', 'F16')",
        'tensor "output.weight" is F16, which cannot hold the values of row 7',
    ),
    "to BF16": (
        "SELECT llm.set_row(%(m)s, 'output.weight', 7, %(most)s), llm.quantize(%(m)s, 'finite-new', 'BF16')",
        'tensor "output.weight" is BF16, which cannot hold the values of row 7',
    ),
    "merge": (
        "SELECT llm.set_row(%(m)s, 'output.weight', 7, %(large)s), "
        "llm.merge(ARRAY[%(m)s, 'finite'], 'finite-new', ARRAY[2, -1])",
        'tensor "output.weight" cannot be merged',
    ),
    "ties": (
        "SELECT llm.set_row(%(m)s, 'output.weight', 7, %(large)s), "
        "llm.merge(ARRAY[%(m)s, %(m)s], 'finite-new', ARRAY[1e6, 1e6], 'ties', 'finite')",
        'tensor "output.weight" cannot be merged',
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_that_would_store_what_is_no_number_is_refused_and_changes_nothing(superuser, fork, edit):
    query, message = EDITS[edit]
    before = call(superuser, "SELECT hash FROM llm_store.model WHERE name = %s", fork)
    most = np.full(64, np.finfo(np.float32).max).tobytes()
    with pytest.raises(errors.InvalidParameterValue, match=message):
        superuser.execute(query, {"m": fork, "ill": ILL, "large": LARGE, "most": most})
    assert call(superuser, "SELECT hash FROM llm_store.model WHERE name = %s", fork) == before
    assert call(superuser, "SELECT count(*) FROM llm.models WHERE name = 'finite-new'") == 0


def test_load_quantize_is_refused_as_quantize_is(superuser, loader_dsn, own_data, tmp_path):
    content = bytearray((own_data / STORIES["stories"]).read_bytes())
    head = next(t for t in read_model(own_data / STORIES["stories"]).tensors if t.name == "output.weight")
    place = bytes(content).rindex(bytes(head.data))
    content[place : place + 4] = np.float32(65520 * 127).tobytes()
    path = tmp_path / "large.gguf"
    path.write_bytes(content)
    before = stored(superuser)
    arguments = ["load", str(path), "--name", "finite-new", "--quantize", "q8_0", "--dsn", loader_dsn]
    done = CliRunner().invoke(app, arguments)
    assert (
        done.exit_code == 1 and 'tensor "output.weight" is Q8_0, which cannot hold the values of row 0' in done.stderr
    )
    assert stored(superuser) == before


@pytest.fixture
def divided(superuser: psycopg.Connection, own_data: Path) -> Iterator[str]:
    """The story model with a rope_freqs.weight of ones."""
    source = read_model(own_data / STORIES["stories"])
    ones = np.ones(source.architecture.head_dim // 2, np.float32)
    freqs = type(source.tensors[0])("rope_freqs.weight", "F32", ones.shape, memoryview(ones).cast("B"))
    model = source.__class__(**(vars(source) | {"tensors": (*source.tensors, freqs), "files": ()}))
    upload(superuser, model, "finite-divided")
    yield "finite-divided"
    superuser.execute("SELECT llm.drop_model('finite-divided')")


@pytest.mark.parametrize("value", [0, -1, NAN, INFINITY, 1e-45])
def test_what_rope_divides_by_stays_finite_and_above_0(superuser, divided, value):
    numbers = np.array([1, value, 1, 1], np.float32).tobytes()
    for query in (
        "SELECT llm.set_tensor(%s, 'rope_freqs.weight', %s)",
        "SELECT llm.set_row(%s, 'rope_freqs.weight', 0, %s)",
    ):
        with pytest.raises(errors.InvalidParameterValue, match=r'tensor "rope_freqs\.weight" holds'):
            superuser.execute(query, (divided, numbers))
    with pytest.raises(errors.InvalidParameterValue, match=r'tensor "rope_freqs\.weight" holds|factor is out of range'):
        superuser.execute("SELECT llm.scale_tensor(%s, 'rope_freqs.weight', %s)", (divided, float(value)))


# Never an answer where a superuser wrote them

PLACES = (
    "token_embd.weight",
    "blk.4.attn_norm.weight",
    "blk.4.attn_k.weight",
    "blk.4.attn_v.weight",
    "blk.2.ffn_down.weight",
)
ANSWERS = {
    "generate": "SELECT llm.generate('Once upon', %s, 5)",
    "generate drawn": "SELECT llm.generate('Once upon', %s, 5, temperature => 1)",
    "generate guessed": "SELECT llm.generate('a a a a', %s, 5, options => '{\"guess\": 4}')",
    "generate_details": "SELECT * FROM llm.generate_details('Once upon', %s, 5)",
    "next_tokens": "SELECT * FROM llm.next_tokens('Once upon', 3, %s)",
    "logits": "SELECT * FROM llm.logits(ARRAY[1, 403, 407], %s)",
    "forward": "SELECT llm.forward(ARRAY[1, 403, 407], %s)",
    "embed": "SELECT llm.embed('Once upon', %s)",
    "embed_bytes": "SELECT llm.embed_bytes('Once upon', %s)",
    "embed_many": "SELECT * FROM llm.embed_many(ARRAY['Once upon', 'a'], %s)",
}


WAYS = (("compiled", "f32"), ("compiled", "i16"), ("numpy", "auto"))
EACH = [("finite-Q8_0", place) for place in PLACES] + [(f"finite{kind}", PLACES[3]) for kind in KINDS[:2]]


def row_bytes(superuser: psycopg.Connection, model: str, tensor: str) -> int:
    query = "SELECT (bytes / shape[1])::integer FROM llm.tensors WHERE model = %s AND name = %s"
    return call(superuser, query, model, tensor)


@pytest.fixture(params=EACH, ids=["-".join(each) for each in EACH])
def ill(request, superuser: psycopg.Connection, fork: str) -> str:
    """A model with NaN in one of its tensors; in the embedding, for the token before every text."""
    source, place = request.param
    superuser.execute("SELECT llm.drop_model(%s)", (fork,))
    superuser.execute("SELECT llm.fork(%s, %s)", (source, fork))
    plant(superuser, fork, place, NAN, row_bytes(superuser, fork, place) if place == PLACES[0] else 0)
    return fork


def chosen(user: psycopg.Connection, engine: str, kv_type: str) -> None:
    user.execute("SELECT set_config('llm.engine', %s, false), set_config('llm.kv_type', %s, false)", (engine, kv_type))


def test_no_function_answers_from_a_weight_that_is_no_number(user, ill):
    for engine, kv_type in WAYS:
        chosen(user, engine, kv_type)
        for name, query in ANSWERS.items():
            with pytest.raises(errors.DataCorrupted, match="not finite"):
                pytest.fail(f"{name}, {engine}, {kv_type}: {user.execute(query, (ill,)).fetchall()}")
        rows = user.execute("SELECT response, error FROM llm.generate_many(ARRAY['a', 'b'], %s, 5)", (ill,)).fetchall()
        assert [response for response, _ in rows] == [None, None]
        assert all("the logits are not finite" in error for _, error in rows)


@pytest.mark.parametrize(("engine", "kv_type"), WAYS)
def test_the_other_rows_of_a_batch_go_on(superuser, user, fork, engine, kv_type):
    (token,) = call(user, "SELECT llm.tokenize('Z', %s, add_special => FALSE)", fork)[-1:]
    plant(superuser, fork, "token_embd.weight", NAN, token * row_bytes(superuser, fork, "token_embd.weight"))
    chosen(user, engine, kv_type)
    query = "SELECT response, error FROM llm.generate_many(ARRAY['Once upon', 'Z', 'Lily'], %s, 8) ORDER BY ordinal"
    (first, one), (second, two), (third, three) = user.execute(query, (fork,)).fetchall()
    assert first and third and (one, three) == (None, None)
    assert second is None and "the logits are not finite" in two


@pytest.mark.parametrize("tensors", ["name <> ''", "name = 'token_embd.weight'", "name LIKE 'blk.1.%%'"])
@pytest.mark.parametrize(("engine", "kv_type"), WAYS)
def test_a_model_of_which_a_part_was_restored_answers_nothing(superuser, fork, engine, kv_type, tensors):
    chosen(superuser, engine, kv_type)
    with superuser.transaction(force_rollback=True):
        superuser.execute("SET LOCAL session_replication_role = replica")
        superuser.execute(
            f"DELETE FROM llm_store.model_tensor AS t USING llm_store.model AS m "
            f"WHERE m.id = t.model_id AND m.name = %s AND t.{tensors}",
            [fork],
        )
        with pytest.raises(errors.DataCorrupted, match="is not complete") as refusal:
            superuser.execute("SELECT llm.generate('a', %s, 1)", [fork])
        assert "is missing" in refusal.value.diag.message_detail


def test_a_search_is_not_made_with_an_embedding_that_is_no_vector(superuser, user):
    superuser.execute("SELECT llm.fork('finite-encoder', 'finite-fork')")
    plant(superuser, "finite-fork", "blk.0.attn_output_norm.weight", NAN)
    superuser.execute("CREATE TABLE public.finite_texts AS SELECT '\\x00'::bytea AS embedding")
    try:
        superuser.execute("GRANT SELECT ON public.finite_texts TO PUBLIC")
        for engine, _ in WAYS[1:]:
            chosen(user, engine, "auto")
            for query in (
                "SELECT llm.embed('a', 'finite-fork')",
                "SELECT llm.search('a', 'public.finite_texts', 1, 'finite-fork')",
            ):
                with pytest.raises(errors.DataCorrupted, match="the embedding is not finite"):
                    user.execute(query)
    finally:
        superuser.execute("DROP TABLE public.finite_texts")
        superuser.execute("SELECT llm.drop_model('finite-fork')")


def test_rope_freqs_of_zeros_that_a_superuser_wrote_are_an_error(superuser, user, divided):
    plant(superuser, divided, "rope_freqs.weight", np.float32(0))
    for engine, kv_type in WAYS:
        chosen(user, engine, kv_type)
        with pytest.raises(errors.DataCorrupted, match=r'tensor "rope_freqs\.weight" cannot be divided by'):
            user.execute("SELECT llm.generate('a', %s, 2)", (divided,))
