"""Long texts: how many bytes a token can stand for, and where a text may be cut so that its token ids stay the same.

Tokenizing takes about 170 bytes of memory for each byte of text. So a prompt that cannot fit is refused by its bytes
alone, and other long texts are tokenized in pieces. Both depend on the tokenizer: where nothing is certain of one,
`bytes_a_token` is None, or `cut` is.
"""

import json
import re

SPACE_MARK = "\u2581"
# Letters of some scripts, without combining marks; every version of Unicode agrees on these.
LETTER = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u0391-\u03a1\u03a3-\u03c9\u0410-\u044f\u05d0-\u05ea\u4e00-\u9fa5]"
WIDE_STOP = "[\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]"  # Chinese and Japanese punctuation
WHITE_SPACE = re.compile(r"[ \t\r\n]")
VISIBLE = LETTER.replace("A-Za-z", "!-~")  # and the digits and signs of ASCII
BETWEEN_LETTERS = re.compile(f" (?<={LETTER} )(?={LETTER})")
BETWEEN_WORDS = re.compile(f" (?<={VISIBLE} )(?={VISIBLE})")
BETWEEN_LINES_AND_CLAUSES_TOO = re.compile(
    rf"{BETWEEN_WORDS.pattern}|\n(?<=[0-9A-Za-z]\n)(?={VISIBLE})"
    rf"|{WIDE_STOP}(?<=[\u4e00-\u9fa5]{WIDE_STOP})(?=[\u4e00-\u9fa5])"
)
LARGEST_PIECE = 20_000  # characters
ENDLESS_WORD = re.compile(f"[0-9A-Za-z]{{{LARGEST_PIECE},}}+(?![^ \\t\\r\\n])")  # with white space or the end behind it
TWO_WORDS = re.compile(f"[^{SPACE_MARK}]{SPACE_MARK}")  # in one piece of a vocabulary
# Words to put before and behind a cut, to see whether a pre-tokenizer takes them apart there.
BEFORE = (
    *("word", "a", "it's", "x1y", "(w", ".w", "A\u00c0", "\u65e5\u4e00", "\u0441\u043b", "\n\nw", "1 w", "  w", "'w"),
    *("1", "1234", "1.5", "w.", "w'", "...", "w)", '"', "$", "# ", "a,1", "-", "w_"),
)
AFTER = (
    *("word", "a", "It", "a.", "a's", "\u00c0b", "\u0441\u043b\u043e", "\u65e5\u4e00", "a1", "a  b", "a\n", "a\u3002"),
    *("1", "1234", "12 a", ".", "...", "'s", "(w", '"a', "$1", "#", "- a", "_w", ".\n"),
)

# How many times smaller a text may get, in bytes. NFC: a Kelvin sign of 3 bytes is a K, and letters that compose take
# up to three times what they are then. Lower case: a Kelvin sign is a k.
SHRINKS = {"NFC": 9, "Lowercase": 3, "Prepend": 1}
LOSES_NOTHING = ("ByteLevel", "Split", "Digits", "Metaspace")  # pre-tokenizers, unless they are told to remove
LOOKS_NO_FURTHER = ("NFC", "NFD", "NFKC", "NFKD", "Lowercase")  # normalizers: what stands beyond a space is the same


