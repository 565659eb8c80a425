"""Structured output: what llguidance and the walk of a schema allow, checked by jsonschema and by Python's re."""

import itertools
import json
import os
import re
import threading
from decimal import Decimal, InvalidOperation, localcontext

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from plpython.generate import constraints, json_schemas, sampling
from plpython.generate.scheduler import Scheduler
from plpython.server import background, errors
from plpython.session.prefixes import Stats
from plpython.sql import generation
from tests.plpython.test_generation import EOS, TOKENIZER
from tests.plpython.toy_engine import VOCABULARY, ToyBatchEngine, ToyEngine

VOCABULARY_OF_BYTES = constraints.Vocabulary(TOKENIZER)
OUTPUTS = 20  # of each constraint
OF_THE_SUITE = int(os.environ.get("HARTONOMOUS_SCHEMA_OUTPUTS", "3"))  # of each schema of the suite
MOST = 512  # tokens of an output
CLOSING = np.zeros(VOCABULARY, np.float32)
CLOSING[[EOS, *b'"}]']] = 2.5  # so that random texts end
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
NOT_IN_PYTHON = "\\p{"  # Python's re has no classes by property, so jsonschema cannot tell


class ClosingEngine(ToyEngine):
    """Random logits, with some liking for what ends a value."""

    def _logits(self, tokens):
        return super()._logits(tokens) + CLOSING


class ClosingBatchEngine(ClosingEngine, ToyBatchEngine):
    """The same for batches."""


def constraint(kind, source):
    return VOCABULARY_OF_BYTES.constraint(kind, source)


def constrained(kind, source, seed=1, limit=MOST, temperature=1.0, ends=(EOS,)):
    settings = sampling.Settings(temperature=temperature, seed=seed)
    matcher = constraint(kind, source).begin()
    return generation.Constrained(matcher, TOKENIZER, list(b"ask"), limit, settings, generation.Ends((), ends))


def text(kind, source, engine=None, **given):
    return "".join(generation.stream(engine or ClosingEngine(), constrained(kind, source, **given), None))


def error_of(kind, source):
    with pytest.raises(errors.ModelError) as error:
        constraint(kind, source)
    return error.value


def suite(data):
    """(file and description, schema) of the JSON Schema test suite."""
    for path in sorted((data / "json-schema-draft2020-12").glob("*.json")):
        for case in json.loads(path.read_text(), parse_float=Decimal):
            yield f"{path.name}: {case['description']}", case["schema"]


def exact(number):
    """A number of JSON as Decimal; a float, infinite or 0, where its exponent is too long for that."""
    try:
        return Decimal(number)
    except InvalidOperation:
        return float(number)


def as_floats(schema):
    """A schema with the numbers that SQL hands over; jsonschema gets decimal ones, with which it divides exactly."""
    return json.loads(json.dumps(schema, default=float))


def words(value):
    """All names in a value of JSON."""
    if isinstance(value, dict):
        return {*value, *(word for inner in value.values() for word in words(inner))}
    return {word for inner in value for word in words(inner)} if isinstance(value, list) else set()


def test_every_text_of_every_accepted_schema_of_the_suite_is_valid(data):
    written = unfinished = 0
    for name, schema in suite(data):
        if NOT_IN_PYTHON in json.dumps(as_floats(schema)).replace("\\\\", "\\"):
            continue
        try:
            constraint("schema", as_floats(schema))
        except errors.ModelError:
            continue
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        for seed in range(OF_THE_SUITE):
            try:
                value = text("schema", as_floats(schema), seed=seed)
            except errors.ModelError as error:
                assert error.sqlstate == errors.LIMIT_EXCEEDED
                unfinished += 1
                continue
            with localcontext() as context:
                context.prec = 2 * MOST  # the number of digits of a quotient
                assert validator.is_valid(json.loads(value, parse_float=exact)), (name, value)
            assert "\0" not in str(json.loads(value))
            written += 1
    assert written > 150 * OF_THE_SUITE
    assert unfinished < 0.1 * written


