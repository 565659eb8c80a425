"""The bundled model's card is that of the bundled file."""

import hashlib
import re
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "tidy"


def test_the_card_names_the_hash_of_the_bundled_file():
    card = (MODELS / "README.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"SHA-256\s`([0-9a-f]{64})`", card)
    assert named == hashlib.sha256((MODELS / "tidy.gguf").read_bytes()).hexdigest()
