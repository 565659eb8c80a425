"""Atoms of real models: their places, counts and cascade, against what the files and numpy say."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest
from gguf import GGUFReader

from loaders.reader import read_model
from plpython.atoms import geometry, hilbert

from .models import loaded

FILES = ("stories260K-F16.gguf", "stories260K-Q8_0.gguf", "stories260K-Q4_0.gguf")
CODED = {"F16": 2, "Q8_0": 34, "Q4_0": 18}
BITS = {name: encoding.codes.bits for name, encoding in geometry.CODES.items()}


@pytest.fixture(scope="module")
def folder(loader_dsn: str, own_data: Path):
    folder = own_data / "stories260K-quant-derived"
    with loaded(loader_dsn, {f"atoms-{name}": folder / name for name in FILES}):
        yield folder


def one(connection, query, *arguments):
    return connection.execute(query, arguments).fetchone()[0]


def sha256(content):
    return hashlib.sha256(content).digest()


def codes_of_files(folder, names=FILES):
    """{(encoding, code): how often}, from the files, one weight at a time as the gguf package reads them."""
    counts = {}
    for name in names:
        for tensor in GGUFReader(folder / name).tensors:
            encoding = tensor.tensor_type.name
            if encoding not in CODED:
                continue
            raw = np.asarray(tensor.data).view(np.uint8).reshape(-1, CODED[encoding])
            if encoding == "F16":
                codes = raw.view(np.uint16).ravel()
            else:
                codes = raw[:, 2:].ravel()
                codes = codes if encoding == "Q8_0" else np.concatenate([codes & 15, codes >> 4])
            for code, number in zip(*np.unique(codes, return_counts=True), strict=True):
                counts[encoding, int(code)] = counts.get((encoding, int(code)), 0) + int(number)
    return counts


@pytest.fixture
def only_ours(superuser, folder):
    """A transaction without the server's other models: totals are over all models that it sees. It is rolled back."""
    with superuser.transaction(force_rollback=True):
        ours = [f"atoms-{name}" for name in FILES]
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name <> ALL (%s)", (ours,))
        yield superuser


def test_references_of_weight_codes_are_those_of_the_files(only_ours, folder):
    rows = only_ours.execute(
        "SELECT meta ->> 'type', (meta ->> 'code')::integer, ref_count FROM llm_atoms.atoms "
        "WHERE meta ->> 'kind' = 'code'"
    ).fetchall()
    assert {(encoding, code): count for encoding, code, count in rows} == codes_of_files(folder)


def test_both_ratios_of_deduplication_are_those_of_the_files(only_ours, folder):
    counts = codes_of_files(folder)
    row = only_ours.execute("SELECT * FROM llm_atoms.deduplication").fetchone()
    size = sum((folder / name).stat().st_size for name in FILES)
    assert row[:3] == (sum(counts.values()), len(counts), pytest.approx(sum(counts.values()) / len(counts)))
    assert row[3] == size
    assert row[3] > row[4] and row[5] == pytest.approx(row[3] / row[4])


def test_every_token_is_an_atom_where_the_bulk_form_puts_it(user, folder):
    contents = sorted({row[0] for row in user.execute("SELECT bytes FROM llm.tokens WHERE bytes <> ''")})
    points = geometry.byte_points(b"".join(contents), [len(content) for content in contents])
    keys = [hilbert.encode(points[:, i : i + 2], 31).tolist() for i in range(3)]
    rows = user.execute(
        """SELECT content_hash, h_xy, h_yz, h_zm, st_x(geom), st_y(geom), st_z(geom), st_m(geom), st_srid(geom)
        FROM llm_atoms.atoms WHERE modality IN ('discrete', 'compositional')"""
    ).fetchall()
    atoms = {row[0]: row[1:] for row in rows}
    for i, content in enumerate(contents):
        expected = (*(key[i] for key in keys), *((points[i] + 0.5) / 256 + 2**23).tolist(), 3857)
        assert atoms[sha256(content)] == expected


