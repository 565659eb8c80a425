"""Hugging Face folders: names, shards, settings, and what is refused before anything is read further."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from loaders.errors import SourceError
from loaders.huggingface.folder import read_folder
from loaders.reader import read_model
from plpython.model.tokenizer import Tokenizer
from plpython.server.errors import ModelError


@pytest.fixture
def folder(families, tmp_path):
    """A copy of a family's folder, to be changed: folder("qwen2", config={…}) sets values, None removes them."""

    def copy(name: str, config: dict | None = None):
        path = tmp_path / name
        shutil.copytree(families / name, path)
        change(path / "config.json", config or {})
        return path

    return copy


def change(path, values: dict) -> None:
    document = json.loads(path.read_text()) if path.exists() else {}
    document = {key: value for key, value in (document | values).items() if value is not None}
    path.write_text(json.dumps(document))


def test_a_sharded_folder_is_the_same_model_as_a_single_file(families, tmp_path):
    sharded = read_folder(families / "qwen3")
    single = tmp_path / "single"
    shutil.copytree(families / "qwen3", single)
    weights = {}
    for shard in sorted(single.glob("*.safetensors")):
        weights |= load_file(shard)
        shard.unlink()
    (single / "model.safetensors.index.json").unlink()
    save_file(weights, single / "model.safetensors")
    joined = read_folder(single)
    assert len(sharded.files) > 4
    assert [(t.name, t.shape, bytes(t.data)) for t in joined.tensors] == [
        (t.name, t.shape, bytes(t.data)) for t in sharded.tensors
    ]
    assert joined.architecture == sharded.architecture


def test_tensors_have_their_gguf_names_in_the_architectures_order(families):
    model = read_folder(families / "qwen3")
    assert [tensor.name for tensor in model.tensors] == list(model.architecture.tensors())


@pytest.mark.parametrize("spelling", ["rope_parameters", "rope_scaling", "type"])
def test_rope_is_read_from_newer_and_older_configurations(folder, spelling):
    scaling = {"rope_type": "linear", "factor": 4.0}
    if spelling == "type":
        scaling = {"type": "linear", "factor": 4.0}
    newer = {"rope_parameters": scaling | {"rope_theta": 100.0}, "rope_theta": None, "rope_scaling": None}
    older = {"rope_parameters": None, "rope_theta": 100.0, "rope_scaling": scaling}
    model = read_folder(folder("llama_linear", newer if spelling == "rope_parameters" else older))
    assert model.architecture.rope_theta == 100.0
    assert model.architecture.rope_scaling == {"type": "linear", "factor": 4.0}


@pytest.mark.parametrize(
    ("config", "windows"),
    [
        ({"use_sliding_window": True, "layer_types": None, "max_window_layers": 1}, (None, 5, 5)),
        ({"use_sliding_window": True, "layer_types": None, "max_window_layers": 3}, None),
        ({"use_sliding_window": False, "layer_types": None, "max_window_layers": 0}, None),
        (
            {
                "use_sliding_window": True,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            },
            (5, None, 5),
        ),
    ],
)
def test_qwen_windows_are_read_as_transformers_reads_them(folder, config, windows):
    model = read_folder(folder("qwen2_window", config | {"sliding_window": 5}))
    assert model.architecture.windows == windows


