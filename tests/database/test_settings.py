"""Settings in the server: llm.settings, and names that nobody knows."""

import psycopg
import pytest

from tests.database.models import call


@pytest.fixture
def fresh(connect_as):
    """A session that has called no function yet; what the server says to it is in `said`."""
    connection = connect_as("llm_user")
    connection.said = []
    connection.add_notice_handler(lambda diagnostic: connection.said.append(diagnostic.message_primary))
    return connection


def test_a_misspelt_setting_is_refused_after_the_first_call(fresh):
    call(fresh, "SELECT llm.version()")
    with pytest.raises(psycopg.Error, match=r"llm\.thread") as error:
        fresh.execute("SET llm.thread = 2")
    assert error.value.sqlstate == "42602"
    fresh.execute("SET llm.threads = 2")
    assert call(fresh, "SELECT value FROM llm.settings WHERE name = 'llm.threads'") == "2"


def test_one_that_was_misspelt_before_is_removed_with_a_warning(fresh):
    fresh.execute("SET llm.thread = 2")
    fresh.execute("SET llm.engine = numpy")
    call(fresh, "SELECT llm.version()")
    assert [text for text in fresh.said if '"llm.thread"' in text]
    assert call(fresh, "SELECT current_setting('llm.thread', true)") is None
    assert call(fresh, "SHOW llm.engine") == "numpy" and "numpy" in call(fresh, "SELECT llm.engine()")


def test_a_value_lasts_as_long_as_that_of_any_setting(fresh):
    value = "SELECT value FROM llm.settings WHERE name = 'llm.batch_mb'"
    with fresh.transaction(force_rollback=True):
        fresh.execute("SET llm.batch_mb = 20")
        assert call(fresh, value) == "20"  # the first call, within the transaction
    assert call(fresh, value) == "512"
    with fresh.transaction():
        fresh.execute("SET LOCAL llm.batch_mb = 30")
        assert call(fresh, value) == "30"
    assert call(fresh, value) == "512"
    fresh.execute("SET llm.batch_mb = 40")
    fresh.execute("DISCARD ALL")
    assert call(fresh, value) == "512"


def test_a_second_boot_of_the_session_does_no_harm(fresh):
    fresh.execute("SET llm.engine = numpy")
    for _ in range(2):
        fresh.execute("SELECT llm_runtime.boot()")
    assert "numpy" in call(fresh, "SELECT llm.engine()")
