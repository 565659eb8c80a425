"""Looks up tokens of a model's vocabulary by id or by text, with the caller's rights."""

from ..server import arguments, database, errors

BY_BYTES = database.Query(
    """SELECT t.id FROM llm_store.token AS t
    WHERE t.tokenizer_id = $1 AND t.bytes = pg_catalog.convert_to($2, 'UTF8') AND t.kind <> 'unused'
    ORDER BY t.kind <> 'normal', t.id LIMIT 1""",
    *("integer", "text"),
)
TEXTS = database.Query(
    """SELECT t.id, t.text FROM llm_store.token AS t WHERE t.tokenizer_id = $1 AND t.id = ANY ($2)""",
    *("integer", "integer[]"),
)


def token_id(model, token):
    """The id of a token, given as its id or exact text. Of several with one text: normal ones first, then the lowest.

    Raises ModelError 22023 for an id outside of the vocabulary, 42704 for a text that is no token.
    """
    if not isinstance(token, str):
        return arguments.integer("token", token, None, 0, model.architecture.vocabulary_size - 1)
    found = BY_BYTES.one(model.tokenizer_id, arguments.name("token", token))
    if found is None:
        raise errors.undefined_object(
            f'model "{model.name}" has no token "{arguments.shown_name(token)}"', hint=_hint(model, token)
        )
    return found["id"]


def texts(model, ids):
    """The texts of tokens, {id: text}."""
    return {row["id"]: row["text"] for row in TEXTS.all(model.tokenizer_id, ids)}


def _hint(model, token):
    other = token[1:] if token.startswith(" ") else f" {token}"
    if other and BY_BYTES.one(model.tokenizer_id, other) is not None:
        return f'There is a token "{other}": a space before a word belongs to the token.'
    return "llm.tokenize shows the tokens of a text, llm.tokens lists all of them."
