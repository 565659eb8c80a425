"""Kernels: compiled functions that other compiled code calls through their addresses.

numba would compile a shared function anew into every entry that uses it; a kernel is compiled once. And the caller's
machine code does not depend on which kernels exist. A kernel takes one namedtuple, described by a Structure, and
returns nothing. Arguments are passed in numba's calling convention; a call takes a few nanoseconds.
"""

from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from .registers import Cache, entry


def kernel(name, structure):
    """Decorator: makes a Kernel of a function of one namedtuple. name: unique in the function's file."""

    def decorate(function):
        function.__qualname__ = name
        return Kernel(entry(function, _KernelCache), structure)  # here: numba's cache folder is that of this moment

    return decorate


class _KernelCache(Cache):
    """Caches a kernel under its name. For closures numba would hash everything that they refer to."""

    def _index_key(self, sig, codegen):
        return sig, codegen.magic_tuple(), self._py_func.__qualname__


class Kernel:
    """A compiled function and the address of its machine code."""

    def __init__(self, dispatcher, structure):
        self.dispatcher, self._structure = dispatcher, structure

    def address(self):
        """The address, valid as long as the process lives. Compiles the function, or loads it from the cache."""
        arguments = (self._structure.type,)
        self.dispatcher.compile(arguments)
        compiled = self.dispatcher.overloads[arguments]
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)


def caller(structure):
    """Make a function for compiled code: (address of a kernel that takes the Structure, the namedtuple) -> None."""

    @intrinsic
    def call(context, address, given):
        expected = structure.type
        _check(given, expected, structure.tuple_class.__name__)

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
    """Raise TypingError unless the types agree. Read-only arrays are accepted; kernels do not write to those."""
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
    """Convert a value of the type `given` to `expected`, which `_check` has accepted."""
    if isinstance(expected, types.BaseTuple):
        parts = [
            _cast(context, builder, builder.extract_value(value, number), one, other)
            for number, (one, other) in enumerate(zip(given, expected, strict=True))
        ]
        return context.make_tuple(builder, expected, parts)
    if isinstance(expected, types.Array):
        return value
    return context.cast(builder, value, given, expected)
