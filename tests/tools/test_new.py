"""`make new function NAME`: four scripts that follow the rules, and their line in the plan."""

import shutil
from pathlib import Path

import pytest

from tools import new

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """An empty checkout with the plan of this one."""
    for folder in new.FOLDERS:
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(CHECKOUT / "sqitch.plan", tmp_path)
    return tmp_path


def test_a_new_function_is_five_files(checkout: Path):
    written = new.write_function("shout", checkout)
    assert written == [*(f"{folder}/function_shout.sql" for folder in new.FOLDERS), "sqitch.plan"]
    last = (checkout / "sqitch.plan").read_text().splitlines()[-1]
    assert last.startswith("function_shout [schema_llm role_llm_owner] ")
    assert last.endswith(" # Gives a text back.")
    deploy = (checkout / "deploy/function_shout.sql").read_text().splitlines()
    assert deploy[:2] == ["-- Deploy hartonomous:function_shout to pg", "-- requires: schema_llm, role_llm_owner"]
    assert "ALTER FUNCTION llm.shout(text) OWNER TO llm_owner;" in deploy


@pytest.mark.parametrize("name", ["", "Shout", "1st", "a-b", "a.b", "a" * 60])
def test_a_name_that_is_none_is_refused(checkout: Path, name: str):
    with pytest.raises(new.NewError, match="is no name"):
        new.write_function(name, checkout)


def test_a_function_that_is_there_is_not_written_over(checkout: Path):
    new.write_function("shout", checkout)
    (checkout / "deploy/function_shout.sql").write_text("mine")
    with pytest.raises(new.NewError, match="is there already"):
        new.write_function("shout", checkout)
    assert (checkout / "deploy/function_shout.sql").read_text() == "mine"
