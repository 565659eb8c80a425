"""The modules that touch plpy, with a fake one. tests/database/test_store_runtime.py has the real one."""

import sys
import types

import pytest

from plpython.server import connection, database, errors, interrupts, server_variables, streams


@pytest.fixture
def session(plpy, monkeypatch):
    """A session whose wing sql has one module, `kitchen`, which the test fills."""
    kitchen = types.ModuleType("llm_test.sql.kitchen")
    for name in ("llm_test", "llm_test.sql"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "llm_test.sql.kitchen", kitchen)
    monkeypatch.setattr(server_variables, "catalog_changes", types.SimpleNamespace(value=1))
    plpy.answers["llm_runtime.release"] = [{"release": "one"}]
    session = connection.connect(plpy, {}, "llm_test", "one")
    session.test_kitchen = kitchen
    return session


def test_a_function_of_a_module_is_called_with_its_arguments(session):
    session.test_kitchen.cook = lambda dish, minutes: f"{dish} in {minutes} minutes"
    assert session.kitchen.cook("rice", 12) == "rice in 12 minutes"


def test_a_model_error_becomes_an_error_of_plpy_with_its_sqlstate_detail_and_hint(session, plpy):
    def cook():
        raise errors.undefined_object('model "x" does not exist', "there are 2", "see llm.models")

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error) as raised:
        session.kitchen.cook()
    error = raised.value
    assert (str(error), error.sqlstate, error.detail, error.hint) == (
        'model "x" does not exist',
        "42704",
        "there are 2",
        "see llm.models",
    )
    assert (type(error).__module__, type(error).__name__) == ("builtins", "llm")  # what PL/Python prefixes


def test_an_unexpected_exception_is_an_internal_error_with_the_traceback_as_detail(session, plpy):
    def cook():
        return {}["salt"]

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error, match="unexpected KeyError: 'salt'") as raised:
        session.kitchen.cook()
    assert raised.value.sqlstate == "XX000"
    assert 'return {}["salt"]' in raised.value.detail


def test_running_out_of_memory_has_its_own_sqlstate(session, plpy):
    def cook():
        raise MemoryError

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error) as raised:
        session.kitchen.cook()
    assert raised.value.sqlstate == "53200"


def spi_error(plpy, message, sqlstate, detail=None, hint=None, query=None):
    error = plpy.SPIError(message)
    error.sqlstate, error.spidata = sqlstate, (0, detail, hint, query, 0, None, None, None, None, None)
    return error


def test_an_error_with_a_sqlstate_of_the_callers_own_keeps_it(session, plpy):
    """PL/Python has no class for P0042, so no attribute: its number, six bits a character, is in spidata."""
    number = sum((ord(character) - ord("0")) << 6 * place for place, character in enumerate("P0042"))
    raised_by_sql = plpy.SPIError("too far 151")
    raised_by_sql.spidata = (number, "d", "h", None, 0, None, None, None, None, None)

    def cook():
        raise raised_by_sql

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error) as raised:
        session.kitchen.cook()
    error = raised.value
    assert (str(error), error.sqlstate, error.detail, error.hint) == ("too far 151", "P0042", "d", "h")


def test_a_package_that_a_module_misses_is_named_with_what_to_do(session, plpy, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'tokenizers'", name="tokenizers")

    monkeypatch.setattr(connection.importlib, "import_module", missing)
    with pytest.raises(plpy.Error, match="cannot import tokenizers") as raised:
        _ = session.pantry
    assert raised.value.sqlstate == "55000"
    assert "site_packages()" in raised.value.hint


def test_an_error_in_a_callers_query_is_named_as_ours_are_and_keeps_its_place(session, plpy):
    raised_by_sql = spi_error(plpy, "syntax error", "42601", query="SELEC 1")

    def cook():
        raise raised_by_sql

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.SPIError) as raised:
        session.kitchen.cook()
    error = raised.value
    assert (type(error).__name__, str(error), error.sqlstate) == ("llm", "syntax error", "42601")
    assert error.spidata == raised_by_sql.spidata


