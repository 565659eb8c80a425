"""Where commands write: only regular files and folders are replaced, whole, and nothing is lost that is not written."""

import os
import re
import socket
import stat
from pathlib import Path

import pytest

from loaders.errors import LoaderError
from loaders.export.targets import check_file, check_folder, written_beside

NAMES = ("config.json", "1_Pooling/config.json")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.with_name("kept").write_text("kept")
    path.symlink_to("kept")


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_a_folder(path: Path) -> None:
    path.with_name("folder").mkdir()
    path.symlink_to("folder")


def unix_socket(path: Path) -> None:
    os.chdir(path.parent)  # a socket's path is at most 107 bytes long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


def refused(check, path: Path, *arguments) -> str:
    with pytest.raises(LoaderError, match=re.escape(str(path))) as problem:
        check(path, *arguments)
    return str(problem.value)


@pytest.mark.parametrize("make", [fifo, link, dangling_link, link_to_a_folder, unix_socket])
def test_what_is_no_regular_file_is_refused_by_name_and_stays(tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "target"
    make(target)
    before = target.lstat().st_ino
    assert "which is not written over" in refused(check_file, target, True)
    assert "which is not written over" in refused(check_folder, target, True, NAMES)
    assert target.lstat().st_ino == before


def test_a_device_is_refused_by_name():
    assert "/dev/null is a character device" in refused(check_file, Path("/dev/null"), True)


def test_a_link_that_appears_after_the_check_is_not_followed_and_not_replaced(tmp_path):
    target, kept = tmp_path / "target", tmp_path / "kept"
    kept.write_text("kept")
    check_file(target, replace=True)
    with pytest.raises(LoaderError, match="is a link"), written_beside(target, is_folder=False) as place:
        place.write_text("new")
        target.symlink_to(kept)
    assert (target.is_symlink(), kept.read_text(), sorted(tmp_path.iterdir())) == (True, "kept", [kept, target])


def test_a_parent_that_is_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    target = tmp_path / "link" / "model.gguf"
    check_file(target, replace=False)
    with written_beside(target, is_folder=False) as place:
        place.write_text("new")
    assert (tmp_path / "real" / "model.gguf").read_text() == "new"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, is_folder):
    target = tmp_path / "target"
    old = target / "config.json" if is_folder else target
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    with pytest.raises(OSError, match="No space left") as problem, written_beside(target, is_folder) as place:
        (place / "config.json" if is_folder else place).write_text("half")
        raise OSError(28, "No space left on device")
    assert problem.value.filename == str(target)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        with written_beside(tmp_path / "new", is_folder=False) as place:
            place.write_text("new")
        with written_beside(tmp_path / "folder", is_folder=True):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~mask


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_is_replaced_gives_its_permissions(tmp_path, is_folder):
    target = tmp_path / "target"
    if is_folder:
        target.mkdir()
    else:
        target.write_text("old")
    target.chmod(0o750)
    with written_beside(target, is_folder) as place:
        if not is_folder:
            place.write_text("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o750


def test_a_folder_is_replaced_only_if_every_file_in_it_is_written_anew(tmp_path):
    target = tmp_path / "model"
    (target / "1_Pooling").mkdir(parents=True)
    for name in NAMES:
        (target / name).write_text("old")
    assert "exists" in refused(check_folder, target, False, NAMES)
    check_folder(target, True, NAMES)
    with written_beside(target, is_folder=True) as place:
        (place / "1_Pooling").mkdir()
        for name in NAMES:
            (place / name).write_text("new")
    assert [(target / name).read_text() for name in NAMES] == ["new", "new"]
    assert list(tmp_path.iterdir()) == [target]


def thesis(folder: Path) -> Path:
    (folder / "thesis.tex").write_text("years")
    return folder / "thesis.tex"


def shard(folder: Path) -> Path:
    (folder / "model-00001-of-00002.safetensors").write_text("old")
    return folder / "model-00001-of-00002.safetensors"


def foreign_folder(folder: Path) -> Path:
    (folder / ".git").mkdir()
    return folder / ".git"


def link_of_the_same_name(folder: Path) -> Path:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to("/etc/hostname")
    return folder / "config.json"


def fifo_of_the_same_name(folder: Path) -> Path:
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    return folder / "config.json"


@pytest.mark.parametrize("make", [thesis, shard, foreign_folder, link_of_the_same_name, fifo_of_the_same_name])
def test_a_folder_with_anything_else_in_it_is_refused_by_that_name(tmp_path, make):
    target = tmp_path / "model"
    target.mkdir()
    (target / "config.json").write_text("old")
    foreign = make(target)
    with pytest.raises(
        LoaderError, match=rf"{re.escape(str(foreign))} is (none of the files that are written|no regular file)"
    ):
        check_folder(target, True, NAMES)
    assert os.path.lexists(foreign)


def test_a_foreign_file_that_appears_while_the_folder_is_written_is_not_lost(tmp_path):
    target = tmp_path / "model"
    target.mkdir()
    check_folder(target, True, NAMES)
    with pytest.raises(LoaderError, match=r"thesis.tex is none of the files"), written_beside(target, True) as place:
        (place / "config.json").write_text("new")
        thesis(target)
    assert [path.name for path in target.iterdir()] == ["thesis.tex"]


def test_the_current_folder_and_those_around_it_are_refused(tmp_path, monkeypatch):
    (tmp_path / "around" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "around" / "here")
    for path in (tmp_path / "around", tmp_path / "around" / "here"):
        assert "is the current folder or around it" in refused(check_folder, path, True, NAMES)


@pytest.mark.parametrize("path", ["/", "/proc"])
def test_a_mount_point_is_refused(path):
    assert "is a mount point" in refused(check_folder, Path(path), True, NAMES)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    file.touch()
    assert "is a folder, and the model is written to one file" in refused(check_file, folder, True)
    assert "is not a folder" in refused(check_folder, file, True, NAMES)
    with pytest.raises(LoaderError, match=f"{re.escape(str(file))} is not a folder"):
        check_file(file / "below", True)
