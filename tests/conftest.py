"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

from tests.own_data import folder

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of check data that this project did not write: HARTONOMOUS_DATA, default ../shared/data."""
    found = Path(os.environ.get("HARTONOMOUS_DATA") or CHECKOUT.parent / "shared" / "data")
    if not found.is_dir():
        message = f"no check data at {found}: set HARTONOMOUS_DATA to the folder that holds it"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the check data that this project wrote: for laws, which hold of any small trained model."""
    return folder.write(tmp_path_factory.mktemp("own-data"))


@pytest.fixture(scope="session", params=["own", "outside"])
def each_data(request: pytest.FixtureRequest) -> Path:
    """Our own data, and then the check data: for known answers."""
    return request.getfixturevalue("own_data" if request.param == "own" else "data")
