"""Text to token ids and back, over Hugging Face `tokenizers`.

A tokenizer is a tokenizer.json document (the definition, which is stored) and a few settings of the model it serves:
    bos_id, eos_ids       the beginning-of-sequence token and those that end a text; None and [] if there are none
    before, after         ids that `encode` adds before and after a text
    same_as               [[id, other id], ...]: both have the same text, and only the second is ever encoded
    vocabulary_size       rows of the model's embedding, which may be padded beyond the tokenizer
    chat_template         jinja source or None; generate/chat_prompts.py uses it
    tool_chat_template    the same for conversations with tools, where a model has one of its own for them
Models stored earlier have add_bos and add_eos instead of before and after: bos_id before, the first of eos_ids after.
The library encodes. Decoding is done here, because it must be exact in bytes: a token is often half a character, and
the library's decoders only return text. The definition's decoder tells which of three spellings of pieces is used:
    byte level      every byte is one character of GPT-2's table (Radford et al. 2019, encoder.py)
    SentencePiece   a space is U+2581, <0xAB> is the byte AB, and a text begins with one space that is not its own
    WordPiece       ## begins a piece that goes on with a word, every other begins one; spaces, and often case and
                    accents, are not kept, so a decoded text has one space between any two words
"""

import codecs
import ctypes
import json
import os
import re

# The library starts worker threads for batches. In a server process they would receive PostgreSQL's signals.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import tokenizers

from ..server import errors
from .long_texts import SPACE_MARK, LongTexts

WORD_GOES_ON = "##"
BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
SETTINGS = ("bos_id", "eos_ids", "before", "after", "same_as", "vocabulary_size", "chat_template", "tool_chat_template")
OLDER_SETTINGS = ("add_bos", "add_eos")
PANIC = "PanicException"  # raised by the library when its own code fails; a BaseException that cannot be imported


