"""A family is one file, found by its name; README says which there are."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from gguf.constants import MODEL_ARCH_NAMES

from loaders import families
from loaders.errors import LoaderError
from loaders.export.gguf import gguf_architecture
from loaders.families import EncoderFamily, Family
from loaders.families.base import sliding_layers, stated_windows
from loaders.huggingface.architecture import read_architecture
from loaders.source.fields import Fields

FOLDER = Path(families.__file__).parent
README = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")
ALL = [*families.FAMILIES, *families.ENCODERS]


def test_every_file_of_the_folder_is_a_family_but_those_that_are_named():
    files = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", *families.NO_FAMILIES}
    assert {family.name for family in ALL} == files
    assert [family.name for family in families.FAMILIES] == sorted(family.name for family in families.FAMILIES)


def test_readme_names_the_families_there_are():
    sentence = r"Any (.*?) model that you have .*? loads the same way, any (.*?) as an encoder\."
    decoders, encoders = re.search(sentence, " ".join(README.split())).groups()
    assert _names(decoders) == [family.name for family in families.FAMILIES]
    assert _names(encoders) == [family.name for family in families.ENCODERS]


def _names(text: str) -> list[str]:
    """Families as a sentence calls them -> their names, sorted: Seed-OSS is seed_oss."""
    return sorted(re.sub(r"\W+", "_", name).lower() for name in re.split(", | or ", text))


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_a_family_has_the_names_that_the_gguf_package_has_for_it(family: Family | EncoderFamily):
    assert family.gguf_name in (None, MODEL_ARCH_NAMES[family.tensor_names])


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_what_a_family_writes_into_config_json_is_what_it_read(family: Family):
    config = {"model_type": family.model_type, "architectures": [family.transformers_class]}
    read = read_architecture(Fields("config.json", config))
    again = read_architecture(Fields("config.json", config | family.to_config(read)))
    assert again == read


def test_a_tensor_of_another_name_in_gguf_is_renamed_and_renamed_back():
    family = replace(families.of_gguf("llama"), gguf_tensors={"post_attention_norm": "ffn_norm"})
    names = {
        "blk.7.post_attention_norm.weight": "blk.7.ffn_norm.weight",
        "blk.7.ffn_norm.weight": "blk.7.post_attention_norm.weight",  # which no family has: it is refused
        "blk.7.attn_norm.weight": "blk.7.attn_norm.weight",
        "output_norm.weight": "output_norm.weight",
    }
    assert {name: family.renamed(name) for name in names} == names
    assert {name: family.renamed(family.renamed(name)) for name in names} == {name: name for name in names}


def test_windows_are_written_as_they_are_read():
    config = sliding_layers((None, 7, None))
    assert stated_windows(Fields("config.json", config), 3, config["sliding_window"]) == [None, 7, None]
    assert sliding_layers(None) == {}


def test_a_model_of_a_family_that_this_loader_has_not_is_not_written_in_another_format():
    llama = read_architecture(Fields("config.json", {"model_type": "llama"}))
    with pytest.raises(LoaderError, match='family "of_tomorrow" is not known to this loader') as problem:
        gguf_architecture(replace(llama, family="of_tomorrow"))
    assert problem.value.hint == f"Known are {', '.join(family.name for family in families.FAMILIES)}."
