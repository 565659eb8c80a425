"""The compiled engine against transformers, llama2.c and the numpy engine; the same bits in every batch and chunk."""

import ctypes
import dataclasses
import hashlib
import json
import threading
import time

import numpy as np
import pytest

from loaders.huggingface.folder import read_folder
from plpython.engine.decoder import CompiledEngine
from plpython.generate.interfaces import PASS_TOKENS
from plpython.kernels.kv_pages import PAGE
from plpython.model import encodings
from plpython.reference.decoder import NumpyEngine
from plpython.server.errors import ModelError
from plpython.simd.processors import VARIANT
from plpython.weights.packed_model import pack_model
from tests.plpython.compiled import run_for, same_bits
from tests.plpython.interrupting import CancelledError, interrupting
from tests.plpython.stories import STORIES, stories, tensors
from tests.plpython.test_families import CASES, FAMILIES
from tests.plpython.valid_blocks import decoded, random_blocks

BATCHES = (1, 2, 3, 5, 8, 9, 17, 33)


def reference(data, case, file=None):
    """(tokens, logits [n, 512]) of a reference file."""
    if file is None:
        folder = data / "stories260K-reference"
        tokens = json.loads((folder / f"{case}.json").read_text())["tokens"]
        return tokens, np.fromfile(folder / f"{case}.logits.f32", np.float32).reshape(-1, 512)
    folder = data / "stories260K-quant-derived"
    entries = json.loads((folder / "expected.json").read_text())
    tokens = next(entry["tokens"] for entry in entries if entry["file"] == f"stories260K-{file}.gguf")
    return tokens, np.fromfile(folder / f"{file}.{case}.logits.f32", np.float32).reshape(-1, 512)


def logits(engine, tokens, step=None):
    """The logits after every token, `step` tokens at a time."""
    cache, step = engine.new_cache(), step or len(tokens)
    parts = [engine.forward(tokens[at : at + step], cache, last_only=False) for at in range(0, len(tokens), step)]
    return np.concatenate(parts)


@pytest.mark.parametrize("case", ["case2", "case3"])
def test_f32_logits_are_the_references(each_data, case):
    tokens, expected = reference(each_data, case)
    np.testing.assert_allclose(logits(CompiledEngine(STORIES, stories(each_data)), tokens), expected, rtol=0, atol=1e-4)


def test_greedy_tokens_are_the_references(each_data):
    tokens, _ = reference(each_data, "case2")
    prompt = 5
    engine = CompiledEngine(STORIES, stories(each_data))
    cache, text = engine.new_cache(), list(tokens[:prompt])
    fresh = text
    while len(text) < len(tokens):
        fresh = [int(engine.forward(fresh, cache)[0].argmax())]
        text += fresh
    assert text == tokens


# 16-bit keys and values, then int8 activations as well; against the decoded weights computed in float32.
@pytest.mark.parametrize(("type", "largest", "mean"), [("F16", 0.03, 0.004), ("Q8_0", 0.4, 0.05), ("Q4_0", 0.4, 0.05)])
def test_other_types_stay_within_their_stated_error(each_data, type, largest, mean):
    tokens, expected = reference(each_data, "case2", type)
    error = np.abs(logits(CompiledEngine(STORIES, stories(each_data, type)), tokens) - expected)
    assert error.max() < largest and error.mean() < mean  # logits have a standard deviation of 7.4


WIDE = dataclasses.replace(
    STORIES, vocabulary_size=64, hidden_size=256, layers=2, heads=4, kv_heads=2, head_dim=64, ffn_size=512
)


def random_model(type):
    """The tensors of WIDE, {name: (type, shape, bytes)}: matrices of random blocks that keep the size of x."""
    random, tensors = np.random.default_rng(5), {}
    ones = random_blocks(type, 16, 256, random, np.ones)
    size = np.float32(1 / 16 / decoded(type, ones, (16, 256)).std())
    for name, shape in WIDE.tensors().items():
        if len(shape) == 1:
            tensors[name] = "F32", shape, np.ones(shape, np.float32).tobytes()
        else:
            tensors[name] = type, shape, random_blocks(type, *shape, random, lambda n: np.full(n, size)).tobytes()
    return tensors


