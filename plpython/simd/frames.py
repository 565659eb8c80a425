"""Frames: what a compiled entry is given, as one flat int64 array of numbers and of addresses and sizes of arrays.

numba takes microseconds to recognise a tuple of arrays that comes from Python, for each entry and at each call, and an
entry with many arguments is compiled again for each combination of their types. So entries take a frame, and parts the
namedtuples that it describes: a Structure says once which fields a namedtuple has, writes them in Python, where it
checks every array, and reads them in compiled code.

A frame keeps nothing alive: who calls holds on to the arrays.
"""

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np import numpy_support
from numba.np.arrayobj import populate_array

from .memory import _check, _place
from .registers import I64


class Number:
    """A field that is an integer or a truth value."""

    size, type = 1, types.int64

    def write(self, value, name):
        return [int(value)]

    def read(self, context, builder, numbers):
        return numbers[0]


class Real(Number):
    """A field that is a float64, by its bits."""

    type = types.float64

    def write(self, value, name):
        return [int(np.float64(value).view(np.int64))]

    def read(self, context, builder, numbers):
        return builder.bitcast(numbers[0], context.get_value_type(self.type))


class Array:
    """A field that is a contiguous array of a dtype with one or two dimensions."""

    def __init__(self, dtype, dimensions=1):
        self.dtype, self.size = np.dtype(dtype), 1 + dimensions
        self.type = types.Array(numpy_support.from_dtype(self.dtype), dimensions, "C")

    def write(self, value, name):
        if value.dtype != self.dtype or value.ndim != self.type.ndim or not value.flags.c_contiguous:
            raise TypeError(f"{name} must be a contiguous {self.type.ndim}-d array of {self.dtype}, not {value.dtype}")
        return [value.__array_interface__["data"][0], *value.shape]

    def read(self, context, builder, numbers):
        array = context.make_array(self.type)(context, builder)
        address, *shape = numbers
        strides = [I64(self.dtype.itemsize)]
        for length in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        pointer = builder.inttoptr(address, array.data.type)
        populate_array(array, pointer, shape, strides, strides[-1], meminfo=None)
        return array._getvalue()


class Structure:
    """A namedtuple in a frame: its class, and of each field in order a Number, an Array or another Structure.

    `read_at` is for compiled code: (frame, at) -> the namedtuple whose numbers begin at frame[at]. Nothing is checked
    there. Fields that are not named are Numbers.
    """

    def __init__(self, of, **fields):
        self.of = of
        self.fields = [fields.pop(name, None) or Number() for name in of._fields]
        assert not fields, fields
        self.size = sum(field.size for field in self.fields)
        self.type = types.BaseTuple.from_types([field.type for field in self.fields], of)
        self.read_at = _reader(self)

    def frame(self, value):
        """A frame with this namedtuple alone, int64 [size]."""
        return np.array(self.write(value), np.int64)

    def write(self, value, name=""):
        """The numbers of a namedtuple, or numbers that were written before.

        Raises TypeError for an array that is not what its field says.
        """
        if isinstance(value, list):
            return value
        numbers = []
        for field, given, label in zip(self.fields, value, self.of._fields, strict=True):
            numbers += field.write(given, label)
        return numbers

    def read(self, context, builder, numbers):
        values, at = [], 0
        for field in self.fields:
            values.append(field.read(context, builder, numbers[at : at + field.size]))
            at += field.size
        return context.make_tuple(builder, self.type, values)


class Frame:
    """A frame that is written once and then changed: `put` writes some of its fields anew."""

    def __init__(self, structure, value):
        self.numbers, self._places, at = np.array(structure.write(value), np.int64), {}, 0
        for name, field in zip(structure.of._fields, structure.fields, strict=True):
            self._places[name], at = (at, field), at + field.size

    def put(self, **values):
        """Fields by their names. TypeError as Structure.write."""
        for name, value in values.items():
            at, field = self._places[name]
            for number in field.write(value, name):
                self.numbers[at] = number
                at += 1


def _reader(structure):
    @intrinsic
    def read_at(context, frame, at):
        """The namedtuple whose numbers begin at frame[at]."""
        _check(structure.of.__name__, frame, [types.int64])

        def lower(context, builder, signature, values):
            begin = _place(context, builder, frame, *values)
            numbers = [builder.load(builder.gep(begin, [I64(i)])) for i in range(structure.size)]
            return structure.read(context, builder, numbers)

        return structure.type(frame, types.int64), lower

    return read_at
