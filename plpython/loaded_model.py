"""A loaded model: its architecture, its weights, and, once they are needed, its engines and its tokenizer."""

import functools
import json
import time

from . import admission, database, engines, errors, settings, weights
from .background import Background
from .encoder_architecture import EncoderArchitecture, of_config
from .numpy_encoder import NumpyEncoder
from .numpy_engine import NumpyEngine
from .numpy_operators import NumpyOperators

KV_TYPES = ("auto", "f32", "i16")  # of compiled engines; auto: f32 where all weights are, else i16
LONG_TEXT = 20_000  # characters; shorter texts are encoded within a few milliseconds
SECONDS_BETWEEN_TOUCHES = 60  # of packed files, whose times tell which were used last

TOKENIZER = database.Query("SELECT t.definition, t.settings FROM llm_store.tokenizer AS t WHERE t.id = $1", "integer")


class Model:
    """A model as the row of llm_store.model says that it is now; what is changed later is another one."""

    def __init__(self, row):
        self.name = row["name"]
        self.hash = row["hash"]
        self.architecture = of_config(json.loads(row["architecture"]))
        self.weights = weights.Weights(row["id"])
        self.tokenizer_id = row["tokenizer_id"]
        self._used = 0
        self._operators = None
        self._engines = {}  # compiled ones, by llm.kv_type

    @property
    def is_encoder(self):
        """Whether it makes embeddings and no text."""
        return isinstance(self.architecture, EncoderArchitecture)

    @property
    def normalizes(self):
        """Whether embeddings have length 1: a decoder's have, an encoder's if its configuration says so."""
        return self.architecture.normalize if self.is_encoder else True

    @property
    def longest_text(self):
        """Tokens that are read of a text to embed."""
        return self.architecture.longest_text if self.is_encoder else self.architecture.context_length

    def require_decoder(self):
        """ModelError 0A000 for an encoder."""
        if self.is_encoder:
            raise errors.not_supported(
                f'model "{self.name}" is an encoder, which makes embeddings and no text',
                f"it is of the family {self.architecture.family}",
                "llm.embed(text, model) uses it; to generate, name a decoder of llm.models.",
            )

    @property
    def engine(self):
        """The engine that computes whole forwards, by the setting llm.engine at this moment."""
        compiled, _ = engines.chosen()
        return self._compiled if compiled else self.reference

    @property
    def operators(self):
        """The operators that queries compose, of the engine that computes at this moment; numpy's of an encoder."""
        engine = self.reference if self.is_encoder else self.engine
        if self._operators is None or self._operators.engine is not engine:
            is_numpy = engine is self.reference
            kind = NumpyOperators if is_numpy else engines.modules().compiled_operators.CompiledOperators
            self._operators = kind(engine, database.checkpoint)
        return self._operators

    @functools.cached_property
    def description(self):
        """The architecture as a JSON object."""
        return json.dumps(self.architecture.to_config())

    @functools.cached_property
    def reference(self):
        """The numpy engine."""
        return (NumpyEncoder if self.is_encoder else NumpyEngine)(self.architecture, self.weights)

    @functools.cached_property
    def tokenizer(self):
        row = TOKENIZER.one(self.tokenizer_id)
        with database.signals_blocked():
            from .tokenizer import Tokenizer

        database.checkpoint()
        return Background(Tokenizer, row["definition"], json.loads(row["settings"])).result()

    def encode(self, text, add_special=True, parse_special=False):
        """Token ids of a text, as Tokenizer.encode gives them; interruptible, however long the text is."""
        return self._tokenized("encode", text, add_special, parse_special)

    def first_tokens(self, text, count):
        """The first ids of a text, as Tokenizer.first gives them; interruptible too."""
        return self._tokenized("first", text, count)

    def spans(self, text):
        """The characters of each token, as Tokenizer.spans gives them; interruptible too."""
        return self._tokenized("spans", text)

    def _tokenized(self, method, text, *options):
        tokenizer = self.tokenizer
        if len(text) < LONG_TEXT:
            return getattr(tokenizer, method)(text, *options)
        del self.tokenizer  # an interrupted thread goes on using it; the next call makes another one
        result = Background(getattr(tokenizer, method), text, *options).result()
        self.tokenizer = tokenizer
        return result

    @property
    def _compiled(self):
        now = time.monotonic()
        if now - self._used > SECONDS_BETWEEN_TOUCHES:
            self._used = now
            engines.modules().shared_weights.touch(self.weights.tensors())
        kv_type = settings.choice("kv_type", KV_TYPES)
        engine = self._engines.get(kv_type)
        if engine is None:
            engine = self._engines[kv_type] = self._compiled_engine(kv_type)
        engine.threads, engine.batch_threads = admission.threads()
        return engine

    @functools.cached_property
    def _packed(self):
        return engines.modules().shared_weights.attach(self.weights.tensors(), self.name, self.hash)

    def _compiled_engine(self, kv_type):
        modules, interrupts = engines.modules(), database.cancel_addresses()
        if not self.is_encoder:
            kept_as = None if kv_type == "auto" else kv_type
            kind = modules.compiled_engine.CompiledEngine
            return kind(self.architecture, self._packed, kv_type=kept_as, interrupts=interrupts)
        positions = self.weights["position_embd.weight"] + self.weights["token_types.weight"][0]
        return modules.encoder_engine.CompiledEncoder(self.architecture, self._packed, positions, interrupts=interrupts)