@pytest.mark.parametrize("type", [e.name for e in encodings.ENCODINGS if e.floats.form != "UE4M3" and e.block > 1])
def test_models_of_every_encoding_are_as_near_to_the_decoded_weights(type):
    """Activations are int8, as with Q8_0; the scales of NVFP4 cannot be chosen."""
    tensors, tokens = random_model(type), [1, 5, 9, 30, 7, 11, 60]
    arrays = {name: encodings.decode(kind, raw, shape) for name, (kind, shape, raw) in tensors.items()}
    reference = NumpyEngine(WIDE, arrays)
    expected = reference.forward(tokens, reference.new_cache(), last_only=False)
    for threads, step in ((1, 1), (2, 7)):
        error = logits(CompiledEngine(WIDE, pack_model(tensors), threads, threads), tokens, step) - expected
        assert error.std() < 0.03 * expected.std()


def test_f16_weights_with_an_f32_cache_are_exact_to_1e_4(each_data):
    tokens, expected = reference(each_data, "case2", "F16")
    engine = CompiledEngine(STORIES, stories(each_data, "F16"), kv_type="f32")
    np.testing.assert_allclose(logits(engine, tokens), expected, rtol=0, atol=1e-4)


def family(case):
    model = read_folder(FAMILIES / case)
    expected = np.load(FAMILIES / case / "expected.npz")
    return model, expected["tokens"], expected["logits"]


@pytest.mark.parametrize("case", CASES)
def test_every_family_gives_the_logits_of_transformers(case):
    model, tokens, expected = family(case)
    packed = pack_model({t.name: (t.type, t.shape, bytes(t.data)) for t in model.tensors})
    engine = CompiledEngine(model.architecture, packed, kv_type="f32")
    np.testing.assert_allclose(logits(engine, tokens), expected, rtol=0, atol=1e-4)
    same_bits(logits(engine, tokens, 1), logits(engine, tokens, 7))


def test_a_family_with_half_precision_weights_is_the_numpy_engines():
    model, tokens, _ = family("qwen3")
    halves = {t.name: encodings.encode("BF16", encodings.decode(t.type, t.data, t.shape)) for t in model.tensors}
    shapes = {t.name: t.shape for t in model.tensors}
    packed = pack_model({name: ("BF16", shapes[name], raw) for name, raw in halves.items()})
    weights = {name: encodings.decode("BF16", raw, shapes[name]) for name, raw in halves.items()}
    reference_engine = NumpyEngine(model.architecture, weights)
    expected = reference_engine.forward(tokens, reference_engine.new_cache(), last_only=False)
    engine = CompiledEngine(model.architecture, packed, kv_type="f32")
    np.testing.assert_allclose(logits(engine, tokens), expected, rtol=0, atol=1e-4)


def test_five_bits_stay_as_close_to_the_decoded_weights_as_four_and_eight(own_data):
    decoded = {
        name: encodings.decode(type, np.frombuffer(raw, np.uint8), shape)
        for name, (type, shape, raw) in tensors(own_data, "Q5_0").items()
    }
    tokens, _ = reference(own_data, "case2")
    exact = NumpyEngine(STORIES, decoded)
    expected = exact.forward(tokens, exact.new_cache(), last_only=False)
    error = np.abs(logits(CompiledEngine(STORIES, stories(own_data, "Q5_0")), tokens) - expected)
    assert error.max() < 0.4 and error.mean() < 0.05


def test_the_engine_refuses_a_layout_that_it_does_not_know(own_data):
    packed = stories(own_data)
    packed.directory["blk.1.ffn_up.weight"][0] = 99
    with pytest.raises(ModelError, match="unknown layout 99"):
        CompiledEngine(STORIES, packed)


@pytest.mark.parametrize("type", ["F32", "F16", "Q8_0", "Q4_0", "Q5_0"])
def test_logits_have_the_same_bits_in_every_chunk_and_with_every_number_of_threads(own_data, type):
    packed = stories(own_data, type)
    tokens, _ = reference(own_data, "case2", type if type in ("F16", "Q8_0", "Q4_0") else None)
    alone = logits(CompiledEngine(STORIES, packed), tokens, 1)
    for count in (1, 2):
        engine = CompiledEngine(STORIES, packed, threads=count, batch_threads=count)
        for step in BATCHES:
            same_bits(logits(engine, tokens, step), alone)
        cache = engine.new_cache()
        same_bits(engine.forward(tokens, cache), alone[-1:])


