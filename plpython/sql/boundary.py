"""What SQL asks before it calls Python, and after: is an array too large to hand over, and the error of a later row."""

from ..server.ceilings import check_array
from ..server.streams import raise_late

__all__ = ["check_array", "raise_late"]