class LongTexts:
    """What is certain of a tokenizer of the library `tokenizers`.

    size: ids are below it. added: its added tokens that are looked for in a text.
    bytes_a_token: the most bytes of a text, in UTF-8, that one token can stand for, or None.
    cut: a pattern. Where it matches, the ids of a text are those of what stands before, then those of the rest. Or
    None.
    drops_space: the space at a cut belongs to neither side, the tokenizer puts it there.
    """

    def __init__(self, library, size, added):
        self._library, self._added = library, added
        self._normalizers = _steps(library.normalizer, "normalizers")
        self._pre_tokenizers = _steps(library.pre_tokenizer, "pretokenizers")
        vocabulary = set(filter(None, map(library.id_to_token, range(size))))  # a fifth of the time of get_vocab
        self.bytes_a_token = self._bytes_a_token(vocabulary)
        self.drops_space = "Prepend" in _types(self._normalizers)
        self.cut = self._cut(vocabulary)
        self._longest_word = library.model.max_input_chars_per_word if self.cut is WHITE_SPACE else None

    def pieces(self, text, size, longest):
        """(begin, end) of the pieces of a text: their ids, joined, are those of the text.

        The first one has about `size` characters, each next one twice as many, up to LARGEST_PIECE.
        The last one is what is left when there is no cut in the next `longest` characters, so it may be longer. Of a
        word that WordPiece does not know because of its length, what is beyond that length is part of no piece.
        """
        begin = 0
        while self.cut is not None and len(text) - begin > size:
            word = self._endless_word(text, begin, begin + size)
            found = word or self.cut.search(text, begin + size, begin + longest)
            if found is None:
                break
            yield begin, word.start() + self._longest_word + 1 if word else found.start()
            begin, size = word.end() if word else found.start() + self.drops_space, min(2 * size, LARGEST_PIECE)
        yield begin, len(text)

    def _endless_word(self, text, begin, place):
        """The match of a word around a place that is unknown for its length, or None."""
        if self._longest_word is None or self._longest_word >= LARGEST_PIECE:
            return None
        spaces = WHITE_SPACE.finditer(text, begin, place)
        return ENDLESS_WORD.match(text, max((space.end() for space in spaces), default=begin))

    def _bytes_a_token(self, vocabulary):
        factor = 1
        for step in self._normalizers:
            factor *= 1 if _marks_spaces(step) else SHRINKS.get(step["type"], 0)
        is_certain = factor and not self._strips() and self._keeps_all() and self._knows_all_bytes(vocabulary)
        if not is_certain:
            return None
        size = len if "ByteLevel" in _types(self._pre_tokenizers) else _size  # a character of GPT-2's table is a byte
        return factor * max([*map(size, vocabulary), *(_size(token.content) for token in self._added)])

    def _strips(self):
        """Whether an added token takes the white space around it, however much."""
        return any(token.lstrip or token.rstrip for token in self._added)

    def _keeps_all(self):
        return all(step["type"] in LOSES_NOTHING and step.get("behavior") != "Removed" for step in self._pre_tokenizers)

    def _knows_all_bytes(self, vocabulary):
        """Whether nothing is unknown: of what is, any number is one token, or none."""
        if "ByteLevel" in _types(self._pre_tokenizers):
            return all(character in vocabulary for character in self._byte_alphabet())
        return getattr(self._library.model, "byte_fallback", False) and all(
            f"<0x{byte:02X}>" in vocabulary for byte in range(256)
        )

    def _byte_alphabet(self):
        from tokenizers.pre_tokenizers import ByteLevel

        return ByteLevel.alphabet()

    def _cut(self, vocabulary):
        for applies, pattern in (
            (self._is_bert, WHITE_SPACE),
            (self._is_byte_level, BETWEEN_LINES_AND_CLAUSES_TOO),
            (self._is_byte_level, BETWEEN_WORDS),
            (self._is_byte_level, BETWEEN_LETTERS),
            (lambda pattern: self._is_sentencepiece(vocabulary), BETWEEN_WORDS),
        ):
            if applies(pattern) and not self._strips() and not self._added_meets(pattern):
                return pattern
        return None

    def _added_meets(self, pattern):
        """Whether a cut could go through an added token."""
        return any(pattern.search(f"a{token.content}a") for token in self._added)

    def _is_bert(self, pattern):
        """Words are encoded one by one, and white space is nothing."""
        return _types(self._pre_tokenizers) == ["BertPreTokenizer"] and _types(self._normalizers) in (
            [],
            ["BertNormalizer"],
        )

    def _is_byte_level(self, pattern):
        """Its pre-tokenizer makes the same words of both sides of a cut as of the whole, for all that is tried."""
        if "ByteLevel" not in _types(self._pre_tokenizers) or set(_types(self._normalizers)) - set(LOOKS_NO_FURTHER):
            return False
        trials = [(before, separator + after) for before in BEFORE for separator in " \n\u3002" for after in AFTER]
        trials = [(before, after) for before, after in trials if pattern.match(before + after, len(before))]
        return all(self._words(before + after) == self._words(before) + self._words(after) for before, after in trials)

    def _words(self, text):
        return [word for word, _ in self._library.pre_tokenizer.pre_tokenize_str(text)]

    def _is_sentencepiece(self, vocabulary):
        """The whole text is one word of BPE, and no piece goes on behind a word, so that no merge does."""
        model = self._library.model
        return (
            type(model).__name__ == "BPE"
            and not model.ignore_merges
            and all(_marks_spaces(step) or step["type"] == "Prepend" for step in self._normalizers)
            and all(_is_metaspace(step) for step in self._pre_tokenizers)
            and len(self._normalizers) + len(self._pre_tokenizers) > 0
            and not any(TWO_WORDS.search(piece) for piece in vocabulary)
        )


def _steps(component, parts):
    """A normalizer or pre-tokenizer as a list of simple ones."""
    if component is None:
        return []
    description = json.loads(component.__getstate__())
    return description[parts] if description["type"] == "Sequence" else [description]


def _types(steps):
    return [step["type"] for step in steps]


def _marks_spaces(step):
    return step["type"] == "Replace" and step["pattern"] == {"String": " "} and step["content"] == SPACE_MARK


def _is_metaspace(step):
    """Splits at the mark of a space, or at spaces, of which the normalizer left none."""
    return step["type"] == "Metaspace" or (step["type"] == "Split" and step["pattern"] == {"String": " "})


def _size(piece):
    return len(piece.encode())