@pytest.mark.parametrize("type", ["F32", "Q8_0", "Q5_0"])
def test_a_sequence_has_the_same_bits_in_every_batch(own_data, type):
    packed = stories(own_data, type)
    tokens, _ = reference(own_data, "case3")
    for count in (1, 2):
        engine = CompiledEngine(STORIES, packed, batch_threads=count)
        prompts = [tokens[: 1 + 3 * i % 40] for i in range(max(BATCHES))]
        alone = [(engine.forward(p, c := engine.new_cache()), engine.forward([7], c)) for p in prompts]
        for size in BATCHES:
            caches = [engine.new_cache() for _ in range(size)]
            first = engine.forward_batch(list(zip(prompts[:size], caches, strict=True)))
            second = engine.forward_batch([([7], cache) for cache in caches])
            same_bits(first, np.concatenate([pair[0] for pair in alone[:size]]))
            same_bits(second, np.concatenate([pair[1] for pair in alone[:size]]))


def test_all_logits_of_a_batch_come_row_after_row(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    rows = [[1, 403, 407], [1], [1, 5]]
    together = engine.forward_batch([(row, engine.new_cache()) for row in rows], last_only=False)
    same_bits(together, np.concatenate([logits(engine, row) for row in rows]))


def test_prompts_longer_than_a_chunk_and_a_page_are_the_numpy_engines(own_data):
    packed = stories(own_data)
    tokens = np.random.default_rng(5).integers(3, 512, PASS_TOKENS + PAGE + 9)
    weights = {
        name: encodings.decode(type, np.frombuffer(raw, np.uint8), shape)
        for name, (type, shape, raw) in tensors(own_data).items()
    }
    reference_engine = NumpyEngine(STORIES, weights)
    expected = reference_engine.forward(tokens, reference_engine.new_cache(), last_only=False)
    engine = CompiledEngine(STORIES, packed, batch_threads=2)
    whole = logits(engine, tokens)
    np.testing.assert_allclose(whole, expected, rtol=0, atol=2e-4)
    same_bits(whole, logits(engine, tokens, 50))


def test_a_truncated_cache_continues_as_if_the_rest_had_never_been(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    cache = engine.new_cache()
    engine.forward(list(range(3, 150)), cache)
    cache.truncate(70)
    same_bits(engine.forward([9], cache), engine.forward([*range(3, 73), 9], engine.new_cache()))
    with pytest.raises(ModelError, match="cannot truncate"):
        cache.truncate(72)


def test_a_fork_shares_its_prefix_and_goes_its_own_way(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    cache = engine.new_cache()
    engine.forward(list(range(3, 103)), cache)
    forks = [cache.fork(90), cache.fork()]
    assert forks[0].addresses[0] == cache.addresses[0]
    for token, (grown, prefix) in enumerate(zip([*forks, cache], (93, 103, 103), strict=True), 20):
        same_bits(engine.forward([token], grown), engine.forward([*range(3, prefix), token], engine.new_cache()))
    assert len({grown.addresses[1] for grown in (*forks, cache)}) == 3
    same_bits(engine.forward([8], cache), engine.forward([*range(3, 103), 22, 8], engine.new_cache()))


def test_a_growing_cache_moves_nothing(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    cache = engine.new_cache()
    engine.forward([1] * (2 * PAGE), cache)
    first = cache.addresses[:2].copy()
    engine.forward([1] * (10 * PAGE), cache)
    np.testing.assert_array_equal(cache.addresses[:2], first)


def test_ill_calls_are_refused_and_change_nothing(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    cache = engine.new_cache()
    for tokens, message in (([], "at least one token"), ([512], "outside the vocabulary"), ([-1], "outside")):
        with pytest.raises(ModelError, match=message):
            engine.forward(tokens, cache)
    with pytest.raises(ModelError, match="do not fit in the context of 2048"):
        engine.forward([1] * 2049, cache)
    with pytest.raises(ModelError, match="a cache of its own"):
        engine.forward_batch([([1], cache), ([2], cache)])
    assert cache.length == 0
    same_bits(engine.forward([1], cache), engine.forward([1], engine.new_cache()))


@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_stops_a_pass_within_moments_and_leaves_everything_usable(own_data, count):
    flag = ctypes.c_int32(0)
    packed = stories(own_data)
    engine = CompiledEngine(STORIES, packed, batch_threads=count, interrupts=(0, ctypes.addressof(flag)))
    tokens = [1, *range(3, 500)] * 3
    expected = engine.forward(tokens, engine.new_cache())
    cache = engine.new_cache()
    engine.forward([1, 2], cache)
    noticed = []

    def cancelled():
        if flag.value:
            noticed.append(time.perf_counter())
            raise CancelledError

    for delay in np.linspace(0.0, 0.05, 40):
        raised = []

        def interrupt(delay=delay, raised=raised):
            time.sleep(delay)
            raised.append(time.perf_counter())
            flag.value = 1

        timer = threading.Thread(target=interrupt)
        timer.start()
        with pytest.raises(CancelledError):
            while True:
                engine.forward(tokens, engine.new_cache(), checkpoint=cancelled)
        timer.join()
        flag.value = 0
        assert cache.length == 2
    assert len(noticed) == 40
    same_bits(engine.forward(tokens, engine.new_cache(), checkpoint=cancelled), expected)


@pytest.mark.parametrize("count", [1, 2])
def test_an_interrupt_that_asks_for_nothing_changes_nothing(own_data, count):
    flag = ctypes.c_int32(1)
    engine = CompiledEngine(
        STORIES, stories(own_data), threads=count, batch_threads=count, interrupts=(ctypes.addressof(flag), 0)
    )
    calls = []

    def clears():
        calls.append(flag.value)
        if len(calls) > 1:
            flag.value = 0

    expected = CompiledEngine(STORIES, stories(own_data)).forward([1, 2, 3], engine.new_cache())
    same_bits(engine.forward([1, 2, 3], engine.new_cache(), checkpoint=clears), expected)
    assert calls == [1, 1]
    flag.value = 1
    same_bits(engine.forward([1, 2, 3], engine.new_cache(), checkpoint=lambda: None), expected)  # never cleared
    same_bits(engine.forward([1, 2, 3], engine.new_cache()), expected)  # nobody to ask


@pytest.mark.parametrize("count", [1, 2])
def test_a_pass_ends_though_it_is_interrupted_again_and_again_for_nothing(own_data, count):
    flag = ctypes.c_int32(0)
    engine = CompiledEngine(STORIES, stories(own_data), batch_threads=count, interrupts=(ctypes.addressof(flag), 0))
    tokens = [1, *range(3, 500)] * 3
    expected = engine.forward(tokens, engine.new_cache())

    def clears():
        flag.value = 0

    with interrupting(flag, 1e-5):
        same_bits(engine.forward(tokens, engine.new_cache(), checkpoint=clears), expected)


def test_an_exception_of_the_checkpoint_leaves_the_cache_as_it_was(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    cache = engine.new_cache()
    engine.forward([1, 2], cache)

    def fails_at_the_second_pass(calls=[]):  # noqa: B006 - counts its calls
        calls.append(1)
        if len(calls) == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        engine.forward([3] * (PASS_TOKENS + 1), cache, checkpoint=fails_at_the_second_pass)
    assert cache.length == 2
    same_bits(engine.forward([5], cache), engine.forward([1, 2, 5], engine.new_cache()))


def digest_of_logits(data):
    """A hash over the bits of the logits of every type of weights."""
    digest = hashlib.sha256()
    for type in ("F32", "F16", "Q8_0", "Q4_0", "Q5_0"):
        engine = CompiledEngine(STORIES, stories(data, type))
        digest.update(np.ascontiguousarray(logits(engine, list(range(3, 36)), 11)).tobytes())
    return digest.hexdigest()


DIGEST = """
from pathlib import Path
from plpython.simd.processors import VARIANT
from tests.plpython.test_compiled_engine import digest_of_logits
print(VARIANT, digest_of_logits(Path({data!r})))
"""


def test_the_portable_form_of_the_engine_gives_the_same_bits_as_this_machines(own_data, tmp_path):
    assert VARIANT != "portable"
    output = run_for("portable", DIGEST.format(data=str(own_data)), tmp_path)
    assert output.split() == ["portable", digest_of_logits(own_data)]
