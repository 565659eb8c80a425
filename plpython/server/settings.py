"""Settings llm.<name> of a session, a role or a database: read at each call, checked, with a default.

`LLM_SETTINGS` has them all. A session's first call tells the server about them. From then on `SET` of any other name
that begins with llm. is an error, and one that was set before is removed with a warning.

Any user may set them. So none of them is a path, and limits that protect other users are not settings: see `ceilings`.
"""

import ctypes
import re
import sys
from collections import namedtuple

from . import arguments, ceilings, database, errors

MOST_THREADS = 64
INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
USER_CONTEXT = 6  # PGC_USERSET in the server's guc.h: any user may set it
SETTING = database.Query("SELECT pg_catalog.current_setting($1, true) AS value", "text")
# What the server knows by more than its value.
DEFINED = database.Query(
    "SELECT s.name FROM pg_catalog.pg_settings AS s WHERE s.name LIKE 'llm.%' AND s.short_desc IS NOT NULL"
)

# default: the first of the choices, or a number, or None. smallest, largest: of a number.
Setting = namedtuple("Setting", "unit default smallest largest choices meaning", defaults=(None,) * 6)
MEGABYTES_OF = Setting("MB", largest=sys.maxsize)
LLM_SETTINGS = {
    "engine": Setting(
        default="auto",
        choices=("auto", "compiled", "numpy"),
        meaning="what computes: auto (compiled code where it is there, else numpy), compiled, numpy",
    ),
    "kv_type": Setting(
        default="auto",
        choices=("auto", "f32", "i16"),
        meaning="format of the KV cache: auto (f32 for a model whose weights are all float32, else i16), f32, i16",
    ),
    "threads": Setting(
        smallest=1,
        largest=MOST_THREADS,
        meaning="threads of a call; not set: 1 to decode a single text, all processors for prompts and batches",
    ),
    "kv_cache_mb": MEGABYTES_OF._replace(
        default=256,
        smallest=0,
        meaning="KV caches of finished texts that a session keeps, for prompts that begin the same way; 0: none",
    ),
    "batch_mb": MEGABYTES_OF._replace(
        default=512,
        smallest=1,
        meaning="KV caches of the rows of a batch; when they need more, fewer rows are computed at once",
    ),
    "search_mb": MEGABYTES_OF._replace(
        default=1024,
        smallest=0,
        meaning="embeddings of searched tables that a session keeps; a larger table is read again at each search",
    ),
}


def choice(name):
    """The setting `llm.<name>`, one of its choices. ModelError 22023 for another value."""
    choices = LLM_SETTINGS[name].choices
    value = _given(name) or choices[0]
    if value not in choices:
        raise errors.invalid_parameter(f'llm.{name} is "{value}", allowed are {", ".join(choices)}')
    return value


def integer(name):
    """The setting `llm.<name>`, an integer in its range; None if not set. ModelError 22023 for other values."""
    setting, value = LLM_SETTINGS[name], _given(name)
    if not value:
        return None
    number = int(value) if INTEGER.fullmatch(value) else value
    return arguments.integer(f"llm.{name}", number, None, setting.smallest, setting.largest)


def megabytes(name):
    """The setting `llm.<name>` in megabytes, as bytes, within the superuser's limit of the same name.

    If it is not set: the default, or the limit if that is lower. ModelError 22023 for a value that is no such number,
    53400 for one above the limit.
    """
    wanted, default = integer(name), LLM_SETTINGS[name].default
    if wanted is None:
        most = ceilings.allowed(name)
        wanted = default if most is None else min(default, most)
    else:
        ceilings.require(name, wanted, f"llm.{name}")
    return wanted * ceilings.MEGABYTE


def rows():
    """The rows of llm.settings: (name, value, unit, default, meaning), each value as it is set, else the default."""
    for name, setting in LLM_SETTINGS.items():
        default = None if setting.default is None else str(setting.default)
        yield f"llm.{name}", _given(name) or default, setting.unit, default, setting.meaning


def reserve():
    """Tell the server that these are all settings llm.<name>; once a session. Outside of a server nothing happens."""
    server = ctypes.PyDLL(None)  # the server process; PyDLL keeps Python's lock during a call
    try:
        define, mark = server.DefineCustomStringVariable, server.MarkGUCPrefixReserved
    except AttributeError:
        return
    define.restype = mark.restype = None
    define.argtypes = [ctypes.c_void_p] * 5 + [ctypes.c_int] * 2 + [ctypes.c_void_p] * 3
    mark.argtypes = [ctypes.c_char_p]
    known = {row["name"] for row in DEFINED.all()}  # of a release that this session used before
    for name, setting in LLM_SETTINGS.items():
        if f"llm.{name}" not in known:
            value = _for_ever(bytes(ctypes.sizeof(ctypes.c_void_p)))
            define(_for_ever(f"llm.{name}"), _for_ever(setting.meaning), 0, value, 0, USER_CONTEXT, 0, 0, 0, 0)
    mark(b"llm")


def _given(name):
    """The setting's text; empty or None if it is not set."""
    return SETTING.one(f"llm.{name}")["value"]


def _for_ever(content):
    """The address of a copy, ended by a zero, which the server may keep as long as the session lives."""
    content = content if isinstance(content, bytes) else content.encode()
    allocate = ctypes.pythonapi.PyMem_RawCalloc
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t, ctypes.c_size_t]
    address = allocate(len(content) + 1, 1)
    if not address:
        raise MemoryError
    ctypes.memmove(address, content, len(content))
    return address
