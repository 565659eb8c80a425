"""The reference engine on trained models: logits and texts by transformers (our own model) and by llama2.c."""

import json
from dataclasses import replace

import gguf
import numpy as np
import pytest

from plpython.reference import operators
from plpython.reference.decoder import LOGITS_CHUNK, PREFILL_CHUNK, NumpyEngine
from plpython.server.errors import ModelError
from tests.plpython.stories import STORIES as WHOLE_STORIES

STORIES = replace(WHOLE_STORIES, context_length=300)
BOS = 1
TOLERANCE = 1e-4


def read(path):
    """An engine for one of the stories260K files, read by the gguf package alone."""
    tensors = gguf.GGUFReader(path).tensors
    return NumpyEngine(STORIES, {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in tensors})


@pytest.fixture(scope="module")
def engine(each_data):
    return read(each_data / "stories260K" / "stories260K.gguf")


@pytest.fixture(scope="module", params=["case2", "case3"])
def case(each_data, request):
    folder = each_data / "stories260K-reference"
    tokens = json.loads((folder / f"{request.param}.json").read_text())["tokens"]
    return tokens, np.fromfile(folder / f"{request.param}.logits.f32", "<f4").reshape(len(tokens), 512)


def test_logits_of_a_story_model_are_the_references(engine, case):
    tokens, expected = case
    logits = engine.forward(tokens, engine.new_cache(), last_only=False)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


def test_logits_are_the_references_one_token_at_a_time_too(engine, case):
    tokens, expected = case
    cache = engine.new_cache()
    logits = np.concatenate([engine.forward([token], cache) for token in tokens])
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q4_0"])
def test_quantised_copies_give_the_logits_of_their_dequantised_weights(each_data, kind):
    folder = each_data / "stories260K-quant-derived"
    described = json.loads((folder / "expected.json").read_text())
    tokens = next(case["tokens"] for case in described if case["file"] == f"stories260K-{kind}.gguf")
    expected = np.fromfile(folder / f"{kind}.case2.logits.f32", "<f4").reshape(len(tokens), 512)
    quantised = read(folder / f"stories260K-{kind}.gguf")
    logits = quantised.forward(tokens, quantised.new_cache(), last_only=False)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


def test_the_hugging_face_copy_with_halved_rope_gives_the_same_logits(each_data, case):
    from loaders.huggingface.folder import read_folder
    from plpython.model import encodings

    model = read_folder(each_data / "stories260K-hf-derived")
    assert not model.architecture.rope_interleaved
    halved = NumpyEngine(model.architecture, {t.name: encodings.decode(t.type, t.data, t.shape) for t in model.tensors})
    tokens, expected = case
    logits = halved.forward(tokens, halved.new_cache(), last_only=False)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=TOLERANCE)


def greedy(engine, steps):
    cache, tokens = engine.new_cache(), [BOS]
    for _ in range(steps):
        tokens.append(int(engine.forward(tokens[-1:], cache).argmax()))
    return tokens


@pytest.mark.parametrize(("file", "steps"), [("karpathy_expected_stdout_n200.txt", 200), ("greedy_bos_256.txt", 256)])
def test_greedy_text_is_what_the_reference_writes(each_data, engine, file, steps):
    pieces = gguf.GGUFReader(each_data / "stories260K" / "stories260K.gguf").fields["tokenizer.ggml.tokens"].contents()
    spelled = {f"<0x{byte:02X}>": chr(byte) for byte in range(256)}
    text = "".join(spelled.get(pieces[token], pieces[token]) for token in greedy(engine, steps)[1:])
    expected = (each_data / "stories260K-reference" / file).read_text().removesuffix("\n")
    assert text.replace("\u2581", " ").removeprefix(" ") == expected


def test_a_chunked_prefill_then_decoding_stays_close_to_decoding_alone(engine):
    tokens = greedy(engine, 150)
    alone = engine.new_cache()
    decoded = np.concatenate([engine.forward([token], alone) for token in tokens])
    chunked = engine.new_cache()
    engine.forward(tokens[: 2 * PREFILL_CHUNK + 2], chunked)
    rest = engine.forward(tokens[2 * PREFILL_CHUNK + 2 :], chunked, last_only=False)
    np.testing.assert_allclose(rest, decoded[2 * PREFILL_CHUNK + 2 :], rtol=0, atol=TOLERANCE)


