"""The one exception that crosses the border to SQL.

Every module raises ModelError; `sql_errors` turns it into a PostgreSQL error with the same SQLSTATE, DETAIL and HINT.
Messages follow the PostgreSQL style: lower case, no full stop; DETAIL carries the numbers, HINT the next step.
"""

INVALID_PARAMETER = "22023"
UNDEFINED_OBJECT = "42704"
LIMIT_EXCEEDED = "53400"
NOT_SUPPORTED = "0A000"
CORRUPT_DATA = "XX001"
OUT_OF_MEMORY = "53200"
DISK_FULL = "53100"
NOT_PREPARED = "55000"
SYNTAX_ERROR = "42601"
INVALID_TERMINATION = "2D000"
SEVERAL_STATEMENTS = "42P11"  # where a cursor is to be opened


class ModelError(Exception):
    """An error with the SQLSTATE, DETAIL and HINT that the SQL user will see."""

    def __init__(self, sqlstate, message, detail=None, hint=None):
        super().__init__(sqlstate, message, detail, hint)
        self.sqlstate = sqlstate
        self.message = message
        self.detail = detail
        self.hint = hint

    def __str__(self):
        return self.message if self.detail is None else f"{self.message} ({self.detail})"


def invalid_parameter(message, detail=None, hint=None):
    """An argument or a configuration value is outside what is allowed (22023)."""
    return ModelError(INVALID_PARAMETER, message, detail, hint)


def undefined_object(message, detail=None, hint=None):
    """A model, tensor or token is named that does not exist (42704)."""
    return ModelError(UNDEFINED_OBJECT, message, detail, hint)


def limit_exceeded(message, detail=None, hint=None):
    """A request is larger than the model's context or a configured limit (53400)."""
    return ModelError(LIMIT_EXCEEDED, message, detail, hint)


def not_supported(message, detail=None, hint=None):
    """A well-formed model asks for something this runtime does not have (0A000)."""
    return ModelError(NOT_SUPPORTED, message, detail, hint)


def corrupt_data(message, detail=None, hint=None):
    """Bytes are not what their description says (XX001)."""
    return ModelError(CORRUPT_DATA, message, detail, hint)


def out_of_memory(message, detail=None, hint=None):
    """The operating system gives no more memory or addresses (53200)."""
    return ModelError(OUT_OF_MEMORY, message, detail, hint)


def disk_full(message, detail=None, hint=None):
    """Files would take more of the disk than there is, or than they may (53100)."""
    return ModelError(DISK_FULL, message, detail, hint)


def not_prepared(message, detail=None, hint=None):
    """The server lacks what somebody has to make ready first: packages, compiled code (55000)."""
    return ModelError(NOT_PREPARED, message, detail, hint)
