"""Continuous batching, on an engine that shows any token that was missed, doubled or misplaced."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from plpython.generate import sampling
from plpython.generate.prompt_lookup import PromptLookup
from plpython.generate.scheduler import MOST_SEQUENCES, PASS_TOKENS, Scheduler
from plpython.generate.speculation import by_lookup
from plpython.server import errors
from plpython.session.prefixes import Stats
from plpython.sql import generation
from tests.plpython.test_generation import TOKENIZER
from tests.plpython.toy_engine import PAGE_BYTES, ToyBatchEngine, ToyEngine

PLENTY = 1 << 40


def continuation(prompt, limit=12, seed=1, stop_ids=()):
    return generation.Continuation(
        TOKENIZER, list(prompt), limit, sampling.Settings(temperature=1.0, seed=seed), generation.Ends((), stop_ids)
    )


def alone(prompt, **given):
    """What a prompt gives by itself: text and tokens."""
    written = continuation(prompt, **given)
    text = "".join(generation.stream(ToyEngine(), written, None))
    return text, written.tokens


def looking(most):
    """Prompt lookup for a text."""
    return by_lookup(PromptLookup(most), most)


def run(prompts, engine=None, memory=PLENTY, stats=None, known=lambda tokens: None, **given):
    """{place: (text, tokens)} or the error of each prompt."""
    rows = ((place, p if isinstance(p, Exception) else continuation(p, **given)) for place, p in enumerate(prompts))
    scheduler = Scheduler(engine or ToyBatchEngine(), rows, None, memory, stats or Stats(), known)
    return {
        place: error if error is not None else (text, written.tokens) for place, written, text, error in scheduler.run()
    }


@hypothesis_settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 150), st.binary(min_size=1, max_size=300)), min_size=1, max_size=45),
    st.integers(1, 60),
)
def test_each_text_is_what_it_is_alone_whatever_it_shares_and_however_little_memory_there_is(rows, pages):
    system = bytes(range(150))
    prompts = [system[:shared] + own for shared, own in rows]
    given = run(prompts, memory=pages * PAGE_BYTES)
    assert given == {place: alone(prompt) for place, prompt in enumerate(prompts)}


def test_an_engine_without_batches_writes_the_texts_one_by_one():
    engine = ToyEngine()
    prompts = [b"first prompt", b"second prompt", b"third"]
    assert run(prompts, engine) == {place: alone(prompt) for place, prompt in enumerate(prompts)}
    assert engine.passes == [[n] if step == 0 else [1] for n in (12, 13, 5) for step in range(12)]


def test_sequences_share_passes_and_new_ones_join_while_others_go_on():
    engine = ToyBatchEngine()
    prompts = [bytes([place]) * 3 for place in range(MOST_SEQUENCES + 8)]
    run(prompts, engine, limit=4)
    assert engine.passes[0] == [3] * MOST_SEQUENCES
    assert engine.passes[1] == [1] * MOST_SEQUENCES
    assert engine.passes[4] == [3] * 8
    assert len(engine.passes) == 8


def test_a_long_prompt_is_computed_beside_the_texts_that_are_being_written():
    engine = ToyBatchEngine()
    run([b"short", bytes(200) + bytes(range(256)) * 2], engine, limit=8)
    assert all(sum(tokens) <= PASS_TOKENS for tokens in engine.passes)
    assert engine.passes[1] == [1, PASS_TOKENS - 1]


def test_a_common_beginning_is_computed_once():
    engine, stats = ToyBatchEngine(), Stats()
    system = bytes(range(200))
    prompts = [system + bytes([place]) * 5 for place in range(20)]
    run(prompts, engine, stats=stats)
    assert stats.prefilled == 200 + 20 * 5
    assert stats.reused == 19 * 200
    assert stats.generated == 20 * 12


def test_a_prompt_that_is_the_beginning_of_another_computes_its_last_token():
    stats = Stats()
    prompts = [bytes(range(100)), bytes(range(100)), bytes(range(50))]
    assert run(prompts, stats=stats) == {place: alone(prompt) for place, prompt in enumerate(prompts)}
    assert stats.prefilled == 100 + 1 + 1


def test_what_is_known_of_a_prompt_is_not_computed():
    engine, stats = ToyBatchEngine(), Stats()
    cache = engine.new_cache()
    engine.forward(list(range(90)), cache)
    prompts = [bytes(range(100))]
    assert run(prompts, engine, stats=stats, known=lambda tokens: cache.fork(80)) == {0: alone(prompts[0])}
    assert (stats.reused, stats.prefilled) == (80, 20)


def test_a_sequence_that_cannot_begin_is_its_own_error_and_no_others():
    refused = errors.invalid_parameter("the prompt is null")
    given = run([b"one", refused, b"two"])
    assert given == {0: alone(b"one"), 1: refused, 2: alone(b"two")}


def test_a_sequence_whose_logits_are_ill_is_its_own_error_and_no_others():
    engine = ToyBatchEngine(ill_after=ord("!"))
    prompts = [b"one", b"ill!", b"two"]
    given = run(prompts, engine, limit=1)
    assert isinstance(given[1], errors.ModelError) and given[1].sqlstate == "XX001"
    assert (given[0], given[2]) == (alone(b"one", limit=1), alone(b"two", limit=1))


def test_sequences_that_may_have_no_token_come_back_empty():
    assert run([b"a", b"b"], limit=0) == {0: ("", []), 1: ("", [])}


def test_a_sequence_is_read_when_it_can_run():
    read = []

    def rows():
        for place in range(1000):
            read.append(place)
            yield place, continuation(bytes([place % 200]) * 3, limit=2)

    scheduler = Scheduler(ToyBatchEngine(), rows(), None, PLENTY, Stats())
    results = scheduler.run()
    next(results)
    assert len(read) == MOST_SEQUENCES


def test_what_the_checkpoint_raises_ends_the_run():
    def cancel():
        raise KeyboardInterrupt

    scheduler = Scheduler(ToyBatchEngine(), iter([(0, continuation(b"a"))]), cancel, PLENTY, Stats())
    with pytest.raises(KeyboardInterrupt):
        next(scheduler.run())


@pytest.mark.parametrize("guess", [1, 4, 16])
def test_guessing_changes_no_text(guess):
    prompt = b"a rose is a rose is a rose, and so on: a rose is"
    for seed in range(30):
        written = continuation(prompt, seed=seed, limit=40, stop_ids=(0, 1, 2, 3))
        text = "".join(generation.stream(RoseEngine(), written, None, guesses=looking(guess)))
        plain = continuation(prompt, seed=seed, limit=40, stop_ids=(0, 1, 2, 3))
        assert text == "".join(generation.stream(RoseEngine(), plain, None))
        assert (written.tokens, written.finish_reason) == (plain.tokens, plain.finish_reason)


def test_right_guesses_save_passes_and_are_counted():
    engine, stats = RoseEngine(), Stats()
    written = continuation(b"a rose is a rose is", limit=60)
    list(generation.stream(engine, written, None, guesses=looking(8), stats=stats))
    assert stats.generated == 60 == stats.accepted + len(engine.passes)
    assert stats.guessed >= stats.accepted > 30


def test_after_a_text_the_cache_holds_its_beginning_and_nothing_else():
    for limit in range(1, 30):
        engine = RoseEngine()
        cache, written = engine.new_cache(), continuation(b"a rose is a rose is", limit=limit)
        list(generation.stream(engine, written, None, cache, looking(8)))
        assert cache.tokens == written.history[: cache.length]
        assert cache.length == len(written.history) - 1


def test_a_cache_that_holds_the_beginning_of_a_prompt_changes_no_text():
    engine, stats = ToyBatchEngine(), Stats()
    cache = engine.new_cache()
    engine.forward(list(b"once upon"), cache)
    written = continuation(b"once upon a time")
    text = "".join(generation.stream(engine, written, None, cache, stats=stats))
    assert (text, written.tokens) == alone(b"once upon a time")
    assert (stats.reused, stats.prefilled) == (9, 7)


def greedy(stop=(), stop_ids=(), penalty=1.0, limit=100):
    settings = sampling.Settings(repeat_penalty=penalty)
    return generation.Continuation(TOKENIZER, list(b"a rose is"), limit, settings, generation.Ends(stop, stop_ids))


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
@pytest.mark.parametrize("stop", [(), ("ose is a",), ("o", "zz")])
@pytest.mark.parametrize("stop_ids", [(), (ord("!"), ord("i")), (ord(" "),)])
def test_several_passes_in_one_call_change_no_text(limit, stop, stop_ids):
    plain, written = (greedy(stop, stop_ids, limit=limit) for _ in range(2))
    text = "".join(generation.stream(RoseEngine(), plain, None))
    engine, stats = RunningEngine(), Stats()
    cache = engine.new_cache()
    assert "".join(generation.stream(engine, written, None, cache, stats=stats)) == text
    assert (written.tokens, written.finish_reason) == (plain.tokens, plain.finish_reason)
    assert stats.generated == len(plain.tokens)
    assert cache.tokens == written.history[: len(written.history) - 1]
    if limit == 100 and not stop and not stop_ids:
        assert engine.runs == [5] * 19 + [4] and engine.passes[:2] == [[9], [1]]


def test_tokens_that_are_drawn_or_weighed_and_texts_with_stop_strings_are_written_token_by_token():
    for written in (continuation(b"a rose is"), greedy(penalty=1.5), greedy(stop=("zz",))):
        engine = RunningEngine()
        list(generation.stream(engine, written, None))
        assert engine.runs == [] and len(engine.passes) == len(written.tokens)


class RoseEngine(ToyBatchEngine):
    """Repeats itself, mostly."""

    def _logits(self, tokens):
        logits = super()._logits(tokens)
        logits[np.frombuffer(b"a rose is ", np.uint8)[len(tokens) % 10]] += 12 if len(tokens) % 37 else 0
        return logits


class RunningEngine(RoseEngine):
    """With `decode`, as the compiled engine has it: at most five tokens a call."""

    def __init__(self):
        super().__init__()
        self.runs = []

    def decode(self, token, cache, most, ends, checkpoint=None):
        chosen, fresh = [], token
        while True:
            logits = self.forward([fresh], cache)[-1]
            fresh = int(logits.argmax())
            if len(chosen) + 1 == min(most, 5) or fresh in ends:
                self.runs.append(len(chosen) + 1)
                return np.array(chosen, np.int64), logits
            chosen.append(fresh)
