"""The commands that ask a model, as a shell runs them: everything through SQL, results for people and for programs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from click.testing import Result
from typer.testing import CliRunner

from loaders.cli import app
from tests.database.models import STORIES, call, loaded

MODEL = "asked"
ENCODER = "asked-encoder"
FIXTURE = Path(__file__).parent.parent / "fixtures" / "encoders" / "mean"
PROMPT = "Once upon a time"


@pytest.fixture(scope="module", autouse=True)
def models(loader_dsn: str, own_data: Path) -> Iterator[None]:
    with loaded(loader_dsn, {MODEL: own_data / STORIES["stories"], ENCODER: FIXTURE}):
        yield


@pytest.fixture
def run(loader_dsn: str) -> Callable[..., Result]:
    """run("generate", …) is the command, in this process."""

    def command(*arguments: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments, "--dsn", loader_dsn], input=typed)

    return command


def out(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_generate_writes_the_text_of_llm_generate(run, superuser):
    given = out(run("generate", PROMPT, "-m", MODEL, "--max-tokens", "30"))
    assert given == call(superuser, "SELECT llm.generate(%s, %s, 30)", PROMPT, MODEL) + "\n"


def test_generate_passes_every_argument_on(run, superuser):
    given = out(
        run(
            *(
                "generate",
                "-",
                "-m",
                MODEL,
                "--max-tokens",
                "40",
                "--temperature",
                "0.9",
                "--stop",
                "big",
                "--stop",
                ".",
            ),
            *("--set", "seed=7", "--set", "top_k=30", "--set", "typical_p=0.9", "--set", "echo=true"),
            typed=PROMPT,
        )
    )
    query = """SELECT llm.generate(%s, %s, 40, 0.9, seed => 7, top_k => 30, stop => ARRAY['big', '.'],
        options => '{"typical_p": 0.9, "echo": true}')"""
    assert given == call(superuser, query, PROMPT, MODEL) + "\n"


def test_generate_gives_details_as_json(run, superuser):
    given = json.loads(out(run("generate", PROMPT, "-m", MODEL, "--max-tokens", "5", "--json")))
    query = "SELECT to_jsonb(g) FROM llm.generate_details(%s, %s, 5) AS g"
    expected = call(superuser, query, PROMPT, MODEL)
    assert given.pop("milliseconds") > 0 and expected.pop("milliseconds") > 0
    assert given == expected


def test_embed_prints_a_vector_that_the_database_reads(run, superuser):
    given = out(run("embed", "A text", "-m", ENCODER))
    expected = call(superuser, "SELECT llm.embed('A text', %s)", ENCODER)
    assert call(superuser, "SELECT translate(%s, '[]', '{}')::real[]", given) == expected
    assert json.loads(out(run("embed", "-", "-m", ENCODER, "--json", typed="A text"))) == {
        "dimensions": len(expected),
        "embedding": expected,
    }


@pytest.mark.parametrize("command", ["models", "list"])
def test_models_are_listed_under_titles(run, command):
    titles, *rows = (line.split("\t") for line in out(run(command)).splitlines())
    assert titles[:3] == ["name", "family", "parameters"]
    assert {MODEL, ENCODER} <= {row[0] for row in rows}


def test_models_as_json_are_the_rows_of_the_view(run, superuser):
    given = json.loads(out(run("models", "--json")))
    assert given == [row for (row,) in superuser.execute("SELECT to_jsonb(m) FROM llm.models AS m ORDER BY name")]


def test_info_says_what_is_known_of_a_model(run, superuser):
    known = json.loads(out(run("info", MODEL, "--json")))
    assert known["architecture"] == call(superuser, "SELECT llm.architecture(%s)", MODEL)
    assert sum(known["encodings"].values()) == call(
        superuser, "SELECT count(*) FROM llm.tensors WHERE model = %s", MODEL
    )
    lines = dict(line.split("\t") for line in out(run("info", MODEL)).splitlines())
    assert lines["what"] == "value"
    assert lines["architecture.layers"] == str(known["architecture"]["layers"])


def test_the_default_is_shown_and_chosen(run, superuser):
    query = "SELECT name FROM llm.models WHERE is_default"
    before = [name for (name,) in superuser.execute(query)]
    if MODEL not in before:  # another test's model, of another owner
        superuser.execute("SELECT llm.set_default_model(%s)", [MODEL])
    try:
        assert MODEL in out(run("default", MODEL))
        assert out(run("default")).splitlines()[0] == "name\tfamily"
    finally:
        for name in before:
            superuser.execute("SELECT llm.set_default_model(%s)", [name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "x", "-m", "no-such-model"], 'model "no-such-model" does not exist'),
        (["generate", "x", "-m", MODEL, "--temperature", "-1"], "temperature"),
        (["generate", "x", "-m", MODEL, "--set", "no_such_option=1"], "no_such_option"),
        (["generate", "x", "-m", MODEL, "--set", "top_k=many"], "many"),
        (["embed", "x", "-m", "no-such-model"], "does not exist"),
        (["info", "no-such-model"], "does not exist"),
        (["default", "no-such-model"], "does not exist"),
    ],
    ids=str,
)
def test_an_error_of_the_server_is_a_line_and_perhaps_a_hint(run, arguments, message):
    result = run(*arguments)
    lines = result.stderr.splitlines()
    assert result.exit_code == 1 and result.stdout == ""
    assert lines[0].startswith("error: ") and message in lines[0]
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))


def test_a_conversation_is_what_llm_chat_says(run, superuser, tmp_path):
    path = tmp_path / "saved.json"
    typed = f"Hello\nAnd then?\n/stats\n/model {MODEL}\n/save {path}\n/quit\n"
    given = out(run("chat", "-m", MODEL, "--max-tokens", "20", "--system", "Be brief.", typed=typed))
    messages = json.loads(path.read_text())["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "user", "assistant"]
    for end in (2, 4):
        expected = call(
            superuser, "SELECT llm.chat(%s, %s, max_tokens => 20)", psycopg.types.json.Jsonb(messages[:end]), MODEL
        )
        assert messages[end]["content"] == expected
        assert expected in given
    assert "20 tokens" in given and f"model: {MODEL}" in given


def test_ctrl_c_stops_the_answer_and_not_the_program(loader_dsn, tmp_path):
    """SIGINT as a terminal sends it, after the first piece of a long answer; then the same session answers again."""
    path = tmp_path / "saved.json"
    program = subprocess.Popen(
        [sys.executable, "-m", "loaders.cli", "chat", "-m", MODEL, "--max-tokens", "450", "--set", "ignore_eos=true"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HARTONOMOUS_DSN": loader_dsn, "PYTHONUNBUFFERED": "1"},
    )
    program.stdin.write("Tell me a long story\n")
    program.stdin.flush()
    assert program.stdout.read(1)
    time.sleep(0.02)
    program.send_signal(signal.SIGINT)
    stdout, stderr = program.communicate(f"Another\n/save {path}\n/quit\n", timeout=120)
    assert program.returncode == 0, stderr
    messages = json.loads(path.read_text())["messages"]
    assert [m["role"] for m in messages][-2:] == ["user", "assistant"]
    assert "saved" in stdout
