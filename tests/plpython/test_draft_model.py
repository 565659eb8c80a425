"""Guesses by a draft model change no text. Toy engines show what a draft computes, story models that bits are equal."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from loaders.reader import read_model
from plpython.engine.decoder import CompiledEngine
from plpython.generate import sampling
from plpython.generate.draft_model import LEAST_READ, READ, DraftModel, Limits
from plpython.generate.prompt_lookup import PromptLookup
from plpython.generate.speculation import Always, Pace, Speculation
from plpython.kernels import candidates
from plpython.model.tokenizer import Tokenizer
from plpython.session.prefixes import Stats
from plpython.sql import generation
from plpython.weights.packed_model import pack_model
from tests.plpython.stories import STORIES, stories, tensors
from tests.plpython.test_generation import TOKENIZER
from tests.plpython.toy_engine import VOCABULARY, ToyBatchEngine

PROMPT = b"a rose is a rose is"


class SimilarEngine(ToyBatchEngine):
    """Its logits are those of ToyBatchEngine, but after every `differs`th position it prefers another token."""

    def __init__(self, differs=None):
        super().__init__()
        self._differs = differs

    def _logits(self, tokens):
        logits = super()._logits(tokens)
        return np.roll(logits, 1) if self._differs and len(tokens) % self._differs == 0 else logits


def continuation(limit=40, seed=1, temperature=1.0, penalty=1.0, stop=(), ends=(), prompt=PROMPT):
    settings = sampling.Settings(temperature=temperature, seed=seed, repeat_penalty=penalty)
    return generation.Continuation(TOKENIZER, list(prompt), limit, settings, generation.Ends(stop, ends))


def drafting(written, engine, most=4, positions=10_000, vocabulary=VOCABULARY, smaller=100.0):
    """(DraftModel, a Speculation that always asks it) for a text."""
    draft = DraftModel(engine, written, engine.new_cache(), Limits(positions, vocabulary, smaller))
    return draft, Speculation([(draft, Always(most))])


def same_text(draft_engine, most=4, limits=None, **asked):
    """The Stats of a text with a draft, which is what it is without."""
    plain, written, stats = continuation(**asked), continuation(**asked), Stats()
    expected = "".join(generation.stream(SimilarEngine(), plain, None))
    engine = SimilarEngine()
    cache = engine.new_cache()
    draft, speculation = drafting(written, draft_engine, most, **(limits or {}))
    assert "".join(generation.stream(engine, written, None, cache, speculation, stats)) == expected
    assert (written.tokens, written.finish_reason) == (plain.tokens, plain.finish_reason)
    assert cache.tokens == written.history[:-1]
    reusable = draft.reusable(written.history)
    assert reusable is None or reusable.tokens == written.history[: reusable.length]
    assert stats.generated == len(plain.tokens)
    return stats, engine, draft


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("most", [1, 3, 16])
def test_a_model_that_is_its_own_draft_guesses_all_tokens_right(most, temperature):
    stats, engine, _ = same_text(SimilarEngine(), most, limit=65, temperature=temperature, prompt=b"xy")
    assert stats.guessed == stats.accepted == 65 - len(engine.passes)
    assert len(engine.passes) == 1 + -(-64 // (most + 1))


def test_a_draft_that_is_always_wrong_is_never_accepted():
    stats, engine, _ = same_text(SimilarEngine(differs=1), temperature=0.0)
    assert (stats.accepted, len(engine.passes)) == (0, 40)
    assert stats.guessed > 100


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    st.fixed_dictionaries(
        {
            "limit": st.integers(1, 90),
            "seed": st.integers(0, 1000),
            "temperature": st.sampled_from([0.0, 0.7, 1.5]),
            "penalty": st.sampled_from([1.0, 1.5]),
            "stop": st.sampled_from([(), ("a",), ("e", "zz")]),
            "ends": st.sampled_from([(), tuple(range(20)), tuple(range(0, 250, 3))]),
            "prompt": st.binary(min_size=1, max_size=200),
        }
    ),
    st.integers(1, 16),
    st.sampled_from([None, 1, 2, 5]),
    st.fixed_dictionaries({"positions": st.sampled_from([0, 20, 90, 150, 10_000]), "smaller": st.floats(0.1, 50)}),
)
def test_a_draft_changes_no_text(asked, most, differs, limits):
    same_text(SimilarEngine(differs), most, limits, **asked)


def test_a_draft_computes_each_token_once_while_its_guesses_are_right():
    draft_engine = SimilarEngine()
    same_text(draft_engine, 4, limit=51, prompt=b"abcdefgh")
    assert draft_engine.passes[0] == [8]  # of the prompt's 8 and the first token of the text, all but that
    assert sum(sum(tokens) for tokens in draft_engine.passes) <= 8 + 51


def test_a_draft_with_a_shorter_context_begins_anew_and_goes_on_guessing():
    draft_engine = SimilarEngine()
    stats, *_, draft = same_text(draft_engine, 4, {"positions": 150}, limit=400)
    assert draft.reusable([0]) is None
    assert [passed for passed in draft_engine.passes if passed[0] > 2][1:] == [[74]] * 4
    assert stats.guessed > 300


def test_of_a_long_prompt_a_draft_reads_the_end_that_is_worth_it():
    written, engine = continuation(limit=100, prompt=bytes(200) * 10), SimilarEngine()
    draft, _ = drafting(written, engine, smaller=1.5)
    assert draft.prepare(written.history, 100)
    assert engine.passes == [[READ * 150 - 1]]


def test_a_draft_that_is_not_worth_the_reading_reads_and_guesses_nothing():
    engine = SimilarEngine()
    stats, *_ = same_text(engine, limits={"smaller": 1.0}, limit=LEAST_READ // READ // 2, prompt=bytes(200) * 10)
    assert (stats.guessed, engine.passes) == (0, [])


def test_a_draft_reads_on_what_others_guessed_and_forgets_what_was_wrong():
    engine = SimilarEngine()
    written = continuation(temperature=0.0)
    draft, _ = drafting(written, engine)
    draft.prepare(written.history, 100)
    guessed = draft.guess(written.history, 4)
    history = [*written.history, *guessed[:2], guessed[2] ^ 1, 7, 8, 9]
    engine.passes.clear()
    assert draft.prepare(history, 100)
    assert engine.passes == [[3]]  # the wrong one and two of the three after it
    assert draft.reusable(history).tokens == history[:-1]


def test_a_draft_whose_logits_are_not_finite_guesses_nothing():
    stats, *_ = same_text(ToyBatchEngine(ill_after=ord("s")), limit=1 + 5, temperature=0.0, prompt=PROMPT)
    assert stats.generated == 6
    ill = ToyBatchEngine(ill_after=PROMPT[-1])
    draft, _ = drafting(continuation(), ill)
    assert draft.prepare(list(PROMPT), 10) and draft.guess(list(PROMPT), 4) == []


def test_a_draft_guesses_no_token_that_the_model_lacks_and_reads_none_that_it_lacks():
    stats, engine, _ = same_text(SimilarEngine(), limits={"vocabulary": 100}, temperature=0.0, prompt=bytes(3))
    assert stats.guessed < 4 * len(engine.passes)
    written = continuation(prompt=bytes([1, 200, 2]))
    draft, _ = drafting(written, SimilarEngine(), vocabulary=100)
    assert not draft.prepare(written.history, 100)


def test_an_interrupt_in_a_draft_ends_the_text():
    class Interrupted(SimilarEngine):
        def forward(self, *arguments, **given):
            raise KeyboardInterrupt

    written = continuation()
    _, speculation = drafting(written, Interrupted())
    with pytest.raises(KeyboardInterrupt):
        list(generation.stream(SimilarEngine(), written, None, guesses=speculation))


# The compiled engine, with story models.

TEXT = "Once upon a time, there was a little girl named Lily. She had a red ball. Tim had a red ball."
KINDS = {
    "greedy": {},
    "sampled": {"temperature": 0.9, "seed": 5},
    "top-p": {"temperature": 1.2, "seed": 6, "top_p": 0.8, "min_p": 0.02},
    "typical": {"temperature": 1.0, "seed": 7, "typical_p": 0.6},
    "penalised": {"repeat_penalty": 1.3},
    "penalised and sampled": {"repeat_penalty": 1.2, "temperature": 0.8, "seed": 8},
}
DRAFTS = {"itself": "F32", "Q4_0": "Q4_0", "another": None}


def random_model():
    """A model of the stories' shape with random weights."""
    generator = np.random.default_rng(7)
    made = {
        name: (0.2 * generator.standard_normal(shape)).astype(np.float32) for name, shape in STORIES.tensors().items()
    }
    return pack_model({name: ("F32", values.shape, values.tobytes()) for name, values in made.items()})


