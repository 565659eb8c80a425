"""Tokenizers from GGUF metadata, tokenizer.json and SentencePiece models, against other programs' ids."""

import io
import json
import shutil

import numpy as np
import pytest
import sentencepiece
from gguf import TokenType
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from sentencepiece.sentencepiece_model_pb2 import ModelProto

from loaders.errors import SourceError
from loaders.gguf.container import read_container
from loaders.gguf.file import read_gguf
from loaders.gguf.tokenizer import TOKENIZER_KEYS
from loaders.gguf.tokenizer import read_tokenizer as read_gguf_tokenizer
from loaders.huggingface.folder import read_folder
from loaders.source.fields import Fields
from loaders.tokenizers.definition import Piece, byte_level_document, definition_of, sentencepiece_document
from loaders.tokenizers.pre_tokenizers import PRE_TOKENIZERS
from loaders.tokenizers.sentencepiece_model import read_sentencepiece
from plpython.model.tokenizer import Tokenizer
from plpython.server.errors import ModelError

SEPARATOR = "\n__ggml_vocab_test__\n"


@pytest.fixture(scope="module")
def gpt2(each_data):
    container = read_container(memoryview((each_data / "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf").read_bytes()))
    size = len(container.metadata["tokenizer.ggml.tokens"])
    return Tokenizer(*read_gguf_tokenizer(Fields("metadata", container.metadata), size))


@pytest.fixture(scope="module")
def qwen_document(each_data):
    return json.loads((each_data / "tokenizers/qwen2.5/tokenizer.json").read_text())


@pytest.fixture(scope="module")
def qwen_as_gguf(qwen_document):
    """Qwen2.5 as its GGUF has it: pieces, merges and a `pre`, here put through our conversion."""
    merges = [" ".join(pair) for pair in qwen_document["model"]["merges"]]
    return Tokenizer(definition_of(byte_level_document(_pieces_of(qwen_document), merges, PRE_TOKENIZERS["qwen2"])))


def _pieces_of(qwen_document):
    pieces = {number: Piece(text, TokenType.NORMAL) for text, number in qwen_document["model"]["vocab"].items()}
    for token in qwen_document["added_tokens"]:
        kind = TokenType.CONTROL if token["special"] else TokenType.USER_DEFINED
        pieces[token["id"]] = Piece(token["content"], kind)
    return [pieces[number] for number in range(len(pieces))]


def test_gpt2_ids_from_its_gguf_are_the_references_in_all_marked_texts(each_data, gpt2):
    folder = each_data / "tokenizers/gpt-2"
    texts = (folder / "ggml-vocab-gpt-2.gguf.inp").read_text().split(SEPARATOR)[:-1]
    ids = [
        [int(word) for word in line.split()] for line in (folder / "ggml-vocab-gpt-2.gguf.out").read_text().splitlines()
    ]
    assert len(texts) == len(ids) >= 40
    assert [gpt2.encode(text) for text in texts] == ids


def test_gpt2_ids_from_its_gguf_are_the_references_in_all_listed_texts(each_data, gpt2):
    texts = {
        e["id"]: e["text"] for e in json.loads((each_data / "tokenizers/qwen2.5/inputs.json").read_text())["inputs"]
    }
    expected = json.loads((each_data / "tokenizers/gpt-2/openai-community__gpt2.json").read_text())["entries"]
    for name, entry in expected.items():
        assert gpt2.encode(texts[name]) == entry["input_ids"], name
        assert gpt2.decode(entry["input_ids"]) == entry["decoded_skip_special"], name


def test_gpt2s_end_of_text_is_a_control_token(gpt2):
    (end,) = gpt2.eos_ids
    assert end == gpt2.vocabulary_size - 1  # 50,256 of GPT-2
    assert gpt2.kind(end) == "control"
    assert gpt2.encode("<|endoftext|>", parse_special=True) == [end]
    assert end not in gpt2.encode("<|endoftext|>")


def test_qwens_pieces_and_pre_mean_the_same_as_its_tokenizer_json(each_data, qwen_document, qwen_as_gguf):
    original = Tokenizer(definition_of(qwen_document))
    lines = (each_data / "corpora/war-and-peace.txt").read_text().splitlines()[:5000]
    lines += (each_data / "tokenizers/qwen2.5/ggml-vocab-qwen2.gguf.inp").read_text().split(SEPARATOR)
    assert [qwen_as_gguf.encode(line) for line in lines] == [original.encode(line) for line in lines]
    text = "<|im_start|>user\n<tool_call>hi<|im_end|>"
    assert qwen_as_gguf.encode(text, parse_special=True) == original.encode(text, parse_special=True)
    assert list(qwen_as_gguf.vocabulary()) == list(original.vocabulary())


