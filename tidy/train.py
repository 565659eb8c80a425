"""Train `tidy`: a Qwen2 decoder that turns messy values into typed ones.

    python tidy/train.py --minutes 80 --out build/tidy.pt --log build/tidy.log
    python tidy/train.py --check      # a very small version, under two minutes: the script still learns

The data is tidy/data.py's, made as it is needed; loss is on the answers only. The learning rate warms up, then
follows a cosine to zero, by the clock (--minutes: a busy machine trains fewer steps but always comes to rest; time
spent stopped is not counted) or by --steps. A checkpoint for export.py is written every five minutes.
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
from encoding import Encoder, accuracy, batches
from model import Qwen2, Shape
from torch.nn import functional

POOL = 8192  # examples that are sorted by length, so that a batch has little padding
LONGEST_STEP = 60.0  # seconds; a longer step was suspended
SAVE_EVERY = 300.0  # seconds
CHECK_SHAPE = Shape(width=64, layers=2, heads=2, kv_heads=1, ffn=192)
CHECK_KINDS = ("boolean", "date_us")
CHECK_STEPS = 600
CHECK_ACCURACY = 0.45


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


def rate_at(progress: float, warm_up: float = 0.015) -> float:
    """The fraction of the peak learning rate: warm-up, then a cosine to 0."""
    if progress < warm_up:
        return progress / warm_up
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warm_up) / (1 - warm_up))))


class Training:
    """A training run: the model, its optimizers and its progress."""

    def __init__(self, options, shape: Shape, kinds: tuple[str, ...] | None = None):
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads)
        self.options, self.kinds = options, kinds
        self.steps, self.seen, self.spent, self.loss = 0, 0, 0.0, None
        start = torch.load(options.resume, weights_only=True) if options.resume else None
        if start:
            shape, self.tokens, self.merges = Shape(**start["shape"]), start["tokens"], start["merges"]
        else:
            self.tokens, self.merges = vocabulary.train(item.prompt for item in data.training(options.seed, 60000))
        self.encoder = Encoder(self.tokens, [tuple(merge) for merge in self.merges])
        self.model = Qwen2(shape)
        if start:
            self.model.load_state_dict(start["state"])
        self.optimizers = optimizers(self.model, options.rate)

    @property
    def progress(self) -> float:
        """From 0 to 1, by steps or by the clock."""
        if self.options.steps:
            return self.steps / self.options.steps
        return self.spent / (60 * self.options.minutes)

    def batches(self):
        """Endless batches, with more noise as the training proceeds."""
        rng = random.Random(self.options.seed)
        for pool in range(1, sys.maxsize):
            roughness = min(1.0, 0.3 + 3 * self.progress)
            seed = self.options.seed * 1_000_003 + pool
            yield from batches(
                self.encoder, list(data.training(seed, POOL, roughness, self.kinds)), self.options.batch, rng
            )

    def step(self, tokens: torch.Tensor, targets: torch.Tensor) -> None:
        """One update of the weights."""
        rate = self.options.rate * rate_at(self.progress)
        loss = loss_on_answers(self.model, tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps, self.seen = self.steps + 1, self.seen + tokens.numel()
        self.loss = loss.item() if self.loss is None else 0.98 * self.loss + 0.02 * loss.item()

    def run(self) -> float:
        """Train to the end. Returns the share of held-out values that are answered exactly."""
        before, saved, shown = time.monotonic(), 0.0, 0.0
        for tokens, targets in self.batches():
            self.step(tokens, targets)
            now = time.monotonic()
            self.spent, before = self.spent + min(now - before, LONGEST_STEP), now
            if self.spent - shown > self.options.every:
                shown = self.spent
                self.say("")
            if self.options.out and self.spent - saved > SAVE_EVERY:
                saved = self.spent
                self.save()
                self.scores()
            if self.progress >= 1:
                break
        if self.options.out:
            self.save()
        return self.scores()["all"]

    def scores(self) -> dict[str, float]:
        """Exact answers on held-out values, by kind."""
        scores = accuracy(self.model, self.encoder, data.unseen(1, 400, self.kinds))
        self.say("unseen " + "  ".join(f"{kind} {value:.3f}" for kind, value in scores.items()))
        return scores

    def say(self, line: str) -> None:
        facts = f"{self.spent / 60:6.1f} min  step {self.steps}  {self.seen / 1e6:.2f} M tokens  loss {self.loss:.4f}  "
        print((facts + line).rstrip(), file=self.options.log, flush=True)

    def save(self) -> None:
        """Write under another name, then rename, so that the checkpoint can be read at any time."""
        beside = Path(f"{self.options.out}.new")
        facts = {"steps": self.steps, "seen": self.seen, "seed": self.options.seed}
        shape = vars(self.model.shape)
        state = {"state": self.model.state_dict(), "shape": shape, "tokens": self.tokens, "merges": self.merges}
        torch.save(state | facts, beside)
        beside.replace(self.options.out)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=80)
    parser.add_argument("--steps", type=int, help="train so many steps instead of so many minutes")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128, help="examples in a step")
    parser.add_argument("--rate", type=float, default=5e-3, help="peak learning rate")
    parser.add_argument("--layers", type=int, default=Shape.layers)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--every", type=float, default=30, help="seconds between two lines of the log")
    parser.add_argument("--out", type=Path, help="checkpoint")
    parser.add_argument("--resume", type=Path, help="checkpoint whose weights and tokens to start from")
    parser.add_argument("--log", type=argparse.FileType("a"), default=sys.stdout)
    parser.add_argument("--check", action="store_true", help="train a very small version and state its accuracy")
    options = parser.parse_args()
    if not options.check:
        Training(options, Shape(layers=options.layers)).run()
        return 0
    options.steps, options.out, options.resume = CHECK_STEPS, None, None
    check = Training(options, CHECK_SHAPE, CHECK_KINDS)
    reached = check.run()
    check.say(f"check: {reached:.3f} of unseen values right, at least {CHECK_ACCURACY} wanted")
    return 0 if reached >= CHECK_ACCURACY else 1


if __name__ == "__main__":
    sys.exit(main())