@functools.cache
def engine_of(data, kind):
    return CompiledEngine(STORIES, random_model() if kind is None else stories(data, kind))


@functools.cache
def tokenizer_of(data):
    source = read_model(data / "stories260K/stories260K.gguf")
    return Tokenizer(source.tokenizer_definition, source.tokenizer_settings)


def story(data, limit=150, stop=(), ends=None, **settings):
    tokenizer = tokenizer_of(data)
    ends = generation.Ends(stop, tokenizer.eos_ids if ends is None else ends)
    settings = sampling.Settings(**settings)
    return generation.Continuation(
        tokenizer, tokenizer.encode(TEXT), limit, settings, ends, weigh=candidates.Candidates, model="stories"
    )


def guessed_story(data, draft, pace, **asked):
    """(text, tokens, finish_reason, bits of the logits after it), Stats: with a draft, or without for None."""
    engine, written, stats = engine_of(data, "F32"), story(data, **asked), Stats()
    cache, guesses = engine.new_cache(), None
    if draft is not None:
        drafted = engine_of(data, DRAFTS[draft])
        limits = Limits(STORIES.context_length, STORIES.vocabulary_size, 1.0)
        guesser = DraftModel(drafted, written, drafted.new_cache(), limits)
        guesses = Speculation(
            [(PromptLookup(4), pace(4)), (guesser, pace(8))] if pace is Pace else [(guesser, pace(8))]
        )
    text = "".join(generation.stream(engine, written, None, cache, guesses, stats))
    after = engine.forward(written.history[cache.length :], cache)[0]
    return (text, written.tokens, written.finish_reason, after.tobytes()), stats


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("pace", [Always, Pace])
def test_a_story_is_the_same_bit_for_bit_with_any_draft(each_data, kind, draft, pace):
    expected, _ = guessed_story(each_data, None, pace, **KINDS[kind])
    given, stats = guessed_story(each_data, draft, pace, **KINDS[kind])
    assert given == expected
    assert 0 <= stats.accepted <= stats.guessed and stats.guessed > 0
    if pace is Always and draft == "itself":
        assert stats.accepted == stats.guessed > 100
    if pace is Always and draft == "another":
        assert stats.accepted < stats.guessed / 10