def test_a_story_model_from_scores_cuts_as_its_merges_do(each_data):
    ours = read_gguf(each_data / "stories260K/stories260K.gguf")
    ours = Tokenizer(ours.tokenizer_definition, ours.tokenizer_settings)
    theirs = Tokenizer(
        (each_data / "stories260K-hf-derived/tokenizer.json").read_text(), {"bos_id": 1, "add_bos": True}
    )
    lines = (each_data / "corpora/tinyshakespeare.txt").read_text().splitlines()
    assert [ours.encode(line) for line in lines] == [theirs.encode(line) for line in lines]


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_pre_makes_a_tokenizer_that_loses_nothing(gpt2, name):
    pieces = [Piece(gpt2._library.id_to_token(n), TokenType.NORMAL) for n in range(256)]  # the single bytes
    tokenizer = Tokenizer(definition_of(byte_level_document(pieces, [], PRE_TOKENIZERS[name])))
    text = "I'LL pay  1,234.50\u20ac \n\n for Ǆ x's\t\u4e16\u754c!\r\n"
    assert tokenizer.decode(tokenizer.encode(text)) == text


# What the models' own tokenizers make of a text before merging: documented by their regular expressions' authors.
WORDS = {
    "gpt-2": ["I", "'LL", " pay", " 12345"],
    "llama-bpe": ["I", "'LL", " pay", " ", "123", "45"],
    "qwen2": ["I", "'LL", " pay", " ", "1", "2", "3", "4", "5"],
    "tekken": ["I", "'LL", " pay", " ", "1", "2", "3", "4", "5"],
    "smollm": ["I", "'", "LL", " pay", " ", "1", "2", "3", "4", "5"],
    "seed-coder": ["I", "'LL", " pay", " ", "1", "2", "3", "4", "5"],
}


@pytest.mark.parametrize("name", WORDS)
def test_a_pre_cuts_contractions_and_digits_as_its_model_does(gpt2, name):
    pieces = [Piece(gpt2._library.id_to_token(n), TokenType.NORMAL) for n in range(256)]
    library = Tokenizer(definition_of(byte_level_document(pieces, [], PRE_TOKENIZERS[name])))._library
    words = [word.replace("\u0120", " ") for word, _ in library.pre_tokenizer.pre_tokenize_str("I'LL pay 12345")]
    expected = ["I", "'", "LL", *WORDS[name][2:]] if name == "gpt-2" else WORDS[name]
    assert words == expected


@pytest.mark.parametrize(("name", "words"), [("qwen2", [" !\n", "x"]), ("seed-coder", [" !", "\n", "x"])])
def test_a_line_ends_with_its_symbols_or_behind_them(gpt2, name, words):
    pieces = [Piece(gpt2._library.id_to_token(n), TokenType.NORMAL) for n in range(256)]
    library = Tokenizer(definition_of(byte_level_document(pieces, [], PRE_TOKENIZERS[name])))._library
    cut = [
        word.replace("\u0120", " ").replace("\u010a", "\n")
        for word, _ in library.pre_tokenizer.pre_tokenize_str(" !\nx")
    ]
    assert cut == words


