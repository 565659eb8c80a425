"""SIMD for numba: blocks of registers, and instructions on them.

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
