"""Constraints: a text is a value of a JSON Schema, matches a regular expression, is one of some choices, or a sentence
of a grammar.

llguidance tells which tokens may follow. A `Vocabulary` is a model's tokenizer as it reads one, made once; a
`Constraint` is compiled once a call, and a `Matcher` follows one text. A token that is not allowed is masked: its logit
becomes minus infinity. A forced token is the only one that may follow. Control tokens and NUL are never allowed; an end
token is, where the text is complete.
"""

import json
import re
from collections import OrderedDict

import llguidance
import numpy as np
from llguidance.gbnf_to_lark import gbnf_to_lark, is_lark_syntax

from ..server import errors
from . import json_schemas

MOST_OF_A_GRAMMAR = 1 << 16  # bytes; for more, the stack of the thread that compiles may be too small
MOST_CONSTRAINTS = 8  # compiled constraints of a model
MOST_SAID = 300  # characters of what llguidance says
PARSER_LIMITS = llguidance.LLParserLimits(verbose_errors=False)
JSON_OPTIONS = {  # none of them can be changed by the schema
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
    "coerce_one_of": False,
    "lenient": False,
    "json_allow_general_unicode_escapes": False,
}
ASCII_DIGITS = "d"  # \\d of a pattern is 0 to 9 alone
EMPTY = "(?:)"  # the pattern that only the empty text matches
BEFORE_TEXT = "\x02"  # stands before a text, so that the tokenizer adds no space to it
NUL_ESCAPE = b"\\u0000"
COMPLEX = re.compile("too complex|too large|too many (expressions|states|symbols)|fuel|limit")
# What llguidance's message is about, where it does not quote the keyword: the first of these that it has.
SAID_OF = {
    "present in a registry": "$ref",
    "ointer '": "$ref",
    "Unknown format": "format",
    "patternProperty": "patternProperties",
    "regex": "pattern",
    "oneOf": "oneOf",
    **{keyword: keyword for keyword in json_schemas.VALUES},
}


class Vocabulary:
    """The tokens of a model's tokenizer as bytes, with one more that ends a text, and what is never allowed."""

    bos_token_id = None

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.size = self.eos_token_id = tokenizer.vocabulary_size
        self.tokens = [self._text_of(token) for token in range(self.size)] + [b"<end>"]
        self.special_token_ids = [self.size]
        self.allowed = np.array([bool(text) and b"\0" not in text for text in self.tokens[:-1]])
        self._longest = max(map(len, self.tokens))
        self._ids = {text: token for token, text in reversed(list(enumerate(self.tokens[:-1]))) if text}
        self.makes_nul = _makes_nul(self.tokens[:-1])
        self.library = llguidance.LLTokenizer(llguidance.TokenizerWrapper(self), n_vocab=self.size + 1)
        self._kept = OrderedDict()

    def __call__(self, text):
        """Ids of a text that is forced: as the tokenizer has them, if it gives just these bytes back."""
        wanted = text if isinstance(text, bytes) else text.encode()
        try:
            ids = self._tokenizer.encode(BEFORE_TEXT + wanted.decode(), False)
        except (UnicodeDecodeError, errors.ModelError):
            return self._longest_first(wanted)
        while ids and len(b"".join(self.tokens[i] for i in ids)) > len(wanted):
            ids = ids[1:]
        return ids if b"".join(self.tokens[i] for i in ids) == wanted else self._longest_first(wanted)

    def constraint(self, kind, source):
        """The Constraint of a kind, one of KINDS; the latest ones are kept."""
        try:
            key = kind, json.dumps(source)
            constraint = self._kept.pop(key, None) or KINDS[kind](self, source)
        except RecursionError:
            raise errors.limit_exceeded("the schema is nested too deeply") from None
        self._kept[key] = constraint
        while len(self._kept) > MOST_CONSTRAINTS:
            self._kept.popitem(last=False)
        return constraint

    def _text_of(self, token):
        """The bytes that a token adds to a text: none for a control token, an unknown one or a padding row."""
        tokenizer = self._tokenizer
        return tokenizer.token_bytes(token) if tokenizer.is_shown(token) else b""

    def _longest_first(self, text):
        ids = []
        while text:
            size = next((n for n in range(min(self._longest, len(text)), 0, -1) if text[:n] in self._ids), None)
            if size is None:
                return ids
            ids.append(self._ids[text[:size]])
            text = text[size:]
        return ids


