"""llama.cpp or ik_llama.cpp at its best, by bindings of its C functions: run by peer.py, in a venv of its own.

    python bench/llama.py llama.cpp

Requests come as lines of JSON on standard input, {"call": name, "path": …, …}; each is answered by a line. Times are
taken here, around the C calls alone: no text is made of tokens, and the next token is numpy's argmax. One model is held
at a time, in one way of loading it, with its contexts: with flash attention and without, for one sequence or many.
"""

import ctypes
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from bindings import BINDINGS

PASS = 4096  # tokens handed over at once; llama.cpp computes them 512 at a time
MARGIN = 256  # positions beside what was asked for


class Context:
    """A llama_context: its sequences' tokens, and how many threads compute."""

    def __init__(self, llama, model, positions: int, sequences: int, flash: bool):
        self._llama, self._api = llama, llama.api
        self._tokenizer = llama.tokenizer(model)
        self._positions = positions + MARGIN
        self._context = llama.new_context(model, self._positions, sequences, PASS, flash)
        if not self._context:
            raise RuntimeError("no context")
        self._row = ctypes.c_float * self._api.llama_vocab_n_tokens(self._api.llama_model_get_vocab(model))
        self._batch = self._api.llama_batch_init(PASS, 0, 1)
        self.tokens: list[int] = []  # of sequence 0

    def free(self) -> None:
        self._api.llama_batch_free(self._batch)
        self._api.llama_free(self._context)

    def threads(self, threads: int) -> None:
        self._llama.set_threads(self._context, threads)

    def tokenize(self, text: str) -> list[int]:
        content = text.encode()
        room = (self._api.llama_token * (len(content) + 2))()
        count = self._api.llama_tokenize(self._tokenizer, content, len(content), room, len(room), True, False)
        if count <= 0:
            raise RuntimeError(f"{text!r} has no tokens")
        return list(room[:count])

    def truncate(self, length: int) -> None:
        """Forget what sequence 0 holds from a position on; at 0 all other sequences too."""
        if length == 0:
            self._llama.clear(self._context)
        else:
            self._llama.truncate(self._context, length)
        self.tokens = self.tokens[:length]

    def compute(self, entries: list[tuple[int, int, int, bool]]) -> None:
        """One pass over (token, position, sequence, whether its logits are wanted)."""
        batch = self._batch
        batch.n_tokens = len(entries)
        for i, (token, position, sequence, wanted) in enumerate(entries):
            batch.token[i], batch.pos[i] = token, position
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = wanted
        if self._api.llama_decode(self._context, batch):
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

    def hold(self, tokens: list[int], state: str = "") -> None:
        """Let sequence 0 be these tokens: as it is, from the file `state` if there is one, or computed."""
        if self.tokens[: len(tokens)] != tokens:
            self.truncate(0)
            if state and Path(state).exists():
                self._restore(state, tokens)
            else:
                self.extend(tokens)
        self.truncate(len(tokens))

    def logits(self, place: int) -> np.ndarray:
        """f32[vocabulary] after the entry at a place of the last pass."""
        pointer = self._api.llama_get_logits_ith(self._context, place)
        return np.frombuffer(self._row.from_address(ctypes.addressof(pointer.contents)), np.float32)

    def save(self, path: str) -> None:
        tokens = (self._api.llama_token * len(self.tokens))(*self.tokens)
        if not self._llama.save(self._context, path, tokens, len(self.tokens)):
            raise RuntimeError(f"{path} cannot be written")

    def _restore(self, path: str, tokens: list[int]) -> None:
        room, count = (self._api.llama_token * self._positions)(), ctypes.c_size_t()
        taken = self._llama.restore(self._context, path, room, len(room), ctypes.byref(count))
        if not taken or list(room[: len(tokens)]) != tokens:
            raise RuntimeError(f"{path} holds other tokens")
        self.tokens = list(room[: count.value])


class Model:
    """A file that was loaded in one way, and the contexts that were made of it."""

    def __init__(self, llama, path: str, repack: bool):
        self._llama, self.loaded = llama, (path, repack)
        self._model = llama.load(path, repack)
        if not self._model:
            raise RuntimeError(f"{path} cannot be loaded")
        self._contexts: dict[tuple[int, int, bool], Context] = {}

    def context(self, positions: int, sequences: int, flash: bool) -> Context:
        """The context of that kind; a new one computes a token at once, for which all weights are read."""
        kind = positions, sequences, flash
        if kind not in self._contexts:
            context = self._contexts[kind] = Context(self._llama, self._model, *kind)
            context.threads(2)
            context.extend([0])
            context.truncate(0)
        return self._contexts[kind]

    def free(self) -> None:
        for context in self._contexts.values():
            context.free()
        self._llama.free_model(self._model)


class Holder:
    """The model that was asked for last: another one takes its place in memory."""

    def __init__(self, llama):
        self._llama, self._held = llama, None

    def model(self, path: str, repack: bool) -> Model:
        if self._held and self._held.loaded != (path, repack):
            self._held.free()
            self._held = None
        self._held = self._held or Model(self._llama, path, repack)
        return self._held


def _elapsed(action) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


# What may be called.


def decode(context: Context, prompt: str, count: int, threads: int, state: str) -> float:
    """Seconds of `count` passes of one token, the first over the prompt's last."""
    tokens = context.tokenize(prompt)
    context.hold(tokens[:-1], state)
    context.threads(threads)

    def run():
        token = tokens[-1]
        for _ in range(count):
            context.extend([token])
            token = int(context.logits(0).argmax())

    return _elapsed(run)


def prefill(context: Context, prompt: str, threads: int) -> float:
    """Seconds of a prompt from nothing."""
    tokens = context.tokenize(prompt)
    context.truncate(0)
    context.threads(threads)
    return _elapsed(lambda: context.extend(tokens))


def rows(context: Context, prompts: list[str], count: int, threads: int) -> float:
    """Seconds of writing `count` tokens after each prompt, all in shared passes."""
    sequences = [context.tokenize(prompt) for prompt in prompts]
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


def logits(context: Context, prompt: str, output: str) -> int:
    """Write the logits after every token, f32[tokens, vocabulary], as an .npy file; how many tokens there are."""
    tokens = context.tokenize(prompt)
    context.truncate(0)
    context.extend(tokens, all_logits=True)
    np.save(output, np.stack([context.logits(place) for place in range(len(tokens))]))
    return len(tokens)


def fill(context: Context, prompt: str, state: str) -> int:
    """Compute a prompt and write what the context then holds to the file `state`, unless it is there."""
    tokens = context.tokenize(prompt)
    if not Path(state).exists():
        context.threads(2)
        context.hold(tokens)
        context.save(state)
    return len(tokens)


CALLS = {function.__name__: function for function in (decode, prefill, rows, logits, fill)}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print to standard output too
    llama = BINDINGS[sys.argv[1]]()
    llama.api.llama_backend_init()
    holder = Holder(llama)
    for line in sys.stdin:
        request = json.loads(line)
        call, path, repack = (request.pop(key) for key in ("call", "path", "repack"))
        kind = [request.pop(key) for key in ("positions", "sequences", "flash")]
        answer = CALLS[call](holder.model(path, repack).context(*kind), **request)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
