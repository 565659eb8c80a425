"""Train `tidy`: a Qwen2 decoder that turns messy values into typed ones.

    python models/train.py --minutes 70 --out build/tidy.pt --log build/tidy.log
    python models/train.py --check      # a very small version, under two minutes: the script still learns

The data is models/data.py's, made as it is needed; loss is on the answers only; the learning rate follows the clock
(warm-up, then a cosine to zero at --minutes), so that a busy machine trains fewer steps but always comes to rest.
A checkpoint is written every five minutes; models/export.py and models/evaluate.py read it.
"""

import argparse
import math
import random
import sys
import time
from pathlib import Path

import data
import torch
import vocabulary
from model import Qwen2, Shape
from torch.nn import functional

POOL = 8192  # examples sorted by length together, so that a batch has little padding
LONGEST_STEP = 60.0  # seconds; what is more was time stopped
CHECK_SHAPE = Shape(layers=3)
CHECK_KINDS = ("boolean", "percent")
CHECK_ACCURACY = 0.60


class Encoder:
    """Examples to token ids and the places where the loss counts."""

    def __init__(self, tokens: list[str], merges: list[tuple[str, str]]):
        self.tokenizer = vocabulary.tokenizer(tokens, merges)
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.end = self.ids[vocabulary.END]

    def answer(self, text: str) -> list[int]:
        return [self.ids[piece.replace(" ", "Ġ")] for piece in vocabulary.split_answer(text)] + [self.end]

    def prompts(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]


def batches(encoder: Encoder, examples: list, size: int, rng: random.Random):
    """Batches of examples of like length: (tokens, targets), both [size, length], -100 where there is no loss."""
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


def loss_on_answers(model: Qwen2, tokens: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over the answers' tokens; only their logits are computed."""
    at = targets >= 0
    logits = functional.linear(model.hidden(tokens)[at], model.token_embd.weight)
    return functional.cross_entropy(logits, targets[at])


def optimizers(model: Qwen2, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for the embedding, norms and biases."""
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blk")]
    others = [p for name, p in model.named_parameters() if not (p.dim() == 2 and name.startswith("blk"))]
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


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


def rate_at(progress: float, warm_up: float = 0.015) -> float:
    """The share of the peak learning rate: up, then along a cosine to nothing."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm_up) / (1 - warm_up))))


def train(options, shape: Shape, kinds: tuple[str, ...] | None = None):
    """Train until --minutes of running time are over; time spent stopped (SIGSTOP) is not counted."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    rng = random.Random(options.seed)
    tokens, merges = vocabulary.train(item.prompt for item in data.training(options.seed, 60000))
    encoder = Encoder(tokens, merges)
    model = Qwen2(shape)
    if options.resume:
        model.load_state_dict(torch.load(options.resume, weights_only=True)["state"])
    opts = optimizers(model, options.rate)
    trial = [item for item in data.unseen(1, 600 if kinds is None else 4000) if kinds is None or item.kind in kinds][
        :400
    ]
    spent, steps, seen, mean, saved, shown = 0.0, 0, 0, None, 0.0, 0.0
    limit, pool, before = options.minutes * 60, 0, time.monotonic()
    while spent < limit:
        roughness = min(1.0, 0.3 + 3 * spent / limit)
        pool += 1
        items = (
            list(data.training(options.seed * 1_000_003 + pool, POOL, roughness))
            if kinds is None
            else [
                item
                for item in data.training(options.seed * 1_000_003 + pool, POOL * 4, roughness)
                if item.kind in kinds
            ]
        )
        for batch, targets in batches(encoder, items, options.batch, rng):
            share = rate_at(spent / limit)
            for opt in opts:
                for group in opt.param_groups:
                    group["lr"] = options.rate * share
            loss = loss_on_answers(model, batch, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for opt in opts:
                opt.step()
                opt.zero_grad(set_to_none=True)
            steps, seen = steps + 1, seen + batch.numel()
            mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
            now = time.monotonic()
            spent, before = spent + min(now - before, LONGEST_STEP), now
            if spent - shown > options.every:
                shown = spent
                say(options, f"{spent / 60:6.1f} min  step {steps}  {seen / 1e6:.2f} M tokens  loss {mean:.4f}")
            if options.out and spent - saved > 300:
                saved = spent
                save(options, model, tokens, merges, steps, seen)
                scores = accuracy(model, encoder, trial)
                say(options, "unseen " + "  ".join(f"{kind} {value:.3f}" for kind, value in scores.items()))
            if spent >= limit:
                break
    if options.out:
        save(options, model, tokens, merges, steps, seen)
    scores = accuracy(model, encoder, trial)
    say(
        options,
        f"end: {steps} steps, {seen / 1e6:.2f} M tokens; unseen "
        + "  ".join(f"{kind} {value:.3f}" for kind, value in scores.items()),
    )
    return scores


def say(options, line: str) -> None:
    print(line, file=options.log, flush=True)


def save(options, model: Qwen2, tokens: list[str], merges: list[tuple[str, str]], steps: int, seen: int) -> None:
    """Write beside, then rename: the checkpoint can be read at any time."""
    beside = f"{options.out}.new"
    torch.save(
        {
            "state": model.state_dict(),
            "shape": vars(model.shape),
            "tokens": tokens,
            "merges": merges,
            "steps": steps,
            "seen": seen,
            "seed": options.seed,
        },
        beside,
    )
    Path(beside).replace(options.out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128, help="examples in a step")
    parser.add_argument("--rate", type=float, default=5e-3, help="peak learning rate")
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=float, default=30, help="seconds between two lines of the log")
    parser.add_argument("--out", type=Path, help="checkpoint")
    parser.add_argument("--resume", type=Path, help="checkpoint to start from")
    parser.add_argument("--log", type=argparse.FileType("a"), default=sys.stdout)
    parser.add_argument("--check", action="store_true", help="train a very small version and state its accuracy")
    options = parser.parse_args()
    if not options.check:
        train(options, Shape(layers=options.layers))
        return 0
    options.minutes, options.out, options.every = 1.2, None, 10
    reached = train(options, CHECK_SHAPE, CHECK_KINDS)["all"]
    say(options, f"check: {reached:.3f} of unseen values right, at least {CHECK_ACCURACY} wanted")
    return 0 if reached >= CHECK_ACCURACY else 1


if __name__ == "__main__":
    sys.exit(main())
