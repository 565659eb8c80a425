"""The engine alone, without a server: kernels against this machine's memory and arithmetic, and whole passes.

    python bench/kernels.py [--types Q8_0,Q4_0,Q5_0,F16] [--threads 1,2] [--rounds 5]

Weights are random, with the shapes of Qwen2.5-0.5B; types are those of synthetic_model.py. Each figure is shown with
its limit, measured in turns with it: for one token the speed of reading memory, for many tokens the speed of the same
instruction on registers alone. One thread is timed by its processor time, so that other processes matter little;
several threads by the clock.
"""

import argparse
import time

import mixes
import numpy as np
from bandwidth import bandwidth
from numba import njit
from record import Figure, interleaved, record
from shapes import SHAPES
from synthetic_model import Tensors

from plpython.engine.decoder import CompiledEngine
from plpython.kernels import packing
from plpython.kernels.elementwise import new_codes
from plpython.kernels.groups import Activations, Rows, group_count
from plpython.kernels.matrix import linear
from plpython.model.decoder import Architecture
from plpython.simd.memory import load, load_bytes, spread, spread_bytes, store
from plpython.simd.registers import NJIT_OPTIONS, dot4, f32, fill, fma, i32, to_f32
from plpython.weights.packed_model import PackedModel, pack_model

EIGHT, EIGHT_I32 = f32[8], i32[8]
SHAPE = SHAPES["0.5B"]
CONTEXT = 8192
SEQUENCES = 32
PROMPT = 512
STEPS = 16  # decode steps timed together


