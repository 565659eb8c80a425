"""What has to stand in two places, because one of them is SQL or runs before any module does, says the same in both."""

import ast
import os
import re
import stat
from pathlib import Path

import pytest

from plpython.atoms import geometry
from plpython.model import mixes
from plpython.reference.decoder import PREFILL_CHUNK
from plpython.server import errors
from plpython.weights import packed_files

CHECKOUT = Path(__file__).resolve().parents[2]
DEPLOY = CHECKOUT / "deploy"
# A family is a module that says the same few things as every other, and so is a layout: FAMILY, KEYS; SIZE, SCALES.
FAMILIES = "loaders/families"
LAYOUTS, OF_LAYOUTS = "plpython/kernels/layouts", {"SIZE", "LINE_BYTES", "SCALES", "TABLE", "PACKERS"}


def deployed(change):
    """The deploy script of a change."""
    return (DEPLOY / f"{change}.sql").read_text(encoding="utf-8")


def constants(path):
    """The names in capitals that a module defines at its top level."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            yield from (name.id for name in names if name.id.isupper())


def test_a_constant_is_defined_once_and_imported_where_else_it_is_needed():
    """So a name in capitals has one value, wherever it is read."""
    modules = [path for top in ("plpython", "loaders") for path in sorted((CHECKOUT / top).rglob("*.py"))]
    found = {}
    for path in modules:
        name = path.relative_to(CHECKOUT).as_posix()
        if not name.startswith(FAMILIES):
            own = OF_LAYOUTS if name.startswith(LAYOUTS) else set()
            for constant in set(constants(path)) - own:
                found.setdefault(constant, set()).add(name)
    assert len(found) > 300
    assert {constant: names for constant, names in found.items() if len(names) > 1} == {}


def test_the_forward_query_cuts_a_prompt_as_the_numpy_engine_does():
    query = deployed("function_forward")
    assert {int(size) for size in re.findall(r"\(n - 1\) / (\d+)", query)} == {PREFILL_CHUNK}


def test_sql_has_the_lines_of_codes_that_geometry_has():
    rows = re.findall(r"^ +\('(\w+)', ([-\d, ]+)\)", deployed("function_store_code_lines"), re.MULTILINE)
    lines = [
        (name, encoding.number, encoding.codes.bits.bit_length() - 1, *line)
        for name, encoding in geometry.CODES.items()
        for line in geometry.code_lines(name)
    ]
    assert sorted((name, *map(int, numbers.split(","))) for name, numbers in rows) == sorted(lines)


def test_sql_writes_the_codes_of_the_same_encodings_in_two_bytes_as_geometry():
    of_two_bytes = re.search(r"type IN \((.*?)\)", deployed("function_store_atom_code_content"))[1]
    assert re.findall(r"'(\w+)'", of_two_bytes) == [n for n, e in geometry.CODES.items() if e.codes.bits == 16]


@pytest.mark.parametrize(
    ("change", "sentence", "names"),
    [
        ("function_quantize", "type: ", mixes.NAMES),
        ("view_deduplication", "has codes that are atoms: ", tuple(geometry.CODES)),
    ],
)
def test_comments_name_the_encodings_that_there_are(change, sentence, names):
    (named,) = re.findall(rf"{sentence}([^.']+)\.", deployed(change).replace("'\n'", ""))
    assert tuple(re.split(", | or ", named)) == names


class Refused(Exception):  # noqa: N818 - a message, not an error
    """What the boot says: message, DETAIL, HINT, SQLSTATE."""


@pytest.fixture(scope="module")
def private_folder_of_the_boot():
    """The function of that name in the body of llm_runtime.boot(), which no module can be imported from."""
    body = deployed("function_runtime_boot").split("$python$")[1]
    wanted = [
        node
        for node in ast.parse(body).body
        if isinstance(node, ast.FunctionDef) and node.name in ("refuse", "private_folder")
    ]

    class Plpy:
        def error(self, message, **fields):
            raise Refused(message, fields["detail"], fields["hint"], fields["sqlstate"])

    names = {"os": os, "stat": stat, "plpy": Plpy()}
    exec(compile(ast.Module(wanted, []), "boot", "exec"), names)
    return names["private_folder"]


def file(path):
    path.write_text("")


def open_to_others(path):
    path.mkdir()
    path.chmod(0o750)


def link(path):
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("strange", [file, open_to_others, link])
def test_the_boot_refuses_the_folders_that_packed_files_refuse_and_in_its_words(
    tmp_path, private_folder_of_the_boot, strange
):
    strange(tmp_path / "there")
    with pytest.raises(errors.ModelError) as of_files:
        packed_files.private_folder(tmp_path / "there")
    with pytest.raises(Refused) as of_boot:
        private_folder_of_the_boot(tmp_path / "there")
    error = of_files.value
    assert of_boot.value.args == (error.message, error.detail, error.hint, error.sqlstate)


def test_the_boot_makes_and_takes_the_folders_that_packed_files_make(tmp_path, private_folder_of_the_boot):
    both = [private_folder_of_the_boot, packed_files.private_folder]
    for number, (make, take) in enumerate([both, both[::-1]]):
        folder = tmp_path / str(number)
        make(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert Path(take(folder)) == folder
