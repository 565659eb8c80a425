"""What a model is: configuration, tensors, rope frequencies."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from plpython.model.decoder import Architecture
from plpython.server.errors import ModelError

# stories260K, as its own description says
STORIES = {
    "family": "llama",
    "vocabulary_size": 512,
    "hidden_size": 64,
    "layers": 5,
    "heads": 8,
    "kv_heads": 4,
    "head_dim": 8,
    "ffn_size": 172,
    "context_length": 512,
    "norm_epsilon": 1e-5,
    "rope_theta": 10000.0,
    "rope_interleaved": True,
}
LLAMA3 = {
    "type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_context_length": 8192,
}


def architecture(**changes):
    return Architecture.from_config(STORIES | changes)


def test_a_configuration_survives_json_and_back():
    changed = architecture(
        family="qwen3", windows=[None, 7, None, 7, 7], rope_scaling=LLAMA3, qk_norm=True, tied_embeddings=True
    )
    assert Architecture.from_config(json.loads(json.dumps(changed.to_config()))) == changed
    assert changed.window(0) is None and changed.window(1) == 7


def test_windows_that_are_all_none_are_no_windows():
    assert architecture(windows=[None] * 5).windows is None
    assert architecture().window(3) is None


@pytest.mark.parametrize(
    ("changes", "sqlstate", "word"),
    [
        ({"colour": 1}, "22023", "colour"),
        ({"family": "GPT 2"}, "22023", "family"),
        ({"family": ""}, "22023", "family"),
        ({"family": ["llama"]}, "22023", "family"),
        ({"layers": 0}, "22023", "layers"),
        ({"layers": 10**9}, "22023", "layers"),
        ({"layers": True}, "22023", "layers"),
        ({"hidden_size": 64.0}, "22023", "hidden_size"),
        ({"vocabulary_size": "512"}, "22023", "vocabulary_size"),
        ({"head_dim": 7}, "22023", "head_dim"),
        ({"kv_heads": 3}, "22023", "kv_heads"),
        ({"norm_epsilon": 0}, "22023", "norm_epsilon"),
        ({"norm_epsilon": math.nan}, "22023", "norm_epsilon"),
        ({"rope_theta": math.inf}, "22023", "rope_theta"),
        ({"rope_theta": 10**400}, "22023", "rope_theta"),
        ({"qk_norm": 1}, "22023", "qk_norm"),
        ({"tied_embeddings": None}, "22023", "tied_embeddings"),
        ({"windows": [7]}, "22023", "windows"),
        ({"windows": [7, 7, 7, 7, 0]}, "22023", "windows"),
        ({"rope_scaling": "linear"}, "22023", "rope_scaling"),
        ({"rope_scaling": {"type": "yarn", "factor": 4}}, "0A000", "yarn"),
        ({"rope_scaling": {"type": "linear"}}, "22023", "rope_scaling.factor"),
        ({"rope_scaling": {"type": "linear", "factor": -1}}, "22023", "rope_scaling.factor"),
        ({"rope_scaling": {"type": "linear", "factor": 2, "beta": 1}}, "22023", "beta"),
        ({"rope_scaling": LLAMA3 | {"high_freq_factor": 1.0}}, "22023", "high_freq_factor"),
    ],
)
def test_ill_values_are_refused_by_name(changes, sqlstate, word):
    with pytest.raises(ModelError) as caught:
        architecture(**changes)
    assert caught.value.sqlstate == sqlstate
    assert word in caught.value.message


def test_an_architecture_of_a_family_that_came_later_is_what_its_values_say():
    later = architecture(family="seed_of_tomorrow", attention_bias=True)
    assert replace(later, family="llama") == architecture(attention_bias=True)


@pytest.mark.parametrize("family", ["llama", "seed_of_tomorrow"])
def test_a_switch_that_is_not_known_here_is_refused_by_name_whatever_the_family(family):
    with pytest.raises(ModelError, match='unknown architecture value "no_rope_layers"'):
        architecture(family=family, no_rope_layers=[3])


def test_a_missing_value_is_named():
    config = {name: value for name, value in STORIES.items() if name != "kv_heads"}
    with pytest.raises(ModelError, match='"kv_heads" is missing'):
        Architecture.from_config(config)


def test_a_story_model_has_exactly_the_tensors_of_its_gguf_file(each_data):
    import gguf

    reader = gguf.GGUFReader(each_data / "stories260K" / "stories260K.gguf")
    shapes = {tensor.name: tensor.data.shape for tensor in reader.tensors}
    assert architecture().tensors() == shapes
    architecture().check_tensors(shapes)


def test_switches_bring_the_tensors_that_ggufs_writer_has_for_them():
    plain = architecture().tensors()
    changed = architecture(attention_bias=True, attention_output_bias=True, qk_norm=True, tied_embeddings=True)
    more = {name: shape for name, shape in changed.tensors().items() if name not in plain}
    assert {name: shape for name, shape in more.items() if name.startswith("blk.4.")} == {
        "blk.4.attn_q.bias": (64,),
        "blk.4.attn_k.bias": (32,),
        "blk.4.attn_v.bias": (32,),
        "blk.4.attn_output.bias": (64,),
        "blk.4.attn_q_norm.weight": (8,),
        "blk.4.attn_k_norm.weight": (8,),
    }
    assert len(more) == 5 * 6
    assert set(plain) - set(changed.tensors()) == {"output.weight"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda shapes: shapes.pop("blk.2.ffn_up.weight"), '"blk.2.ffn_up.weight" is missing'),
        (lambda shapes: shapes.update({"blk.5.attn_q.weight": (64, 64)}), '"blk.5.attn_q.weight" is not part of'),
        (lambda shapes: shapes.update({"blk.0.attn_q.bias": (64,)}), '"blk.0.attn_q.bias" is not part of'),
        (lambda shapes: shapes.update({"blk.0.attn_k.weight": (64, 64)}), '"blk.0.attn_k.weight" has the wrong shape'),
        (lambda shapes: shapes.update({"rope_freqs.weight": (8,)}), '"rope_freqs.weight" has the wrong shape'),
    ],
)
def test_a_missing_extra_or_misshapen_tensor_is_named(change, message):
    shapes = architecture().tensors() | architecture().optional_tensors()
    architecture().check_tensors(shapes)
    change(shapes)
    with pytest.raises(ModelError, match=message):
        architecture().check_tensors(shapes)


def test_rope_freqs_and_llama3_scaling_cannot_both_divide_the_frequencies():
    shapes = architecture(rope_scaling=LLAMA3).tensors() | {"rope_freqs.weight": (4,)}
    with pytest.raises(ModelError, match="rope_freqs"):
        architecture(rope_scaling=LLAMA3).check_tensors(shapes)


def test_plain_frequencies_are_powers_of_theta():
    np.testing.assert_allclose(architecture().rope_frequencies(), [1, 0.1, 0.01, 0.001], rtol=1e-7)
    assert architecture().rope_frequencies().dtype == np.float32


def test_linear_scaling_divides_every_frequency():
    scaled = architecture(rope_scaling={"type": "linear", "factor": 4}).rope_frequencies()
    np.testing.assert_allclose(scaled, [0.25, 0.025, 0.0025, 0.00025], rtol=1e-7)


def test_llama3_scaling_follows_metas_reference_code():
    """apply_scaling of meta-llama/llama-models, llama3/reference_impl/model.py, as a loop over single numbers."""
    scaled = architecture(head_dim=128, rope_theta=500000.0, rope_scaling=LLAMA3).rope_frequencies()
    expected = []
    for i in range(64):
        freq = 500000.0 ** (-i / 64)
        wavelen = 2 * math.pi / freq
        if wavelen < 8192 / 4:
            expected.append(freq)
        elif wavelen > 8192 / 1:
            expected.append(freq / 8)
        else:
            smooth = (8192 / wavelen - 1) / (4 - 1)
            expected.append((1 - smooth) * freq / 8 + smooth * freq)
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    plain = architecture(head_dim=128, rope_theta=500000.0).rope_frequencies()
    ratios = plain / scaled
    assert ratios[0] == 1 and abs(ratios[-1] - 8) < 1e-5 and ((ratios > 1.01) & (ratios < 7.9)).any()


def test_ggufs_rope_freqs_tensor_divides_the_frequencies():
    divided = architecture().rope_frequencies(np.array([1, 2, 4, 8], np.float32))
    np.testing.assert_allclose(divided, [1, 0.05, 0.0025, 0.000125], rtol=1e-6)
