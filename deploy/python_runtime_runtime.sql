-- Deploy hartonomous:python_runtime_runtime to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/runtime.py by tools/render.py.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.runtime()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Which model a call means, what is kept of it in the session, and the KV caches that belong to the session.

A model is found by name with the caller's rights on every call; what is kept is keyed by the hash of its content. So an
edit inside a transaction is another model, ROLLBACK brings the old one back, and a role never reaches what it may not.
"""

import functools
import itertools
import json
from collections import OrderedDict

from . import arguments, database, errors, weights
from .architecture import Architecture
from .numpy_engine import NumpyEngine

MODELS_KEPT = 2  # a session's most recently used; their weights are its memory
KV_CACHES_KEPT = 256


class Model:
    """A loaded model: architecture, weights, and, when they are first needed, its tokenizer and engine."""

    def __init__(self, row):
        self.id = row["id"]
        self.name = row["name"]
        self.hash = row["hash"]
        self.tokenizer_id = row["tokenizer_id"]
        self.architecture = Architecture.from_config(json.loads(row["architecture"]))
        self.weights = weights.Weights(self)

    @functools.cached_property
    def tokenizer(self):
        from .tokenizer import Tokenizer

        row = database.rows(TOKENIZER, ["integer"], self.tokenizer_id)[0]
        return Tokenizer(row["definition"], json.loads(row["settings"]))

    @functools.cached_property
    def engine(self):
        return NumpyEngine(self.architecture, self.weights)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.runtime() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.runtime() IS
'Which model a call means, what is kept of it in the session, and the KV caches that belong to the session.';

COMMIT;
