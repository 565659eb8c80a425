"""A loaded model: its architecture and weights, and, made at first use, its engines and tokenizer."""

import functools
import json
import time
from array import array

from ..model.encoder import EncoderArchitecture, of_config
from ..reference.composed import NumpyOperators
from ..reference.decoder import NumpyEngine
from ..reference.encoder import NumpyEncoder
from ..server import ceilings, database, errors, interrupts, settings
from ..server.background import Background
from ..weights import tensors
from . import admission, engines

LONG_TEXT = 20_000  # characters; shorter texts are encoded within a few milliseconds
PIECE = 10_000  # characters of a long text that are encoded together, at first
CHARACTERS_A_TOKEN = 8  # a guess: how much of a text to read for some first tokens
STACK_MB = 256  # of the thread that compiles a constraint; llguidance takes some 3 kB for each rule that names another
SECONDS_BETWEEN_TOUCHES = 60  # of packed files, whose times say when they were last used

TOKENIZER = database.Query("SELECT t.definition, t.settings FROM llm_store.tokenizer AS t WHERE t.id = $1", "integer")


class Model:
    """A model as the row of llm_store.model is now. An edited model is another Model."""

    def __init__(self, row):
        self.name = row["name"]
        self.hash = row["hash"]
        self.architecture = of_config(json.loads(row["architecture"]))
        self.weights = tensors.Weights(row["id"])
        self._require_whole()
        self.tokenizer_id = row["tokenizer_id"]
        self._used = 0
        self._operators = None
        self._engines = {}  # compiled ones, by llm.kv_type

    def _require_whole(self):
        """ModelError XX001 if a tensor of the architecture is missing: a dump may have been restored in part."""
        missing = next((name for name in self.architecture.tensors() if name not in self.weights), None)
        if missing is not None:
            raise errors.corrupt_data(
                f'model "{self.name}" is not complete',
                f'tensor "{missing}" is missing',
                "Drop it and load it again, or restore the rest of llm_store.",
            )

    @property
    def is_encoder(self):
        """Whether it makes embeddings and cannot generate."""
        return isinstance(self.architecture, EncoderArchitecture)

    @property
    def normalizes(self):
        """Whether embeddings have length 1: always for a decoder, for an encoder as its configuration says."""
        return self.architecture.normalize if self.is_encoder else True

    @property
    def longest_text(self):
        """How many tokens of a text to embed are read."""
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
        """The engine for whole forwards, by the current setting llm.engine."""
        compiled, _ = engines.chosen()
        return self._compiled if compiled else self.reference

    @property
    def operators(self):
        """The operators for queries, of the current engine; for an encoder those of numpy."""
        engine = self.reference if self.is_encoder else self.engine
        if self._operators is None or self._operators.engine is not engine:
            is_numpy = engine is self.reference
            kind = NumpyOperators if is_numpy else engines.modules().operators.CompiledOperators
            self._operators = kind(engine, interrupts.checkpoint)
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
        with interrupts.signals_blocked():
            from ..model.tokenizer import Tokenizer

        interrupts.checkpoint()
        return Background(Tokenizer, row["definition"], json.loads(row["settings"])).result()

    @functools.cached_property
    def vocabulary(self):
        """The tokenizer as constraints need it: constraints.Vocabulary."""
        with interrupts.signals_blocked():
            from ..generate.constraints import Vocabulary

        return Background(Vocabulary, self.tokenizer).result()

    def constraint(self, kind, source):
        """What texts must be, by one of constraints.KINDS. Interruptible."""
        vocabulary = self.vocabulary
        return Background(vocabulary.constraint, kind, source, stack_mb=STACK_MB).result()

    def encode(self, text, add_special=True, parse_special=False):
        """Token ids of a text, as from Tokenizer.encode; an array of int32 for a long text. Interruptible."""
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, add_special, parse_special)
        ids = array("i")
        for _, piece in self._encoded(text, PIECE, parse_special):
            ids.extend(piece)
        return self.tokenizer.with_special(ids) if add_special else ids

    def encode_at_most(self, text, most, parse_special=False):
        """Token ids of a text, without BOS and EOS. A long text is read only until it has too many.

        Raises ModelError 53400 for a long text of more than `most` tokens. For a short text the caller must check.
        """
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, False, parse_special)
        self.require_bytes(ceilings.utf8_size(text), most, parse_special)
        ids = []
        for end, piece in self._encoded(text, PIECE, parse_special):
            ids += piece
            if len(ids) > most and end < len(text):
                read, size = ceilings.utf8_size(text[:end]), ceilings.utf8_size(text)
                raise too_long(
                    f"the prompt has {size} bytes, the first {read} are {len(ids)} tokens, allowed {most} tokens"
                )
        return ids

    def most_bytes(self, most, parse_special=False):
        """The most bytes that `most` tokens can stand for, so a larger text has more tokens. None if unknown."""
        each = self.tokenizer.bytes_a_token(parse_special)
        return None if each is None else each * most

    def require_bytes(self, size, most, parse_special=False):
        """ModelError 53400 if a text of so many bytes certainly has more than `most` tokens."""
        allowed = self.most_bytes(most, parse_special)
        if allowed is not None and size > allowed:
            raise too_long(f"the prompt has {size} bytes, allowed {allowed}, the most that {most} tokens can have")

    def first_tokens(self, text, count):
        """The first `count` ids of a text, control tokens in it as text; reads only what they take. Interruptible."""
        ids = []
        for _, piece in self._encoded(text, count * CHARACTERS_A_TOKEN, False):
            ids += piece
            if len(ids) >= count:
                break
        return ids[:count]

    def spans(self, text):
        """The first characters of the tokens and their ends, int32 each, as from Tokenizer.spans. Interruptible."""
        starts, ends = array("i"), array("i")
        for begin, end in self._pieces(text, PIECE, False):
            pairs = self._tokenized("spans", text[begin:end])
            if begin and self.tokenizer.drops_space():
                pairs[0] = _with_its_space(*pairs[:2])
            starts.extend(begin + first for first, _ in pairs)
            ends.extend(begin + last for _, last in pairs)
        return starts, ends

    def _encoded(self, text, size, parse_special):
        """(end, ids) of each piece of a text."""
        for begin, end in self._pieces(text, size, parse_special):
            yield end, self._tokenized("encode", text[begin:end], False, parse_special)

    def _pieces(self, text, size, parse_special):
        """(begin, end) of pieces of about `size` characters. ModelError 53400 for a piece above the limit piece_mb."""
        if len(text) <= size:
            yield 0, len(text)
            return
        most = ceilings.allowed("piece_mb")
        longest = len(text) if most is None else most * ceilings.MEGABYTE
        for begin, end in self.tokenizer.pieces(text, size, longest, parse_special):
            if end - begin > LONG_TEXT:
                piece = f"the text from character {begin + 1} on, which has no place to cut,"
                ceilings.require_bytes("piece_mb", ceilings.utf8_size(text[begin:end]), piece)
            yield begin, end
            interrupts.checkpoint()

    def _tokenized(self, method, text, *options):
        tokenizer = self.tokenizer
        if len(text) < LONG_TEXT:
            return getattr(tokenizer, method)(text, *options)
        del self.tokenizer  # after an interrupt the thread still uses it; the next call makes another
        result = Background(getattr(tokenizer, method), text, *options).result()
        self.tokenizer = tokenizer
        return result

    @property
    def _compiled(self):
        now = time.monotonic()
        if now - self._used > SECONDS_BETWEEN_TOUCHES:
            self._used = now
            engines.modules().shared_weights.touch(self.weights.tensors())
        kv_type = settings.choice("kv_type")
        engine = self._engines.get(kv_type)
        if engine is None:
            engine = self._engines[kv_type] = self._compiled_engine(kv_type)
        engine.threads, engine.batch_threads = admission.threads()
        return engine

    @functools.cached_property
    def _packed(self):
        return engines.modules().shared_weights.attach(self.weights.tensors(), self.name, self.hash)

    def _compiled_engine(self, kv_type):
        modules, cancel = engines.modules(), interrupts.cancel_addresses()
        if not self.is_encoder:
            kept_as = None if kv_type == "auto" else kv_type
            kind = modules.decoder.CompiledEngine
            return kind(self.architecture, self._packed, kv_type=kept_as, interrupts=cancel)
        position_rows = self.weights["position_embd.weight"] + self.weights["token_types.weight"][0]
        return modules.encoder.CompiledEncoder(self.architecture, self._packed, position_rows, interrupts=cancel)


def _with_its_space(token, following=(None, None)):
    """The characters of a piece's first token, including the space before the piece, which belongs to it.

    If the next token begins where the piece does, the first token is only that space.
    """
    return -1, 0 if following[0] == 0 else token[1]


def too_long(detail):
    """The error for a prompt that is longer than the context."""
    return errors.limit_exceeded("the prompt is longer than the model's context", detail, "Shorten the prompt.")
