"""Files of packed tensors: whole or not at all, checked, limited; builders that are killed or that race."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plpython.server import errors
from plpython.weights import packed_files
from plpython.weights.address_space import HUGE_PAGE
from plpython.weights.packed_files import DamagedError, Limits, PackedFile, PackedFiles, file_size

AMPLE = Limits(size=1 << 40, free=0)
CHECKOUT = Path(__file__).parents[2]


def nothing():
    """A checkpoint where nothing is pending."""


@pytest.fixture
def root(tmp_path):
    return tmp_path / "packed"


@pytest.fixture
def files(root):
    return PackedFiles(root, "edition", "start", nothing)


def named(name, size=100_000):
    return PackedFile(f"{hashlib.sha256(name.encode()).hexdigest()}.q8", size)


def pattern(size):
    return bytes(i % 251 for i in range(size))


def build(files, file, limits=AMPLE, keep=()):
    return files.build(file, lambda write: write(pattern(file.size)), limits, keep)


def content(files, file):
    descriptor = files.open(file)
    try:
        return os.pread(descriptor, file.size, 0)
    finally:
        os.close(descriptor)


def path_of(root, file):
    return root / "edition" / file.name


def change(path, offset, value):
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)
    path.chmod(0o400)


def names(root):
    """What lies in the folder but the marks of what is verified."""
    return sorted(path.name for path in (root / "edition").iterdir() if not path.name.startswith("verified."))


def test_a_file_that_is_not_built_is_none(files):
    assert files.open(named("a")) is None


@pytest.mark.parametrize("size", [1, 63, 64, 4096, 5_000_000])
def test_what_was_built_is_read_again(files, size):
    file = named("a", size)
    assert build(files, file)
    assert content(files, file) == pattern(size)


@pytest.mark.parametrize("piece", [1000, 4096, HUGE_PAGE - 1, HUGE_PAGE, 3 * HUGE_PAGE])
@pytest.mark.parametrize("size", [2 * HUGE_PAGE - 64, 2 * HUGE_PAGE - 63, 2 * HUGE_PAGE, 2 * HUGE_PAGE + 1])
def test_it_does_not_matter_in_which_pieces_a_content_comes(files, root, size, piece):
    whole, file = memoryview(pattern(size)), named("a", size)

    def fill(write):
        for start in range(0, size, piece):
            write(whole[start : start + piece])

    assert files.build(file, fill, AMPLE)
    assert content(files, file) == whole
    content(PackedFiles(root, "edition", "next start", nothing), file)  # whose checksum is computed again
    assert path_of(root, file).stat().st_size == file_size(file)


@pytest.mark.parametrize("size", [99_999, 100_001])
def test_a_content_of_another_size_is_refused_and_leaves_nothing(files, root, size):
    with pytest.raises(ValueError, match=f"{size} bytes of content were given, expected 100000"):
        files.build(named("a"), lambda write: write(bytes(size)), AMPLE)
    assert names(root) == []


def test_a_file_that_fills_a_huge_page_ends_with_one(files, root):
    for size, whole in [(100_000, 100_096), (HUGE_PAGE - 64, HUGE_PAGE), (HUGE_PAGE - 63, 2 * HUGE_PAGE)]:
        file = named("a", size)
        build(files, file)
        assert path_of(root, file).stat().st_size == file_size(file) == whole
        files.discard(file)


def test_a_file_is_in_memory_as_a_whole_before_any_of_it_is_read(root, monkeypatch):
    """What is read, and what the system reads ahead of it, would lie in small pages."""
    file = named("a", 5_000_000)
    build(PackedFiles(root, "edition", "start", nothing), file)
    calls = []
    monkeypatch.setattr(packed_files, "in_huge_pages", lambda memory, _: calls.append(len(memory)))
    for read in "pread", "preadv":
        monkeypatch.setattr(packed_files.os, read, count(calls, getattr(os, read)))
    content(PackedFiles(root, "edition", "the next start", nothing), file)
    assert calls[0] == 3 * HUGE_PAGE
    assert len(calls) > 1


def test_a_builder_starts_anew_whatever_a_killed_one_left(files, root):
    file = named("a")
    (root / "edition" / f"{file.name}.partial").write_bytes(b"\xff" * 200_000)
    assert build(files, file)
    assert content(files, file) == pattern(file.size)
    assert names(root) == [file.name]


def test_only_the_server_reads_a_file_and_nobody_writes_it(files, root):
    build(files, named("a"))
    assert path_of(root, named("a")).stat().st_mode & 0o777 == 0o400
    assert root.stat().st_mode & 0o777 == (root / "edition").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_enter_is_refused(root):
    root.mkdir(mode=0o755)
    with pytest.raises(errors.ModelError) as refusal:
        PackedFiles(root, "edition", "start", nothing)
    assert refusal.value.sqlstate == "55000"


def test_a_truncated_file_is_damaged(files, root):
    file = named("a")
    build(files, file)
    path = path_of(root, file)
    path.chmod(0o600)
    os.truncate(path, 4096)
    path.chmod(0o400)
    with pytest.raises(DamagedError, match="4096 bytes, expected 100096"):
        files.open(file)


def test_a_file_that_others_may_write_is_damaged(files, root):
    build(files, named("a"))
    path_of(root, named("a")).chmod(0o606)
    with pytest.raises(DamagedError, match="alone can read"):
        files.open(named("a"))


def test_a_link_is_damaged(files, root):
    build(files, named("a"))
    path_of(root, named("b")).symlink_to(path_of(root, named("a")))
    with pytest.raises(DamagedError):
        files.open(named("b"))


@pytest.mark.parametrize("place", [0, 50_000, 99_999])
def test_a_changed_byte_is_found_after_the_next_start_of_the_server(files, root, place):
    build(files, named("a"))
    change(path_of(root, named("a")), place, b"\xff")
    with pytest.raises(DamagedError, match="content has changed"):
        PackedFiles(root, "edition", "next start", nothing).open(named("a"))


def test_the_checksum_is_what_its_description_says():
    """Two pages and a rest, computed with Python's integers."""
    content = bytes(range(256)) * 33
    sums = b""
    for page in content[:4096], content[4096:8192]:
        words = [int.from_bytes(page[i : i + 8], "little") for i in range(0, 4096, 8)]
        total = sum(word * factor for word, factor in zip(words, range(1, 1025, 2), strict=True))
        sums += (total % (1 << 64)).to_bytes(8, "little")
    assert checksum(content) == hashlib.sha256(sums + content[8192:]).digest()
    assert checksum(content[:4096], content[4096:]) == checksum(content)


