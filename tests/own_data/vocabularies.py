"""Two byte-level vocabularies learnt from our own texts, shaped as GPT-2's and Qwen2.5's, with texts and their tokens.

The `tokenizers` package learns them and gives the tokens; GPT-2's is written as a GGUF, so its reader is held to them.
"""

import json
from pathlib import Path

import gguf
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tests.fixtures.stories.sentences import stories

QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ADDED = ("<tool_call>", "</tool_call>")
SIZE = 1000
SEPARATOR = "\n__ggml_vocab_test__\n"
TEXTS = (
    *("", " ", "  ", "   ", "\t", "\n", "\n\n", "\n\n\n", "\t\n", "Hello", " Hello", "  Hello", "   Hello World!"),
    *("Hello, world! It's 12:34 \u2014 \"quote\" (paren).", "w048 7tuijk dsdfhu", "I'LL we'd THEY'VE don't", "="),
    *("' era", "3", "33", "333333", "1,234.5\u20ac", "a\u0301 \u00e1 \u212b \ufb01", "\u1112\u1161\u11ab \ud55c\uae00"),
    *("\u65e5\u672c\u8a9e\u306e\u6587\u7ae0\u3002", "\u4f60\u597d\uff0c\u4e16\u754c", "\u0645\u0631\u062d\u0628\u0627"),
    *("\u041f\u0440\u0438\u0432\u0435\u0442", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e20\u0e32\u0e29\u0e32"),
    *("\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f680\U0001f680", "\U00013000 \U0001d49c", "\0\x01\x7f"),
    *("x\u00a0y\u3000z\u200b", "def f(x):\n    return x ** 2  # square\n", "<div class='a'>&amp;</div>", "a\r\nb\rc"),
    *("\ufeffBOM", "Once upon a time, there was a little girl named Lily.", "UPPER lower MiXeD", "!!!!!! ?? ..."),
    *("\u2581under", "__init__ snake_case camelCase", "https://example.org/a?b=c&d=%20"),
)  # fmt: skip


def learnt(pre_tokenizer, added: tuple[str, ...], normalizer=None) -> Tokenizer:
    """A byte-level BPE of SIZE tokens and those that are added behind them."""
    library = Tokenizer(models.BPE())
    if normalizer is not None:
        library.normalizer = normalizer
    library.pre_tokenizer, library.decoder = pre_tokenizer, decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=SIZE, initial_alphabet=alphabet, show_progress=False)
    library.train_from_iterator([*stories(3, 300), *["Hello world "] * 50], trainer)
    library.add_special_tokens([name for name in added if name in CONTROL])
    library.add_tokens([name for name in added if name not in CONTROL])
    return library


def write_texts(folder: Path, library: Tokenizer, listed: str, name: str) -> None:
    """Texts and tokens in both forms of the check data; the first has no carriage returns."""
    ids = [library.encode(text, add_special_tokens=False).ids for text in TEXTS]
    plain = {text: found for text, found in zip(TEXTS, ids, strict=True) if "\r" not in text}
    (folder / f"{name}.inp").write_text("".join(text + SEPARATOR for text in plain), encoding="utf-8")
    (folder / f"{name}.out").write_text("".join(" ".join(map(str, found)) + "\n" for found in plain.values()))
    entries = {
        f"text_{number}": {
            "input_ids": found,
            "decoded_with_special": library.decode(found, skip_special_tokens=False),
            "decoded_skip_special": library.decode(found),
        }
        for number, found in enumerate(ids)
    }
    (folder / listed).write_text(json.dumps({"entries": entries}))


def write_qwen(folder: Path) -> None:
    cut = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(QWEN), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    library = learnt(cut, (*CONTROL, *ADDED), normalizers.NFC())
    library.save(str(folder / "tokenizer.json"))
    write_texts(folder, library, "Qwen__Qwen2.5-0.5B.json", "ggml-vocab-qwen2.gguf")
    inputs = [{"id": f"text_{number}", "text": text} for number, text in enumerate(TEXTS)]
    (folder / "inputs.json").write_text(json.dumps({"inputs": inputs}))


def write_gpt2(folder: Path) -> None:
    library = learnt(pre_tokenizers.ByteLevel(False), CONTROL[:1])
    write_texts(folder, library, "openai-community__gpt2.json", "ggml-vocab-gpt-2.gguf")
    document = json.loads(library.to_str())
    vocabulary = library.get_vocab(with_added_tokens=True)
    tokens = sorted(vocabulary, key=vocabulary.get)
    kinds = [gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL for token in tokens]
    writer = gguf.GGUFWriter(folder / "ggml-vocab-gpt-2.gguf", "gpt2")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in document["model"]["merges"]])
    writer.add_bos_token_id(vocabulary[CONTROL[0]])
    writer.add_eos_token_id(vocabulary[CONTROL[0]])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
