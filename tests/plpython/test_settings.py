"""Settings: one table has them all, and documentation says what it says."""

import re
from pathlib import Path

import pytest

from plpython.server import errors, settings

CHECKOUT = Path(__file__).resolve().parents[2]
READ = re.compile(r"settings\.(choice|integer|megabytes)\(\"(\w+)\"\)")


@pytest.fixture
def given(monkeypatch):
    """What the session has set, by name."""
    values = {}
    monkeypatch.setattr(settings, "_given", values.get)
    monkeypatch.setattr(settings.ceilings, "allowed", {"batch_mb": 4096, "kv_cache_mb": 100}.get)
    return values


def test_what_is_listed_is_read_and_nothing_else():
    sources = [path.read_text(encoding="utf-8") for path in (CHECKOUT / "plpython").rglob("*.py")]
    read = {name for source in sources for _, name in READ.findall(source)}
    assert read == set(settings.LLM_SETTINGS)
    with pytest.raises(KeyError):
        settings.integer("no_such_setting")


def test_operations_has_the_defaults_and_meanings_of_the_table():
    page = (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name, setting in settings.LLM_SETTINGS.items():
        if setting.choices is None:
            default = "not set" if setting.default is None else setting.default
            assert f"| `llm.{name}` | {default} | {setting.meaning} |" in page


def test_a_setting_is_its_value_or_its_default(given):
    assert settings.choice("engine") == "auto" and settings.integer("threads") is None
    assert settings.megabytes("batch_mb") == 512 << 20
    assert settings.megabytes("kv_cache_mb") == 100 << 20  # the limit, which is lower than the default
    given.update(engine="numpy", threads=" 2 ", batch_mb="7")
    assert settings.choice("engine") == "numpy" and settings.integer("threads") == 2
    assert settings.megabytes("batch_mb") == 7 << 20
    rows = {name: (value, default) for name, value, _, default, _ in settings.rows()}
    assert rows["llm.batch_mb"] == ("7", "512") and rows["llm.threads"] == (" 2 ", None)
    assert rows["llm.search_mb"] == ("1024", "1024") and len(rows) == len(settings.LLM_SETTINGS)


def test_what_is_out_of_range_is_named(given):
    given.update(engine="numpie", threads="65", batch_mb="4097", search_mb="-1", kv_cache_mb="much")
    for sqlstate, read, name in (
        ("22023", settings.choice, "engine"),
        ("22023", settings.integer, "threads"),
        ("53400", settings.megabytes, "batch_mb"),
        ("22023", settings.megabytes, "search_mb"),
        ("22023", settings.megabytes, "kv_cache_mb"),
    ):
        with pytest.raises(errors.ModelError, match=f"llm.{name}") as error:
            read(name)
        assert error.value.sqlstate == sqlstate