@pytest.fixture(scope="module")
def trained(each_data, tmp_path_factory):
    """(path, processor) of a SentencePiece model trained as Llama's was."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((each_data / "corpora/tinyshakespeare.txt").read_text().splitlines()),
        model_writer=model,
        model_type="bpe",
        vocab_size=900,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        split_digits=True,
        num_threads=1,
        minloglevel=2,
    )
    path = tmp_path_factory.mktemp("sentencepiece") / "tokenizer.model"
    path.write_bytes(model.getvalue())
    return path, sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@pytest.fixture(scope="module")
def converted(trained):
    pieces, scores, space_prefix = read_sentencepiece(trained[0], {900: ("<|im_end|>", True)})
    return Tokenizer(definition_of(sentencepiece_document(pieces, scores, space_prefix)))


def test_a_sentencepiece_model_cuts_as_sentencepiece_does(each_data, trained, converted):
    lines = (each_data / "corpora/war-and-peace.txt").read_text().splitlines()[:10_000]
    assert [converted.encode(line) for line in lines] == [trained[1].encode(line) for line in lines]
    assert [converted.decode(converted.encode(line)) for line in lines] == lines
    assert converted.encode("a<|im_end|>", parse_special=True)[-1] == 900


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\u2581")))
def test_any_text_gets_sentencepieces_ids(trained, converted, text):
    assert converted.encode(text) == trained[1].encode(text)


ODD = [True, -1, 1.5, 2**63, b"x", b"\xff", b"", b"\0", [], [b"a"], [b"\xff"], [b"a\0", b"a"], [[]], [1]]
ODD += [np.array(values, kind) for values, kind in (([], "int32"), ([1], "int32"), ([np.nan], "float32"))]


@pytest.mark.parametrize("model", [b"llama", b"gpt2", b"bert"])
def test_whatever_stands_in_a_ggufs_metadata_it_is_read_or_refused_in_one_line(tiny, model):
    metadata, _ = tiny
    metadata |= {"tokenizer.ggml.model": model, "tokenizer.ggml.pre": b"gpt-2", "tokenizer.ggml.merges": [b"a b"]}
    metadata["tokenizer.ggml.tokens"] = [text.encode() for text in metadata["tokenizer.ggml.tokens"]]
    metadata["tokenizer.ggml.token_type"] = np.array(metadata["tokenizer.ggml.token_type"], "int32")
    metadata["tokenizer.ggml.scores"] = np.array(metadata["tokenizer.ggml.scores"], "float32")
    if model == b"bert":
        metadata["tokenizer.ggml.tokens"][1:3] = [b"[CLS]", b"[SEP]"]
        metadata["tokenizer.ggml.token_type"] = np.ones(len(metadata["tokenizer.ggml.tokens"]), "int32")
    read_gguf_tokenizer(Fields("metadata", metadata), 300)
    for key in (f"tokenizer.{name}" for name in (*TOKENIZER_KEYS.used, *TOKENIZER_KEYS.harmless_at)):
        for odd in ODD:
            try:
                Tokenizer(*read_gguf_tokenizer(Fields("metadata", metadata | {key: odd}), 300)).encode("ab \u4e16")
            except (SourceError, ModelError) as problem:
                assert "\n" not in str(problem)


PARTS = [
    "<s>",
    "</s>",
    "<unk>",
    "<0x41>",
    " ",
    "  ",
    "hello",
    "a",
    "b",
    "c",
    "world",
    "X",
    "Y",
    "\u00e9",
    "\n",
    "\u2581",
]


@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("symbols", [["<sep>", "XY"], ["ab", "abc", "b"], ["he", " w"], ["\u2581x", "<s", "s>"]])
def test_user_defined_symbols_are_cut_as_sentencepiece_does(tmp_path, symbols, prefix):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world this is a test", "a < b s > 0 x41 unk"] * 30),
        model_writer=model,
        model_type="bpe",
        vocab_size=330,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=prefix,
        user_defined_symbols=symbols,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    pieces, scores, space_prefix = read_sentencepiece(tmp_path / "tokenizer.model", {})
    whole = [piece for piece in pieces if piece.kind == TokenType.USER_DEFINED]
    ours = Tokenizer(definition_of(sentencepiece_document(pieces, scores, space_prefix, whole)))
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    random = np.random.default_rng(1)
    texts = ["".join(random.choice(symbols + PARTS, random.integers(1, 7))) for _ in range(500)] + symbols
    assert [ours.encode(text) for text in texts] == [theirs.encode(text) for text in texts]


def test_user_defined_symbols_of_a_gguf_are_cut_as_llama_cpp_does(tiny, write_gguf):
    """llama.cpp cuts them out of the text first, and puts a space before each stretch that follows one of them."""
    metadata, tensors = tiny
    metadata["tokenizer.ggml.token_type"][261] = int(TokenType.USER_DEFINED)  # "b"
    model = read_gguf(write_gguf(metadata, tensors))
    tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    space, a, b = 259, 260, 261
    assert tokenizer.encode("aba", add_special=False) == [space, a, b, space, a]
    assert tokenizer.encode("bb", add_special=False) == [b, b]


def test_a_folder_with_only_a_sentencepiece_model_can_be_loaded(trained, families, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(families / "llama2", folder)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"neither tokenizer\.json nor tokenizer\.model"):
        read_folder(folder)
    shutil.copy(trained[0], folder / "tokenizer.model")
    with pytest.raises(SourceError, match="the tokenizer has 900 tokens, the model 67 rows"):
        read_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": 904}))
    weights = load_file(folder / "model.safetensors")
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = np.pad(weights[name], ((0, 904 - 67), (0, 0)))
    save_file(weights, folder / "model.safetensors")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"added_tokens_decoder": {"1": {"content": "<s>"}, "900": {"content": "<tool>", "special": False}}})
    )
    model = read_folder(folder)
    tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    assert tokenizer.encode("To be") == [1, *trained[1].encode("To be")]
    assert tokenizer.encode("<tool>", add_special=False) == [900]
    assert tokenizer.kind(903) == "unused"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model_type": "unigram"}, "sentencepiece model UNIGRAM is not supported"),
        ({"normalization_rule_name": "nmt_nfkc"}, 'sentencepiece normalization "nmt_nfkc" is not supported'),
        ({"remove_extra_whitespaces": True}, "sentencepiece remove_extra_whitespaces is not supported"),
    ],
)
def test_a_sentencepiece_model_that_changes_the_text_first_is_refused(tmp_path, options, expected):
    plain = {"model_type": "bpe", "normalization_rule_name": "identity", "remove_extra_whitespaces": False}
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["to be or not to be that is the question"] * 10),
        model_writer=model,
        vocab_size=30,
        hard_vocab_limit=False,
        minloglevel=2,
        **(plain | options),
    )
    (tmp_path / "tokenizer.model").write_bytes(model.getvalue())
    with pytest.raises(SourceError, match=expected):
        read_sentencepiece(tmp_path / "tokenizer.model", {})


def test_bytes_that_are_no_sentencepiece_model_are_refused(tmp_path):
    (tmp_path / "tokenizer.model").write_bytes(b"not a model" * 10)
    with pytest.raises(SourceError, match="is not a SentencePiece model"):
        read_sentencepiece(tmp_path / "tokenizer.model", {})


def _parsed(path):
    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    return model


def _last(model, **values):
    for name, value in values.items():
        setattr(model.pieces[-1], name, value)


ILL = {
    "a text twice": (lambda model: _last(model, piece="t"), "refused by sentencepiece: t is already defined"),
    "an empty text": (lambda model: _last(model, piece=""), "refused by sentencepiece: piece must not be empty"),
    "bytes that are not used": (
        lambda model: setattr(model.trainer_spec, "byte_fallback", False),
        "refused by sentencepiece: byte piece <0x00> is found",
    ),
    "a byte too few": (
        lambda model: setattr(model.pieces[10], "type", 1),
        "refused by sentencepiece: there are not 256",
    ),
}


@pytest.mark.parametrize("name", ILL)
def test_a_sentencepiece_model_that_sentencepiece_refuses_is_refused(trained, tmp_path, name):
    change, expected = ILL[name]
    model = _parsed(trained[0])
    change(model)
    with pytest.raises(RuntimeError):
        sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    with pytest.raises(SourceError, match=expected):
        read_sentencepiece(tmp_path / "tokenizer.model", {})


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_refused_with_its_piece(trained, tmp_path, score):
    model = _parsed(trained[0])
    _last(model, score=score)
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    with pytest.raises(SourceError, match=rf"the score of piece 899, .* is {score}"):
        read_sentencepiece(tmp_path / "tokenizer.model", {})


def test_an_added_token_with_the_text_of_a_piece_and_another_id_is_refused(trained):
    with pytest.raises(SourceError, match=r"added token '</s>' has id 900, in tokenizer.model it is 2"):
        read_sentencepiece(trained[0], {900: ("</s>", True)})
    assert len(read_sentencepiece(trained[0], {2: ("</s>", True)})[0]) == 900


@pytest.mark.parametrize("kind", [TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED])
@pytest.mark.parametrize("number", [260, 263])
def test_a_gguf_token_that_is_cut_out_as_a_whole_shares_its_text_with_no_other(tiny, kind, number):
    metadata, _ = tiny
    metadata["tokenizer.ggml.tokens"] = [text.encode() for text in metadata["tokenizer.ggml.tokens"]]
    metadata["tokenizer.ggml.tokens"][263] = metadata["tokenizer.ggml.tokens"][260]
    kinds = metadata["tokenizer.ggml.token_type"]
    metadata["tokenizer.ggml.scores"] = np.array(metadata["tokenizer.ggml.scores"], "float32")
    metadata["tokenizer.ggml.token_type"] = np.array(kinds, "int32")
    _, read = read_gguf_tokenizer(Fields("metadata", metadata), 300)
    assert read["same_as"] == [[260, 263]]  # two normal ones
    metadata["tokenizer.ggml.token_type"][number] = int(kind)
    expected = rf"260 and 263 are both 'a', {number} is of the kind {kind.name.lower()}"
    with pytest.raises(SourceError, match=expected):
        read_gguf_tokenizer(Fields("metadata", metadata), 300)


def test_deepseeks_distilled_qwen_leaves_accents_as_they_are_in_a_folder_and_in_a_gguf(qwen_document):
    """Its tokenizer.json is Qwen2's with an empty list of normalizers; llama.cpp normalises nothing."""
    folder = qwen_document | {"normalizer": {"type": "Sequence", "normalizers": []}}
    pieces = _pieces_of(qwen_document)
    merges = [" ".join(pair) for pair in qwen_document["model"]["merges"]]
    as_gguf = byte_level_document(pieces, merges, PRE_TOKENIZERS["deepseek-r1-qwen"])
    ids = Tokenizer(definition_of(folder)).encode("e\u0301")
    assert Tokenizer(definition_of(as_gguf)).encode("e\u0301") == ids
    assert Tokenizer(definition_of(qwen_document)).encode("e\u0301") != ids