@pytest.mark.parametrize("prefix", ["", "llm: ", "spiexceptions.QueryCanceled: spiexceptions.QueryCanceled: llm: "])
def test_an_interrupt_keeps_its_sqlstate_and_reads_as_postgresql_has_it(session, plpy, prefix):
    def cook():
        raise spi_error(plpy, prefix + "canceling statement due to statement timeout", "57014")

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error) as raised:
        session.kitchen.cook()
    assert (str(raised.value), raised.value.sqlstate) == ("canceling statement due to statement timeout", "57014")


def test_an_error_that_sql_raises_within_a_call_is_named_as_ours_are(session, plpy):
    def cook():
        raise spi_error(plpy, "llm: the disk is too full", "53100", "12 MB are needed", "Free space.")

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error) as raised:
        session.kitchen.cook()
    error = raised.value
    assert (type(error).__name__, str(error), error.sqlstate, error.detail, error.hint) == (
        "llm", "the disk is too full", "53100", "12 MB are needed", "Free space."
    )  # fmt: skip


def test_a_generator_computes_all_its_rows_at_once(session):
    def cook(*dishes):
        yield from dishes

    session.test_kitchen.cook = cook
    assert session.kitchen.cook("soup", "fish") == ["soup", "fish"]
    assert session.kitchen.cook() == []


def test_a_stream_computes_its_first_row_at_once_and_the_others_as_they_are_fetched(session):
    served = []

    def cook(*dishes):
        for dish in dishes:
            served.append(dish)
            yield (dish,)

    session.test_kitchen.cook = lambda *dishes: streams.Stream(cook(*dishes), 1)
    dishes = session.kitchen.cook("soup", "fish", "cake")
    assert served == ["soup"]
    assert next(dishes) == ("soup", None) and served == ["soup"]
    assert list(dishes) == [("fish", None), ("cake", None)]
    assert list(session.kitchen.cook()) == []


def test_an_error_before_the_first_row_of_a_generator_is_one_of_the_call(session, plpy):
    def cook():
        raise errors.limit_exceeded("nothing is left", "12 wanted", "Go home.")
        yield

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error) as raised:
        session.kitchen.cook()
    error = raised.value
    assert (str(error), error.sqlstate, error.detail, error.hint) == (
        "nothing is left", "53400", "12 wanted", "Go home."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (
            lambda plpy: errors.limit_exceeded("nothing is left", "12 wanted", "Go home."),
            ("nothing is left", "53400", "12 wanted", "Go home."),
        ),
        (
            lambda plpy: spi_error(plpy, "llm: division by zero", "22012", "a/b", query="SELECT a/b"),
            ("division by zero", "22012", "a/b", None),
        ),
        (
            lambda plpy: spi_error(plpy, "canceling statement due to statement timeout", "57014"),
            ("canceling statement due to statement timeout", "57014", None, None),
        ),
    ],
)
def test_an_error_in_a_later_row_of_a_stream_is_a_row_of_its_own_that_can_be_raised(session, plpy, raised, expected):
    def cook():
        yield "soup", 1
        raise raised(plpy)

    session.test_kitchen.cook = lambda: streams.Stream(cook(), 2)
    session.test_kitchen.complain = streams.raise_late
    soup, failed = session.kitchen.cook()
    assert soup == ("soup", 1, None) and failed[:2] == (None, None)
    with pytest.raises(plpy.Error) as late:
        session.kitchen.complain(failed[2])
    error = late.value
    assert (str(error), error.sqlstate, error.detail, error.hint) == expected


def test_a_package_that_the_server_lacks_is_named_with_the_function_to_replace(session, plpy):
    def cook():
        import salt_and_pepper  # noqa: F401

    session.test_kitchen.cook = cook
    with pytest.raises(plpy.Error, match="cannot import salt_and_pepper") as missing:
        session.kitchen.cook()
    assert missing.value.sqlstate == "55000"
    assert "llm_runtime.site_packages()" in missing.value.hint