REFUSED = {
    'architecture "mixtral" is not supported': {"model_type": "mixtral"},
    'architecture "gptneox" is not supported': {"model_type": None, "architectures": ["GPTNeoXForCausalLM"]},
    'config.json has no "model_type"': {"model_type": None, "architectures": None},
    '"output.weight" has the wrong shape (it is [67, 40], expected [67, 4096])': {"hidden_size": None},
    "\"hidden_size\" is 'big', expected an integer": {"hidden_size": "big"},
    '"num_hidden_layers" is 1000000000, expected an integer from 1 to 1024': {"num_hidden_layers": 10**9},
    '"num_attention_heads" is 0, expected an integer from 1 to 4096': {"num_attention_heads": 0},
    '"num_hidden_layers" is True, expected an integer': {"num_hidden_layers": True},
    '"rope_theta" is 1000000000': {"rope_parameters": {"rope_theta": 10**400}},
    '"rms_norm_eps" is inf, expected a finite number': {"rms_norm_eps": float("inf")},
    "\"hidden_act\" is 'gelu'": {"hidden_act": "gelu"},
    '"hidden_magic" is not known here': {"hidden_magic": 1},
    '"auto_map" is an object': {"auto_map": {"AutoModel": "modeling.Model"}},
    '"suppress_tokens" is a list of 1': {"suppress_tokens": [5]},
    '"mlp_bias" is True': {"mlp_bias": True},
    "quantization_config": {"quantization_config": {"quant_method": "gptq"}},
    'rope scaling "yarn" is not supported': {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}},
    'rope scaling "dynamic" is not supported': {
        "rope_parameters": None,
        "rope_scaling": {"type": "dynamic", "factor": 2.0},
    },
    'config.json rope_parameters has no "factor"': {"rope_parameters": {"rope_type": "linear"}},
    "partial_rotary_factor": {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
    'tensor "model.layers.1.input_layernorm.weight" is not part of the architecture': {"num_hidden_layers": 1},
    'tensor "blk.2.attn_norm.weight" is missing': {"num_hidden_layers": 3},
    'tensor "blk.0.attn_q.bias" is missing': {"attention_bias": True},
    "the tokenizer has 42 tokens, the model 41 rows": {"vocab_size": 41},
}


@pytest.mark.parametrize("expected", REFUSED)
def test_a_configuration_that_is_not_supported_is_refused_by_name(folder, expected):
    path = folder("llama2", REFUSED[expected])
    if "vocab_size" in REFUSED[expected]:
        weights = load_file(path / "model.safetensors")
        save_file({k: v[:41] if v.shape[0] == 67 else v for k, v in weights.items()}, path / "model.safetensors")
    with pytest.raises((SourceError, ModelError)) as problem:
        read_folder(path)
    assert expected in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_decoder_with_modules_of_sentence_transformers_is_refused_by_name(folder):
    """Qwen3-Embedding has them: they say which tokens are pooled and what follows."""
    path = folder("qwen3")
    (path / "modules.json").write_text("[]")
    with pytest.raises(SourceError, match=r"modules\.json says how a decoder embeds") as problem:
        read_folder(path)
    assert "pooling => 'last'" in problem.value.hint


def test_a_layer_type_that_is_not_known_is_refused_by_name(folder):
    kinds = ["full_attention", "chunked_attention", "full_attention"]
    with pytest.raises(SourceError, match='layer type "chunked_attention" is not supported'):
        read_folder(folder("qwen2_window", {"layer_types": kinds}))


def test_a_tensor_that_no_family_has_is_refused_by_name(folder):
    path = folder("llama2")
    weights = load_file(path / "model.safetensors")
    save_file(weights | {"model.layers.0.adapter.weight": np.zeros(3, np.float32)}, path / "model.safetensors")
    with pytest.raises(SourceError, match=r'tensor "model\.layers\.0\.adapter\.weight" is not part'):
        read_folder(path)


def test_a_tensor_type_that_is_not_supported_is_refused_by_name(folder):
    path = folder("llama2")
    weights = load_file(path / "model.safetensors")
    weights["model.norm.weight"] = weights["model.norm.weight"].astype(np.float64)
    save_file(weights, path / "model.safetensors")
    with pytest.raises(SourceError, match=r'tensor "model\.norm\.weight" has type F64, which is not supported'):
        read_folder(path)


def test_a_copy_of_a_tied_head_and_computed_frequencies_stay_in_the_file_but_not_in_the_model(folder):
    path = folder("qwen2")
    weights = load_file(path / "model.safetensors")
    extra = {
        "lm_head.weight": weights["model.embed_tokens.weight"],
        "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(7, np.float32),
    }
    save_file(weights | extra, path / "model.safetensors")
    model = read_folder(path)
    assert "output.weight" not in {tensor.name for tensor in model.tensors}
    tensors = {tensor.name: tensor.data for tensor in model.tensors}
    file = model.files[-1]
    content = b"".join(tensors[s.tensor] if s.literal is None else s.literal for s in file.segments)
    assert content == (path / "model.safetensors").read_bytes()


