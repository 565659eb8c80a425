"""Engines and caches have what `interfaces` says: every member, with the parameters that it has there."""

import inspect

import pytest

from plpython.engine.decoder import CompiledEngine
from plpython.engine.kv_cache import KVCache
from plpython.generate.draft_model import DraftModel
from plpython.generate.interfaces import BatchEngine, Cache, Chooser, DecodingEngine, Engine, Guesser, SharedCache
from plpython.generate.prompt_lookup import PromptLookup
from plpython.reference import decoder as reference
from plpython.sql.generation import Continuation
from tests.plpython import toy_engine
from tests.plpython.stories import STORIES

PAIRS = [
    (CompiledEngine, BatchEngine),
    (CompiledEngine, DecodingEngine),
    (reference.NumpyEngine, Engine),
    (KVCache, SharedCache),
    (reference.KVCache, Cache),
    (toy_engine.ToyEngine, Engine),
    (toy_engine.ToyBatchEngine, BatchEngine),
    (toy_engine.ToyCache, SharedCache),
    (PromptLookup, Guesser),
    (DraftModel, Guesser),
    (Continuation, Chooser),
]


@pytest.mark.parametrize(("kind", "interface"), PAIRS)
def test_a_class_has_the_methods_of_its_interface_with_their_parameters(kind, interface):
    for name, method in inspect.getmembers(interface, inspect.isfunction):
        if not name.startswith("_"):
            asked = list(inspect.signature(method).parameters)
            assert list(inspect.signature(getattr(kind, name)).parameters)[: len(asked)] == asked, name


@pytest.mark.parametrize("make", [lambda: KVCache(STORIES, "f4"), lambda: reference.KVCache(STORIES)])
def test_a_cache_tells_its_length(make):
    assert make().length == 0


def test_the_reference_engine_promises_neither_batches_nor_passes_of_its_own():
    engine = reference.NumpyEngine.__new__(reference.NumpyEngine)
    assert not isinstance(engine, BatchEngine) and not isinstance(engine, DecodingEngine)
