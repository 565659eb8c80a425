"""What is typed into `hartonomous chat`: one line, several, commands, and where it ends."""

import json

import psycopg
import pytest

from loaders.chat import Chat, turns


def reader(*lines):
    """Reads these lines and then the end; an exception among them is raised."""
    left = iter(lines)

    def read(prompt):
        line = next(left, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    return read


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        (["one", "two"], ["one", "two"]),
        (["one \\", "two\\", "three", "four"], ["one \ntwo\nthree", "four"]),
        (['"""one', "two", 'three"""', "four"], ["one\ntwo\nthree", "four"]),
        (['"""', "one", '"""'], ["one"]),
        (['"""one"""'], ["one"]),
        (["one", KeyboardInterrupt(), "two"], ["one", "two"]),
        (["one\\", KeyboardInterrupt(), "two"], ["two"]),
        (['"""never closed'], []),
    ],
)
def test_lines_become_messages(lines, messages):
    assert list(turns(reader(*lines))) == messages


class Connection:
    """A connection whose answers are given: pieces, of which an exception is raised."""

    closed = False

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def add_notice_handler(self, handler):
        self.tell = handler

    def cursor(self):
        return self

    def stream(self, query):
        self.asked.append(query.as_string(None))
        for piece in self.answers.pop(0):
            if isinstance(piece, BaseException):
                raise piece
            yield piece


def talk(connection, *lines, system=None):
    chat = Chat(connection, {"model": None}, system)
    chat.run(turns(reader(*lines)))
    return chat


WHOLE = [("Hel", None), ("lo", None), ("", "stop")]


def saved(tmp_path, connection, *lines, system=None):
    path = tmp_path / "saved.json"
    talk(connection, *lines, f"/save {path}", system=system)
    return json.loads(path.read_text())["messages"]


def test_the_conversation_has_messages_and_answers_in_turns(tmp_path, capsys):
    messages = saved(tmp_path, Connection(WHOLE, WHOLE), "Hi", "And?", system="Be brief.")
    assert [(m["role"], m["content"]) for m in messages] == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "And?"),
        ("assistant", "Hello"),
    ]
    assert capsys.readouterr().out.startswith("Hello\nHello\n")


def test_each_question_is_asked_with_all_that_was_said_before():
    connection = Connection(WHOLE, WHOLE)
    talk(connection, "Hi", "/system Be brief.", "And?")
    assert "Be brief." not in connection.asked[0]
    assert all(text in connection.asked[1] for text in ("Be brief.", "Hi", "Hello", "And?"))


def test_an_interrupt_stops_the_answer_and_not_the_program(tmp_path, capsys):
    connection = Connection([("Hel", None), KeyboardInterrupt()], [KeyboardInterrupt()], WHOLE)
    messages = saved(tmp_path, connection, "Hi", "Never answered", "And?")
    assert [m["content"] for m in messages] == ["Hi", "Hel", "And?", "Hello"]
    assert capsys.readouterr().err.count("interrupted") == 2


def test_an_error_of_the_server_is_told_and_the_program_goes_on(tmp_path, capsys):
    messages = saved(tmp_path, Connection([psycopg.errors.QueryCanceled("too late")], WHOLE), "Hi", "And?")
    assert [m["content"] for m in messages] == ["And?", "Hello"]
    assert capsys.readouterr().err.startswith("error: too late\n")


def test_a_connection_that_is_lost_ends_the_program():
    connection = Connection([psycopg.OperationalError("gone")])
    connection.closed = True
    with pytest.raises(psycopg.OperationalError):
        talk(connection, "Hi")


def test_an_answer_that_was_cut_says_how_to_get_more(capsys):
    talk(Connection([("Hel", None), ("", "length")]), "Hi")
    assert "--max-tokens" in capsys.readouterr().err


def test_a_new_conversation_forgets_the_old_one(tmp_path):
    assert saved(tmp_path, Connection(WHOLE), "Hi", "/new") == []


def test_an_unknown_command_asks_nothing_of_the_model(capsys):
    connection = Connection()
    talk(connection, "/mdoel x", "/quit", "Hi")
    assert connection.asked == []
    assert "no command /mdoel" in capsys.readouterr().err