@pytest.mark.parametrize("kind", ["greedy", "sampled"])
def test_a_copy_in_fewer_bits_guesses_most_tokens_right(each_data, kind):
    """Also when tokens are sampled, as it draws with the same random numbers."""
    _, stats = guessed_story(each_data, "Q4_0", Always, limit=300, **KINDS[kind])
    assert stats.accepted > stats.generated / 2


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("kind", ["greedy", "sampled"])
@pytest.mark.parametrize(
    "asked", [{"stop": ("ball",)}, {"stop": ("zz", "e d")}, {"ends": (403, 432, 410)}, {"limit": 1}]
)
def test_a_story_ends_where_it_ends_without_a_draft(each_data, draft, kind, asked):
    expected, _ = guessed_story(each_data, None, Always, **KINDS[kind], **asked)
    assert guessed_story(each_data, draft, Always, **KINDS[kind], **asked)[0] == expected


@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("kind", ["greedy", "sampled"])
def test_a_story_reaches_the_end_of_the_context_with_a_draft(own_data, draft, kind):
    left = STORIES.context_length - story(own_data).prompt_tokens
    asked = {"limit": left, "ends": ()}
    expected, stats = guessed_story(own_data, None, Always, **KINDS[kind], **asked | {"limit": left - 1})
    assert stats.generated == left - 1
    assert guessed_story(own_data, draft, Always, **KINDS[kind], **asked | {"limit": left - 1})[0] == expected


def test_our_stories_have_the_tensors_that_the_random_model_has(own_data):
    assert {name: tuple(shape) for name, (_, shape, _) in tensors(own_data).items()} == STORIES.tensors()