def _makes_nul(tokens):
    """For each number of bytes of the escape of NUL that stand there: the ids of tokens that would complete it."""
    suspects = [(token, text) for token, text in enumerate(tokens) if text[:1] == b"0" or b"u0000" in text]
    return [
        np.array([token for token, text in suspects if _escape_after(begun, text) is None], np.int64)
        for begun in range(len(NUL_ESCAPE))
    ]


def _escape_after(begun, text):
    """How many bytes of the escape of NUL end a text after these, `begun` before them; None when it is complete."""
    for byte in text:
        if byte == NUL_ESCAPE[begun]:
            begun += 1
        else:
            begun = int(byte == NUL_ESCAPE[0] and begun != 1)
        if begun == len(NUL_ESCAPE):
            return None
    return begun


class Constraint:
    """What texts must be. grammar: as llguidance has it; is_json: U+0000 is not allowed as an escape either.

    Raises ModelError 22023 for what is no grammar or allows no text, 53400 for a grammar that is too complex.
    """

    def __init__(self, vocabulary, grammar, is_json=False):
        self._vocabulary, self._is_json = vocabulary, is_json
        self._matcher = llguidance.LLMatcher(vocabulary.library, grammar, log_level=0, limits=PARSER_LIMITS)
        if self._matcher.is_error():
            raise _refusal(self._matcher.get_error(), is_json)
        if not self.begin().allows_any:
            raise errors.invalid_parameter(
                "the constraint allows no text", hint="Nothing of the model's tokens fits it."
            )

    def begin(self):
        """The Matcher of a text."""
        return Matcher(self._vocabulary, self._matcher.deep_copy(), self._is_json)


