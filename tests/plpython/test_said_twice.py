"""What has to stand in two places, because one of them is SQL or runs before any module does, says the same in both."""

import ast
import os
import re
import stat
from pathlib import Path

import pytest

from plpython.reference.decoder import PREFILL_CHUNK
from plpython.server import errors
from plpython.weights import packed_files

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_the_forward_query_cuts_a_prompt_as_the_numpy_engine_does():
    query = (DEPLOY / "function_forward.sql").read_text(encoding="utf-8")
    assert {int(size) for size in re.findall(r"\(n - 1\) / (\d+)", query)} == {PREFILL_CHUNK}


class Refused(Exception):  # noqa: N818 - a message, not an error
    """What the boot says: message, DETAIL, HINT, SQLSTATE."""


@pytest.fixture(scope="module")
def private_folder_of_the_boot():
    """The function of that name in the body of llm_runtime.boot(), which no module can be imported from."""
    body = (DEPLOY / "function_runtime_boot.sql").read_text(encoding="utf-8").split("$python$")[1]
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
