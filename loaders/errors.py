"""Errors of the loader: each has one line and a hint for what to do."""


class LoaderError(Exception):
    """An error that the command line prints as `error: MESSAGE` and, if there is one, `hint: HINT`."""

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.hint = hint


class SourceError(LoaderError):
    """The file or folder is not a model that can be loaded: it is broken, or it uses something unsupported."""


class ServerError(LoaderError):
    """The server cannot be reached, has no deployment, or does not allow the operation."""
