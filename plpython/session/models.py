"""Finds the model of a call, and keeps loaded models for the session.

Every call looks the model up by name, with the caller's rights. Loaded models are cached by the hash of their content.
So a model that was edited in a transaction is another one, ROLLBACK brings the old one back, and a role only reaches
models that it may see.
"""

from collections import OrderedDict

from ..server import arguments, database, errors, statement_clock
from ..weights import tensors
from . import engines
from .model import Model

DECODER, ENCODER = "decoder", "encoder"  # llm_store.model.kind
SEE_MODELS = "The models of this database are listed in llm.models."
MODELS_KEPT = 3  # the most recently used, such as a model, its draft and one for embeddings

MODEL_COLUMNS = "m.id, m.name, m.hash, m.tokenizer_id, m.architecture, pg_catalog.quote_ident(current_user) AS role"
MODEL_BY_NAME = database.Query(f"SELECT {MODEL_COLUMNS} FROM llm_store.model AS m WHERE m.name = $1", "text")
DEFAULT_MODEL = database.Query(
    f"""SELECT d.kind, {MODEL_COLUMNS}
    FROM llm_store.default_model AS d LEFT JOIN llm_store.model AS m ON m.id = d.model_id
    WHERE d.kind = ANY ($1) ORDER BY pg_catalog.array_position($1, d.kind) LIMIT 1""",
    "text[]",
)
MODEL_BY_HASH = database.Query("SELECT m.id FROM llm_store.model AS m WHERE m.hash = $1 LIMIT 1", "bytea")
ROLE = database.Query("SELECT pg_catalog.quote_ident(current_user) AS role")

_models = OrderedDict()  # by hash, the most recently used last
_current = (None, {})  # a moment (statement_clock), and the models that names meant then


def resolve(name=None):
    """The Model of a name, for the caller. None is the default decoder, or else, if there never was one, the encoder.

    Raises ModelError 42704 if there is none.
    """
    return _loaded(_find(name))


def decoder(name=None):
    """As `resolve`, but only a decoder; None is the default decoder. ModelError 0A000 for an encoder."""
    model = _loaded(_find(name, DECODER))
    model.require_decoder()
    return model


def embedder(name=None):
    """As `resolve`, for embeddings: None is the default encoder, or, if there never was one, the default decoder."""
    return _loaded(_find(name, ENCODER, DECODER))


def current(name=None):
    """As `resolve`, with one look-up in the tables for each moment. Makes no engine, so packs nothing."""
    return _loaded(_row_now(name))


def at_this_moment(name=None):
    """(Model, role, operators): the model as from `current`, the caller, and the model's operators. A query calls this
    hundreds of times."""
    known = _current[1] if _current[0] == statement_clock.now() else _known_now()
    found = known.get(name)
    if found is None:
        row = _row_now(name)
        model = _loaded(row)
        found = known[name] = (model, row["role"], model.operators)
    return found


def swiglu():
    """The one operator that needs no model, of the current engine."""
    known = _known_now()
    found = known.get(swiglu)
    if found is None:
        found = known[swiglu] = engines.swiglu()
    return found


def role():
    """The current role."""
    return ROLE.one()["role"]


def reset():
    """Forget every model of the session."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    _current = (None, {})
    _models.clear()


def architecture(name=None):
    """The architecture of a model as a JSON object."""
    return _loaded(_row_now(name)).description


def identity(name=None):
    """(hash, name) of the model of a name, for the caller; does not load it."""
    row = _find(name)
    return row["hash"], row["name"]


def weights_of(hash):
    """The Weights of a model by the hash of its content. Raises ModelError 42704 where there is none."""
    row = MODEL_BY_HASH.one(hash)
    if row is None:
        raise errors.undefined_object("no model has this content", hash.hex())
    return tensors.Weights(row["id"])


def _known_now():
    """The cache of look-ups for the current moment."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    now = statement_clock.now()
    if _current[0] != now:
        _current = (now, {})
    return _current[1]


def _row_now(name):
    """The row of a model, looked up once for each moment."""
    known = _known_now()
    row = known.get((_find, name))
    if row is None:
        row = known[_find, name] = _find(name)
    return row


def _find(name, *kinds):
    """The row of a model by name. None: the default of the first of the kinds that ever had one."""
    if name is None:
        return _default(kinds or (DECODER, ENCODER))
    row = MODEL_BY_NAME.one(arguments.name("model", name, SEE_MODELS))
    if row is None:
        raise errors.undefined_object(
            f'model "{arguments.shown_name(name)}" does not exist',
            hint=SEE_MODELS,
        )
    return row


def _default(kinds):
    """The row of a default model. If that was dropped, no other model takes its place."""
    row = DEFAULT_MODEL.one(list(kinds))
    if row is None:
        kind = "model" if len(kinds) > 1 else kinds[0]
        raise errors.undefined_object(f"there is no {kind}", hint="Load one: hartonomous load PATH --name NAME.")
    if row["id"] is None:
        raise errors.undefined_object(
            f"no model is named, and there is no default {row['kind']}",
            "The default was dropped, or this role may not see it.",
            "Name one of llm.models, or choose one with llm.set_default_model.",
        )
    return row


def _loaded(row):
    """The Model of a row: the cached one if its content is the same, with the name by which this call knows it."""
    model = _models.pop(row["hash"], None) or Model(row)
    model.name = row["name"]
    _models[row["hash"]] = model
    while len(_models) > MODELS_KEPT:
        _models.popitem(last=False)
    return model
