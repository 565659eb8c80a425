"""hartonomous chat: a conversation with a model, whose answers appear as they are written.

The conversation is a list of messages that the program keeps; each answer is one query of llm.chat_stream.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from psycopg.types.json import Jsonb

from .asking import MaxTokens, ModelName, Settings, Temperature, arguments, call
from .terminal import Dsn, connected, one_line, reported, say, server_message, write

QUOTES = '"""'
HELP = f"""A line that ends with \\ goes on in the next. Lines between {QUOTES} and {QUOTES} are one message.
Ctrl-C stops an answer, Ctrl-D ends the program.
/model [NAME]   talk to another model; without a name, say which
/system [TEXT]  begin the conversation with this instruction; without a text, with none
/new            begin a new conversation
/stats          what the last answer took
/save FILE      write the conversation to a file, as JSON
/quit           end the program"""


@reported
def chat(
    model: ModelName = None,
    system: Annotated[str | None, typer.Option(help="An instruction that begins the conversation.")] = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    settings: Settings = None,
    dsn: Dsn = "",
) -> None:
    """Talk to a model. /help says what else can be typed."""
    given = arguments(settings) | {"model": model, "max_tokens": max_tokens, "temperature": temperature}
    with connected(dsn) as connection:
        Chat(connection, given, system).run(turns(line_reader()))


class Chat:
    """A conversation. given: arguments of llm.chat_stream."""

    def __init__(self, connection: psycopg.Connection, given: dict, system: str | None = None):
        self._connection, self._given, self._system = connection, given, system
        self._messages: list[dict] = []
        self._seconds: float | None = None
        self._noticed: set[str] = set()
        connection.add_notice_handler(self._notice)

    def run(self, inputs: Iterator[str]) -> None:
        """Answer each input, or do what it commands, until /quit or the end."""
        for text in inputs:
            if text.startswith("/"):
                name, _, rest = text[1:].partition(" ")
                if name in ("quit", "exit"):
                    return
                self._command(name, rest.strip())
            elif text.strip():
                self._turn(text)

    def _command(self, name: str, rest: str) -> None:
        commands: dict[str, Callable[[str], None]] = {
            "help": lambda _: print(HELP),
            "model": self._choose_model,
            "new": lambda _: self._messages.clear(),
            "save": self._save,
            "stats": lambda _: self._tell_stats(),
            "system": self._instruct,
        }
        if name not in commands:
            say("error", f"there is no command /{name}", "/help lists them.")
            return
        try:
            commands[name](rest)
        except psycopg.Error as problem:
            self._tell(problem)
        except OSError as problem:
            say("error", f"{problem.filename}: {problem.strerror}", None)

    def _choose_model(self, name: str) -> None:
        if name:
            query = "SELECT m.name FROM llm.models AS m WHERE m.name = %s"
            if self._connection.execute(query, (name,)).fetchone() is None:
                say("error", f'model "{name}" does not exist', "hartonomous models lists those that do.")
                return
            self._given["model"] = name
        print(f"model: {one_line(self._given['model'] or 'the default')}")

    def _instruct(self, text: str) -> None:
        self._system = text or None

    def _save(self, path: str) -> None:
        if not path:
            say("error", "/save needs the name of a file", None)
            return
        whole = {"model": self._given["model"], "messages": self._conversation()}
        Path(path).write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(f"saved {len(whole['messages'])} messages to {path}")

    def _tell_stats(self) -> None:
        stats = self._connection.execute("SELECT prefilled, reused, generated FROM llm.generation_stats()").fetchone()
        if self._seconds is None or stats is None:
            print("nothing was answered yet")
            return
        prefilled, reused, generated = stats
        print(
            f"prompt: {prefilled} tokens computed, {reused} reused; answer: {generated} tokens; "
            f"{self._seconds:.1f} s, {generated / max(self._seconds, 1e-9):.0f} tokens a second"
        )

    def _conversation(self) -> list[dict]:
        system = [] if self._system is None else [{"role": "system", "content": self._system}]
        return [*system, *self._messages]

    def _turn(self, text: str) -> None:
        """One message and its answer, as far as it came; a message without any of it is forgotten."""
        self._messages.append({"role": "user", "content": text})
        pieces: list[str] = []
        began = time.monotonic()
        why = self._answer(pieces)
        self._seconds = time.monotonic() - began
        if pieces:
            self._messages.append({"role": "assistant", "content": "".join(pieces)})
        else:
            self._messages.pop()
        if why is not None:
            say("notice", *why)

    def _answer(self, pieces: list[str]) -> tuple[str, str | None] | None:
        """Write the answer and collect its pieces. Returns why it is not whole, and what to do, or None."""
        try:
            finish_reason = self._spoken(pieces)
        except KeyboardInterrupt:
            return "the answer was interrupted", None
        except psycopg.Error as problem:
            self._tell(problem)
            return None
        finally:
            print()
        return ("the answer was cut", "--max-tokens N allows more.") if finish_reason == "length" else None

    def _spoken(self, pieces: list[str]) -> str | None:
        """Write the answer and collect its pieces; returns its finish_reason."""
        query = call(
            "SELECT piece, finish_reason FROM llm.chat_stream({})", self._given, messages=Jsonb(self._conversation())
        )
        row = ("", None)
        with contextlib.closing(self._connection.cursor().stream(query)) as rows:
            for row in rows:
                pieces.append(row[0])
                write(row[0])
        return row[1]

    def _tell(self, problem: psycopg.Error) -> None:
        """Say what went wrong; without a connection that is the end."""
        if self._connection.closed:
            raise problem
        say("error", *server_message(problem, "llm_user"))

    def _notice(self, notice: psycopg.errors.Diagnostic) -> None:
        """Say what the server does, once."""
        if notice.message_primary and notice.message_primary not in self._noticed:
            self._noticed.add(notice.message_primary)
            say("notice", notice.message_primary, notice.message_hint)


def line_reader() -> Callable[[str], str]:
    """What reads a line: with a prompt and line editing on a terminal. Raises EOFError at the end."""
    if sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - input() then has line editing and a history
        print("Type a message; /help says what else.")
        return input
    return lambda prompt: _line(sys.stdin.readline())


def _line(text: str) -> str:
    if not text:
        raise EOFError
    return text.removesuffix("\n")


def turns(read: Callable[[str], str]) -> Iterator[str]:
    """The messages and commands that are typed. Ctrl-C drops what was typed of one."""
    while True:
        try:
            yield _turn_from(read)
        except EOFError:
            return
        except KeyboardInterrupt:
            print("\n/quit or Ctrl-D ends the program.")


def _turn_from(read: Callable[[str], str]) -> str:
    """One message or command, of one line or several."""
    line = read("> ")
    if line.startswith(QUOTES):
        return _quoted(line.removeprefix(QUOTES), read)
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1][:-1]
        lines.append(read("... "))
    return "\n".join(lines)


def _quoted(line: str, read: Callable[[str], str]) -> str:
    lines = [line]
    while not lines[-1].rstrip().endswith(QUOTES):
        lines.append(read("... "))
    lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
    return "\n".join(lines).strip("\n")
