"""Limits for users' texts, arrays and settings, which a superuser sets: llm_runtime.call_limits().

Each limit is a column of that function's row; NULL is no limit. A value above a limit is an error (53400) that says
what was asked and what is allowed.
"""

from . import database, errors

CALL_LIMITS = database.Query("SELECT l.* FROM llm_runtime.call_limits() AS l")
MEGABYTE = 1 << 20
LIMITS_HINT = "The limits are those of llm_runtime.call_limits(), which a superuser may replace."
SLICE = 1 << 16  # characters whose bytes are counted at a time
ALWAYS_ALLOWED = 1 << 16  # bytes and elements; below, the limits are not read, because operators are called very often


def allowed(limit):
    """The value of a limit, None for no limit."""
    return CALL_LIMITS.one()[limit]


def require(limit, asked, what):
    """ModelError 53400 if `asked` is above the limit. what: begins the message, such as "llm.batch_mb"."""
    most = allowed(limit)
    if most is not None and asked > most:
        raise errors.limit_exceeded(f"{what} is above the limit {limit}", f"asked {asked}, allowed {most}", LIMITS_HINT)


def require_bytes(limit, size, what):
    """ModelError 53400 if so many bytes are above a limit in megabytes. what: begins the message."""
    most = None if size <= ALWAYS_ALLOWED else allowed(limit)
    if most is not None and size > most * MEGABYTE:
        raise errors.limit_exceeded(
            f"{what} is above the limit {limit}", f"asked {size} bytes, allowed {most * MEGABYTE}", LIMITS_HINT
        )


def require_elements(elements, what):
    """ModelError 53400 if an array has more elements than the limit `elements`. what: the argument's name."""
    require_count(len(elements), what)


def require_count(count, what):
    """ModelError 53400 if so many elements are above the limit `elements`. what: the argument's name."""
    if count > ALWAYS_ALLOWED:
        require("elements", count, f"the number of elements of {what}")


def check_array(elements, size, what):
    """Returns True, or raises ModelError 53400 for an array with too many elements, or too many bytes of text.

    SQL calls this for a large array before it passes the array itself, because PL/Python would first make a list of it.
    """
    require_count(elements, what)
    require_bytes("text_mb", size, what)
    return True


def require_texts(texts, what):
    """ModelError 53400 for too many texts, or too many bytes of them together; elements may be NULL."""
    require_elements(texts, what)
    require_bytes("text_mb", sum(map(size, texts)), what)


def size(text):
    """Bytes of a text in UTF-8; 0 for NULL and for nested arrays, which other checks refuse."""
    return utf8_size(text) if isinstance(text, str) else 0


def utf8_size(text):
    """Bytes of a text in UTF-8, counted without a copy of the whole text."""
    if text.isascii():
        return len(text)
    return sum(len(text[at : at + SLICE].encode("utf-8", "surrogatepass")) for at in range(0, len(text), SLICE))
