"""Around a call of Python: SQL checks the size of an array before it, and raises the error of a later row after it."""

from ..server.ceilings import check_array
from ..server.streams import raise_late

__all__ = ["check_array", "raise_late"]
