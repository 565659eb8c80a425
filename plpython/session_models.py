"""Which model a call means, and what a session keeps of the models that it used.

A model is found by its name with the caller's rights at every call; what is kept is keyed by the hash of its content.
So an edit inside a transaction is another model, ROLLBACK brings the old one back, and no role reaches what it may not.
"""

from collections import OrderedDict

from . import database, engines, errors, moment, weights
from .encoder_architecture import FAMILIES as ENCODERS
from .loaded_model import Model

MOST_OF_A_NAME = 100  # characters in an error: as long as a name may be
MODELS_KEPT = 2  # the session's most recently used; their weights are its memory

COLUMNS = (
    "m.id, m.name, m.hash, m.is_default, m.tokenizer_id, m.architecture, pg_catalog.quote_ident(current_user) AS role"
)
BY_NAME = database.Query(f"SELECT {COLUMNS} FROM llm_store.model AS m WHERE m.name = $1", "text")
WITHOUT_NAME = database.Query(f"SELECT {COLUMNS} FROM llm_store.model AS m ORDER BY m.is_default DESC LIMIT 2")
OF_A_KIND = database.Query(
    f"SELECT {COLUMNS} FROM llm_store.model AS m WHERE (m.architecture ->> 'family' = ANY($1)) = $2 "
    "ORDER BY m.is_default DESC LIMIT 2",
    *("text[]", "boolean"),
)
ROLE = database.Query("SELECT pg_catalog.quote_ident(current_user) AS role")

_models = OrderedDict()  # by hash, the most recently used last
_current = (None, {})  # a moment, and what names meant then


def resolve(name=None):
    """The Model that `name` means to the caller now; None is the database's default model, or else its only one.

    Raises ModelError 42704 when there is none, or no way to choose.
    """
    return _kept(_find(name))


def decoder(name=None):
    """As `resolve`, for what only a decoder can do; None is the default model, or else the only decoder.

    Raises ModelError 0A000 for an encoder.
    """
    model = resolve(name) if name is not None else _of_a_kind(encoder=False)
    model.require_decoder()
    return model


def embedder(name=None):
    """As `resolve`, for embeddings; None is the default model if that is an encoder, or else the only encoder, and
    where there is none the default decoder."""
    return resolve(name) if name is not None else _of_a_kind(encoder=True)


def current(name=None):
    """As `resolve`, and asks the tables only once a moment. No engine is made, so nothing is packed."""
    return _kept(_row_now(name))


def at_this_moment(name=None):
    """(Model, role, operators): what `current` gives, who calls, and the model's operators, of which a query calls
    hundreds."""
    known = _current[1] if _current[0] == moment.now() else _known_now()
    found = known.get(name)
    if found is None:
        row = _row_now(name)
        model = _kept(row)
        found = known[name] = (model, row["role"], model.operators)
    return found


def swiglu():
    """The one operator that needs no model, of the engine that computes at this moment."""
    known = _known_now()
    found = known.get(swiglu)
    if found is None:
        found = known[swiglu] = engines.swiglu()
    return found


def role():
    """Who calls: the current role."""
    return ROLE.one()["role"]


def reset():
    """Forget every model of the session."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    _current = (None, {})
    _models.clear()


def architecture(name=None):
    """The architecture of a model as a JSON object."""
    return _kept(_row_now(name)).description


def stored_weights(name=None):
    """(Weights, name) of the model that `name` means, without keeping it."""
    row = _find(name)
    return weights.Weights(row["id"]), row["name"]


def _known_now():
    """What was found out at this moment, by name."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    now = moment.now()
    if _current[0] != now:
        _current = (now, {})
    return _current[1]


def _row_now(name):
    """The row of a model, asked for once a moment."""
    known = _known_now()
    row = known.get((_find, name))
    if row is None:
        row = known[_find, name] = _find(name)
    return row


def _find(name):
    """The row of a model by its name, or of the default model for None."""
    if name is not None:
        row = BY_NAME.one(name)
        if row is None:
            raise errors.undefined_object(
                f'model "{name[:MOST_OF_A_NAME]}" does not exist',
                hint="The models of this database are listed in llm.models.",
            )
        return row
    rows = WITHOUT_NAME.all()
    if not rows:
        raise errors.undefined_object("there is no model", hint="Load one: hartonomous load PATH --name NAME.")
    if len(rows) > 1 and not rows[0]["is_default"]:
        raise errors.undefined_object(
            "no model is named, and none is the default",
            hint="Name one of llm.models, or choose one with llm.set_default_model.",
        )
    return rows[0]


def _of_a_kind(encoder):
    """The default Model of encoders or decoders, or the only one; where there is none, what None means to `resolve`."""
    rows = OF_A_KIND.all(list(ENCODERS), encoder)
    if len(rows) > 1 and not rows[0]["is_default"]:
        raise errors.undefined_object(
            f"no model is named, there are several {'encoders' if encoder else 'decoders'}, and none is the default",
            hint="Name one of llm.models, or choose one with llm.set_default_model.",
        )
    return _kept(rows[0]) if rows else resolve()


def _kept(row):
    """The loaded model of a row, from the session where its content is the same."""
    model = _models.pop(row["hash"], None) or Model(row)
    _models[row["hash"]] = model
    while len(_models) > MODELS_KEPT:
        _models.popitem(last=False)
    return model
