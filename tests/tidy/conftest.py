"""The modules of tidy/ are scripts beside each other: importable from there."""

import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "tidy"
sys.path.insert(0, str(MODELS))
