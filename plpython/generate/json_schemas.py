"""JSON Schema (draft 2020-12): which schemas a constraint can honour. The others are refused by the keyword's name.

A keyword is one of VALUES (it is honoured), REMARKS (it constrains nothing) or refused (0A000): those of the draft that
no grammar expresses, and unknown ones, which are most often misspelled. A value of the wrong kind is an error (22023).
"""

from ..server import arguments, errors

JSON_SCHEMA_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
REMARKS = (
    *("$comment", "$schema", "$vocabulary", "contentEncoding", "contentMediaType", "contentSchema", "default"),
    *("deprecated", "description", "example", "examples", "readOnly", "title", "writeOnly"),
)
DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST_DEPTH = 100
DATES = ("date", "date-time")
TEXT_FORMATS = (*DATES, "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
WITH_A_YEAR = {"pattern": "^(000[1-9]|00[1-9]|0[1-9]|[1-9])"}  # there is no year 0000
SUPPORTED_HINT = (
    "A value can be checked after it was generated; docs/structured.md lists the keywords that are honoured."
)


def is_schema(value):
    """Whether a value can be a schema: an object, true or false."""
    return isinstance(value, (dict, bool))


def is_number(value):
    """Whether a value is a number of JSON."""
    return arguments.is_integer(value) or isinstance(value, float)


def is_count(value):
    """Whether a value is a whole number that is not negative."""
    return is_number(value) and value >= 0 and value == value // 1


def is_text(value):
    """Whether a value is a string."""
    return isinstance(value, str)


def is_type(value):
    """Whether a value is the name of a type, or a list of them."""
    return (
        value in JSON_SCHEMA_TYPES
        if is_text(value)
        else isinstance(value, list) and all(one in JSON_SCHEMA_TYPES for one in value)
    )


def is_texts(value):
    """Whether a value is a list of different strings."""
    return isinstance(value, list) and all(map(is_text, value)) and len(set(value)) == len(value)


def is_schemas(value):
    """Whether a value is a list of schemas, at least one."""
    return isinstance(value, list) and len(value) > 0 and all(map(is_schema, value))


def is_named_schemas(value):
    """Whether a value is an object of schemas."""
    return isinstance(value, dict) and all(map(is_schema, value.values()))


def _is_positive(value):
    return is_number(value) and value > 0


def _is_anything(value):
    return True


def _is_list(value):
    return isinstance(value, list)


VALUES = {  # of each keyword that is honoured: (what it may be, in words)
    "$ref": (is_text, "a string"),
    "$id": (is_text, "a string"),
    "$anchor": (is_text, "a string"),
    "$defs": (is_named_schemas, "an object of schemas"),
    "definitions": (is_named_schemas, "an object of schemas"),
    "type": (is_type, "one or several of " + ", ".join(JSON_SCHEMA_TYPES)),
    "enum": (_is_list, "an array"),
    "const": (_is_anything, "any value"),
    "allOf": (is_schemas, "an array of schemas"),
    "anyOf": (is_schemas, "an array of schemas"),
    "oneOf": (is_schemas, "an array of schemas"),
    "minimum": (is_number, "a number"),
    "maximum": (is_number, "a number"),
    "exclusiveMinimum": (is_number, "a number"),
    "exclusiveMaximum": (is_number, "a number"),
    "multipleOf": (_is_positive, "a number above 0"),
    "minLength": (is_count, "a whole number"),
    "maxLength": (is_count, "a whole number"),
    "pattern": (is_text, "a regular expression"),
    "format": (is_text, "a string"),
    "items": (is_schema, "a schema"),
    "prefixItems": (is_schemas, "an array of schemas"),
    "minItems": (is_count, "a whole number"),
    "maxItems": (is_count, "a whole number"),
    "properties": (is_named_schemas, "an object of schemas"),
    "patternProperties": (is_named_schemas, "an object of schemas"),
    "additionalProperties": (is_schema, "a schema"),
    "required": (is_texts, "an array of different strings"),
    "minProperties": (is_count, "a whole number"),
    "maxProperties": (is_count, "a whole number"),
}
NAMED_BELOW = ("$defs", "definitions", "properties", "patternProperties")
SOME_BELOW = ("allOf", "anyOf", "oneOf", "prefixItems")
ELSEWHERE = ("https://json-schema.org/", "http://json-schema.org/") + tuple(
    f"#/{keyword}/" for keyword in ("const", "enum", *REMARKS)
)
ONE_BELOW = ("items", "additionalProperties")


def checked(schema, depth=0):
    """The schema with required properties first, in the order of `required`: jsonb does not keep that of an object.

    Raises ModelError 0A000 for what cannot be honoured, 22023 for what is no schema.
    """
    if depth > MOST_DEPTH:
        raise errors.limit_exceeded(
            "the schema is nested too deeply", f"allowed are {MOST_DEPTH} schemas in each other"
        )
    if not isinstance(schema, dict):
        return schema
    for keyword, value in schema.items():
        _check(keyword, value)
    _check_together(schema)
    below = {keyword: _below(keyword, value, schema, depth + 1) for keyword, value in schema.items()}
    return {**below, "allOf": [*below.get("allOf", []), WITH_A_YEAR]} if schema.get("format") in DATES else below


def refused(keyword, why, detail=None):
    """The error for a keyword that cannot be honoured (0A000)."""
    return errors.not_supported(f'the schema\'s keyword "{keyword}" {why}', detail, SUPPORTED_HINT)


def _check(keyword, value):
    if keyword in REMARKS:
        return
    if keyword not in VALUES:
        raise refused(keyword, "cannot be honoured")
    fits, allowed = VALUES[keyword]
    if not fits(value):
        raise arguments.ill(f'"{keyword}" of the schema', value, allowed)
    if _has(value, _is_with_nul):
        raise refused(keyword, "has the character U+0000, which PostgreSQL cannot store")
    if _has(value, _is_inexact):
        raise refused(keyword, "has a whole number of more than 53 bits, which would be rounded")


def _check_together(schema):
    least, required = schema.get("minProperties", 0), schema.get("required", [])
    if least > len(required):  # an object may have a property twice, of which the last counts
        raise refused("minProperties", "cannot be honoured above the number of required properties")
    if schema.get("format", DATES[0]) not in TEXT_FORMATS:
        raise refused("format", "cannot be honoured with this value", f"known are {', '.join(TEXT_FORMATS)}")
    if schema.get("$schema", DRAFT) != DRAFT:
        raise refused("$schema", f"is not {DRAFT}")
    if schema.get("$ref", "").startswith(ELSEWHERE):
        raise refused("$ref", "names what is not a schema of this document", schema["$ref"])


def _has(value, is_such):
    """Whether something in a value, the names in objects included, is such."""
    if isinstance(value, dict):
        return any(is_such(name) or _has(inner, is_such) for name, inner in value.items())
    return any(_has(inner, is_such) for inner in value) if isinstance(value, list) else is_such(value)


def _is_with_nul(value):
    return is_text(value) and "\0" in value


def _is_inexact(value):
    """Whether llguidance, which computes in float64, would round a number."""
    return arguments.is_integer(value) and (abs(value) >= 2**1000 or float(value) != value)


def _below(keyword, value, schema, depth):
    """A keyword's value, with the schemas in it checked."""
    if keyword in ONE_BELOW:
        return checked(value, depth)
    if keyword in SOME_BELOW:
        return [checked(one, depth) for one in value]
    if keyword in NAMED_BELOW:
        names = schema.get("required", []) if keyword == "properties" else []
        order = [*(name for name in names if name in value), *(name for name in value if name not in set(names))]
        return {name: checked(value[name], depth) for name in order}
    return int(value) if VALUES.get(keyword, (None,))[0] is is_count else value
