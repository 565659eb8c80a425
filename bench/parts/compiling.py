"""How long llm.warm_up() compiles, once a release: in a process of its own, without what was compiled before."""

import os
import subprocess
import sys
import tempfile

from contest import Contest
from places import CHECKOUT
from record import Figure, record, seconds

PROGRAM = "from plpython.engine import warm_up; warm_up.run()"


def run(contest: Contest) -> None:
    """Figure `compile the engine`: once, since it takes as long as all rounds of another part."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", PROGRAM]
        took = seconds(lambda: subprocess.run(command, cwd=CHECKOUT, env=environment, check=True))
    record(Figure("compile the engine", "s", took))