def test_what_is_kept_for_a_client_is_forgotten_after_discard_all(session, plpy, monkeypatch):
    """The mark is a prepared statement: here a set of names stands for the server's."""
    prepared, forgotten = set(), []
    monkeypatch.setattr(server_variables, "find_statement", lambda name, raises: name in prepared)
    monkeypatch.setattr(connection, "_marked", False)
    plpy.answers["PREPARE"] = lambda: prepared.add(connection.SESSION_MARK.encode()) or []
    monkeypatch.setattr(connection, "_forgetting", [])
    connection.when_forgotten(lambda: forgotten.append(True))
    session.test_kitchen.cook = lambda: None
    session.kitchen.cook()
    connection.mark_session()
    session.kitchen.cook()
    assert forgotten == [] and len(prepared) == 1
    prepared.clear()
    session.kitchen.cook()
    session.kitchen.cook()
    assert forgotten == [True]


def test_an_upgrade_boots_the_session_anew_before_the_call(session, plpy):
    session.test_kitchen.cook = lambda: "old recipe"
    assert session.kitchen.cook() == "old recipe"
    newer = types.SimpleNamespace(kitchen=types.SimpleNamespace(cook=lambda: "new recipe"))

    def boot():
        session._gd["llm"] = newer
        return [{"boot": "two"}]

    plpy.answers["llm_runtime.boot"] = boot
    plpy.answers["llm_runtime.release"] = [{"release": "two"}]
    assert session.kitchen.cook() == "old recipe", "the server has not told of a change yet"
    server_variables.catalog_changes.value += 1
    assert session.kitchen.cook() == "new recipe"


def test_another_change_of_the_catalogue_does_not_boot_anew(session, plpy):
    session.test_kitchen.cook = lambda: "old recipe"
    server_variables.catalog_changes.value += 1
    assert session.kitchen.cook() == "old recipe"
    assert plpy.executed == []


def test_a_query_is_prepared_once_with_its_types(plpy):
    query = database.Query("SELECT salt", "integer")
    plpy.answers["salt"] = lambda grams: [{"salt": grams}]
    assert [query.one(1), query.one(2)] == [{"salt": 1}, {"salt": 2}]
    assert query.all(3) == [{"salt": 3}]
    assert plpy.prepared == [("SELECT salt", ["integer"])]


def test_one_row_is_expected_where_one_is_asked_for(plpy):
    query = database.Query("SELECT salt")
    assert query.one() is None
    plpy.answers["salt"] = [{"salt": 1}, {"salt": 2}]
    with pytest.raises(errors.ModelError, match="more than one row"):
        query.one()


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_a_stream_gives_every_row_and_closes_its_cursor(plpy, batch):
    plpy.answers["salt"] = [{"salt": n} for n in range(5)]
    rows = database.Query("SELECT salt").stream(batch=batch)
    assert next(rows) == {"salt": 0}
    assert plpy.open_cursors == 1
    assert [row["salt"] for row in rows] == [1, 2, 3, 4]
    assert plpy.open_cursors == 0


def test_a_stream_that_is_left_early_closes_its_cursor(plpy):
    plpy.answers["salt"] = [{"salt": n} for n in range(5)]
    rows = database.Query("SELECT salt").stream()
    next(rows)
    rows.close()
    assert plpy.open_cursors == 0


def test_a_checkpoint_enters_the_server_only_when_an_interrupt_is_pending(plpy, monkeypatch):
    pending = types.SimpleNamespace(value=0)
    monkeypatch.setattr(server_variables, "interrupt_pending", pending)
    interrupts.checkpoint()
    assert plpy.executed == []
    pending.value = 1
    interrupts.checkpoint()
    assert plpy.executed == ["SELECT 1"]