def test_a_refused_schema_of_the_suite_names_one_of_its_keywords(data):
    refused = 0
    for name, schema in suite(data):
        try:
            constraint("schema", as_floats(schema))
        except errors.ModelError as error:
            refused += 1
            if error.sqlstate == errors.NOT_SUPPORTED:
                keyword = re.search('keyword "([^"]+)"', error.message)[1]
                assert keyword in words(schema), (name, error)
            else:
                assert (error.sqlstate, error.message) == (errors.INVALID_PARAMETER, "the schema allows no value"), name
    assert refused > 100


UNSUPPORTED = [
    *("unevaluatedProperties", "unevaluatedItems", "dependentSchemas", "dependentRequired", "contains", "minContains"),
    *("maxContains", "if", "then", "else", "not", "propertyNames", "uniqueItems", "$dynamicRef", "$dynamicAnchor"),
    *("minimun", "dependencies", "additionalItems", "x-guidance", "discriminator", "nullable"),
]


@pytest.mark.parametrize("keyword", UNSUPPORTED)
@pytest.mark.parametrize("place", [lambda s: s, lambda s: {"properties": {"a": {"anyOf": [{"items": s}]}}}])
def test_a_keyword_that_is_not_honoured_is_refused_wherever_it_stands(keyword, place):
    error = error_of("schema", place({keyword: {"lenient": True}}))
    assert (error.sqlstate, f'"{keyword}"' in error.message) == (errors.NOT_SUPPORTED, True)


@pytest.mark.parametrize(
    ("schema", "keyword"),
    [
        ({"$ref": "http://example.org/other.json"}, "$ref"),
        ({"$ref": "#/$defs/none"}, "$ref"),
        ({"$ref": "#/default/a", "default": {"a": {"not": {}}}}, "$ref"),
        ({"format": "idn-email", "type": "string"}, "format"),
        ({"format": "unknown", "type": "string"}, "format"),
        ({"pattern": "(?=a)b", "type": "string"}, "pattern"),
        ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "oneOf"),
        ({"minProperties": 1}, "minProperties"),
        ({"const": 2**53 + 1}, "const"),
        ({"enum": ["a\0"]}, "enum"),
        ({"patternProperties": {"a": {"const": 1}, "b": {"const": 2}}}, "patternProperties"),
    ],
)
def test_a_use_that_is_not_honoured_is_refused_by_the_keywords_name(schema, keyword):
    error = error_of("schema", schema)
    assert (error.sqlstate, f'"{keyword}"' in error.message) == (errors.NOT_SUPPORTED, True)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"type": ["string", 3]},
        {"minimum": "1"},
        {"minLength": -1},
        {"minLength": 1.5},
        {"required": ["a", "a"]},
        {"items": [{}]},
        {"properties": {"a": 1}},
        {"anyOf": []},
        {"multipleOf": 0},
    ],
)
def test_what_is_no_schema_is_an_error_as_jsonschema_says(schema):
    assert not Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)
    assert error_of("schema", schema).sqlstate == errors.INVALID_PARAMETER


@pytest.mark.parametrize(
    "schema", [{"enum": []}, {"$ref": "#"}, {"type": "integer", "minimum": 2, "maximum": 1}, {"minimum": 1e400}]
)
def test_a_schema_that_allows_nothing_is_an_error(schema):
    assert error_of("schema", schema).sqlstate in (errors.INVALID_PARAMETER, errors.NOT_SUPPORTED)


def test_required_properties_come_first_and_in_their_order():
    checked = json_schemas.checked({"properties": {"b": {}, "a": {}, "c": {}}, "required": ["c", "a"]})
    assert list(checked["properties"]) == ["c", "a", "b"]


