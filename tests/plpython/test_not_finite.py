"""A weight that is infinite or NaN shows in the logits and in the embedding, wherever it is and whatever computes.

The weights lie in the model as a superuser could write them there: nothing has checked them. What infinity and NaN do
in sums and products is IEEE 754's; the kernels' codes, maxima and powers of two must not lose them.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from loaders.reader import read_model
from plpython.engine.decoder import CompiledEngine
from plpython.engine.encoder import CompiledEncoder
from plpython.kernels.similarity import PackedTable
from plpython.model import encodings, finite
from plpython.reference.decoder import NumpyEngine
from plpython.reference.encoder import NumpyEncoder
from plpython.server.errors import ModelError
from plpython.weights.packed_model import pack_model
from tests.plpython.compiled import same_bits
from tests.plpython.valid_blocks import random_blocks

FIXTURES = Path(__file__).parent.parent / "fixtures"
PROMPT = np.array([5, 9, 9, 30, 7, 11])  # of tokens that all the vocabularies have
# Bits of float32: infinities, NaN as processors make it, and with digits that powers of two could take for an exponent.
PLANTED = {"inf": 0x7F800000, "-inf": 0xFF800000, "nan": 0xFFC00000, "odd nan": 0x7F8000C1}
KINDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0")  # of matrices; all else is F32
CASES = [("qwen2", kind) for kind in KINDS] + [("qwen3", "Q8_0")]
# Kinds of keys and values, threads, and how many prompts are computed together.
WAYS = [("f32", 1, 1), ("f32", 2, 9), ("i16", 1, 1), ("i16", 2, 9)]


class Source:
    """The tensors of a fixture, its matrices in one type: {name: (type, shape, bytes)}."""

    def __init__(self, path, kind):
        model = read_model(FIXTURES / path)
        self.architecture = model.architecture
        self.tensors = {t.name: self._tensor(t, kind) for t in model.tensors}

    @staticmethod
    def _tensor(tensor, kind):
        if len(tensor.shape) == 1 or tensor.shape[1] % 32:
            return tensor.type, tensor.shape, bytes(tensor.data)
        values = encodings.decode(tensor.type, tensor.data, tensor.shape)
        return kind, tensor.shape, encodings.encode(kind, values).tobytes()

    def with_planted(self, name, bits, row=0):
        """The tensors with a number or a scale of a row of one replaced."""
        kind, shape, content = self.tensors[name]
        form, (offset, *_) = encodings.FLOATS[kind]
        size = encodings.row_bytes(kind, shape[-1])
        blocks = np.frombuffer(content, np.uint8).copy()
        value = np.array([bits], np.uint32)
        if form == "F16":
            value = np.array([bits >> 16 & 0x8000 | 0x7C00 | bits >> 13 & 0x3FF | (bits & 0x7FFFFF > 0)], np.uint16)
        elif form == "BF16":
            value = np.array([bits >> 16 | (bits & 0xFFFF > 0)], np.uint16)
        place = row * size + offset
        blocks[place : place + value.nbytes] = value.view(np.uint8)
        return self.tensors | {name: (kind, shape, blocks.tobytes())}


def decoded(tensors):
    return {name: encodings.decode(kind, raw, shape) for name, (kind, shape, raw) in tensors.items()}


def is_refused(logits):
    try:
        finite.check_logits(logits, len(PROMPT))
    except ModelError as refused:
        assert refused.sqlstate == "XX001" and refused.message == "the logits are not finite"
        return True
    return False


def computed(source, tensors):
    """{what computed: logits after the prompt}, for both engines and all WAYS, and token by token."""
    with np.errstate(all="ignore"):
        reference = NumpyEngine(source.architecture, decoded(tensors))
        found = {"numpy": reference.forward(PROMPT, reference.new_cache())[-1]}
    packed = pack_model(tensors)
    for kv_type, threads, together in WAYS:
        engine = CompiledEngine(source.architecture, packed, threads, threads, kv_type)
        rows = [(PROMPT, engine.new_cache()) for _ in range(together)]
        found[kv_type, together] = engine.forward_batch(rows)[-1].copy()
        rows[0][1].truncate(len(PROMPT) - 1)
        chosen, logits = engine.decode(int(PROMPT[-1]), rows[0][1], 3)
        found[kv_type, together, "decoded"] = chosen if len(chosen) else logits.copy()
    return found


def places(source):
    """(name, row) of every tensor: of the embedding, the row of a token of the prompt."""
    return [(name, int(PROMPT[3]) if name == "token_embd.weight" else 0) for name in source.tensors]


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize(("path", "kind"), CASES)
def test_no_token_is_chosen_from_a_weight_that_is_no_number(path, kind, planted):
    source = Source(f"families/{path}", kind)
    hidden = {
        (name, by): logits
        for name, row in places(source)
        for by, logits in computed(source, source.with_planted(name, PLANTED[planted], row)).items()
        if not is_refused(logits)
    }
    assert hidden == {}


def test_a_prompt_with_an_ill_token_leaves_the_others_of_its_batch_alone():
    source = Source("families/qwen2", "Q8_0")
    tensors = source.with_planted("token_embd.weight", PLANTED["nan"], row=30)
    source.tensors["output.weight"] = tensors["output.weight"] = source.tensors["token_embd.weight"]
    architecture = dataclasses.replace(source.architecture, tied_embeddings=False)
    ill, well = (CompiledEngine(architecture, pack_model(given), 1, 2, "i16") for given in (tensors, source.tensors))
    others = [PROMPT[PROMPT != 30], PROMPT[:3]]
    logits = ill.forward_batch([(tokens, ill.new_cache()) for tokens in (others[0], PROMPT, others[1])])
    assert [is_refused(row) for row in logits] == [False, True, False]
    for tokens, row in zip(others, logits[::2], strict=True):
        same_bits(row, well.forward(tokens, well.new_cache())[-1])


@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
@pytest.mark.parametrize("factor", [1e19, 1e30])
def test_numbers_that_grow_beyond_float32_are_refused_by_both_engines_or_by_none(kind, factor):
    source = Source("families/qwen2", kind)
    for name, (type, shape, content) in source.tensors.items():
        if type != "F32":
            continue
        large = (np.frombuffer(content, np.float32) * np.float32(factor)).tobytes()
        found = computed(source, source.tensors | {name: (type, shape, large)})
        refused = {by: is_refused(logits) for by, logits in found.items() if len(logits) > 3}
        assert len(set(refused.values())) == 1, (name, refused)


PLANTED_HALVES = {"inf": 0x7C00, "-inf": 0xFC00, "nan": 0x7E00, "odd nan": 0xFC01}
HALVES = [
    (e.name, at) for e in encodings.ENCODINGS if e.floats.form == "F16" and not e.floats.joined for at in e.floats.at
]


@pytest.mark.parametrize("planted", PLANTED_HALVES)
@pytest.mark.parametrize(("kind", "offset"), HALVES)
def test_a_packed_row_whose_scale_or_minimum_is_no_number_has_no_product(kind, offset, planted):
    """Other rows of its group keep their products, and the squares of its row are no number, either."""
    columns = max(encodings.BLOCKS[kind][0], 32)
    size, random = encodings.row_bytes(kind, columns), np.random.default_rng(offset)
    raw = random_blocks(kind, 20, columns, random)
    ill = raw.copy()
    ill[3 * size + offset :][:2] = np.array([PLANTED_HALVES[planted]], np.uint16).view(np.uint8)
    well, packed = (PackedTable(pack_model({"w": (kind, (20, columns), given)}), "w") for given in (raw, ill))
    x = random.standard_normal(columns).astype(np.float32)
    products, expected = packed.products(x)[0].copy(), well.products(x)[0]
    assert not np.isfinite(products[3]) and packed.lengths.unknown.tolist() == [3]
    same_bits(np.delete(products, 3), np.delete(expected, 3))


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
def test_no_embedding_is_made_of_a_weight_that_is_no_number(kind, planted):
    source = Source("encoders/mean", kind)
    for name in source.tensors:
        tensors = source.with_planted(name, PLANTED[planted], int(PROMPT[3]) if name == "token_embd.weight" else 0)
        with np.errstate(all="ignore"):
            arrays = decoded(tensors)
            reference = NumpyEncoder(source.architecture, arrays).states([PROMPT])
            positions = arrays["position_embd.weight"] + arrays["token_types.weight"][0]
        for threads in (1, 2):
            engine = CompiledEncoder(source.architecture, pack_model(tensors), positions, threads, threads)
            for states in (reference, engine.states([PROMPT, PROMPT[:1]])):
                with pytest.raises(ModelError, match="the embedding is not finite"):
                    finite.check_embedding(states[0].mean(axis=0))
