"""Long texts: the most bytes that a token can stand for, and where a text may be cut without changing its token ids.

Tokenizing takes about 170 bytes of memory for each byte of text. So a prompt that cannot fit is refused by its number
of bytes, and other long texts are tokenized in pieces. Both must be proven for each tokenizer; if that fails,
`bytes_a_token` or `cut` is None.
"""

import json
import re

SPACE_MARK = "\u2581"
# Letters of some scripts, without combining marks; they are the same in every version of Unicode.
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
# Words to try before and after a cut, to test whether a pre-tokenizer splits there.
BEFORE = (
    *("word", "a", "it's", "x1y", "(w", ".w", "A\u00c0", "\u65e5\u4e00", "\u0441\u043b", "\n\nw", "1 w", "  w", "'w"),
    *("1", "1234", "1.5", "w.", "w'", "...", "w)", '"', "$", "# ", "a,1", "-", "w_"),
)
AFTER = (
    *("word", "a", "It", "a.", "a's", "\u00c0b", "\u0441\u043b\u043e", "\u65e5\u4e00", "a1", "a  b", "a\n", "a\u3002"),
    *("1", "1234", "12 a", ".", "...", "'s", "(w", '"a', "$1", "#", "- a", "_w", ".\n"),
)

# By how much a normalizer can shrink a text, in bytes. NFC: a Kelvin sign of 3 bytes becomes K, and composing shrinks
# letters by up to 3, so 9 together. Lower case: a Kelvin sign becomes k.
SHRINKS = {"NFC": 9, "Lowercase": 3, "Prepend": 1}
LOSES_NOTHING = ("ByteLevel", "Split", "Digits", "Metaspace")  # pre-tokenizers, unless their behavior is to remove
LOOKS_NO_FURTHER = ("NFC", "NFD", "NFKC", "NFKD", "Lowercase")  # normalizers that do not look across a space


class LongTexts:
    """Proven properties of a tokenizer of the library `tokenizers`.

    size: ids are below it. added: its added tokens that are searched in a text.
    bytes_a_token: the most bytes of UTF-8 text that one token can stand for, or None.
    cut: a pattern, or None. Where it matches, the ids of a text are those of the part before, then those of the rest.
    drops_space: the space at a cut belongs to neither part, because the tokenizer adds it.
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

        The first one has about `size` characters, each next one twice as many, up to LARGEST_PIECE. If there is no cut
        in the next `longest` characters, the rest is one piece, which may be longer. A word that is unknown to
        WordPiece because of its length is truncated just beyond that length.
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

    def _endless_word(self, text, begin, position):
        """The match of a word around a position that is unknown because of its length, or None."""
        if self._longest_word is None or self._longest_word >= LARGEST_PIECE:
            return None
        spaces = WHITE_SPACE.finditer(text, begin, position)
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
        """Whether no text is unknown: of unknown characters any number could become one token, or none."""
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
        """Whether words are encoded one by one and white space is dropped."""
        return _types(self._pre_tokenizers) == ["BertPreTokenizer"] and _types(self._normalizers) in (
            [],
            ["BertNormalizer"],
        )

    def _is_byte_level(self, pattern):
        """Whether, in all trials, its pre-tokenizer makes the same words of both sides of a cut as of the whole."""
        if "ByteLevel" not in _types(self._pre_tokenizers) or set(_types(self._normalizers)) - set(LOOKS_NO_FURTHER):
            return False
        trials = [(before, separator + after) for before in BEFORE for separator in " \n\u3002" for after in AFTER]
        trials = [(before, after) for before, after in trials if pattern.match(before + after, len(before))]
        return all(self._words(before + after) == self._words(before) + self._words(after) for before, after in trials)

    def _words(self, text):
        return [word for word, _ in self._library.pre_tokenizer.pre_tokenize_str(text)]

    def _is_sentencepiece(self, vocabulary):
        """Whether a text is one word of BPE in which no piece, and so no merge, spans two words."""
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
    """Whether it splits at the mark of a space, or at spaces, of which the normalizer left none."""
    return step["type"] == "Metaspace" or (step["type"] == "Split" and step["pattern"] == {"String": " "})


def _size(piece):
    return len(piece.encode())