def test_a_schema_that_is_nested_deeply_or_large_is_refused():
    deep = {}
    for _ in range(json_schemas.MOST_DEPTH + 1):
        deep = {"items": deep}
    assert error_of("schema", deep).sqlstate == errors.LIMIT_EXCEEDED
    value = []
    for _ in range(900):
        value = [value]
    assert error_of("schema", {"const": value}).sqlstate == errors.LIMIT_EXCEEDED
    assert error_of("schema", {"const": "a" * constraints.MOST_OF_A_GRAMMAR}).sqlstate == errors.LIMIT_EXCEEDED


@pytest.mark.parametrize("pattern", ["[0-9]{3}", "a/b", "(yes|no)!?", "é+x", r"\d{2}-\d{2}", "a\nb", '"', "", "a|b"])
def test_a_text_matches_the_whole_pattern(pattern):
    for seed in range(OUTPUTS):
        assert re.fullmatch(pattern, text("regex", pattern, seed=seed), re.ASCII)


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", r"a\b", "\\x00"])
def test_a_pattern_that_cannot_be_read_is_an_error(pattern):
    assert error_of("regex", pattern).sqlstate == errors.INVALID_PARAMETER


CHOICES = ["yes", "no", "a", "ab", 'c"d/\n.*', "日本", "é"]


def test_a_text_is_one_of_the_choices_and_each_can_be():
    assert {text("choices", CHOICES, seed=seed) for seed in range(300)} == set(CHOICES)


@pytest.mark.parametrize("choices", [[], [""], [None], [1]])
def test_choices_are_texts(choices):
    assert error_of("choices", choices).sqlstate == errors.INVALID_PARAMETER


@pytest.mark.parametrize(
    "grammar", ['start: NUMBER ("," NUMBER)*\nNUMBER: /[0-9]+/', 'root ::= number ("," number)*\nnumber ::= [0-9]+']
)
def test_a_sentence_of_a_grammar_in_either_notation(grammar):
    for seed in range(OUTPUTS):
        assert re.fullmatch("[0-9]+(,[0-9]+)*", text("grammar", grammar, seed=seed))


@pytest.mark.parametrize(
    ("grammar", "state"),
    [
        ("nonsense", errors.INVALID_PARAMETER),
        ("start: FOO", errors.INVALID_PARAMETER),
        ("start: start", errors.INVALID_PARAMETER),
        ("start: " + "(" * 20000 + '"a"' + ")" * 20000, errors.INVALID_PARAMETER),
        ("root ::= " + "(" * 20000 + '"a"' + ")" * 20000, errors.INVALID_PARAMETER),
        ('start: %json {"not": {}}', errors.NOT_SUPPORTED),
        ("x" * (constraints.MOST_OF_A_GRAMMAR + 1), errors.LIMIT_EXCEEDED),
    ],
)
def test_a_grammar_that_cannot_be_used_is_an_error(grammar, state):
    assert error_of("grammar", grammar).sqlstate == state


@pytest.mark.parametrize("grammar", ['start: "a" <[257]> "b"', 'start: "a" <end> "b"', 'start: "a" "\\x00" "b"'])
def test_control_tokens_and_nul_are_never_written(grammar):
    with pytest.raises(errors.ModelError) as error:
        text("grammar", grammar)
    assert error.value.sqlstate == errors.NOT_SUPPORTED


def test_the_escape_of_nul_is_masked_after_any_part_of_it():
    matcher = constraint("schema", {"type": "string"}).begin()
    for byte in b'"\\\\u0000 \\u000':
        matcher.take(byte)
    allowed = np.flatnonzero(np.isfinite(matcher.masked(np.zeros(VOCABULARY, np.float32), [EOS])))
    assert ord("1") in allowed
    assert ord("0") not in allowed


class Spelled:
    """A tokenizer of some tokens with several bytes."""

    vocabulary_size = 3

    def token_bytes(self, token):
        return [b"\\u00", b"00", b"u0000"][token]

    def is_shown(self, token):
        return True


