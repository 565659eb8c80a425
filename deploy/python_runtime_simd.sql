-- Deploy hartonomous:python_runtime_simd to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/simd/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.simd__frames()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Frames: the arguments of a compiled entry as one flat int64 array of numbers, array addresses and array shapes.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.simd__frames() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.simd__frames() IS
'Frames: the arguments of a compiled entry as one flat int64 array of numbers, array addresses and array '
'shapes.';

CREATE OR REPLACE FUNCTION llm_runtime.simd__kernels()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Kernels: compiled functions that other compiled code calls through their addresses.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.simd__kernels() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.simd__kernels() IS
'Kernels: compiled functions that other compiled code calls through their addresses.';

CREATE OR REPLACE FUNCTION llm_runtime.simd__memory()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Loads, stores and atomics for register blocks.

`load(array, index, like, step)` fills row r of a block of type `like` from array[index + r * step ...]; without a step
all rows read the same elements, so it is for blocks of one row. Indices and steps count array elements. Nothing is
checked at run time; at compile time an array of a wrong dtype is a TypingError.
"""

from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from . import processors as forms
from .processors import FLOAT, I8, I16, I32, LANES, call, constant, vector
from .registers import I64, Registers, _block, _in_all_lanes, _registers, _typed, f32


def _check(name, array, dtypes, writes=False):
    """Raise TypingError unless the array is 1-d, contiguous, of one of the dtypes, and writable if `writes`."""
    names = " or ".join(str(dtype) for dtype in dtypes)
    if not isinstance(array, types.Array) or array.ndim != 1 or array.layout != "C":
        raise TypingError(f"{name}: wants a contiguous 1-d array of {names}, not {array}")
    if array.dtype not in dtypes:
        raise TypingError(f"{name}: wants an array of {names}, not of {array.dtype}")
    if writes and not array.mutable:
        raise TypingError(f"{name}: the array is read-only")


def _block_type(name, like):
    block = like.instance_type if isinstance(like, types.NumberClass | types.TypeRef) else None
    if not isinstance(block, Registers):
        raise TypingError(f"{name}: {like} is not a register block type")
    return block


def _pointer(context, builder, kind, array, index, step=None, row=0):
    """A pointer to array[index + row * step]."""
    data = context.make_array(kind)(context, builder, array).data
    if row and step is not None:
        index = builder.add(index, builder.mul(step, I64(row)))
    return builder.gep(data, [index])


def _at(builder, pointer, kind):
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _reading(forms_of):
    """Make a load (array, index, like, step). forms_of: {(element, array dtype): (builder, pointer) -> register}."""

    def decorate(described):
        name = described.__name__

        def typing(context, array, index, like, step=0):
            block = _block_type(name, like)
            _check(name, array, [dtype for element, dtype in forms_of if element == block.element])
            emit = forms_of[block.element, array.dtype]

            def lower(context, builder, signature, values):
                return _block(
                    builder,
                    [
                        emit(builder, _pointer(context, builder, array, *values[:2], values[3], row))
                        for row in range(block.rows)
                    ],
                )

            return block(array, types.int64, like, _step(step)), lower

        return _typed(name, described, typing)

    return decorate


def _step(step):
    return types.Omitted(0) if isinstance(step, int | types.Omitted) else types.int64


@_reading(
    {
        ("f32", types.float32): lambda b, p: _at(b, p, vector(FLOAT)),
        ("f32", types.uint16): lambda b, p: forms.widen_half(b, _at(b, p, vector(I16))),
        ("i32", types.int32): lambda b, p: _at(b, p, vector(I32)),
    }
)
def load(context, array, index, like, step=0):
    """16 elements a row; uint16 arrays hold half precision, which is widened to f32."""


@_reading(
    {
        ("f32", types.uint16): lambda b, p: b.bitcast(
            b.shl(b.zext(_at(b, p, vector(I16)), vector(I32)), constant(I32, 16)), vector(FLOAT)
        ),
    }
)
def load_bf16(context, array, index, like, step=0):
    """16 bfloat16 values a row, widened to f32: they are the upper 16 bits of a float32."""


@_reading({("i32", types.uint8): lambda b, p: _at(b, p, vector(I32))})
def load_bytes(context, array, index, like, step=0):
    """64 bytes a row, four to a lane, for dot4."""


@_reading({("i32", types.uint8): lambda b, p: b.zext(_at(b, p, vector(I8)), vector(I32))})
def load_u8(context, array, index, like, step=0):
    """16 unsigned bytes a row, one to a lane."""


@_reading({("i32", types.uint8): lambda b, p: b.sext(_at(b, p, vector(I8)), vector(I32))})
def load_i8(context, array, index, like, step=0):
    """16 signed bytes a row, one to a lane; the array is of uint8."""


def _widened_pairs(builder, pointer):
    return builder.bitcast(builder.zext(_at(builder, pointer, vector(I8, 32)), vector(I16, 32)), vector(I32))


@_reading({("i32", types.uint8): _widened_pairs})
def load_u8_pairs(context, array, index, like, step=0):
    """32 unsigned bytes a row, two to a lane as int16, for dot2."""


@_reading({("i32", types.int16): lambda b, p: _at(b, p, vector(I32))})
def load_pairs(context, array, index, like, step=0):
    """32 int16 a row, two to a lane, for dot2."""


@_reading(
    {
        ("f32", types.float32): lambda b, p: _in_all_lanes(b, _at(b, p, FLOAT)),
        ("i32", types.int32): lambda b, p: _in_all_lanes(b, _at(b, p, I32)),
    }
)
def spread(context, array, index, like, step=0):
    """One element a row, broadcast to all 16 lanes."""


@_reading({("i32", types.int8): lambda b, p: _in_all_lanes(b, _at(b, p, I32))})
def spread_bytes(context, array, index, like, step=0):
    """Four int8 a row, broadcast to all lanes, for dot4."""


@_reading({("i32", types.int16): lambda b, p: _in_all_lanes(b, _at(b, p, I32))})
def spread_pairs(context, array, index, like, step=0):
    """Two int16 a row, broadcast to all lanes, for dot2."""


def _writing(forms_of):
    """Make a store (array, index, block, step). forms_of: {(element, array dtype): (builder, register) -> bits}."""

    def decorate(described):
        name = described.__name__

        def typing(context, array, index, block, step=0):
            if not isinstance(block, Registers):
                raise TypingError(f"{name}: {block} is not a register block")
            _check(name, array, [dtype for element, dtype in forms_of if element == block.element], writes=True)
            emit = forms_of[block.element, array.dtype]

            def lower(context, builder, signature, values):
                for row, register in enumerate(_registers(builder, block, values[2], block.rows)):
                    pointer = _pointer(context, builder, array, *values[:2], values[3], row)
                    bits = emit(builder, register)
                    builder.store(bits, builder.bitcast(pointer, bits.type.as_pointer()), align=1)
                return context.get_dummy_value()

            return types.void(array, types.int64, block, _step(step)), lower

        return _typed(name, described, typing)

    return decorate


@intrinsic
def load_word(context, array, index):
    """The uint32 in the four bytes array[index ...]."""
    _check("load_word", array, [types.uint8])

    def lower(context, builder, signature, values):
        return _at(builder, _pointer(context, builder, array, *values), I32)

    return types.uint32(array, types.int64), lower


@intrinsic
def store_word(context, array, index, word):
    """Store a uint32 in the four bytes array[index ...]."""
    _check("store_word", array, [types.uint8], writes=True)

    def lower(context, builder, signature, values):
        pointer = _pointer(context, builder, array, *values[:2])
        builder.store(values[2], builder.bitcast(pointer, I32.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint32), lower


@intrinsic
def prefetch(context, array, index):
    """Prefetch the cache line of array[index] into L2. The index may be out of bounds: nothing is read."""

    def lower(context, builder, signature, values):
        pointer = builder.bitcast(_pointer(context, builder, array, *values), I8.as_pointer())
        reading, level_two, data = I32(0), I32(2), I32(1)
        call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, reading, level_two, data)
        return context.get_dummy_value()

    return types.void(array, types.int64), lower


@_writing(
    {
        ("f32", types.float32): lambda b, x: x,
        ("i32", types.int32): lambda b, x: x,
        ("i32", types.int8): lambda b, x: b.trunc(x, vector(I8)),
        ("i32", types.int16): lambda b, x: b.trunc(x, vector(I16)),
        ("i32", types.uint8): lambda b, x: x,
    }
)
def store(context, array, index, block, step=0):
    """16 elements a row; in int8 and int16 arrays the low bits of an i32 are stored, in uint8 all four bytes."""


@_writing({("i32", types.int16): lambda b, x: x})
def store_pairs(context, array, index, block, step=0):
    """32 int16 a row, two from each lane, as load_pairs reads them."""


def _first(builder, count):
    """The mask of the lanes below `count`."""
    return builder.icmp_signed("<", ir.Constant(vector(I64), list(range(LANES))), _in_all_lanes(builder, count))


@intrinsic
def load_first(context, count, array, index):
    """One f32 register: the first `count` lanes from the array, zeros in the others, which are not read."""
    _check("load_first", array, [types.float32])

    def lower(context, builder, signature, values):
        pointer = _pointer(context, builder, array, *values[1:])
        pointer = builder.bitcast(pointer, vector(FLOAT).as_pointer())
        return call(
            builder,
            "llvm.masked.load.v16f32.p0",
            vector(FLOAT),
            pointer,
            I32(4),
            _first(builder, values[0]),
            constant(FLOAT, 0.0),
        )

    return f32(types.int64, array, types.int64), lower


@intrinsic
def store_first(context, count, array, index, register):
    """Store the first `count` lanes of one f32 register."""
    _check("store_first", array, [types.float32], writes=True)

    def lower(context, builder, signature, values):
        pointer = _pointer(context, builder, array, *values[1:3])
        pointer = builder.bitcast(pointer, vector(FLOAT).as_pointer())
        mask = _first(builder, values[0])
        call(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), values[3], pointer, I32(4), mask)
        return context.get_dummy_value()

    return types.void(types.int64, array, types.int64, f32), lower


# Between threads


@intrinsic
def atomic_add(context, array, index, number):
    """Atomically add to an int64 (acquire and release); returns the value before."""
    _check("atomic_add", array, [types.int64], writes=True)

    def lower(context, builder, signature, values):
        return builder.atomic_rmw("add", _pointer(context, builder, array, *values[:2]), values[2], "acq_rel")

    return types.int64(array, types.int64, types.int64), lower


@intrinsic
def atomic_load(context, array, index):
    """Load an int64 with acquire: what its writer wrote before is visible, too."""
    _check("atomic_load", array, [types.int64])

    def lower(context, builder, signature, values):
        return builder.load_atomic(_pointer(context, builder, array, *values), "acquire", 8)

    return types.int64(array, types.int64), lower


@intrinsic
def peek_i32(context, address):
    """The int32 at an address, read from memory each time, such as PostgreSQL's InterruptPending."""

    def lower(context, builder, signature, values):
        return builder.load_atomic(builder.inttoptr(values[0], I32.as_pointer()), "monotonic", 4)

    return types.int32(types.int64), lower