def test_end_of_text_is_generation_configs_word_before_configs(folder):
    path = folder("llama2", {"eos_token_id": 2})
    change(path / "generation_config.json", {"eos_token_id": [3, 2]})
    assert read_folder(path).tokenizer_settings["eos_ids"] == [3, 2]
    change(path / "generation_config.json", {"eos_token_id": None})
    assert read_folder(path).tokenizer_settings["eos_ids"] == [2]
    change(path / "generation_config.json", {"eos_token_id": "two"})
    with pytest.raises(SourceError, match='"eos_token_id" is not a token id'):
        read_folder(path)


def test_bos_is_what_tokenizer_json_puts_whatever_its_configuration_says(own_data, folder):
    path = folder("llama2")
    assert read_folder(path).tokenizer_settings["before"] == []  # no post-processor
    change(path / "tokenizer_config.json", {"add_bos_token": True})
    assert read_folder(path).tokenizer_settings["before"] == []  # as transformers 5.24
    assert read_folder(own_data / "stories260K-hf-derived").tokenizer_settings["before"] == [1]


@pytest.mark.parametrize("name", ["eos_token_id", "bos_token_id"])
def test_an_id_beyond_the_vocabulary_is_refused_by_file_and_key(folder, name):
    path = folder("llama2")
    change(path / "generation_config.json", {name: [1, 67]})
    with pytest.raises(SourceError, match=f'generation_config.json "{name}" is a list of 2, the vocabulary has 67'):
        read_folder(path)


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
@pytest.mark.parametrize("place", ["tokenizer_config.json", "chat_template.jinja", "additional_chat_templates/x.jinja"])
def test_a_chat_template_that_cannot_be_stored_is_refused_by_its_file(folder, place, text):
    path = folder("llama2")
    if place.endswith("json"):
        change(path / place, {"chat_template": text})
    else:
        (path / place).parent.mkdir(exist_ok=True)
        (path / place).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(SourceError, match=Path(place).name) as problem:
        read_folder(path)
    assert "\n" not in str(problem.value)


def test_the_default_of_templates_that_are_files_comes_first(folder):
    path = folder("llama2")
    change(path / "tokenizer_config.json", {"chat_template": {"default": "{{ 1 }}", "rag": "{{ 2 }}"}})
    assert read_folder(path).tokenizer_settings["chat_template"] == "{{ 1 }}"
    (path / "additional_chat_templates").mkdir()
    (path / "additional_chat_templates" / "rag.jinja").write_text("{{ 3 }}")
    assert (
        read_folder(path).tokenizer_settings["chat_template"] is None
    )  # as transformers: no "default" among the files
    (path / "chat_template.jinja").write_text("{{ 4 }}")
    assert read_folder(path).tokenizer_settings["chat_template"] == "{{ 4 }}"


def test_the_chat_template_comes_from_wherever_it_stands(folder):
    path = folder("llama2")
    assert read_folder(path).tokenizer_settings["chat_template"] is None
    change(path / "tokenizer_config.json", {"chat_template": "{{ 1 }}"})
    assert read_folder(path).tokenizer_settings["chat_template"] == "{{ 1 }}"
    several = [{"name": "tool_use", "template": "{{ 2 }}"}, {"name": "default", "template": "{{ 3 }}"}]
    change(path / "tokenizer_config.json", {"chat_template": several})
    assert read_folder(path).tokenizer_settings["chat_template"] == "{{ 3 }}"
    assert read_folder(path).tokenizer_settings["tool_chat_template"] == "{{ 2 }}"
    (path / "chat_template.jinja").write_text("{{ 4 }}")
    assert read_folder(path).tokenizer_settings["chat_template"] == "{{ 4 }}"


