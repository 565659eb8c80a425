"""Where the benchmarks find and keep what is large: the state folder, and the data that the project does not bring."""

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

STATE = Path(
    subprocess.run([CHECKOUT / "tools" / "where", "state"], capture_output=True, text=True, check=True).stdout.strip()
)
DATA = Path(os.environ.get("HARTONOMOUS_DATA", CHECKOUT.parent / "shared" / "data"))