@intrinsic
def array_at(context, address, length, like):
    """The memory at an address as a 1-d array of `length` elements of the dtype of the array `like`."""
    kind = types.Array(like.dtype, 1, "C")

    def lower(context, builder, signature, values):
        array = context.make_array(kind)(context, builder)
        itemsize = context.get_constant(types.intp, like.dtype.bitwidth // 8)
        pointer = builder.inttoptr(values[0], array.data.type)
        populate_array(array, pointer, [values[1]], [itemsize], itemsize, meminfo=None)
        return array._getvalue()

    return kind(types.int64, types.int64, like), lower


@intrinsic(prefer_literal=True)
def array_on_stack(context, length, like):
    """A 1-d array of a constant length, of the dtype of the array `like`, on the stack, aligned to 64 bytes.

    It lives until the compiled function returns, and is the same array at each call in a loop. Not zeroed.
    """
    size = length.literal_value * like.dtype.bitwidth // 8
    kind = types.Array(like.dtype, 1, "C")

    def lower(context, builder, signature, values):
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(I8, size))
        memory.align = 64
        array = context.make_array(kind)(context, builder)
        itemsize = context.get_constant(types.intp, like.dtype.bitwidth // 8)
        pointer = builder.bitcast(memory, array.data.type)
        populate_array(array, pointer, [I64(length.literal_value)], [itemsize], itemsize, meminfo=None)
        return array._getvalue()

    return kind(length, like), lower


@intrinsic
def in_order(context):
    """A compiler fence: LLVM moves no load across it. It emits no instruction.

    LLVM would move all loads of an unrolled loop to its beginning, run out of registers, and spill the sums.
    """

    def lower(context, builder, signature, values):
        builder.fence("acquire", "singlethread")
        return context.get_dummy_value()

    return types.void(), lower


@intrinsic
def pause(context):
    """The processor's hint for spin loops."""

    def lower(context, builder, signature, values):
        forms.pause(builder)
        return context.get_dummy_value()

    return types.void(), lower


@intrinsic
def yield_processor(context):
    """Let another thread run: sched_yield."""

    def lower(context, builder, signature, values):
        call(builder, "sched_yield", I32)
        return context.get_dummy_value()

    return types.void(), lower
$python$;

REVOKE ALL ON FUNCTION llm_runtime.simd__memory() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.simd__memory() IS
'Loads, stores and atomics for register blocks.';

CREATE OR REPLACE FUNCTION llm_runtime.simd__processors()
RETURNS void
LANGUAGE plpython3u
AS $python$"""What differs between processors: instructions for which LLVM has no portable operation.

LLVM aborts the process (with PostgreSQL: the whole server) if it must emit an instruction that the target does not
have. So the variant of each instruction is chosen here, from the target's features, before code is emitted. The target
is that of numba: this machine, or NUMBA_CPU_NAME and NUMBA_CPU_FEATURES, with which the tests run all variants on one
machine. Both are part of numba's cache key. All variants of an instruction give the same bits.

The functions take an llvmlite IRBuilder and registers of 16 lanes, and return a register.
"""

from llvmlite import ir
from numba.core import config
from numba.core.codegen import get_host_cpu_features

LANES = 16
I8, I16, I32, HALF, FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.HalfType(), ir.FloatType()


def vector(element, lanes=LANES):
    """The LLVM type of a register of `lanes` elements."""
    return ir.VectorType(element, lanes)


def constant(element, value, lanes=LANES):
    """A register with one value, or the listed values, in its lanes."""
    return ir.Constant(vector(element, lanes), value if isinstance(value, list) else [value] * lanes)


def call(builder, name, result, *operands):
    """Call an LLVM intrinsic, declared on first use."""
    declared = builder.module.globals.get(name)
    declared = declared or ir.Function(builder.module, ir.FunctionType(result, [x.type for x in operands]), name)
    return builder.call(declared, operands)


def pick(builder, register, lanes):
    """A register of the listed lanes of another, in that order."""
    undefined = ir.Constant(register.type, ir.Undefined)
    return builder.shuffle_vector(register, undefined, constant(I32, list(lanes), len(lanes)))


def _features():
    text = get_host_cpu_features() if config.CPU_FEATURES is None else config.CPU_FEATURES
    return frozenset(name[1:] for name in text.split(",") if name.startswith("+"))


def _variant(features):
    if {"avx512bw", "avx512vnni"} <= features and "prefer-256-bit" not in features:
        return "avx512vnni"
    if "avxvnni" in features or {"avx512vl", "avx512vnni"} <= features:
        return "avxvnni"
    if "avx512bw" in features:
        return "avx512"
    return "avx2" if "avx2" in features else "portable"


FEATURES = _features()
VARIANT = _variant(FEATURES)
HAS_HALF = "f16c" in FEATURES or "avx512f" in FEATURES or "fullfp16" in FEATURES


def dot4(builder, total, unsigned, signed):
    """total + the sum of the four products u8 * s8 in each 32-bit lane, in 32 bits: nothing saturates."""
    return _DOT4[VARIANT](builder, total, unsigned, signed)


def _dot4_vnni_512(builder, *operands):
    # Declared with 16 x i32, LLVM's first signature: newer LLVM upgrades it, older LLVM knows no other.
    return call(builder, "llvm.x86.avx512.vpdpbusd.512", vector(I32), *operands)


def _dot4_vnni_256(builder, *operands):
    halves = [[pick(builder, x, range(at, at + 8)) for x in operands] for at in (0, 8)]
    return _join(builder, *(call(builder, "llvm.x86.avx512.vpdpbusd.256", vector(I32, 8), *x) for x in halves))


def _dot4_words(multiply_add):
    """Multiply the even bytes of all lanes as 16-bit words, then the odd bytes; sums of pairs stay in their lane."""

    def emit(builder, total, unsigned, signed):
        u, s = (builder.bitcast(x, vector(I16, 32)) for x in (unsigned, signed))
        eight = constant(I16, 8, 32)
        even = multiply_add(
            builder, builder.and_(u, constant(I16, 255, 32)), builder.ashr(builder.shl(s, eight), eight)
        )
        odd = multiply_add(builder, builder.lshr(u, eight), builder.ashr(s, eight))
        return builder.add(total, builder.add(even, odd))

    return emit


def _multiply_add_512(builder, x, y):
    return call(builder, "llvm.x86.avx512.pmaddw.d.512", vector(I32), x, y)


def _multiply_add_256(builder, *operands):
    halves = [[pick(builder, x, range(at, at + 16)) for x in operands] for at in (0, 16)]
    return _join(builder, *(call(builder, "llvm.x86.avx2.pmadd.wd", vector(I32, 8), *x) for x in halves))


def _join(builder, low, high):
    return builder.shuffle_vector(low, high, constant(I32, list(range(LANES))))


def _dot4_portable(builder, total, unsigned, signed):
    for byte in range(4):
        u = builder.and_(builder.lshr(unsigned, constant(I32, 8 * byte)), constant(I32, 255))
        s = builder.ashr(builder.shl(signed, constant(I32, 24 - 8 * byte)), constant(I32, 24))
        total = builder.add(total, builder.mul(u, s))
    return total


_DOT4 = {
    "avx512vnni": _dot4_vnni_512,
    "avxvnni": _dot4_vnni_256,
    "avx512": _dot4_words(_multiply_add_512),
    "avx2": _dot4_words(_multiply_add_256),
    "portable": _dot4_portable,
}


def dot2(builder, total, first, second):
    """total + the sum of the two products i16 * i16 in each 32-bit lane, in 32 bits: nothing saturates."""
    return _DOT2[VARIANT](builder, total, first, second)


def _dot2_vnni_512(builder, *operands):
    return call(builder, "llvm.x86.avx512.vpdpwssd.512", vector(I32), *operands)


def _dot2_vnni_256(builder, *operands):
    halves = [[pick(builder, x, range(at, at + 8)) for x in operands] for at in (0, 8)]
    return _join(builder, *(call(builder, "llvm.x86.avx512.vpdpwssd.256", vector(I32, 8), *x) for x in halves))


def _dot2_words(multiply_add):
    def emit(builder, total, first, second):
        words = (builder.bitcast(x, vector(I16, 32)) for x in (first, second))
        return builder.add(total, multiply_add(builder, *words))

    return emit


def _dot2_portable(builder, total, first, second):
    sixteen = constant(I32, 16)
    low = [builder.ashr(builder.shl(x, sixteen), sixteen) for x in (first, second)]
    high = [builder.ashr(x, sixteen) for x in (first, second)]
    return builder.add(total, builder.add(builder.mul(*low), builder.mul(*high)))


_DOT2 = {
    "avx512vnni": _dot2_vnni_512,
    "avxvnni": _dot2_vnni_256,
    "avx512": _dot2_words(_multiply_add_512),
    "avx2": _dot2_words(_multiply_add_256),
    "portable": _dot2_portable,
}


def look_up(builder, table, index):
    """In every byte the byte of the table (16 bytes, repeated four times) that the index, 0 .. 15, names."""
    table, index = (builder.bitcast(x, vector(I8, 64)) for x in (table, index))
    return builder.bitcast(_LOOK_UP.get(VARIANT, _look_up_portable)(builder, table, index), vector(I32))


def _look_up_512(builder, table, index):
    return call(builder, "llvm.x86.avx512.pshuf.b.512", vector(I8, 64), table, index)


def _look_up_256(builder, table, index):
    halves = [[pick(builder, x, range(at, at + 32)) for x in (table, index)] for at in (0, 32)]
    low, high = (call(builder, "llvm.x86.avx2.pshuf.b", vector(I8, 32), *x) for x in halves)
    return builder.shuffle_vector(low, high, constant(I32, list(range(64)), 64))


def _look_up_portable(builder, table, index):
    found = constant(I8, 0, 64)
    for code in range(16):
        named = builder.icmp_signed("==", index, constant(I8, code, 64))
        found = builder.select(named, pick(builder, table, [code] * 64), found)
    return found


_LOOK_UP = {"avx512vnni": _look_up_512, "avx512": _look_up_512, "avxvnni": _look_up_256, "avx2": _look_up_256}


def widen_half(builder, bits):
    """16 x i16 that hold half precision -> 16 x float, exact."""
    if HAS_HALF:
        return builder.fpext(builder.bitcast(bits, vector(HALF)), vector(FLOAT))
    wide = builder.zext(bits, vector(I32))
    magnitude = builder.and_(wide, constant(I32, 0x7FFF))
    sign = builder.shl(builder.and_(wide, constant(I32, 0x8000)), constant(I32, 16))
    # Exponent and mantissa, shifted to their place in a float, are the value times 2^-112, also for subnormal halves.
    moved = builder.bitcast(builder.shl(magnitude, constant(I32, 13)), vector(FLOAT))
    scaled = builder.bitcast(builder.fmul(moved, constant(FLOAT, 2.0**112)), vector(I32))
    special = builder.icmp_unsigned(">=", magnitude, constant(I32, 0x7C00))  # infinity and NaN
    scaled = builder.select(special, builder.or_(scaled, constant(I32, 0x7F800000)), scaled)
    return builder.bitcast(builder.or_(scaled, sign), vector(FLOAT))


def pause(builder):
    """Emit the hint for spin loops; nothing if the processor has none."""
    if "sse2" in FEATURES:
        call(builder, "llvm.x86.sse2.pause", ir.VoidType())
$python$;

REVOKE ALL ON FUNCTION llm_runtime.simd__processors() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.simd__processors() IS
'What differs between processors: instructions for which LLVM has no portable operation.';

CREATE OR REPLACE FUNCTION llm_runtime.simd__registers()
RETURNS void
LANGUAGE plpython3u
AS $python$"""SIMD for numba: blocks of registers, and instructions on them.

`f32[r]` is the type of a block of r registers of 16 float32 lanes each, `i32[r]` the same of int32; plain `f32` and
`i32` are one register. Instructions act on every register of a block; an operand that is a single register or a number
is broadcast to all. So a matrix product for eight tokens reads like one for one token:

    total = fill(0.0, f32[8])
    for k in range(columns):
        total = fma(load(weights, 16 * k, f32, 0), spread(inputs, k, f32[8], columns), total)

Instructions work in compiled code only. Memory is a 1-d C-contiguous array and an index in elements. The dtype selects
the instruction, and any other dtype is a TypingError: float32 and int32 as they are, uint16 for half precision (for
bf16 with load_bf16), uint8 for weights, int8 for activations. A block type such as `f32[rows]` must be a constant of
the enclosing module or function.

Most functions below are LLVM emitters: registers in, one operation, a register out. The decorator makes them numba
instructions. There is no fast-math: an instruction gives the same bits in every context and on every machine.
"""

import functools
import inspect
import itertools
import operator
import secrets

from llvmlite import binding, ir
from numba import njit, types
from numba.core import ir as numba_ir
from numba.core.bytecode import FunctionIdentity
from numba.core.caching import FunctionCache
from numba.core.compiler import Compiler
from numba.core.errors import TypingError
from numba.extending import intrinsic, lower_builtin, models, register_jitable, register_model, type_callable

from . import processors as forms
from .processors import FLOAT, I32, LANES, call, constant, pick, vector

# _nrt: no reference counts, which are atomic and took a tenth of a decode step. Compiled code allocates no arrays.
NJIT_OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy", "_nrt": False}
# Decorator of functions that entries call. In Python it remains a plain function, which cannot run instructions.
compiled = register_jitable(**NJIT_OPTIONS)
# The same for functions with one caller: inlined before typing. Each level of calls costs compile time.
inlined = njit(inline="always", **NJIT_OPTIONS)
I64 = ir.IntType(64)


# numba numbers compiled functions from 0 in each process and puts the number into their symbols, and of equal symbols
# the linker takes the first. So entries from two processes could call each other's functions. Start at random instead.
FunctionIdentity._unique_ids = itertools.count(secrets.randbits(60))


class Cache(FunctionCache):
    """numba's cache without what entries do not need: loading that took a tenth of the time to the first token.

    On loading, numba would import its compiler and compile its reference counting. On saving, it would add LLVM
    bitcode for inlining into callers, which entries do not have; an empty module with the expected symbols replaces it.
    """

    def load_overload(self, sig, target_context):
        with self._guard_against_spurious_io_errors():
            found = self._load_overload(sig, target_context)
        return super().load_overload(sig, target_context) if found is None else found

    def save_overload(self, sig, data):
        names = ir.Module()
        described = data.fndesc
        for name in (described.llvm_func_name, described.llvm_cpython_wrapper_name, described.env_name):
            ir.GlobalVariable(names, I64, name).initializer = I64(0)
        data.library._shared_module = binding.parse_assembly(str(names))
        super().save_overload(sig, data)


class _EntryCompiler(Compiler):
    """Compiles in a sixth less time: copies of inlined blocks share one scope.

    numba deep-copies the scope of all variables with each block that it inlines, and then merges the copies.
    """

    def compile_extra(self, function):
        numba_ir.Scope.__deepcopy__ = lambda scope, copies: scope
        try:
            return super().compile_extra(function)
        finally:
            del numba_ir.Scope.__deepcopy__


def entry(function, cache=Cache):
    """Decorator of functions that Python calls: compiled on first use and cached on disk, in NUMBA_CACHE_DIR."""
    dispatcher = njit(pipeline_class=_EntryCompiler, **NJIT_OPTIONS)(function)
    dispatcher._cache = cache(function)  # what njit(cache=True) does, with another class
    return dispatcher


class Registers(types.Type):
    """The numba type of a block of `rows` registers with lanes of `element` ("f32" or "i32")."""

    def __init__(self, element, rows=1):
        self.element, self.rows = element, rows
        super().__init__(f"{element}x{LANES}[{rows}]")

    def __getitem__(self, rows):
        return Registers(self.element, rows)

    def __reduce__(self):  # a stable pickle: numba hashes it into the key of a cached kernel
        return Registers, (self.element, self.rows)

    @property
    def key(self):
        return self.element, self.rows

    @property
    def scalar(self):
        return types.float32 if self.element == "f32" else types.int32

    @property
    def lane(self):
        return FLOAT if self.element == "f32" else I32


@register_model(Registers)
class _RegistersModel(models.PrimitiveModel):
    def __init__(self, manager, block):
        register = vector(block.lane)
        super().__init__(manager, block, register if block.rows == 1 else ir.ArrayType(register, block.rows))


f32, i32 = Registers("f32"), Registers("i32")


# How instructions are made


def _registers(builder, kind, value, rows):
    """The operand as a list of `rows` registers; a number or a single register is broadcast."""
    if not isinstance(kind, Registers):
        return [_in_all_lanes(builder, value)] * rows
    return [value] * rows if kind.rows == 1 else [builder.extract_value(value, row) for row in range(rows)]


def _block(builder, registers):
    if len(registers) == 1:
        return registers[0]
    block = ir.Constant(ir.ArrayType(registers[0].type, len(registers)), ir.Undefined)
    for row, register in enumerate(registers):
        block = builder.insert_value(block, register, row)
    return block


def _in_all_lanes(builder, scalar):
    undefined = ir.Constant(vector(scalar.type), ir.Undefined)
    return pick(builder, builder.insert_element(undefined, scalar, I32(0)), [0] * LANES)


def _typed(name, emit, typing):
    """A numba intrinsic of `typing`, with the name, parameters and docstring of the emitter."""
    functools.update_wrapper(typing, emit)
    parameters = list(inspect.signature(emit).parameters.values())
    typing.__signature__ = inspect.Signature(parameters)
    typing.__name__ = name
    return intrinsic(typing)


def instruction(*operands, gives=None):
    """Decorator: makes a numba instruction of an emitter for single registers. Result: `gives`, or the first type."""
    result_type = gives or operands[0]

    def decorate(emit):
        def typing(context, *given):
            for number, (kind, wanted) in enumerate(zip(given, operands, strict=True), 1):
                element = kind.element if isinstance(kind, Registers) else None
                if element != wanted.element and not isinstance(kind, types.Number):
                    raise TypingError(f"{emit.__name__}: operand {number} must be {wanted.element}, not {kind}")
            result = result_type[max(kind.rows if isinstance(kind, Registers) else 1 for kind in given)]
            taken = [
                kind if isinstance(kind, Registers) else want.scalar for kind, want in zip(given, operands, strict=True)
            ]

            def lower(context, builder, signature, values):
                columns = [
                    _registers(builder, kind, value, result.rows)
                    for kind, value in zip(signature.args, values, strict=True)
                ]
                return _block(builder, [emit(builder, *row) for row in zip(*columns, strict=True)])

            return result(*taken), lower

        return _typed(emit.__name__, emit, typing)

    return decorate


# Arithmetic. Written as operators where Python has one: a + b, a - b, a * b, a / b on f32; a + b, a - b, a * b, a & b,
# a | b, a << b, a >> b on i32.


def _operator(symbol, **names):
    """Define an operator on registers, or a register and a number. names: {element: IRBuilder method}."""

    @type_callable(symbol)
    def typing(context):
        def result(x, y):
            blocks = [kind for kind in (x, y) if isinstance(kind, Registers)]
            elements = {block.element for block in blocks}
            if len(elements) != 1 or not elements <= names.keys():
                return None
            if any(not isinstance(kind, Registers | types.Number) for kind in (x, y)):
                return None
            return blocks[0][max(block.rows for block in blocks)]

        return result

    def lower(context, builder, signature, values):
        result = signature.return_type

        def side(kind, value):
            if not isinstance(kind, Registers):
                value = context.cast(builder, value, kind, result.scalar)
            return _registers(builder, kind, value, result.rows)

        sides = [side(*pair) for pair in zip(signature.args, values, strict=True)]
        emit = getattr(builder, names[result.element])
        return _block(builder, [emit(x, y) for x, y in zip(*sides, strict=True)])

    for kinds in ((Registers, Registers), (Registers, types.Number), (types.Number, Registers)):
        lower_builtin(symbol, *kinds)(lower)


_operator(operator.add, f32="fadd", i32="add")
_operator(operator.sub, f32="fsub", i32="sub")
_operator(operator.mul, f32="fmul", i32="mul")
_operator(operator.truediv, f32="fdiv")
_operator(operator.and_, i32="and_")
_operator(operator.or_, i32="or_")
_operator(operator.lshift, i32="shl")
_operator(operator.rshift, i32="lshr")


@instruction(f32, f32, f32)
def fma(builder, x, y, z):
    """x * y + z, rounded once."""
    return call(builder, "llvm.fma.v16f32", x.type, x, y, z)


@instruction(f32, f32)
def maximum(builder, x, y):
    """The larger of two; y where x is NaN."""
    return builder.select(builder.fcmp_ordered(">", x, y), x, y)


@instruction(f32, f32)
def minimum(builder, x, y):
    """The smaller of two; y where x is NaN."""
    return builder.select(builder.fcmp_ordered("<", x, y), x, y)


@instruction(f32, f32)
def larger_or_nan(builder, x, y):
    """The larger of two numbers >= 0; NaN if one is NaN, since the bits of NaN are larger than those of any number."""
    return _larger_bits(builder, x, y)


def _larger_bits(builder, x, y):
    first, second = (builder.bitcast(value, vector(I32)) for value in (x, y))
    larger = builder.select(builder.icmp_unsigned(">", first, second), first, second)
    return builder.bitcast(larger, vector(FLOAT))


@instruction(f32)
def magnitude(builder, x):
    """|x|."""
    return call(builder, "llvm.fabs.v16f32", x.type, x)


@instruction(f32)
def rint(builder, x):
    """The nearest integer, ties to even."""
    return call(builder, "llvm.nearbyint.v16f32", x.type, x)


@instruction(f32, gives=i32)
def to_i32(builder, x):
    """f32 to int32, truncated towards zero."""
    return builder.fptosi(x, vector(I32))


@instruction(i32, gives=f32)
def to_f32(builder, x):
    """int32 to the nearest f32."""
    return builder.sitofp(x, vector(FLOAT))


@instruction(f32, gives=i32)
def bits(builder, x):
    """The bits of a float, as an int32."""
    return builder.bitcast(x, vector(I32))


@instruction(f32, i32)
def ldexp(builder, x, n):
    """x * 2^n, with n in the low nine bits of the integer; x and the result must be normal numbers."""
    exponent = builder.shl(n, constant(I32, 23))
    return builder.bitcast(builder.add(builder.bitcast(x, vector(I32)), exponent), vector(FLOAT))


@instruction(i32, i32, i32)
def dot4(builder, total, unsigned, signed):
    """total + the sum of the four products of unsigned and signed bytes in each lane."""
    return forms.dot4(builder, total, unsigned, signed)


@instruction(i32, i32, i32)
def dot2(builder, total, first, second):
    """total + the sum of the two products of int16 in each lane."""
    return forms.dot2(builder, total, first, second)


@instruction(i32, i32)
def look_up(builder, table, index):
    """In every byte the byte of the table that the index, 0 .. 15, names; every quarter of `table` is the table."""
    return forms.look_up(builder, table, index)


@instruction(i32, i32)
def halved(builder, x, times):
    """x / 2^times, rounded down."""
    return builder.ashr(x, times)


@instruction(i32, gives=f32)
def as_f32(builder, x):
    """The float with these bits."""
    return builder.bitcast(x, vector(FLOAT))


@instruction(i32, i32)
def maximum_i32(builder, x, y):
    """The larger of two int32."""
    return builder.select(builder.icmp_signed(">", x, y), x, y)


@instruction(i32, i32, f32, f32, gives=f32)
def where_before(builder, x, y, a, b):
    """a in the lanes where x < y (int32), b in the others."""
    return builder.select(builder.icmp_signed("<", x, y), a, b)


@instruction(f32, f32, f32, f32)
def where_less(builder, x, y, a, b):
    """a in the lanes where x < y, b in the others."""
    return builder.select(builder.fcmp_ordered("<", x, y), a, b)


# Across lanes: a fixed tree, so that the order of additions does not depend on the compiler.


def _tree(builder, x, join):
    for distance in (8, 4, 2, 1):
        x = join(x, pick(builder, x, [lane ^ distance for lane in range(LANES)]))
    return x


@instruction(f32)
def sum_lanes(builder, x):
    """The sum of the 16 lanes, in every lane."""
    return _tree(builder, x, builder.fadd)


@instruction(i32)
def sum_lanes_i32(builder, x):
    """The sum of the 16 lanes, in every lane."""
    return _tree(builder, x, builder.add)


@instruction(f32)
def max_lanes(builder, x):
    """The largest of the 16 lanes, in every lane."""
    return _tree(builder, x, lambda a, b: builder.select(builder.fcmp_ordered(">", a, b), a, b))


@instruction(f32)
def max_lanes_or_nan(builder, x):
    """The largest of the 16 lanes, numbers >= 0, in every lane; NaN if one of them is NaN."""
    return _tree(builder, x, lambda a, b: _larger_bits(builder, a, b))


# Making and taking apart


@intrinsic
def lanes(context):
    """i32: 0, 1, ... 15."""
    return i32(), lambda context, builder, signature, values: constant(I32, list(range(LANES)))


@intrinsic
def fill(context, number, like):
    """A block of the type `like` with one number in all lanes."""
    block = like.instance_type

    def lower(context, builder, signature, values):
        return _block(builder, [_in_all_lanes(builder, values[0])] * block.rows)

    return block(block.scalar, like), lower


@intrinsic
def lane(context, register, index):
    """One lane of a single register, as a number."""

    def lower(context, builder, signature, values):
        return builder.extract_element(*values)

    return register.scalar(register, types.int64), lower
$python$;

REVOKE ALL ON FUNCTION llm_runtime.simd__registers() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.simd__registers() IS
'SIMD for numba: blocks of registers, and instructions on them.';

CREATE OR REPLACE FUNCTION llm_runtime.simd__threads()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Threads of one compiled call: a pool of workers, and how they synchronise inside the call.

Waking a worker takes some 50 microseconds, so a whole forward pass is one call. Inside it the threads `claim` pieces of
work from counters, `finish` them, and `wait` until all pieces of a step are done, by whichever threads. So a thread
that starts late or is descheduled delays the others by the piece it is working on, at most. Where each thread has a
fixed share of a step, a `barrier` follows, which takes a few hundred nanoseconds. Threads that wait spin, and now and
then yield the processor. The shared state is a flat int64 array: the barrier's counter, the stop flag, the counters.

Signals must be handled by PostgreSQL's own thread, so workers start with all signals blocked.
"""

import queue
import signal
import threading
from collections import namedtuple

import numpy as np

from ..server import errors
from .memory import atomic_add, atomic_load, pause, peek_i32, yield_processor
from .registers import compiled

ARRIVED, STOP, COUNTERS = 0, 8, 16  # indices into the state, each on a cache line of its own
CLAIMED, DONE = range(2)  # the two int64 of a counter: pieces claimed, pieces done
SPINS_BEFORE_YIELD = 2048


# What a thread of a compiled call knows: its number, how many there are, the shared state, and the addresses of two
# int32 (0: none) that become nonzero when the call is to stop.
Crew = namedtuple("Crew", "thread threads state interrupts")


def new_state(counters):
    """The zeroed shared state of a call with so many counters, int64."""
    return np.zeros(COUNTERS + 2 * counters, np.int64)


@compiled
def is_set(address):
    """Whether the address is not 0, and neither is the int32 there."""
    return address != 0 and peek_i32(address) != 0


@compiled
def stopped(crew):
    """Whether the call is to stop: a thread has said so, or one of the interrupts is set."""
    if atomic_load(crew.state, STOP) != 0:
        return True
    if is_set(crew.interrupts[0]) or is_set(crew.interrupts[1]):
        atomic_add(crew.state, STOP, 1)
        return True
    return False


@compiled
def _wait_until(crew, index, number):
    """Wait until state[index] >= number. True when the call is to stop."""
    spins = 0
    while atomic_load(crew.state, index) < number:
        if stopped(crew):
            return True
        spins += 1
        if spins % SPINS_BEFORE_YIELD == 0:
            yield_processor()
        pause()
    return stopped(crew)


@compiled
def barrier(crew):
    """Wait until all threads have arrived here. True when the call is to stop."""
    previous_barriers = atomic_add(crew.state, ARRIVED, 1) // crew.threads
    return _wait_until(crew, ARRIVED, (previous_barriers + 1) * crew.threads)


@compiled
def claim(crew, counter, pieces):
    """Claim the next `pieces` pieces of work of a counter: the number of the first. No piece is claimed twice."""
    return atomic_add(crew.state, COUNTERS + 2 * counter + CLAIMED, pieces)


@compiled
def finish(crew, counter, pieces):
    """Report so many claimed pieces as done."""
    atomic_add(crew.state, COUNTERS + 2 * counter + DONE, pieces)


@compiled
def wait(crew, counter, pieces):
    """Wait until so many pieces of a counter are done. True when the call is to stop."""
    return _wait_until(crew, COUNTERS + 2 * counter + DONE, pieces)


class Team:
    """The calling thread and `size` - 1 workers, for one call at a time. `close` stops the workers.

    Raises ModelError 53200 if the operating system starts no more threads.
    """

    def __init__(self, size):
        self.size = size
        self._tasks = [queue.SimpleQueue() for _ in range(size - 1)]
        self._done = queue.SimpleQueue()
        if size > 1:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                for tasks in self._tasks:
                    threading.Thread(target=self._work, args=(tasks,), daemon=True, name="llm worker").start()
            except RuntimeError as error:
                self.close()
                raise errors.out_of_memory("the operating system starts no more threads", str(error)) from None
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self, function, state, *arguments):
        """Call function(thread, threads, state, *arguments) in all threads of the team, and wait for all to return.

        An exception in one thread sets the stop flag; it is raised after all threads have returned.
        """
        if self.size == 1:
            function(0, 1, state, *arguments)
            return
        for thread, tasks in enumerate(self._tasks, 1):
            tasks.put((function, thread, state, arguments))
        own = self._call(function, 0, state, arguments)
        ended = [own, *(self._done.get() for _ in self._tasks)]
        for error in ended:
            if error is not None:
                raise error

    def close(self):
        """Stop the workers. The team then has the calling thread alone."""
        for tasks in self._tasks:
            tasks.put(None)
        self._tasks, self.size = [], 1

    def _work(self, tasks):
        while (task := tasks.get()) is not None:
            self._done.put(self._call(*task))
            del task  # or a waiting worker would keep a model alive

    def _call(self, function, thread, state, arguments):
        """Call the function in this thread; returns its exception, after setting the stop flag, or None."""
        try:
            function(thread, self.size, state, *arguments)
        except BaseException as error:
            state[STOP] = 1
            return error
        return None


_teams = {}


def team(size):
    """The process's team of that size, created on first use; its workers live as long as the process."""
    if size not in _teams:
        _teams[size] = Team(size)
    return _teams[size]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.simd__threads() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.simd__threads() IS
'Threads of one compiled call: a pool of workers, and how they synchronise inside the call.';

COMMIT;
