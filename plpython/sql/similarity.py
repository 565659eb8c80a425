"""Tokens by meaning: llm.similar_tokens and llm.analogy, exact by cosine over a model's token embedding.

The compiled engine reads the packed weights. numpy reads the decoded table, also for types that packing rounds (Q4_1
and the K types), so that both give the same answer.
"""

from weakref import WeakKeyDictionary

import numpy as np

from ..kernels import cosine as cosine_search
from ..server import arguments, errors, interrupts
from ..session import engines, models
from ..store import tokens as stored_tokens
from .weight_rows import EMBEDDING, stored_tensor

_tables = (
    WeakKeyDictionary()
)  # {Model: {whether it is the packed one: table}}; goes when the session lets go of a model


def similar_tokens(token, k=None, model=None):
    """Rows (rank from 1, token_id, token, similarity) of the k tokens nearest to one, which is not among them."""
    if token is None:
        return []
    model = models.resolve(model)
    k = arguments.integer("k", k, 10, 1, model.architecture.vocabulary_size)
    token = stored_tokens.token_id(model, token)
    table = _table(model)
    return _search(model, table, _direction(model, table, token), k, [token])


def analogy(a, b, c, k=None, model=None):
    """Rows as above of the k tokens that are to c as b is to a: nearest to b - a + c, each of length 1 (1301.3781).

    a, b and c are not among them: the nearest of all is nearly always c itself.
    """
    if a is None or b is None or c is None:
        return []
    model = models.resolve(model)
    k = arguments.integer("k", k, 10, 1, model.architecture.vocabulary_size)
    tokens = [stored_tokens.token_id(model, token) for token in (a, b, c)]
    table = _table(model)
    directions = [_direction(model, table, token) for token in tokens]
    wanted = directions[1] - directions[0] + directions[2]
    if not np.abs(wanted).max() > 0:
        raise errors.invalid_parameter("the three tokens have no direction together", "b - a + c is zero")
    return _search(model, table, wanted, k, tokens)


def _search(model, table, x, k, excluded):
    ids, cosines = cosine_search.nearest(table, x, k, excluded, interrupts.checkpoint)
    texts = stored_tokens.texts(model, ids.tolist())
    return [
        (rank, token, texts.get(token), cosine)
        for rank, (token, cosine) in enumerate(zip(ids.tolist(), cosines.tolist(), strict=True), start=1)
    ]


def _direction(model, table, token):
    """A token's embedding, scaled to length 1 -> f64[columns]."""
    direction = cosine_search.unit(table.rows([token])[0])
    if np.isnan(direction).any():
        text = stored_tokens.texts(model, [token]).get(token)
        raise errors.invalid_parameter(
            f'token {token} of model "{model.name}" has no direction',
            f'The embedding of "{text}" is all zero or not finite.',
        )
    return direction


def _table(model):
    """The model's token embedding for cosine_search, with the lengths of its rows: made once a session."""
    tensor = stored_tensor(model, EMBEDDING)
    compiled, _ = engines.chosen()
    packed = compiled and engines.modules().packing.is_searchable(tensor.type)
    tables = _tables.setdefault(model, {})
    if packed not in tables:
        tables[packed] = _packed_table(tensor, model) if packed else _decoded_table(model)
    return tables[packed]


def _packed_table(tensor, model):
    modules = engines.modules()
    packed = modules.shared_weights.attach([tensor], model.name, model.hash)
    modules.shared_weights.touch([tensor])
    return modules.similarity.PackedTable(packed, tensor.name, interrupts.checkpoint)


def _decoded_table(model):
    return cosine_search.ArrayTable(model.weights[EMBEDDING], interrupts.checkpoint)
