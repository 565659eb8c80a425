"""Settings llm.<name> of a session, a role or a database: read at each call, checked, with a default.

Any user may set them. So none of them is a path, and limits that protect other users are not settings: see `ceilings`.
"""

import re
import sys

from . import arguments, ceilings, database, errors

INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
SETTING = database.Query("SELECT pg_catalog.current_setting($1, true) AS value", "text")


def choice(name, choices):
    """The setting `llm.<name>`, one of the choices; the first if it is not set. ModelError 22023 for another value."""
    value = SETTING.one(f"llm.{name}")["value"] or choices[0]
    if value not in choices:
        raise errors.invalid_parameter(f'llm.{name} is "{value}", allowed are {", ".join(choices)}')
    return value


def integer(name, default, smallest, largest):
    """The setting `llm.<name>`, an integer in a range; `default` if not set. ModelError 22023 for other values."""
    value = SETTING.one(f"llm.{name}")["value"]
    if not value:
        return default
    number = int(value) if INTEGER.fullmatch(value) else value
    return arguments.integer(f"llm.{name}", number, None, smallest, largest)


def megabytes(name, default, smallest):
    """The setting `llm.<name>` in megabytes, as bytes, within the superuser's limit of the same name.

    If it is not set: the default, or the limit if that is lower. ModelError 22023 for a value that is no such number,
    53400 for one above the limit.
    """
    wanted = integer(name, None, smallest, sys.maxsize)
    if wanted is None:
        most = ceilings.allowed(name)
        wanted = default if most is None else min(default, most)
    else:
        ceilings.require(name, wanted, f"llm.{name}")
    return wanted * ceilings.MEGABYTE