def test_tokens_that_would_complete_the_escape_of_nul_are_known_by_what_stands_before():
    spelled = Spelled()
    found = constraints._makes_nul([spelled.token_bytes(token) for token in range(3)])
    assert [ids.tolist() for ids in found] == [[], [2], [], [], [1], [1]]


def test_thousands_of_rules_that_name_each_other_need_the_large_stack():
    names = ["".join(chr(97 + int(digit)) for digit in str(number)) for number in range(4000)]
    rules = "".join(f'{one}:{other}"x"\n' for one, other in itertools.pairwise(names))
    grammar = f'start: {names[0]}\n{rules}{names[-1]}:"x"\n'
    work = background.Background(constraint, "grammar", grammar, stack_mb=256)
    assert work.result().begin().allows_any
    assert threading.stack_size() == 0


def test_a_text_that_max_tokens_cuts_is_an_error_that_shows_it():
    with pytest.raises(errors.ModelError) as error:
        text("regex", "abc[x]{300}", limit=250)
    assert error.value.sqlstate == errors.LIMIT_EXCEEDED
    assert "after 250 tokens" in error.value.detail
    assert "'abcxxx" in error.value.detail


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_part_of_a_text_is_never_returned(limit):
    with pytest.raises(errors.ModelError, match="not complete"):
        text("regex", "abc", limit=limit)
    assert text("regex", "abc", limit=3) == "abc"


def test_a_text_that_could_go_on_at_the_limit_is_returned_if_an_end_token_is_next():
    lengths = set()
    for seed in range(200):
        try:
            lengths.add(len(text("regex", "[0-9]+", limit=2, seed=seed)))
        except errors.ModelError as error:
            lengths.add(error.sqlstate)
    assert lengths == {1, 2, errors.LIMIT_EXCEEDED}


def test_forced_tokens_take_no_pass_each():
    engine = ClosingEngine()
    written = constrained("schema", PERSON)
    value = json.loads("".join(generation.stream(engine, written, None)))
    assert set(value) == {"name", "age"}
    assert sum(sum(tokens) for tokens in engine.passes) <= 3 + len(written.tokens)
    assert len(engine.passes) < len(written.tokens) - 10


def test_greedy_text_obeys_too():
    value = json.loads(text("schema", PERSON, temperature=0.0))
    assert Draft202012Validator(PERSON).is_valid(value)


def test_a_text_in_a_batch_is_the_one_that_is_written_alone():
    seeds = range(20)
    alone = [text("schema", PERSON, seed=seed) for seed in seeds]
    arriving = [(seed, constrained("schema", PERSON, seed=seed)) for seed in seeds]
    scheduler = Scheduler(ClosingBatchEngine(), arriving, lambda: None, 1 << 40, Stats())
    together = {key: written for key, _, written, _ in scheduler.run()}
    assert [together[seed] for seed in seeds] == alone


def test_an_unfinished_text_of_a_batch_is_the_error_of_its_row():
    arriving = [(limit, constrained("regex", "abc", limit=limit)) for limit in (2, 3)]
    scheduler = Scheduler(ClosingBatchEngine(), arriving, lambda: None, 1 << 40, Stats())
    rows = {key: (written, error and error.sqlstate) for key, _, written, error in scheduler.run()}
    assert rows == {2: (None, errors.LIMIT_EXCEEDED), 3: ("abc", None)}


def test_without_an_end_token_a_text_ends_where_it_is_complete():
    assert text("regex", "[0-9]+", ends=()) in set("0123456789")


def test_compiled_constraints_are_kept_and_not_without_end():
    vocabulary = constraints.Vocabulary(TOKENIZER)
    first = vocabulary.constraint("regex", "a")
    assert vocabulary.constraint("regex", "a") is first
    for number in range(constraints.MOST_CONSTRAINTS):
        vocabulary.constraint("regex", f"b{number}")
    assert vocabulary.constraint("regex", "a") is not first