def test_the_checksum_finds_flipped_bits_swapped_sectors_and_lost_writes():
    content = os.urandom(4 * 4096 + 100)
    changed = [bytearray(content) for _ in range(300)]
    for bit, copy in enumerate(changed[:200]):
        copy[bit * 82 % len(copy)] ^= 1 << bit % 8
    for place, copy in enumerate(changed[200:]):
        start = 512 * (place % 32)
        copy[start : start + 512] = bytes(512) if place < 50 else content[start - 512 : start] or content[512:1024]
    assert checksum(content) not in {checksum(copy) for copy in changed}


def checksum(*pieces):
    whole = packed_files.Checksum()
    for piece in pieces:
        whole.update(piece)
    return whole.value()


def test_a_file_that_was_replaced_is_checked_again(files, root):
    build(files, named("a"))
    path = path_of(root, named("a"))
    copy = bytearray(path.read_bytes())
    copy[7] ^= 1
    path.unlink()
    path.write_bytes(copy)
    path.chmod(0o400)
    with pytest.raises(DamagedError, match="content has changed"):
        files.open(named("a"))


def test_a_trailer_of_something_else_is_damaged(files, root):
    build(files, named("a"))
    change(path_of(root, named("a")), 100_032, b"nonsense")
    with pytest.raises(DamagedError, match="trailer"):
        PackedFiles(root, "edition", "next start", nothing).open(named("a"))


def test_a_content_is_summed_once_a_start_of_the_server_whichever_session_asks(files, root, monkeypatch):
    build(files, named("a"))
    hashed = []
    monkeypatch.setattr(PackedFiles, "_checksum_of", count(hashed, PackedFiles._checksum_of))
    for _ in range(3):
        content(PackedFiles(root, "edition", "next start", nothing), named("a"))
    assert len(hashed) == 1
    content(PackedFiles(root, "edition", "start after it", nothing), named("a"))
    assert len(hashed) == 2
    assert len(list((root / "edition").glob("verified.*"))) == 1


