"""NOTICE, WARNING and DEBUG2: what the client is told while a call goes on."""

from . import spi


def notice(message, detail=None, hint=None):
    """Tell the client something that it may want to know; it is sent at once."""
    spi.plpy.notice(f"llm: {message}", **_given(detail=detail, hint=hint))


def warning(message, detail=None, hint=None):
    """Tell the client, and the server's log, about something that was wrong and has been repaired."""
    spi.plpy.warning(f"llm: {message}", **_given(detail=detail, hint=hint))


def debug(message):
    """Tell a client that asked for it with SET client_min_messages = debug2."""
    spi.plpy.debug(f"llm: {message}")


def _given(**fields):
    """Without those that are None, which plpy would print."""
    return {name: text for name, text in fields.items() if text is not None}
