"""A stored tokenizer as GGUF metadata or tokenizer.json: the same again, or refused by name."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import gguf
import pytest
from tokenizers import Tokenizer as Library

from loaders.errors import LoaderError
from loaders.export.stored_model import StoredModel
from loaders.export.tokenizer import add_tokenizer, check_same_tokens, tokenizer_json
from loaders.gguf.container import read_container
from loaders.gguf.tokenizer import read_tokenizer
from loaders.huggingface.folder import read_folder
from loaders.source.fields import Fields
from plpython.model.tokenizer import Tokenizer

UNK, BOS, EOS, END = range(4)  # of the fixture's vocabulary
WORDS = ("<|im_end|>", "</a>", "</b>")


@pytest.fixture
def stored(families):
    """stored(settings) -> a Llama 2 with these settings, and three more control tokens behind its vocabulary."""
    source = read_folder(families / "llama2")
    document = json.loads(source.tokenizer_definition)
    size = len(document["model"]["vocab"])
    for number, word in enumerate(WORDS, size):
        document["model"]["vocab"][word] = number
        document["added_tokens"].append(document["added_tokens"][0] | {"id": number, "content": word})

    def make(**settings) -> StoredModel:
        settings = {"bos_id": BOS, "eos_ids": [EOS], "vocabulary_size": 67} | settings
        return StoredModel("m", "huggingface", source.architecture, json.dumps(document), settings, (), {})

    return make


def as_gguf(model: StoredModel, path: Path) -> Tokenizer:
    """The tokenizer as it is read back from a file of its metadata alone."""
    writer = gguf.GGUFWriter(path, "llama")
    add_tokenizer(writer, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    metadata = Fields("metadata", read_container(memoryview(path.read_bytes())).metadata)
    definition, settings = read_tokenizer(metadata, model.architecture.vocabulary_size)
    check_same_tokens(SimpleNamespace(tokenizer_definition=definition, tokenizer_settings=settings), model)
    return Tokenizer(definition, settings)


IM_END, A, B = range(42, 45)  # the ids of WORDS


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"before": [BOS]},
        {"before": [BOS], "after": [EOS]},
        {"add_bos": True, "add_eos": True},  # as models stored earlier have it
        {"eos_ids": [END, EOS]},
        {"eos_ids": [END, A, B]},
        {"eos_ids": [END, A, B, EOS, IM_END]},  # the last two are found by their names
        {"eos_ids": [EOS, IM_END, A, B]},
        {"bos_id": None},
        {"chat_template": "{{ messages }}"},
    ],
)
def test_what_a_gguf_can_say_is_read_back(stored, tmp_path, settings):
    model = stored(**settings)
    ours, theirs = Tokenizer(model.tokenizer_definition, model.tokenizer_settings), as_gguf(model, tmp_path / "m.gguf")
    assert (theirs.before, theirs.after) == (ours.before, ours.after)
    assert theirs.eos_ids[:1] == ours.eos_ids[:1]
    assert set(ours.eos_ids) <= set(theirs.eos_ids) <= {*ours.eos_ids, EOS, IM_END}
    assert theirs.encode("abc def") == ours.encode("abc def")
    assert theirs.chat_template == ours.chat_template


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"eos_ids": [END, A, B, 5]}, "cannot name the end-of-sequence token 5"),
        ({"before": [END]}, r"cannot put the tokens \[3\] before a text"),
        ({"before": [BOS, END]}, r"cannot put the tokens \[1, 3\] before a text"),
        ({"eos_ids": [EOS], "after": [END]}, r"cannot put the tokens \[3\] behind a text"),
        ({"eos_ids": [EOS], "after": [EOS, END]}, r"cannot put the tokens \[2, 3\] behind a text"),
    ],
)
def test_what_a_gguf_cannot_say_is_refused_by_name(stored, tmp_path, settings, expected):
    with pytest.raises(LoaderError, match=expected):
        as_gguf(stored(**settings), tmp_path / "m.gguf")


def test_tokens_with_one_text_are_read_back_from_a_gguf_and_no_tokenizer_json_has_them(stored, tmp_path):
    document = json.loads(stored().tokenizer_definition)
    text = next(text for text, number in document["model"]["vocab"].items() if number == 10)
    document["model"]["vocab"][text] = 66
    model = dataclasses.replace(stored(same_as=[[10, 66]]), tokenizer_definition=json.dumps(document))
    theirs = as_gguf(model, tmp_path / "m.gguf")
    assert theirs.token_bytes(10) == theirs.token_bytes(66) != b""
    with pytest.raises(LoaderError, match="cannot say that tokens 10 and 66 have one text"):
        tokenizer_json(model)


@pytest.mark.parametrize(
    ("before", "after"), [([], []), ([BOS], []), ([END, BOS], [EOS]), ([], [EOS, END]), ([END], [])]
)
def test_a_tokenizer_json_puts_the_same_tokens_around_a_text(stored, before, after):
    model = stored(before=before, after=after)
    library = Library.from_str(tokenizer_json(model))
    bare = library.encode("abc", add_special_tokens=False).ids
    assert library.encode("abc").ids == [*before, *bare, *after]
