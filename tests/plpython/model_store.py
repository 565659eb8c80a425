"""Models as the rows of llm_store.model, in memory, and what a session makes of them."""

import hashlib
import json
from pathlib import Path

import pytest

from loaders.huggingface.folder import read_folder
from plpython.server import errors

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"


class Store:
    """llm_store.model in memory, as the caller sees it."""

    def __init__(self, plpy):
        self.rows, self.role, self.defaults = [], "alice", {}
        plpy.answers["WHERE m.name"] = lambda name: self.seen([row for row in self.rows if row["name"] == name])
        plpy.answers["llm_store.default_model"] = self.default
        plpy.answers["current_setting"] = lambda name: [{"value": "numpy" if name == "llm.engine" else None}]
        plpy.answers["AS role"] = lambda: [{"role": self.role}]

    def seen(self, rows):
        return [{**row, "role": self.role} for row in rows]

    def default(self, kinds):
        """The row of the first kind that has had a default, with no model where that is gone."""
        had = [kind for kind in kinds if kind in self.defaults]
        found = [row for row in self.rows if had and row["name"] == self.defaults[had[0]]]
        return self.seen([{"kind": had[0], **(found[0] if found else {"id": None})}] if had else [])

    def add(self, name, family="qwen2", kind="decoder"):
        """A model; the first of its kind is the default."""
        self.defaults.setdefault(kind, name)
        source = read_folder(FAMILIES / family)
        self.rows.append(
            {
                "id": len(self.rows) + 1,
                "name": name,
                "hash": hashlib.sha256(name.encode()).digest(),
                "tokenizer_id": 1,
                "architecture": json.dumps(source.architecture.to_config()),
            }
        )


def refusal(sqlstate, function, *arguments):
    """The ModelError that a call raises, with its SQLSTATE checked."""
    with pytest.raises(errors.ModelError) as error:
        function(*arguments)
    assert error.value.sqlstate == sqlstate
    return error.value
