"""What differs between processors: instructions for which LLVM has no portable operation.

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