def count(calls, function):
    def counted(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return counted


def test_an_error_while_a_file_is_built_leaves_nothing(files, root):
    def broken(write):
        raise KeyError("broken")

    with pytest.raises(KeyError):
        files.build(named("a"), broken, AMPLE)
    assert names(root) == []


def test_an_interrupt_while_a_file_is_written_leaves_nothing(root):
    def checkpoint():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(PackedFiles(root, "edition", "start", checkpoint), named("a"))
    assert names(root) == []


def test_two_sessions_do_not_build_the_same_file(root, files):
    other = PackedFiles(root, "edition", "start", nothing)
    seen = []

    def fill(write):
        seen.append(build(other, named("a")))
        seen.append(build(other, named("b")))
        write(pattern(100_000))

    assert files.build(named("a"), fill, AMPLE)
    assert seen == [False, True]
    assert build(other, named("a"))


def test_a_killed_builder_leaves_neither_a_lock_nor_a_file_in_the_way(root, files):
    program = (
        "import sys, time\nsys.path.insert(0, sys.argv[1])\n"
        "from plpython.weights.packed_files import *\n"
        "def fill(write):\n    write(b'x' * 10)\n    print('building', flush=True)\n    time.sleep(60)\n"
        "PackedFiles(sys.argv[2], 'edition', 'start', lambda: None).build("
        "PackedFile(sys.argv[3], 100_000), fill, Limits(1 << 40, 0))\n"
    )
    command = [sys.executable, "-c", program, CHECKOUT, root, named("a").name]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as builder:
        assert builder.stdout.readline() == b"building\n"
        assert not build(files, named("a"))
        builder.send_signal(signal.SIGKILL)
    assert files.open(named("a")) is None
    assert names(root) == [f"{named('a').name}.partial"]
    assert build(files, named("a"))
    assert content(files, named("a"))[:4] == bytes([0, 1, 2, 3])
    assert names(root) == [named("a").name]


def test_the_files_unused_longest_go_first_and_those_to_keep_stay(files, root):
    size = 100_096 + 64
    for age, name in enumerate("abcd"):
        build(files, named(name))
        os.utime(path_of(root, named(name)), (1000 * age, 1000 * age))
    files.touch([named("a").name])
    limits = Limits(size=4 * size, free=0)
    files = PackedFiles(root, "edition", "start", nothing)
    build(files, named("e"), limits, keep={named("b").name})
    assert names(root) == sorted(named(name).name for name in "abde")


def test_files_that_are_larger_than_the_limit_are_refused_before_anything_is_evicted(files, root):
    build(files, named("a"))
    with pytest.raises(errors.ModelError) as refusal:
        files.check_room(300_000, Limits(size=250_000, free=0))
    assert refusal.value.sqlstate == "53400"
    assert names(root) == [named("a").name]


def test_a_disk_without_the_space_that_is_to_stay_free_is_refused_and_nothing_is_left(files, root):
    for action in (
        lambda limits: files.check_room(100, limits),
        lambda limits: build(files, named("a"), limits),
    ):
        with pytest.raises(errors.ModelError) as refusal:
            action(Limits(size=1 << 40, free=1 << 60))
        assert refusal.value.sqlstate == "53100"
        assert names(root) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_a_clean_error(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", small], check=False).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        files = PackedFiles(small / "packed", "edition", "start", nothing)
        build(files, named("a"))
        build(files, named("b"))
        with pytest.raises(errors.ModelError) as refusal:
            build(files, named("c"), Limits(1 << 40, -(1 << 40)), keep={named("a").name, named("b").name})
        assert refusal.value.sqlstate == "53100"
        assert names(small / "packed") == sorted([named("a").name, named("b").name])
        assert build(files, named("c"), Limits(1 << 40, 0))  # which evicts one
        assert len(names(small / "packed")) == 2
    finally:
        subprocess.run(["umount", small], check=True)


def test_evicting_counts_what_it_frees_and_sweeps_what_killed_builders_left(files, root):
    for name in "abc":
        build(files, named(name))
    (root / "edition" / f"{named('d').name}.partial").write_bytes(b"x")
    assert files.remove({named("a").name}) == 100_096
    assert names(root) == sorted(named(name).name for name in "bc")
    assert files.remove() == 200_192
    assert names(root) == []


def test_entries_tell_size_and_times(files, root):
    before = time.time()
    build(files, named("a"))
    (entry,) = files.entries()
    assert (entry.name, entry.size) == (named("a").name, 100_096)
    assert before - 1 < entry.built < time.time() + 1
    os.utime(path_of(root, named("a")), (1, entry.built))
    files.touch([named("a").name, named("gone").name])
    (touched,) = files.entries()
    assert touched.last_used > before - 1
    assert touched.built == pytest.approx(entry.built)


def test_another_edition_of_the_packing_code_has_files_of_its_own(files, root):
    build(files, named("a"))
    assert PackedFiles(root, "other edition", "start", nothing).open(named("a")) is None
    assert packed_files.PackedFiles(root, "other edition", "start", nothing).remove() == 100_096
