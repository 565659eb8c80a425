"""llm.tidy knows the kinds that the bundled model was trained on."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_kinds_are_those_of_the_training_data(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(CHECKOUT / "tidy")
    import data

    script = (CHECKOUT / "deploy" / "function_tidy.sql").read_text()
    listed = re.search(r"ARRAY\[(.*?)\]", script, re.DOTALL)[1]
    assert set(re.findall(r"'(\w+)'", listed)) == set(data.KINDS)
