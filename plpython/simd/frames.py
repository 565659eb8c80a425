"""Frames: the arguments of a compiled entry as one flat int64 array of numbers, array addresses and array shapes.

numba needs microseconds at each call to check the types of a tuple of arrays that comes from Python, and compiles an
entry once for each combination of argument types. A frame always has the same type. A Structure describes the fields of
a namedtuple once: in Python it checks the arrays and writes them into a frame; in compiled code it reads the frame back
into the namedtuple.

A frame does not keep arrays alive: the caller must hold references to them.
"""

from functools import cached_property

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np import numpy_support
from numba.np.arrayobj import populate_array

from .memory import _check, _pointer
from .registers import I64


class Number:
    """A field that is an integer or a boolean."""

    size, type = 1, types.int64

    def write(self, value, name):
        return [int(value)]

    def read(self, context, builder, numbers):
        return numbers[0]


class Real(Number):
    """A field that is a float64, stored as its bits."""

    type = types.float64

    def write(self, value, name):
        return [int(np.float64(value).view(np.int64))]

    def read(self, context, builder, numbers):
        return builder.bitcast(numbers[0], context.get_value_type(self.type))


class Array:
    """A field that is a C-contiguous array of a dtype, with one or two dimensions: its address, then its shape."""

    def __init__(self, dtype, dimensions=1):
        self.dtype, self.dimensions, self.size = np.dtype(dtype), dimensions, 1 + dimensions

    @cached_property
    def type(self):
        """Its numba type. Like a Structure's it is made when it is asked for: it takes long, and few are needed."""
        return types.Array(numpy_support.from_dtype(self.dtype), self.dimensions, "C")

    def write(self, value, name):
        if value.dtype != self.dtype or value.ndim != self.dimensions or not value.flags.c_contiguous:
            raise TypeError(f"{name} must be a contiguous {self.dimensions}-d array of {self.dtype}, not {value.dtype}")
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
    """Describes a namedtuple in a frame. fields: {name: Real, Array or Structure}; all other fields are Numbers.

    `read_at` is for compiled code: (frame, at) -> the namedtuple whose numbers begin at frame[at]. It checks nothing.
    """

    def __init__(self, of, **fields):
        self.tuple_class = of
        self.fields = [fields.pop(name, None) or Number() for name in of._fields]
        assert not fields, fields
        self.size = sum(field.size for field in self.fields)
        self.read_at = _reader(self)

    @cached_property
    def type(self):
        """The namedtuple's numba type."""
        return types.BaseTuple.from_types([field.type for field in self.fields], self.tuple_class)

    def frame(self, value):
        """A frame with this namedtuple: int64 [size]. Raises TypeError as `write` does."""
        return np.array(self.write(value), np.int64)

    def write(self, value, name=""):
        """The numbers of a namedtuple, a list. A list is returned as it is: what `write` returned earlier.

        Raises TypeError for an array of another dtype or number of dimensions than its field, or not contiguous.
        """
        if isinstance(value, list):
            return value
        numbers = []
        for field, given, label in zip(self.fields, value, self.tuple_class._fields, strict=True):
            numbers += field.write(given, label)
        return numbers

    def read(self, context, builder, numbers):
        values, at = [], 0
        for field in self.fields:
            values.append(field.read(context, builder, numbers[at : at + field.size]))
            at += field.size
        return context.make_tuple(builder, self.type, values)


def _reader(structure):
    @intrinsic
    def read_at(context, frame, at):
        """The namedtuple whose numbers begin at frame[at]."""
        _check(structure.tuple_class.__name__, frame, [types.int64])

        def lower(context, builder, signature, values):
            begin = _pointer(context, builder, frame, *values)
            numbers = [builder.load(builder.gep(begin, [I64(i)])) for i in range(structure.size)]
            return structure.read(context, builder, numbers)

        return structure.type(frame, types.int64), lower

    return read_at
