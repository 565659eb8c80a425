"""llama.cpp at its best, by llama-cpp-python's bindings of its C functions: run by peer.py, in a venv of its own.

Requests come as lines of JSON on standard input, {"call": name, ...arguments}; each is answered by a line. Times are
taken here, around the C calls alone: no text is made of tokens, and the next token is numpy's argmax. A model's
contexts stay: with flash attention and without, for one sequence or many.
"""

import ctypes
import json
import sys
import time
from functools import cache
from pathlib import Path

import llama_cpp as llama
import numpy as np

PASS = 4096  # tokens handed over at once; llama.cpp computes them 512 at a time
MARGIN = 256  # positions beside what was asked for


class Context:
    """A llama_context: its sequences' tokens, and how many threads compute."""

    def __init__(self, model, positions: int, sequences: int, flash: bool):
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = (positions + MARGIN) * sequences
        parameters.n_seq_max = sequences
        parameters.n_batch = parameters.n_outputs_max = PASS
        kinds = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED, llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
        parameters.flash_attn_type = kinds[flash]
        self._context = llama.llama_init_from_model(model, parameters)
        self._memory = llama.llama_get_memory(self._context)
        self._row = ctypes.c_float * llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
        self._batch = llama.llama_batch_init(PASS, 0, 1)
        self.tokens: list[int] = []  # of sequence 0

    def threads(self, threads: int) -> None:
        llama.llama_set_n_threads(self._context, threads, threads)

    def truncate(self, length: int) -> None:
        """Forget what sequence 0 holds from a position on, and all other sequences."""
        llama.llama_memory_seq_rm(self._memory, 0, length, -1)
        if length == 0:
            llama.llama_memory_clear(self._memory, True)
        self.tokens = self.tokens[:length]

    def compute(self, entries: list[tuple[int, int, int, bool]]) -> None:
        """One pass over (token, position, sequence, whether its logits are wanted)."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = wanted
        if llama.llama_decode(self._context, batch):
            raise RuntimeError("llama_decode failed")

    def extend(self, tokens: list[int], all_logits: bool = False) -> None:
        """Compute more of sequence 0; the last token's logits are wanted, or all."""
        begin = len(self.tokens)
        for at in range(0, len(tokens), PASS):
            piece = tokens[at : at + PASS]
            last = at + len(piece) == len(tokens)
            ends = [all_logits or (last and i == len(piece) - 1) for i in range(len(piece))]
            self.compute([(token, begin + at + i, 0, ends[i]) for i, token in enumerate(piece)])
        self.tokens += tokens

    def logits(self, place: int) -> np.ndarray:
        """f32[vocabulary] after the entry at a place of the last pass."""
        pointer = llama.llama_get_logits_ith(self._context, place)
        return np.frombuffer(self._row.from_address(ctypes.addressof(pointer.contents)), np.float32)

    def save(self, path: str) -> None:
        tokens = (llama.llama_token * len(self.tokens))(*self.tokens)
        llama.llama_state_seq_save_file(self._context, path.encode(), 0, tokens, len(self.tokens))

    def restore(self, path: str, tokens: list[int]) -> None:
        room, count = (llama.llama_token * len(tokens))(), ctypes.c_size_t()
        taken = llama.llama_state_seq_load_file(self._context, path.encode(), 0, room, len(tokens), ctypes.byref(count))
        if not taken or list(room) != tokens:
            raise RuntimeError(f"{path} holds other tokens")
        self.tokens = list(tokens)


@cache
def _model(path: str):
    parameters = llama.llama_model_default_params()
    model = llama.llama_model_load_from_file(path.encode(), parameters)
    if not model:
        raise RuntimeError(f"{path} cannot be loaded")
    return model


@cache
def _context(path: str, positions: int, sequences: int, flash: bool) -> Context:
    return Context(_model(path), positions, sequences, flash)


def _tokens(path: str, text: str) -> list[int]:
    vocabulary, content = llama.llama_model_get_vocab(_model(path)), text.encode()
    room = (llama.llama_token * (len(content) + 2))()
    count = llama.llama_tokenize(vocabulary, content, len(content), room, len(room), True, False)
    return list(room[:count])


def _elapsed(action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


# What may be called. `positions` is how long a context must be; contexts stay, so the same number finds the same one.


def version() -> str:
    return llama.__version__


def decode(path: str, prompt: str, count: int, threads: int, flash: bool, positions: int) -> float:
    """Seconds of `count` passes of one token, the first over the prompt's last."""
    context, tokens = _context(path, positions, 1, flash), _tokens(path, prompt)
    if context.tokens[: len(tokens) - 1] != tokens[:-1]:
        context.truncate(0)
        context.extend(tokens[:-1])
    context.truncate(len(tokens) - 1)
    context.threads(threads)

    def run():
        token = tokens[-1]
        for _ in range(count):
            context.extend([token])
            token = int(context.logits(0).argmax())

    return _elapsed(run)


def prefill(path: str, prompt: str, threads: int, flash: bool, positions: int) -> float:
    """Seconds of a prompt from nothing."""
    context, tokens = _context(path, positions, 1, flash), _tokens(path, prompt)
    context.truncate(0)
    context.threads(threads)
    return _elapsed(lambda: context.extend(tokens))


def rows(path: str, prompts: list[str], count: int, threads: int, flash: bool, positions: int) -> float:
    """Seconds of writing `count` tokens after each prompt, all in shared passes."""
    context, sequences = _context(path, positions, len(prompts), flash), [_tokens(path, prompt) for prompt in prompts]
    context.truncate(0)
    context.threads(threads)

    def run():
        entries = [
            (token, position, row, position == len(tokens) - 1)
            for row, tokens in enumerate(sequences)
            for position, token in enumerate(tokens)
        ]
        lengths = [len(tokens) for tokens in sequences]
        places = [place for place, entry in enumerate(entries) if entry[3]]
        for step in range(count):
            context.compute(entries)
            following = [int(context.logits(place).argmax()) for place in places]
            entries = [(token, lengths[row] + step, row, True) for row, token in enumerate(following)]
            places = range(len(entries))

    return _elapsed(run)


def logits(path: str, prompt: str, flash: bool, positions: int, output: str) -> int:
    """Write the logits after every token, f32[tokens, vocabulary], as an .npy file; how many tokens there are."""
    context, tokens = _context(path, positions, 1, flash), _tokens(path, prompt)
    context.truncate(0)
    context.extend(tokens, all_logits=True)
    np.save(output, np.stack([context.logits(place) for place in range(len(tokens))]))
    return len(tokens)


def fill(path: str, prompt: str, flash: bool, positions: int, state: str) -> int:
    """Let a context hold a prompt: from the file `state`, or computed once and written there."""
    context, tokens = _context(path, positions, 1, flash), _tokens(path, prompt)
    if not Path(state).exists():
        context.truncate(0)
        context.threads(2)
        context.extend(tokens)
        context.save(state)
    elif context.tokens != tokens:
        context.truncate(0)
        context.restore(state, tokens)
    return len(tokens)


CALLS = {function.__name__: function for function in (version, decode, prefill, rows, logits, fill)}


@llama.llama_log_callback
def _silent(level, text, data):
    """llama.cpp tells much about each model."""


def main() -> None:
    llama.llama_log_set(_silent, None)
    llama.llama_backend_init()
    for line in sys.stdin:
        request = json.loads(line)
        answer = CALLS[request.pop("call")](**request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