def test_added_tokens_that_look_like_control_tokens_become_them(folder):
    path = folder("llama2")
    document = json.loads((path / "tokenizer.json").read_text())
    token = document["added_tokens"][-1]
    assert token["content"] == "<end>"
    token.update(special=False)
    (path / "tokenizer.json").write_text(json.dumps(document))
    model = read_folder(path)
    assert Tokenizer(model.tokenizer_definition).kind(3) == "added"
    token["content"] = "<|end|>"
    document["model"]["vocab"]["<|end|>"] = document["model"]["vocab"].pop("<end>")
    (path / "tokenizer.json").write_text(json.dumps(document))
    model = read_folder(path)
    tokenizer = Tokenizer(model.tokenizer_definition)
    assert tokenizer.kind(3) == "control"
    assert 3 not in tokenizer.encode("<|end|>")


def test_added_tokens_that_the_library_numbers_otherwise_are_refused(folder):
    path = folder("llama2")
    document = json.loads((path / "tokenizer.json").read_text())
    document["added_tokens"].append(document["added_tokens"][0] | {"id": 99, "content": "<far>"})
    (path / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(SourceError, match="numbers '<far>' 99, the library 42"):
        read_folder(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("config.json", "{", "config.json is not JSON"),
        ("config.json", "[1]", "config.json is a list of 1, expected an object"),
        ("config.json", '{"a": 1, "a": 2}', 'config.json has "a" twice'),
        ("config.json", '{"a":' * 100_000, "config.json is nested too deeply"),
        ("config.json", b"\xff\xfe", "config.json is not UTF-8, at byte 0"),
        ("tokenizer.json", "{}", "tokenizer.json"),
        ("tokenizer.json", '{"added_tokens": [1]}', '"added_tokens" is not a list of tokens'),
        ("model.safetensors", "", "model.safetensors is empty"),
    ],
)
def test_a_broken_file_is_refused_in_one_line(folder, name, content, expected):
    path = folder("llama2")
    (path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SourceError) as problem:
        read_folder(path)
    assert expected in str(problem.value)
    assert "\n" not in str(problem.value)


@pytest.mark.parametrize("target", ["../secret.safetensors", "/etc/passwd", "", 7, None])
def test_an_index_that_leads_out_of_the_folder_is_refused(folder, target):
    path = folder("qwen3")
    change(path / "model.safetensors.index.json", {"weight_map": {"lm_head.weight": target}})
    with pytest.raises(SourceError, match="which is not a file of the folder"):
        read_folder(path)


def test_an_index_that_names_a_missing_shard_is_refused(folder):
    path = folder("qwen3")
    (path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(SourceError, match=r"model-00002-of-00003\.safetensors is not a file"):
        read_folder(path)


def test_a_tensor_in_two_shards_is_refused(folder):
    path = folder("qwen3")
    first = path / "model-00001-of-00003.safetensors"
    save_file(load_file(first) | load_file(path / "model-00002-of-00003.safetensors"), first)
    with pytest.raises(SourceError, match='" appears twice'):
        read_folder(path)


def test_a_name_twice_in_a_safetensors_header_is_refused(folder):
    path = folder("llama2")
    entry = b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'
    header = b"{" + entry + b"," + entry + b"}"
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    with pytest.raises(SourceError, match=r"model\.safetensors"):
        read_folder(path)


def test_broken_safetensors_are_accepted_or_rejected_as_the_library_does(each_data):
    folder = each_data / "safetensors-malformed"
    for line in (folder / "EXPECTED.tsv").read_text().splitlines():
        name, _, verdict, message = line.split("\t")[:4] if line.count("\t") > 2 else [*line.split("\t"), ""]
        with pytest.raises(SourceError) as problem:
            read_model(folder / name)
        container_is_good = "has no config.json" in str(problem.value)
        assert container_is_good == verdict.startswith("ACCEPT"), (name, str(problem.value), message)
        assert "\n" not in str(problem.value)


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        read_model(tmp_path / "nothing")
    with pytest.raises(SourceError, match=r"has no config\.json"):
        read_model(tmp_path)
