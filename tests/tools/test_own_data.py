"""Our own data: the same in every run, laid out as the check data, from small fixtures."""

import hashlib
from pathlib import Path

from tests.own_data import folder, story_model


def files(root: Path) -> dict[str, bytes]:
    """{path: SHA-256}."""
    found = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).digest() for path in found}


def test_our_own_data_are_the_same_whenever_they_are_written(own_data, tmp_path):
    assert files(folder.write(tmp_path)) == files(own_data)


def test_they_lie_where_the_check_data_lie(own_data, data):
    broken = {name for name in files(own_data) if "-malformed/" in name}  # under names of their own
    assert set(files(own_data)) - broken <= set(files(data))


def test_what_is_committed_of_them_is_small():
    assert sum(path.stat().st_size for path in story_model.STORIES.iterdir() if path.is_file()) < 330_000