def test_the_place_of_bytes_in_sql_is_that_of_the_bulk_form(user):
    random = np.random.default_rng(11)
    contents = [random.integers(0, 256, size, dtype=np.uint8).tobytes() for size in [*range(1, 40), 1000, 1 << 20]]
    points = geometry.byte_points(b"".join(contents), [len(content) for content in contents])
    for content, point in zip(contents, points, strict=True):
        row = user.execute(
            "SELECT st_x(p), st_y(p), st_z(p), st_m(p) FROM llm_atoms.atom_point(%s) AS p", (content,)
        ).fetchone()
        assert row == tuple(((point + 0.5) / 256 + 2**23).tolist())


def test_the_place_of_a_weight_code_in_sql_is_that_of_the_bulk_form(user):
    random = np.random.default_rng(12)
    for encoding, bits in BITS.items():
        codes = np.unique(np.concatenate([[0, 1 << bits - 1, (1 << bits) - 1], random.integers(0, 1 << bits, 50)]))
        rows = user.execute(
            """SELECT st_x(p), st_y(p), st_z(p), st_m(p) FROM unnest(%s::bytea[]) WITH ORDINALITY AS c (content, i)
            CROSS JOIN LATERAL llm_store.atom_code_point(c.content) AS p ORDER BY c.i""",
            (geometry.code_contents(encoding, codes),),
        ).fetchall()
        assert rows == list(map(tuple, geometry.coordinates(geometry.code_points(encoding, codes)).tolist()))


def test_the_lines_of_weight_codes_in_sql_are_the_encodings_and_places_of_the_bulk_form(user):
    encodings = user.execute("SELECT DISTINCT type, number, 1 << log_bits FROM llm_store.code_lines()").fetchall()
    assert {name: (number, bits) for name, number, bits in encodings} == {
        name: (encoding.number, encoding.codes.bits) for name, encoding in geometry.CODES.items()
    }
    lines = "SELECT type, first_code, last_code, slope, step, x, y, z, m FROM llm_store.code_lines()"
    for encoding, first, last, slope, step, x, y, z, m in user.execute(lines):
        codes = np.arange(first, last + 1)
        along = codes * step
        places = np.stack([x + slope * along, y + along, np.full(len(codes), z), np.full(len(codes), m)], axis=1)
        np.testing.assert_array_equal(places, geometry.coordinates(geometry.code_points(encoding, codes)))


def test_an_atom_is_there_once_and_its_keys_lead_back_to_its_place(user, folder):
    assert one(user, "SELECT count(*) - count(DISTINCT content_hash) FROM llm_atoms.atoms") == 0
    wrong = "SELECT count(*) FROM llm_atoms.atoms WHERE llm_atoms.hilbert_point(h_xy, h_yz, h_zm)::bytea <> geom::bytea"
    assert one(user, wrong) == 0


def test_decomposing_a_model_step_by_step_ends_at_its_bytes_codes_and_tiles(user, folder):
    model = one(user, "SELECT hash FROM llm.models WHERE name = %s", f"atoms-{FILES[1]}")
    seen, todo = {}, [model]
    while todo:
        for part, kind in user.execute("SELECT part, kind FROM llm_atoms.decompose(%s)", (todo.pop(),)):
            if part not in seen and kind not in ("byte", "code", "tile"):
                todo.append(part)
            seen[part] = kind
    kinds = {kind: {part for part in seen if seen[part] == kind} for kind in set(seen.values())}
    tensors = GGUFReader(folder / FILES[1]).tensors
    counts = codes_of_files(folder, FILES[1:2])
    assert len(kinds["layer"]) == 5 and len(kinds["tokenizer"]) == 1
    assert len(kinds["tensor"]) == len({(tensor.tensor_type, np.asarray(tensor.data).tobytes()) for tensor in tensors})
    for encoding in {encoding for encoding, _ in counts}:
        codes = [code for name, code in counts if name == encoding]
        assert {sha256(content) for content in geometry.code_contents(encoding, codes)} <= kinds["code"]
    assert len(kinds["code"]) == len(counts)
    shown = (
        "SELECT count(*) FROM llm_atoms.atoms INNER JOIN unnest(%s::bytea[]) AS s (content_hash) USING (content_hash)"
    )
    assert one(user, shown, list(seen)) == len(seen)