def test_all_logits_end_with_the_last_only_ones(engine):
    tokens = greedy(engine, PREFILL_CHUNK + LOGITS_CHUNK + 3)
    every = engine.forward(tokens, engine.new_cache(), last_only=False)
    last = engine.forward(tokens, engine.new_cache())
    assert every.shape == (len(tokens), 512) and last.shape == (1, 512)
    np.testing.assert_allclose(every[-1:], last, rtol=0, atol=TOLERANCE)


def test_a_truncated_cache_goes_on_with_the_same_bits(engine):
    tokens = greedy(engine, 40)
    cache = engine.new_cache()
    engine.forward(tokens[:20], cache)
    first = engine.forward(tokens[20:30], cache)
    cache.truncate(20)
    engine.forward([7, 8, 9], cache)
    cache.truncate(20)
    np.testing.assert_array_equal(engine.forward(tokens[20:30], cache), first)
    with pytest.raises(ModelError, match="cannot truncate a cache of 30 positions to 31"):
        cache.truncate(31)


def test_the_cache_doubles_up_to_the_context_length(engine):
    cache, capacities = engine.new_cache(), []
    for token in greedy(engine, STORIES.context_length - 1):
        engine.forward([token], cache)
        capacities.append(cache.capacity)
    assert sorted(set(capacities)) == [64, 128, 256, 300]
    assert cache.length == 300


def test_more_than_the_context_is_refused_with_the_numbers(engine):
    cache = engine.new_cache()
    engine.forward([BOS] * 290, cache)
    with pytest.raises(ModelError) as caught:
        engine.forward([BOS] * 13, cache)
    assert caught.value.sqlstate == "53400"
    assert "303 tokens do not fit in the context of 300" in caught.value.message
    assert "290 are there and 13 more were given, 3 too many" in caught.value.detail
    assert engine.forward([BOS] * 10, cache).shape == (1, 512)


def test_no_tokens_and_unknown_tokens_are_refused(engine):
    with pytest.raises(ModelError, match="at least one token"):
        engine.forward([], engine.new_cache())
    with pytest.raises(ModelError, match="token 512 is outside the vocabulary"):
        engine.forward([1, 512], engine.new_cache())


class CancelledError(Exception):
    """What a checkpoint raises when the user has cancelled."""


def test_an_interrupted_forward_leaves_the_cache_as_it_was(engine):
    tokens = greedy(engine, 100)
    cache = engine.new_cache()
    engine.forward(tokens[:10], cache)
    expected = engine.forward(tokens[10:], cache)
    cache.truncate(10)
    calls = 0

    def cancel_after_a_while():
        nonlocal calls
        calls += 1
        if calls == 50:
            raise CancelledError

    with pytest.raises(CancelledError):
        engine.forward(tokens[10:], cache, checkpoint=cancel_after_a_while)
    assert cache.length == 10
    np.testing.assert_array_equal(engine.forward(tokens[10:], cache), expected)


def test_every_matrix_is_followed_by_a_checkpoint(engine, monkeypatch):
    log = []
    linear = operators.linear
    monkeypatch.setattr(operators, "linear", lambda *args, **rest: [linear(*args, **rest), log.append("matrix")][0])
    engine.forward([1, 2, 3], engine.new_cache(), checkpoint=lambda: log.append("checkpoint"))
    matrices = STORIES.layers * 7 + 1
    assert log.count("matrix") == matrices
    assert log.count("checkpoint") == matrices + STORIES.layers  # and one in each attention


def test_a_tensor_that_is_not_there_is_named(engine):
    weights = {name: tensor for name, tensor in engine.weights.items() if name != "blk.3.ffn_up.weight"}
    with pytest.raises(KeyError, match=r"blk\.3\.ffn_up\.weight"):
        NumpyEngine(STORIES, weights).forward([1], engine.new_cache())
