"""Several passes of the compiled engine in one call: the tokens and the bits of a call for each, whoever comes late."""

import ctypes

import numpy as np
import pytest

from plpython.engine import decoder
from plpython.engine.decoder import PASSES_PER_CALL, CompiledEngine
from plpython.server.errors import ModelError
from plpython.weights.packed_model import pack_model
from tests.plpython.compiled import same_bits
from tests.plpython.interrupting import CancelledError, interrupting
from tests.plpython.stories import STORIES, stories, tensors_of


def likeliest(engine, tokens, count):
    """The `count` likeliest tokens after a prompt, a pass a call, and the logits that each was chosen from."""
    cache, text, seen = engine.new_cache(), list(tokens), []
    for _ in range(count):
        seen.append(engine.forward(text[cache.length :], cache)[0].copy())
        text.append(int(seen[-1].argmax()))
    return text[len(tokens) :], seen


def decoded(engine, tokens, count, **given):
    """The same by `decode`, from the second on: each call's tokens, then the one chosen from its logits."""
    cache = engine.new_cache()
    text = [int(engine.forward(tokens, cache)[0].argmax())]
    seen, calls = [], 0
    while len(text) < count:
        chosen, scores = engine.decode(text[-1], cache, count - len(text), **given)
        text += [*chosen.tolist(), int(scores.argmax())]
        assert cache.length == len(tokens) + len(text) - 1
        seen.append((len(text) - 1, scores.copy()))
        calls += 1
    return text, seen, calls


@pytest.mark.parametrize("type", ["F32", "F16", "Q8_0", "Q4_0", "Q5_0"])
@pytest.mark.parametrize("count", [1, 2])
def test_passes_in_one_call_choose_what_a_call_for_each_gives(own_data, type, count):
    engine = CompiledEngine(STORIES, stories(own_data, type), threads=count)
    expected, logits_of = likeliest(engine, [1, 403, 407], 150)
    text, seen, calls = decoded(engine, [1, 403, 407], 150)
    assert text == expected
    assert calls == -(-149 // PASSES_PER_CALL)
    for place, scores in seen:
        same_bits(scores, logits_of[place])


def test_nothing_is_chosen_of_the_ends_and_the_caller_sees_the_logits_before_them(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    expected, logits_of = likeliest(engine, [1, 403, 407], 12)
    cache = engine.new_cache()
    engine.forward([1, 403, 407], cache)
    first = expected.index(expected[9])  # where the token that ends it stands for the first time
    chosen, scores = engine.decode(expected[0], cache, 100, ends=np.array([511, expected[9]]))
    assert chosen.tolist() == expected[1:first] and cache.length == 3 + first
    same_bits(scores, logits_of[first])


@pytest.mark.parametrize("ill", [np.nan, np.inf, -np.inf])
def test_nothing_is_chosen_from_logits_that_are_not_finite(own_data, ill):
    tensors = tensors_of(own_data / "stories260K/stories260K.gguf")
    type, shape, raw = tensors["output.weight"]
    values = np.frombuffer(raw, np.float32).reshape(shape).copy()
    values[511, 0] = ill
    engine = CompiledEngine(STORIES, pack_model({**tensors, "output.weight": (type, shape, values.tobytes())}))
    chosen, scores = engine.decode(1, engine.new_cache(), 8)
    assert len(chosen) == 0 and not np.isfinite(scores).all()


@pytest.mark.parametrize("late", [0, 1])
def test_a_thread_that_comes_late_holds_up_nobody_and_changes_nothing(own_data, monkeypatch, late):
    class Team:
        """Thread `late` begins when the other has ended."""

        size = 2

        def run(self, function, *arguments):
            function(1 - late, 2, *arguments)
            function(late, 2, *arguments)

    for type in ("F32", "Q8_0"):
        engine = CompiledEngine(STORIES, stories(own_data, type), threads=2)
        expected, logits_of = likeliest(engine, [1], 70)
        with monkeypatch.context() as patch:
            patch.setattr(decoder, "team", lambda size: Team())
            text, seen, _ = decoded(engine, [1], 70)
            again, logits_again = likeliest(engine, [1], 70)
        assert text == again == expected
        for place, scores in seen:
            same_bits(scores, logits_of[place])
        same_bits(logits_again, logits_of)


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_chosen_before_an_interrupt_that_asks_for_nothing_is_kept(own_data, count):
    flag = ctypes.c_int32(0)
    engine = CompiledEngine(STORIES, stories(own_data), threads=count, interrupts=(ctypes.addressof(flag), 0))
    expected, _ = likeliest(engine, [1], 200)

    def clears():
        flag.value = 0

    with interrupting(flag, 2e-4):
        text, _, calls = decoded(engine, [1], 200, checkpoint=clears)
    assert text == expected and calls >= -(-199 // PASSES_PER_CALL)


def test_an_interrupt_that_ends_several_passes_leaves_the_cache_as_it_was(own_data):
    flag = ctypes.c_int32(0)
    engine = CompiledEngine(STORIES, stories(own_data), interrupts=(ctypes.addressof(flag), 0))
    cache, calls = engine.new_cache(), []
    engine.forward([1, 2], cache)

    def raises_at_the_second_call():
        calls.append(flag.value)
        flag.value = 1
        if len(calls) > 1:
            raise CancelledError

    with pytest.raises(CancelledError):
        engine.decode(5, cache, 16, checkpoint=raises_at_the_second_call)
    assert calls == [0, 1] and cache.length == 2
    same_bits(engine.forward([5], cache), engine.forward([1, 2, 5], engine.new_cache()))


def test_ill_tokens_and_too_many_are_refused_by_decode(own_data):
    engine = CompiledEngine(STORIES, stories(own_data))
    cache = engine.new_cache()
    with pytest.raises(ModelError, match="token 512 is outside the vocabulary"):
        engine.decode(512, cache, 4)
    engine.forward([3] * (STORIES.context_length - 2), cache)
    with pytest.raises(ModelError) as caught:
        engine.decode(3, cache, 3)
    assert caught.value.sqlstate == "53400" and cache.length == STORIES.context_length - 2
    chosen, _ = engine.decode(3, cache, 2)
    assert len(chosen) == 1 and cache.length == STORIES.context_length