def test_composing_leads_back_along_every_part(user, folder):
    wholes = user.execute(
        "SELECT content_hash FROM llm_atoms.atoms WHERE modality = 'relational' OR meta ->> 'text' = ' was'"
    ).fetchall()
    for (whole,) in wholes:
        parts = user.execute("SELECT part, ordinal FROM llm_atoms.decompose(%s) LIMIT 20", (whole,)).fetchall()
        assert parts
        for part, _ in parts:
            assert whole in {row[0] for row in user.execute("SELECT whole FROM llm_atoms.compose(%s)", (part,))}


def test_a_tokens_parts_are_its_bytes_in_order(user, folder):
    rows = user.execute("SELECT part, kind, ordinal FROM llm_atoms.decompose(%s)", (sha256(b" was"),)).fetchall()
    assert rows == [(sha256(bytes([byte])), "byte", i) for i, byte in enumerate(b" was")]


SEARCHED = """SELECT content_hash, st_x(geom), st_y(geom), st_z(geom), st_m(geom) FROM llm_atoms.atoms
    WHERE meta ->> 'kind' IN ('byte', 'token', 'code')"""


def check_nearby(connection, points, k):
    """Compares llm_atoms.nearby_atoms with the distances of all atoms that are shown, computed by numpy."""
    rows = connection.execute(SEARCHED).fetchall()
    places = np.array([row[1:] for row in rows])
    for point in points:
        distances = np.sqrt(((places - point) ** 2).sum(axis=1))
        found = connection.execute(
            "SELECT content_hash, distance FROM llm_atoms.nearby_atoms(st_makepoint(%s, %s, %s, %s), %s)",
            (*map(float, point), k),
        ).fetchall()
        expected = np.sort(distances)[:k]
        assert [row[1] for row in found] == pytest.approx(expected.tolist())
        hashes = {row[0] for row in found}
        assert len(hashes) == len(found) == min(k, len(rows))
        # all of these, and which of several at the last one's distance does not matter
        nearer = np.flatnonzero(distances < expected[-1] * (1 - 1e-12))
        assert {rows[i][0] for i in nearer} <= hashes


def places_of(contents):
    return geometry.coordinates(geometry.byte_points(b"".join(contents), [len(content) for content in contents]))


def some_places(seed):
    """Of tokens, of what is no token, of weight codes, anywhere on the map and beyond it."""
    random = np.random.default_rng(seed)
    spelt = places_of([b" was", b"\xff", b"hello", b"zqzq", b" ", b"\x00\x01"])
    codes = [
        geometry.coordinates(geometry.code_points(name, random.integers(0, 1 << bits, 3)))
        for name, bits in BITS.items()
    ]
    anywhere = random.uniform(1 << 23, 1 << 24, (10, 4))
    return np.concatenate([spelt, *codes, anywhere, [[0, 0, 0, 0], [-1e9, 1e9, 5, 1e12], [1 << 24] * 4]])


@pytest.fixture
def other_vocabulary(own_data, tmp_path):
    """The path of a model that shares all but one of its tokens with ours."""
    content = (own_data / "stories260K-quant-derived" / FILES[0]).read_bytes()
    word = "\u2581little".encode()
    assert word in content
    path = tmp_path / "other-vocabulary.gguf"
    path.write_bytes(content.replace(word, "\u2581zqxjkv".encode()))
    return path


@pytest.mark.parametrize("k", [1, 10, 300])
def test_nearby_atoms_are_the_nearest_in_four_dimensions(user, folder, k):
    check_nearby(user, some_places(k), k)


def test_more_nearby_atoms_than_there_are_is_all_of_them_once(user, only_ours):
    atoms = one(user, f"SELECT count(*) FROM ({SEARCHED}) AS s")
    assert one(user, "SELECT count(*) FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('a'), 10000)") == min(
        atoms, 10000
    )
    check_nearby(user, places_of([b"a"]), 10000)