class Tokenizer:
    """A model's tokenizer. Raises ModelError XX001 for a definition that cannot be read, 0A000 for an unknown kind."""

    def __init__(self, definition, settings=None):
        self._library = _read(definition)
        self._added = self._library.get_added_tokens_decoder()
        self._unknown = getattr(self._library.model, "unk_token", None)
        self._piece_bytes, self._leading_space = _spelling(self._library)
        self._long = {}  # LongTexts by whether control tokens are looked for
        self._read_settings(settings or {})
        self._cache = {}

    def _read_settings(self, settings):
        unknown = sorted(set(settings) - {*SETTINGS, *OLDER_SETTINGS})
        if unknown:
            raise errors.invalid_parameter(
                f'unknown tokenizer setting "{unknown[0]}"', f"known are {', '.join(SETTINGS)}"
            )
        self.vocabulary_size = settings.get("vocabulary_size") or self._size()
        if not _is_id(self.vocabulary_size) or self.vocabulary_size < self._library.get_vocab_size():
            raise errors.invalid_parameter(
                "the tokenizer does not fit the model's vocabulary",
                f"the tokenizer has {self._library.get_vocab_size()} tokens, the model {self.vocabulary_size} rows",
            )
        self.bos_id = settings.get("bos_id")
        self.eos_ids = _ids(settings, "eos_ids")
        self.before, self.after = _around(settings)
        self.chat_template = settings.get("chat_template")
        self.tool_chat_template = settings.get("tool_chat_template")
        self.same_as = _pairs(settings)
        for token_id in (*self._named_ids(), *self.same_as, *self.same_as.values()):
            self._check(token_id)

    def _named_ids(self):
        return (*(() if self.bos_id is None else (self.bos_id,)), *self.eos_ids, *self.before, *self.after)

    def encode(self, text, add_special=True, parse_special=False):
        """Token ids of `text`, with the model's ids before and after it if `add_special`.

        Control tokens written in the text are text unless `parse_special`, so a user's text cannot end a turn.
        Raises ModelError 22023 for a text for which the tokenizer has no tokens.
        """
        self._library.encode_special_tokens = not parse_special  # the library's name for "encode them as text"
        ids = self._encodings(self._library.encode_batch_fast, text)[0].ids  # no offsets: much faster
        if ids and max(ids) >= self.vocabulary_size:
            raise errors.corrupt_data(
                f"the tokenizer gives token {max(ids)}", f"the model's vocabulary has {self.vocabulary_size} rows"
            )
        return self.with_special(ids) if add_special else ids

    def with_special(self, ids):
        """Add the model's ids before and after a text to its ids, a list or an array."""
        for index, token_id in enumerate(self.before):
            ids.insert(index, token_id)
        ids.extend(self.after)
        return ids

    @staticmethod
    def _encodings(encode, text):
        """The library's encodings of a text. Everything that it raises, panics too, becomes a ModelError."""
        try:
            return encode([text], add_special_tokens=False)  # releases Python's lock
        except TypeError:  # the text has no UTF-8 form
            raise errors.invalid_parameter("the text is not valid Unicode") from None
        except BaseException as problem:
            if not _is_the_librarys(problem):
                raise
            raise errors.invalid_parameter("the tokenizer cannot encode the text", _reason(problem)) from None

    def pieces(self, text, size, longest, parse_special=False):
        """(begin, end) of pieces of a text; their ids, joined, are the ids of the text. See LongTexts.pieces."""
        return self._long_texts(parse_special).pieces(text, size, longest)

    def bytes_a_token(self, parse_special=False):
        """The most bytes of a text that a token can stand for, None if unknown."""
        return self._long_texts(parse_special).bytes_a_token

    def drops_space(self):
        """Whether pieces of a text are separated by a space, which belongs to the first token of the second piece."""
        return self._long_texts(False).drops_space

    def spans(self, text):
        """The characters of each token of `text`, as (first, end); control tokens in it are text."""
        self._library.encode_special_tokens = True
        return self._encodings(self._library.encode_batch, text)[0].offsets

    def decode(self, ids, keep_control=False):
        """The text of `ids`, from its beginning; control tokens are left out unless `keep_control`.

        Bytes that are not UTF-8 (half a character) become U+FFFD. Ids of padding rows have no text; an id outside of
        the vocabulary raises ModelError 22023.
        """
        decoder = StreamDecoder(self, at_start=True, keep_control=keep_control)
        return "".join([decoder.push(token_id) for token_id in ids]) + decoder.finish()

    def token_bytes(self, token_id):
        """The bytes of a token. Those of a control token are its name; a padding row has none."""
        content = self._cache.get(token_id)
        if content is None:
            self._check(token_id)
            content = self._cache[token_id] = self._bytes_of(token_id)
        return content

    def first_difference(self, other):
        """(id, its spelling here, its spelling there) of the first token that another tokenizer has not or has
        otherwise; None without one. A spelling is None where the definition lacks the id, as for padding rows."""
        differing = self.spellings().items() ^ other.spellings().items()
        if not differing:
            return None
        first = min(token_id for _, token_id in differing)
        return first, self._library.id_to_token(first), other._library.id_to_token(first)

    def kind(self, token_id):
        """One of normal, control, byte, added, unused, unknown."""
        self._check(token_id)
        token_id = self.same_as.get(token_id, token_id)
        piece = self._library.id_to_token(token_id)
        if piece is None:
            return "unused"
        if piece == self._unknown:
            return "unknown"
        added = self._added.get(token_id)
        if added is not None:
            return "control" if added.special else "added"
        is_byte = self._piece_bytes is _sentencepiece_bytes and BYTE_PIECE.fullmatch(piece)
        return "byte" if is_byte else "normal"

    def is_shown(self, token_id):
        """Whether a token is part of the text, as opposed to a control token about it."""
        return self.kind(token_id) not in ("control", "unknown")

    def spellings(self):
        """{spelling: id} of every token that the definition has."""
        return self._library.get_vocab()

    def control_tokens(self):
        """{spelling: id} of the control tokens, the unknown token too."""
        return {token.content: token_id for token_id, token in self._added.items() if token.special}

    def vocabulary(self):
        """Every row of the vocabulary in order: (id, bytes, text, kind).

        `text` is readable and valid in PostgreSQL: U+FFFD replaces what is not UTF-8, and NUL.
        """
        for token_id in range(self.vocabulary_size):
            content = self.token_bytes(token_id)
            text = content.decode("utf-8", "replace").replace("\0", "\ufffd")
            yield token_id, content, text, self.kind(token_id)

    def _bytes_of(self, token_id):
        token_id = self.same_as.get(token_id, token_id)
        piece = self._library.id_to_token(token_id)
        if piece is None:
            return b""
        if token_id in self._added or piece == self._unknown:
            return piece.encode()
        return self._piece_bytes(piece)

    def _check(self, token_id):
        if not _is_id(token_id) or token_id >= self.vocabulary_size:
            raise errors.invalid_parameter(
                f"there is no token {token_id!r}", f"ids of this model are 0 to {self.vocabulary_size - 1}"
            )

    def _long_texts(self, parse_special):
        """The LongTexts of the tokenizer, made once: it takes a tenth of a second for 150,000 tokens."""
        if parse_special not in self._long:
            added = [token for token in self._added.values() if parse_special or not token.special]
            self._long[parse_special] = LongTexts(self._library, self.vocabulary_size, added)
        return self._long[parse_special]

    def _size(self):
        return max(self.spellings().values(), default=-1) + 1


