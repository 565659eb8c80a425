"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of check data that this project did not write: HARTONOMOUS_DATA, default ../shared/data."""
    folder = Path(os.environ.get("HARTONOMOUS_DATA") or CHECKOUT.parent / "shared" / "data")
    if not folder.is_dir():
        message = f"no check data at {folder}: set HARTONOMOUS_DATA to the folder that holds it"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return folder