class Matcher:
    """Which tokens may follow a text that obeys a constraint."""

    def __init__(self, vocabulary, matcher, is_json):
        self._vocabulary, self._matcher = vocabulary, matcher
        self._escape = 0 if is_json else None

    @property
    def is_complete(self):
        """Whether the text may end here."""
        return self._matcher.is_accepting()

    @property
    def is_ended(self):
        """Whether the text is complete and nothing may follow."""
        return self.is_complete and self._matcher.is_stopped()

    @property
    def allows_any(self):
        """Whether a token may follow, or the text may end."""
        return self.is_complete or bool(self._mask().any())

    def masked(self, logits, ends):
        """The logits, with minus infinity for tokens that are not allowed. ends: the tokens that end a text."""
        mask = self._mask()
        ends = list(ends)
        mask[ends] = self.is_complete
        if not mask.any():
            raise errors.not_supported(
                "no token of the model can continue the text within its constraint",
                hint="The constraint asks for characters that the model's tokens do not spell, or for U+0000.",
            )
        return np.where(mask, logits, np.float32(-np.inf))

    def take(self, token):
        """Go on with a token."""
        self._consume([token])

    def forced(self):
        """The tokens that must follow, with which it goes on."""
        tokens = [] if self._matcher.is_stopped() else self._matcher.compute_ff_tokens()
        if not all(token < self._vocabulary.size and self._vocabulary.allowed[token] for token in tokens):
            raise errors.not_supported("the constraint asks for a control token or for U+0000")
        self._consume(tokens)
        return tokens

    def _mask(self):
        """bool[vocabulary]: which tokens may follow."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        mask = np.unpackbits(bits, count=self._vocabulary.size, bitorder="little").view(np.bool_)
        mask &= self._vocabulary.allowed
        if self._escape is not None:
            mask[self._vocabulary.makes_nul[self._escape]] = False
        return mask

    def _consume(self, tokens):
        self._matcher.consume_tokens(tokens)
        self._check()
        if self._escape is not None:
            self._escape = _escape_after(self._escape, b"".join(self._vocabulary.tokens[token] for token in tokens))
            if self._escape is None:
                raise errors.not_supported("the constraint asks for U+0000, which PostgreSQL cannot store")

    def _check(self):
        if self._matcher.is_error():
            said = _one_line(self._matcher.get_error())
            if "NoExtension" in said:
                raise errors.invalid_parameter("the constraint allows no text", said)
            raise errors.limit_exceeded(
                "the constraint became too complex",
                said,
                "Shorten its repetitions and alternatives.",
            )


def of_schema(vocabulary, schema):
    """The Constraint of a JSON Schema: an object, true or false."""
    if isinstance(schema, bool):
        schema = {} if schema else {"enum": []}
    text = _dumped(json_schemas.checked(schema))
    _require_size(text, "the schema")
    try:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(text, overrides=JSON_OPTIONS)
    except ValueError as problem:
        raise errors.invalid_parameter("the schema is not a JSON Schema", _one_line(str(problem))) from None
    return Constraint(vocabulary, grammar, is_json=True)


def of_regex(vocabulary, pattern):
    """The Constraint of a regular expression, which the whole text matches."""
    _require_size(pattern, "the pattern")
    lark = f"start: /{llguidance.regex_to_lark(pattern or EMPTY, ASCII_DIGITS)}/"
    return Constraint(vocabulary, llguidance.LLMatcher.grammar_from_lark(lark))


def of_choices(vocabulary, choices):
    """The Constraint of some texts, of which the text is one."""
    if not choices or not all(isinstance(choice, str) and choice for choice in choices):
        raise errors.invalid_parameter("choices must be texts that are neither NULL nor empty, at least one")
    pattern = "|".join(map(re.escape, choices))
    _require_size(pattern, "the array of choices")
    return Constraint(vocabulary, llguidance.LLMatcher.grammar_from_regex(pattern))


def of_grammar(vocabulary, grammar):
    """The Constraint of a grammar: Lark where it has a rule `start:` or a line `%llguidance`, else GBNF."""
    _require_size(grammar, "the grammar")
    if "%json" in grammar:
        raise errors.not_supported(
            "a grammar cannot have a JSON Schema in it", hint="llm.generate_json takes a schema."
        )
    try:
        lark = grammar if is_lark_syntax(grammar) else gbnf_to_lark(grammar)
    except (Exception, RecursionError) as problem:
        raise errors.invalid_parameter(
            "the grammar is neither Lark nor GBNF",
            _one_line(str(problem)),
            "Lark has a rule start: ..., GBNF a rule root ::= ...",
        ) from None
    return Constraint(vocabulary, llguidance.LLMatcher.grammar_from_lark(lark))


KINDS = {"schema": of_schema, "regex": of_regex, "choices": of_choices, "grammar": of_grammar}


def _dumped(schema):
    try:
        return json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise errors.invalid_parameter("the schema has a number that is too large") from None


def _require_size(text, what):
    size = len(text.encode())
    if size > MOST_OF_A_GRAMMAR:
        raise errors.limit_exceeded(f"{what} is too large", f"it has {size} bytes, allowed are {MOST_OF_A_GRAMMAR}")


def _refusal(problem, is_json):
    """The error for a grammar that llguidance does not take, by what it says."""
    said = _one_line(problem)
    if COMPLEX.search(said):
        return errors.limit_exceeded("the constraint is too complex", said)
    if not is_json:
        return errors.invalid_parameter("the constraint cannot be read", said)
    if "Unsatisfiable" in said:
        return errors.invalid_parameter("the schema allows no value", said)
    return json_schemas.refused(_keyword(said), "cannot be honoured as it is used here", said)


def _keyword(said):
    quoted = re.search(r'keys: \["([^"]+)', said)
    return quoted[1] if quoted else next((word for part, word in SAID_OF.items() if part in said), "$ref")


def _one_line(text):
    """What llguidance says, in one line."""
    return " ".join(text.partition("<backtrace>")[0].split())[:MOST_SAID]
