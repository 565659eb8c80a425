"""Models for tests of editing, and names for those that a test makes of them."""

import pytest

from tests.database.models import STORIES, loaded


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn, own_data):
    """A story model in four encodings."""
    with loaded(superuser_dsn, {name: own_data / path for name, path in STORIES.items() if name != "stories-hf"}):
        yield


@pytest.fixture
def new(superuser):
    """new("x") is a name for a model that is dropped when the test ends."""
    made = []

    def name(stem: str) -> str:
        made.append(f"edit-{stem}")
        return made[-1]

    yield name
    for model in made:
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", (model,))


@pytest.fixture
def forked(loader, new):
    """A loader's fork of it."""
    name = new("fork")
    loader.execute("SELECT llm.fork('stories', %s)", (name,))
    return name
