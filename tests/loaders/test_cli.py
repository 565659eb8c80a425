"""The command line without a server: what is refused, in one line, before anything is connected."""

import subprocess
import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

from loaders import asking, cli, terminal
from loaders.errors import LoaderError
from loaders.upload.progress import PlainLines, readable_bytes

run = CliRunner().invoke
COMMANDS = ("load", "models", "info", "default", "generate", "embed", "chat", "verify", "export", "plot", "drop")
NOWHERE = "host=/nonexistent port=1"


def assert_one_error(result, expected: str) -> None:
    lines = result.stderr.splitlines()
    assert result.exit_code == 1, result.output
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("folder", "pattern"), [("gguf-malformed", "*.gguf"), ("safetensors-malformed", "*.safetensors")]
)
def test_every_broken_file_ends_in_one_line_before_a_server_is_asked(each_data, folder, pattern):
    files = sorted((each_data / folder).glob(pattern))
    assert len(files) in (8, 15)
    for file in files:
        assert_one_error(run(cli.app, ["load", str(file), "--name", "broken", "--dsn", NOWHERE]), "")


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert_one_error(run(cli.app, ["load", str(tmp_path / "no.gguf"), "--name", "x"]), "no.gguf does not exist")


def test_a_server_that_is_not_there_is_named(own_data):
    result = run(cli.app, ["load", str(own_data / "stories260K/stories260K.gguf"), "--name", "x", "--dsn", NOWHERE])
    assert_one_error(result, "/nonexistent")
    assert "HARTONOMOUS_DSN" in result.stderr


def test_a_dsn_that_is_none_is_refused():
    assert_one_error(run(cli.app, ["models", "--dsn", "neither a uri nor pairs"]), "neither")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "[bold]x"])
def test_a_hostile_name_stays_one_line_and_moves_no_cursor(monkeypatch, capsys, name):
    @cli.reported
    def command():
        raise LoaderError(f"tensor {name} is broken")

    with pytest.raises(cli.typer.Exit):
        command()
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed[:-1].isprintable()


def test_interrupting_says_so():
    @cli.reported
    def command():
        raise KeyboardInterrupt

    with pytest.raises(cli.typer.Exit) as stop:
        command()
    assert stop.value.exit_code == 130


@pytest.mark.parametrize(("name", "lines"), [("load", 2), ("generate", 1)])
def test_only_a_load_that_is_interrupted_can_be_gone_on_with(capsys, name, lines):
    def command():
        raise KeyboardInterrupt

    command.__name__ = name
    with pytest.raises(cli.typer.Exit):
        cli.reported(command)()
    assert len(capsys.readouterr().err.splitlines()) == lines


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (None, {}),
        (["top_k=40", "seed=-7"], {"top_k": "40", "seed": "-7"}),
        (["top_p=0.9", "typical_p=0.5", "echo=true"], {"top_p": "0.9", "options": {"typical_p": 0.5, "echo": True}}),
        (["draft=small", "stop_tokens=[1, 2]"], {"options": {"draft": "small", "stop_tokens": [1, 2]}}),
    ],
)
def test_a_setting_is_an_argument_or_an_option(settings, given):
    found = asking.arguments(settings)
    if "options" in found:
        found["options"] = found["options"].obj
    assert found == given


@pytest.mark.parametrize("setting", ["top_k", "=3"])
def test_a_setting_without_name_or_value_is_refused(setting):
    assert_one_error(run(cli.app, ["generate", "x", "--set", setting, "--dsn", NOWHERE]), "has no value")


def test_the_version_is_that_of_the_package():
    assert run(cli.app, ["--version"]).stdout == f"hartonomous {metadata.version('hartonomous')}\n"


def test_a_table_in_a_pipe_begins_with_its_titles(capsys):
    terminal.show(("name", "size"), [("tidy", "1 MB"), ("a\tb", "2")])
    assert capsys.readouterr().out == "name\tsize\ntidy\t1 MB\na b\t2\n"


def test_what_a_model_wrote_moves_no_cursor_of_a_terminal():
    assert terminal.printable("a\x1b[2Jb\n\tc é") == "a\\x1b[2Jb\n\tc é"


def test_the_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "loaders.cli", "--help"], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in COMMANDS)


def test_plain_progress_says_how_much_how_fast_and_how_long(capsys):
    now = [0.0]
    lines = PlainLines("loading x", 400_000_000, clock=lambda: now[0])
    lines(50_000_000)
    assert capsys.readouterr().err == ""  # not at once
    now[0] = 10.0
    lines(50_000_000)
    assert capsys.readouterr().err == "loading x: 100.0 MB of 400.0 MB, 10 MB/s, 30 s left\n"


def test_sizes_are_readable():
    assert [readable_bytes(n) for n in (0, 999, 1000, 531_064_864, 2_000_000_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "531.1 MB",
        "2000.0 GB",
    ]
