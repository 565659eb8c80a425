"""Draft models: which model may be one, and what it takes to guess for a text: its KV cache within the limits."""

import math

from ..generate.draft_model import DraftModel, Limits
from ..generate.speculation import Mean, Pace
from ..server import arguments, ceilings, errors
from . import models, prefixes

MOST_PACES = 64

_alike = set()  # pairs of ids of stored tokenizers that have the same tokens


def model_of(name, model):
    """The Model of a name, for the caller, as a draft for `model`. Raises as models.decoder.

    ModelError 22023 if it has another tokenizer; the settings of a tokenizer, such as what ends a text, may differ.
    """
    draft = models.decoder(name)
    tokenizers = draft.tokenizer_id, model.tokenizer_id
    if tokenizers[0] != tokenizers[1] and tokenizers not in _alike:
        difference = draft.tokenizer.first_difference(model.tokenizer)
        if difference is not None:
            raise _another_tokenizer(draft, model, *difference)
        _alike.add(tokenizers)
    return draft


def _another_tokenizer(draft, model, token, its, models_own):
    its, models_own = ("nothing" if piece is None else arguments.shown(piece) for piece in (its, models_own))
    return errors.invalid_parameter(
        f'model "{draft.name}" cannot be a draft of model "{model.name}": it has another tokenizer',
        f"token {token} is {its} for the draft, {models_own} for the model",
        "A draft is a smaller model with the same tokenizer, or a copy in fewer bits, which llm.quantize makes.",
    )


class Draft:
    """A draft model that guesses for one text of a model."""

    def __init__(self, draft, model):
        self._draft, self._model = draft, model
        self._engine = draft.engine
        self._reusable = prefixes.Prefixes(draft, self._engine)
        self._guesser = None

    def guesser(self, text, checkpoint):
        """A guesser for a text, a Continuation."""
        cache = self._reusable.fork(text.history) or self._engine.new_cache()
        self._guesser = DraftModel(self._engine, text, cache, self._limits(text.longest), checkpoint)
        return self._guesser

    def pace(self, most, is_greedy):
        """(Pace, the Mean of the seconds of a token without guesses), as the session's last text of this kind left
        them: a draft that rests does so in the next text too."""
        key, paces = (self._model.hash, self._draft.hash, models.role(), most, is_greedy), prefixes.paces
        if key not in paces:
            if len(paces) >= MOST_PACES:
                paces.clear()
            paces[key] = Pace(most), Mean()
        return paces[key]

    def keep(self, history):
        """Keep the KV cache for the next text that begins like this one."""
        cache = self._guesser.reusable(history)
        if cache is not None:
            self._reusable.keep(history, cache)

    def _limits(self, longest):
        draft, model = self._draft.architecture, self._model.architecture
        return Limits(
            min(draft.context_length, self._positions_in_memory(longest)),
            min(draft.vocabulary_size, model.vocabulary_size),
            _parameters(model) / _parameters(draft),
        )

    def _positions_in_memory(self, longest):
        """For how many positions the superuser's limit batch_mb leaves memory, beside the longest that the text may be.

        So a draft never shortens a text.
        """
        most = ceilings.allowed("batch_mb")
        if most is None:
            return self._draft.architecture.context_length
        left = most * ceilings.MEGABYTE - longest * _position_bytes(self._model)
        return max(0, left) // _position_bytes(self._draft)


def _position_bytes(model):
    return model.architecture.kv_bytes(model.engine.kv_dtype)


def _parameters(architecture):
    return sum(map(math.prod, architecture.tensors().values()))