@njit(**NJIT_OPTIONS)
def multiply_in_registers(count, integers, u8, i8, x, out):
    """8 x 16 sums over `count` columns, with all data in L1: dot4 for integers, fma for floats."""
    total, sums = fill(0.0, EIGHT), fill(0, EIGHT_I32)
    if integers:
        for _ in range(count // 4):
            sums = dot4(sums, load_bytes(u8, 0, i32), spread_bytes(i8, 0, EIGHT_I32, 64))
        total = to_f32(sums)
    else:
        for _ in range(count):
            total = fma(load(x, 0, f32), spread(x, 0, EIGHT, 16), total)
    store(out, 0, total, 16)


@njit(**NJIT_OPTIONS)
def product(weights, matrix, groups, x, codes, tokens, out):
    columns = matrix[3]
    step = max(2, (1 << 16) // (columns * 16) // 2 * 2)
    for begin in range(0, groups, step):
        end = min(groups, begin + step)
        given, to = Activations(Rows(x, 0, columns), codes, 0), Rows(out, 0, groups * 16)
        linear(weights, matrix, begin, end, given, tokens, to)


def seconds_of(action, threads: int = 1) -> float:
    clock = time.thread_time if threads == 1 else time.perf_counter
    start = clock()
    action()
    return clock() - start


def peak(integers: bool) -> float:
    """Billions of multiplications and additions a second in one thread."""
    count, x = 1 << 22, np.ones(128, np.float32)
    arguments = (count, integers, np.ones(64, np.uint8), np.ones(512, np.int8), x, np.zeros(128, np.float32))
    return 2 * 128 * count / seconds_of(lambda: multiply_in_registers(*arguments)) / 1e9


def product_speed(model: PackedModel, name: str, tokens: int) -> tuple[float, float]:
    """(GB/s of weights, GOPS) of one matrix with some tokens in one thread."""
    layout, _, rows, columns = model.directory[name]
    groups, codes = group_count(rows), new_codes(tokens * columns)
    random = np.random.default_rng(0)
    codes.codes[:] = random.integers(-127, 128, tokens * columns, dtype=np.int8)
    codes.scales[:] = 1
    x, out = random.standard_normal(tokens * columns, np.float32), np.zeros(tokens * groups * 16, np.float32)
    arguments = (model.weights, model.entry(name), groups, x, codes, tokens, out)
    product(*arguments)
    elapsed = seconds_of(lambda: product(*arguments))
    return packing.layout_bytes(layout, rows, columns) / elapsed / 1e9, 2 * rows * columns * tokens / elapsed / 1e9


def random_model(type: str) -> PackedModel:
    """Random weights in the encodings of a file of that type."""
    make, sizes = Tensors(type), SHAPE.tensors()
    return pack_model(
        {
            name: (encoding, sizes[name], make(name, encoding, sizes[name]).view(np.uint8).reshape(-1))
            for name, encoding in mixes.encodings(SHAPE, type).items()
        }
    )


def architecture() -> Architecture:
    return Architecture(
        family=SHAPE.family,
        vocabulary_size=SHAPE.vocabulary,
        hidden_size=SHAPE.hidden,
        layers=SHAPE.layers,
        heads=SHAPE.heads,
        kv_heads=SHAPE.kv_heads,
        head_dim=SHAPE.head_dim,
        ffn_size=SHAPE.ffn,
        context_length=SHAPE.context_length,
        norm_epsilon=SHAPE.norm_epsilon,
        rope_theta=SHAPE.rope_base,
        rope_interleaved=False,
        attention_bias=SHAPE.bias,
        tied_embeddings=SHAPE.tied,
    )


def decode_speed(engine: CompiledEngine, context: int) -> float:
    """Tokens a second after `context` positions, whose keys and values are zeros: they take as long as others."""
    cache = engine.new_cache()
    cache.reserve(context + STEPS + 1)
    for page in cache._pages:
        page.keys[:], page.values[:] = 0, 0
    cache.length = context
    engine.forward([1], cache)
    return STEPS / seconds_of(lambda: [engine.forward([1], cache) for _ in range(STEPS)], engine.threads)


def prefill_speed(engine: CompiledEngine) -> float:
    cache, tokens = engine.new_cache(), np.arange(PROMPT)
    return PROMPT / seconds_of(lambda: engine.forward(tokens, cache), engine.batch_threads)


def batch_speed(engine: CompiledEngine) -> float:
    caches = [engine.new_cache() for _ in range(SEQUENCES)]
    engine.forward_batch([([1], cache) for cache in caches])
    steps = STEPS // 8

    def run():
        for _ in range(steps):
            engine.forward_batch([([1], cache) for cache in caches])

    return SEQUENCES * steps / seconds_of(run, engine.batch_threads)


def bench_kernels(type: str, model: PackedModel, rounds: int) -> None:
    integers = type not in ("F32", "F16", "BF16")
    measured = interleaved(
        {
            "memory": lambda: bandwidth(model.weights.u8, 1),
            "peak": lambda: peak(integers),
            "one": lambda: product_speed(model, "token_embd.weight", 1)[0],
            "eight": lambda: product_speed(model, "blk.0.ffn_gate.weight", 8)[1],
            "many": lambda: product_speed(model, "blk.0.ffn_gate.weight", 256)[1],
        },
        rounds,
    )
    record(Figure(f"{type} product, 1 token", "GB/s", measured["one"], limit=measured["memory"], threads=1))
    record(Figure(f"{type} product, 8 tokens", "GOPS", measured["eight"], limit=measured["peak"], threads=1))
    record(Figure(f"{type} product, 256 tokens", "GOPS", measured["many"], limit=measured["peak"], threads=1))


def bench_passes(type: str, model: PackedModel, threads: int, rounds: int) -> None:
    engine = CompiledEngine(architecture(), model, threads=threads, batch_threads=threads)
    gigabytes = model.weights.u8.size / 1e9
    measured = interleaved(
        {
            "memory": lambda: bandwidth(model.weights.u8, threads),
            "decode": lambda: decode_speed(engine, 1),
            "long": lambda: decode_speed(engine, CONTEXT),
            "prefill": lambda: prefill_speed(engine),
            "batch": lambda: batch_speed(engine),
        },
        rounds,
    )
    limit = measured["memory"] / gigabytes
    record(Figure(f"{type} decode", "tok/s", measured["decode"], limit=limit, threads=threads))
    record(Figure(f"{type} decode at {CONTEXT}", "tok/s", measured["long"], threads=threads))
    record(Figure(f"{type} prefill of {PROMPT}", "tok/s", measured["prefill"], threads=threads))
    record(Figure(f"{type} {SEQUENCES} sequences", "tok/s", measured["batch"], threads=threads))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--types", default="Q8_0,Q4_0,F16")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    for type in arguments.types.split(","):
        model = random_model(type)
        bench_kernels(type, model, arguments.rounds)
        for threads in arguments.threads.split(","):
            bench_passes(type, model, int(threads), arguments.rounds)


if __name__ == "__main__":
    main()