def test_nearby_atoms_are_those_of_the_models_that_are_there(user, loader_dsn, folder, other_vocabulary):
    word = places_of([b" zqxjkv"])

    def nearest():
        query = "SELECT content FROM llm_atoms.nearby_atoms(llm_atoms.atom_point(' zqxjkv'), 1)"
        return one(user, query)

    assert nearest() != b" zqxjkv"
    with loaded(loader_dsn, {"atoms-other": other_vocabulary}):
        assert nearest() == b" zqxjkv"
        check_nearby(user, np.concatenate([word, some_places(2)]), 10)
    assert nearest() != b" zqxjkv"
    check_nearby(user, np.concatenate([word, some_places(3)]), 10)


def test_a_model_beside_which_the_atoms_of_another_are_left_shows_none_of_them(user, superuser, folder):
    """Runs of tokenizers that no model has are passed over, however near they are."""
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name <> %s", (f"atoms-{FILES[2]}",))
        check_nearby(superuser, some_places(4), 10)
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models")
        assert superuser.execute("SELECT * FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('a'), 10)").fetchall() == []


def test_nearby_weight_codes_follow_every_edit_and_its_rollback(superuser, folder):
    """Codes are searched in the bits of each model: an edit that takes a code's last weight takes the code."""
    model = f"atoms-{FILES[1]}"
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name <> %s", (model,))
        found = "SELECT content FROM llm_atoms.nearby_atoms(llm_store.atom_code_point(%s), 1)"
        assert one(superuser, found, b"Q8_0\0\x50") == b"Q8_0\0\x50"
        before = superuser.execute("SELECT type, code_bits FROM llm_store.model_code ORDER BY type").fetchall()
        with superuser.transaction(force_rollback=True):
            for (tensor,) in superuser.execute(
                "SELECT name FROM llm.tensors WHERE model = %s AND type = 'Q8_0'", (model,)
            ).fetchall():
                superuser.execute("SELECT llm.scale_tensor(%s, %s, 0)", (model, tensor))
            assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
            check_nearby(superuser, some_places(5), 10)
            row = np.full(64, 1 / 127, "<f4")
            row[0] = 1
            superuser.execute("SELECT llm.set_row(%s, 'token_embd.weight', 3, %s)", (model, row.tobytes()))
            for code in (b"Q8_0\0\x7f", b"Q8_0\0\x01", b"Q8_0\0\0"):
                assert one(superuser, found, code) == code
            assert one(superuser, found, b"Q8_0\0\x50") != b"Q8_0\0\x50"
            superuser.execute("SELECT llm.fork(%s, 'atoms-copy')", (model,))
            superuser.execute("SELECT llm.drop_model(%s)", (model,))
            assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
            check_nearby(superuser, some_places(6), 10)
        after = superuser.execute("SELECT type, code_bits FROM llm_store.model_code ORDER BY type").fetchall()
        assert after == before


def test_loads_that_store_one_vocabulary_in_parts_at_once_store_it_once(superuser, loader_dsn, other_vocabulary):
    model = read_model(other_vocabulary)
    tokenizer = (model.tokenizer_definition, json.dumps(model.complete_tokenizer_settings()))

    def store(parts):
        with psycopg.connect(loader_dsn, autocommit=True) as loader:
            number = one(loader, "SELECT llm_store.upload_vocabulary(%s, %s::jsonb)", *tokenizer)
            stored = [one(loader, "SELECT llm_store.upload_token_atoms(%s, %s)", number, part) for part in parts]
            return number, stored, one(loader, "SELECT llm_store.upload_tokenizer(%s, %s::jsonb)", *tokenizer)

    superuser.execute("CALL llm.collect('0')")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(store, [(0, 1), (1, 0), (1,), ()]))
    number = done[0][0]
    assert {entry[0] for entry in done} == {number}
    counted = superuser.execute("SELECT sum(tokens) FROM llm_store.atom_part WHERE tokenizer_id = %s", (number,))
    entries = superuser.execute(
        "SELECT count(*) FROM llm_store.token WHERE tokenizer_id = %s AND bytes <> ''", (number,)
    )
    assert counted.fetchone() == entries.fetchone()
    with loaded(loader_dsn, {"atoms-parts": other_vocabulary}):
        assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []


@pytest.mark.parametrize(
    "call",
    [
        "llm_atoms.nearby_atoms(st_makepoint(1, 2), 3)",
        "llm_atoms.nearby_atoms(NULL, 3)",
        "llm_atoms.nearby_atoms(llm_atoms.atom_point('a'), 0)",
        "llm_atoms.nearby_atoms(st_makepoint('inf', 1, 1, 1), 3)",
        "llm_atoms.nearby_atoms(st_makepoint(1, 1, 1, 'nan'), 3)",
        "llm_atoms.nearby_atoms(st_makepoint(1, 1, -1e300, 1), 3)",
        "llm_atoms.nearby_atoms(st_makepoint(1, 1e20, 1, 1), 3)",
        "llm_atoms.atom_point('')",
    ],
)
def test_what_has_no_place_is_refused(user, call):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
        user.execute(f"SELECT * FROM {call}")
    assert refused.value.diag.message_detail and refused.value.diag.message_hint


def test_nearby_atoms_are_found_from_as_far_away_as_is_allowed(user, folder):
    """Rounding is greatest there, and must not make PostgreSQL doubt the order of the index."""
    random = np.random.default_rng(13)
    corners = random.choice([-(2.0**40), 0, 2.0**23, 2.0**40], (60, 4))
    for point in np.concatenate([corners, random.uniform(-(2**40), 2**40, (60, 4))]):
        found = user.execute(
            "SELECT distance FROM llm_atoms.nearby_atoms(st_makepoint(%s, %s, %s, %s), 300)", point.tolist()
        ).fetchall()
        assert len(found) == 300 and found == sorted(found)


def test_a_recount_finds_no_difference_and_finds_a_made_one(superuser, folder):
    assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
    with superuser.transaction(force_rollback=True):
        superuser.execute("UPDATE llm_store.atom_code_count SET counts[1] = counts[1] + 1 WHERE counts[1] = 1")
        superuser.execute("UPDATE llm_store.atom_byte_count SET counts[33] = 0")
        superuser.execute("DELETE FROM llm_store.atom WHERE content_hash = sha256(' was')")
        superuser.execute("UPDATE llm_store.atom SET h_yz = h_yz + 1 WHERE content_hash = sha256('a')")
        superuser.execute("DELETE FROM llm_store.atom_run WHERE number = 1")
        superuser.execute("UPDATE llm_store.model_code SET code_bits = ~code_bits WHERE type = 'F16'")
        problems = [row[0] for row in superuser.execute("SELECT problem FROM llm_atoms.recount()")]
    for expected in (
        "occurs 1 times, but the count is 2",
        "byte 32 occurs",
        "token  was is not",
        "what its content",
        "missing from the runs",
        "the codes of F16 are not those of the tensors",
    ):
        assert any(expected in problem for problem in problems)


def test_a_dropped_models_atoms_are_not_shown_and_then_removed(loader_dsn, superuser, own_data):
    shown = "SELECT count(*) FROM llm_atoms.atoms WHERE meta ->> 'kind' = 'code' AND meta ->> 'type' = 'Q4_0'"
    stored = "SELECT count(*) FROM llm_store.atom WHERE substring(content FROM 1 FOR 5) = 'Q4_0\\000'::bytea"
    before = one(superuser, shown)
    with loaded(loader_dsn, {"atoms-dropped": own_data / "stories260K-quant-derived" / FILES[2]}):
        assert one(superuser, shown) == 16
    assert one(superuser, shown) == before
    assert one(superuser, stored) == 16
    superuser.execute("CALL llm.collect('0')")
    assert one(superuser, stored) == before
    assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []


def test_a_user_may_not_write_atoms_and_a_loader_only_through_atomise(user, connect_as):
    loader = connect_as("llm_loader")
    for connection in (user, loader):
        for table in ("atom", "atom_0", "atom_part", "atom_run", "atom_code_count", "atom_byte_count", "model_code"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"DELETE FROM llm_store.{table}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        user.execute("SELECT llm_store.atomise(1)")
    assert loader.execute("SELECT * FROM llm_store.atomise(-1)").fetchone() == (0, 0)
