"""Kernels: compiled functions that other compiled code calls by their addresses.

What entries have in common is compiled once, instead of once into each of them, and a caller is the same machine code
whichever kernels there are. A kernel takes one namedtuple, described by a Structure, and returns nothing. Its arguments
go in registers and on the stack, as numba passes them; a call costs some nanoseconds.
"""

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .registers import Cache, entry


def kernel(name, structure):
    """Decorates a function of one namedtuple: a Kernel with a name that no other function of the file has."""

    def decorate(function):
        function.__qualname__ = name
        return Kernel(entry(function, _KernelCache), structure)

    return decorate


class _KernelCache(Cache):
    """Knows a kernel by its name. numba would hash all that a function made by another one refers to."""

    def _index_key(self, sig, codegen):
        return sig, codegen.magic_tuple(), self._py_func.__qualname__


class Kernel:
    """A compiled function and where its machine code is."""

    def __init__(self, dispatcher, structure):
        self.dispatcher, self._arguments = dispatcher, (structure.type,)

    def address(self):
        """Where it lies in memory, for as long as the process lives. Compiles it, or loads what was compiled."""
        self.dispatcher.compile(self._arguments)
        compiled = self.dispatcher.overloads[self._arguments]
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def calling(structure):
    """For compiled code: (the address of a kernel that takes the Structure's namedtuple, the namedtuple) -> nothing."""
    expected = structure.type

    @intrinsic
    def call(context, address, given):
        _check(given, expected, structure.of.__name__)

        def lower(context, builder, signature, values):
            number, argument = values
            function = context.call_conv.get_function_type(types.none, (expected,))
            pointer = builder.inttoptr(number, function.as_pointer())
            argument = _cast(context, builder, argument, given, expected)
            context.call_conv.call_function(builder, pointer, types.none, (expected,), [argument])
            return context.get_dummy_value()

        return types.none(types.int64, given), lower

    return call


def _check(given, expected, name):
    """The types must be alike; a read-only array may stand for one that is not: kernels write where callers can."""
    if isinstance(expected, types.BaseTuple):
        if not isinstance(given, types.BaseTuple) or len(given) != len(expected):
            raise TypingError(f"{name}: wants {expected}, not {given}")
        for number, (one, other) in enumerate(zip(given, expected, strict=True)):
            _check(one, other, f"{name}[{number}]")
    elif isinstance(expected, types.Array):
        if not isinstance(given, types.Array) or given.copy(readonly=False) != expected:
            raise TypingError(f"{name}: wants {expected}, not {given}")
    elif not isinstance(given, types.Integer | types.Float):
        raise TypingError(f"{name}: wants {expected}, not {given}")


def _cast(context, builder, value, given, expected):
    """A value of one type as the other, after `_check`."""
    if isinstance(expected, types.BaseTuple):
        parts = [
            _cast(context, builder, builder.extract_value(value, number), one, other)
            for number, (one, other) in enumerate(zip(given, expected, strict=True))
        ]
        return context.make_tuple(builder, expected, parts)
    if isinstance(expected, types.Array):
        return value
    return context.cast(builder, value, given, expected)
