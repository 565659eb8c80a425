"""The modules of models/ are scripts beside each other: importable from there."""

import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "models"
sys.path.insert(0, str(MODELS))
