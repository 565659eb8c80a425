"""What a session, a role or a database may set with SET llm.<name>: read at each call, checked, with a default.

Any user may set them, so none is a path, and none raises a limit that protects others: `ceilings` has those.
"""

import re
import sys

from . import arguments, ceilings, database, errors

INTEGER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)
SETTING = database.Query("SELECT pg_catalog.current_setting($1, true) AS value", "text")


def choice(name, choices):
    """The setting `llm.<name>`, one of the choices, the first when it is not set. ModelError 22023 for another."""
    value = SETTING.one(f"llm.{name}")["value"] or choices[0]
    if value not in choices:
        raise errors.invalid_parameter(f'llm.{name} is "{value}", allowed are {", ".join(choices)}')
    return value


def integer(name, default, smallest, largest):
    """The setting `llm.<name>`; `default` when it is not set. ModelError 22023 when it is no such number."""
    value = SETTING.one(f"llm.{name}")["value"]
    if not value:
        return default
    number = int(value) if INTEGER.fullmatch(value) else value
    return arguments.integer(f"llm.{name}", number, None, smallest, largest)


def megabytes(name, default, smallest):
    """The setting `llm.<name>` of megabytes, as bytes, within the superuser's limit of that name.

    Not set it is the default, or the limit where that is less. ModelError 22023 when it is no such number, 53400 when
    it is above the limit.
    """
    wanted = integer(name, None, smallest, sys.maxsize)
    if wanted is None:
        most = ceilings.allowed(name)
        wanted = default if most is None else min(default, most)
    else:
        ceilings.require(name, wanted, f"llm.{name}")
    return wanted * ceilings.MEGABYTE
