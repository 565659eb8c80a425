"""Between values and tensors: examples to batches of token ids, and token ids back to answers."""

import random

import torch
import vocabulary
from model import Qwen2
from torch.nn import functional


class Encoder:
    """Examples -> token ids and the positions of the loss."""

    def __init__(self, tokens: list[str], merges: list[tuple[str, str]]):
        self.tokenizer = vocabulary.tokenizer(tokens, merges)
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.end = self.ids[vocabulary.END]

    def answer(self, text: str) -> list[int]:
        return [self.ids[piece.replace(" ", "Ġ")] for piece in vocabulary.split_answer(text)] + [self.end]

    def prompts(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]


def batches(encoder: Encoder, examples: list, size: int, rng: random.Random):
    """Batches of examples of similar length: (tokens, targets), both [size, length], -100 without loss."""
    rows = [
        (prompt, encoder.answer(item.answer))
        for item, prompt in zip(examples, encoder.prompts([item.prompt for item in examples]), strict=True)
    ]
    rows.sort(key=lambda row: len(row[0]) + len(row[1]))
    groups = [rows[i : i + size] for i in range(0, len(rows), size)]
    rng.shuffle(groups)
    for group in groups:
        length = max(len(prompt) + len(answer) for prompt, answer in group) - 1
        tokens = torch.full((len(group), length), encoder.end)
        targets = torch.full((len(group), length), -100)
        for i, (prompt, answer) in enumerate(group):
            both = prompt + answer
            tokens[i, : len(both) - 1] = torch.tensor(both[:-1])
            targets[i, len(prompt) - 1 : len(both) - 1] = torch.tensor(answer)
        yield tokens, targets


@torch.no_grad()
def answers(model: Qwen2, encoder: Encoder, prompts: list[str], limit: int = 24) -> list[str]:
    """Greedy answers, in batches of prompts of one length."""
    found: dict[int, str] = {}
    by_length: dict[int, list[int]] = {}
    encoded = encoder.prompts(prompts)
    for i, ids in enumerate(encoded):
        by_length.setdefault(len(ids), []).append(i)
    for members in by_length.values():
        rows = torch.tensor([encoded[i] for i in members])
        start = rows.shape[1]
        ended = torch.zeros(len(members), dtype=torch.bool)
        for _ in range(limit):
            last = functional.linear(model.hidden(rows)[:, -1], model.token_embd.weight).argmax(-1)
            rows = torch.cat((rows, last[:, None]), 1)
            ended |= last == encoder.end
            if ended.all():
                break
        for i, row in zip(members, rows[:, start:].tolist(), strict=True):
            said = row[: row.index(encoder.end)] if encoder.end in row else row
            found[i] = encoder.tokenizer.decode(said) if said else ""
    return [found[i] for i in range(len(prompts))]


def accuracy(model: Qwen2, encoder: Encoder, items: list) -> dict[str, float]:
    """Exact answers by kind."""
    said = answers(model, encoder, [item.prompt for item in items])
    hits: dict[str, list[bool]] = {}
    for item, answer in zip(items, said, strict=True):
        hits.setdefault(item.kind, []).append(answer == item.answer)
    scores = {kind: sum(right) / len(right) for kind, right in sorted(hits.items())}
    return {"all": sum(answer == item.answer for item, answer in zip(items, said, strict=True)) / len(items), **scores}