class StreamDecoder:
    """Decodes tokens one by one, without splitting characters.

    at_start: the tokens begin a text, so SentencePiece's leading space is dropped; in a continuation it stays.
    The pieces of text, joined, are the same as decoding all bytes at once.
    """

    def __init__(self, tokenizer, at_start=False, keep_control=False):
        self._tokenizer = tokenizer
        self._strip = at_start and tokenizer._leading_space
        self._keep_control = keep_control
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id):
        """The text that is complete with this token, perhaps empty."""
        content = self._tokenizer.token_bytes(token_id)
        if not self._keep_control and not self._tokenizer.is_shown(token_id):
            return ""
        if self._strip and content:
            content = content.removeprefix(b" ")
            self._strip = False
        return self._utf8.decode(content)

    def finish(self):
        """The rest at the end: U+FFFD if the last character is incomplete."""
        return self._utf8.decode(b"", final=True)


def _read(definition):
    try:
        library = tokenizers.Tokenizer.from_str(definition)
    except BaseException as problem:
        if not _is_the_librarys(problem):
            raise
        raise errors.corrupt_data("the tokenizer's definition cannot be read", _reason(problem)) from None
    library.no_truncation()
    library.no_padding()
    _give_back_memory()
    return library


def _is_the_librarys(problem):
    """Whether the library may have raised it: an Exception or its panic, but not an interrupt."""
    return isinstance(problem, Exception) or type(problem).__name__ == PANIC


def _reason(problem):
    return str(problem).partition("\n")[0]


def _around(settings):
    """(ids before a text, ids after it), also for a model that was stored earlier."""
    before, after = _ids(settings, "before"), _ids(settings, "after")
    if settings.get("add_bos") and settings.get("bos_id") is not None and "before" not in settings:
        before = (settings["bos_id"],)
    if settings.get("add_eos") and settings.get("eos_ids") and "after" not in settings:
        after = (settings["eos_ids"][0],)
    return before, after


def _ids(settings, name):
    ids = settings.get(name) or []
    if not isinstance(ids, (list, tuple)):
        raise errors.invalid_parameter(f'the tokenizer setting "{name}" is not a list of token ids')
    return tuple(ids)


def _pairs(settings):
    """{id: the id whose text it has}."""
    pairs = _ids(settings, "same_as")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise errors.invalid_parameter('the tokenizer setting "same_as" is not a list of pairs of token ids')
    return dict(map(tuple, pairs))


def _give_back_memory():
    """Return memory of parsing to the system, 70 MB for Qwen's tokenizer; the C library would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def _spelling(library):
    """(how pieces spell bytes, whether the tokenizer adds a leading space to a text)."""
    steps = _steps(json.loads(library.decoder.__getstate__())) if library.decoder else []
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds:
        return _byte_level_bytes, False
    marks_spaces = any(step["type"] == "Replace" and step["pattern"] == {"String": SPACE_MARK} for step in steps)
    if "Metaspace" in kinds or marks_spaces:
        return _sentencepiece_bytes, any(_strips_leading_space(step) for step in steps)
    if kinds == {"WordPiece"}:
        return _wordpiece_bytes, True
    name = type(library.model).__name__
    raise errors.not_supported(
        f"tokenizer model {name} with decoder {'+'.join(sorted(kinds)) or 'none'} is not supported",
        hint="Byte-level BPE, SentencePiece BPE and WordPiece are.",
    )


def _steps(decoder):
    return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]


def _strips_leading_space(step):
    if step["type"] == "Metaspace":
        return step.get("prepend_scheme", "always") != "never"
    return step["type"] == "Strip" and step["content"] == " " and step["start"] > 0


def _byte_table():
    """GPT-2's table {character: byte}: printable Latin-1 stands for itself, the other bytes follow from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = _byte_table()


def _byte_level_bytes(piece):
    try:
        return bytes([BYTE_OF[character] for character in piece])
    except KeyError:  # not in the table, so it is literal
        return piece.encode()


def _sentencepiece_bytes(piece):
    byte = BYTE_PIECE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE_MARK, " ").encode()


def _wordpiece_bytes(piece):
    return piece.removeprefix(WORD_GOES_ON).encode() if piece.startswith(WORD_GOES_ON) else b" " + piece.encode()


def _is_id(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
