"""Loads, stores and atomics for register blocks.

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
