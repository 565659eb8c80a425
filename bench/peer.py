"""The peer, llama.cpp as the package llama-cpp-python brings it: its venv, its process, and the calls to it.

The venv is made in the state folder and its source package is built there for this processor, which takes some ten
minutes, once, and a C++ compiler. HARTONOMOUS_PEER names the Python of another venv that has the package.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from functools import cached_property
from pathlib import Path

from places import STATE

VERSION = "0.3.36"
NUMPY = "2.4.6"
FLAGS = "-DGGML_NATIVE=ON -DCMAKE_BUILD_TYPE=Release"


def python() -> Path:
    """The Python of the peer's venv, made at its first use."""
    given = os.environ.get("HARTONOMOUS_PEER")
    if given:
        return Path(given)
    folder = STATE / f"llama-cpp-python-{VERSION}"
    if not (folder / "built").exists():
        if not shutil.which("c++"):
            raise SystemExit("building llama.cpp needs a C++ compiler: apt-get install g++")
        print(f"building llama-cpp-python {VERSION} for this processor, some ten minutes, once", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
        environment = {**os.environ, "CMAKE_ARGS": FLAGS}
        source = ["--no-binary", "llama-cpp-python", f"llama-cpp-python=={VERSION}"]
        subprocess.run([*pip, f"numpy=={NUMPY}", *source], env=environment, check=True)
        (folder / "built").touch()
    return folder / "bin" / "python"


class Peer:
    """A process with the models that it was asked about; `flash` says whether it computes with flash attention."""

    name = "llama.cpp"

    def __init__(self):
        self.flash = True

    @cached_property
    def _process(self) -> subprocess.Popen:
        program = Path(__file__).with_name("llama.py")
        return subprocess.Popen(
            [python(), program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, call: str, **arguments):
        """What llama.py's function of that name returns."""
        self._process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"llama.cpp ended in {call}({arguments.get('path')})")
        return json.loads(answer)

    def close(self) -> None:
        """End the process, and with it give back what its models hold."""
        if "_process" in self.__dict__:
            self._process.stdin.close()
            self._process.wait()
            del self._process

    def hold(self, model, prompt: str, tokens: int) -> None:
        """Let the context for so many tokens hold a prompt: computed once, then kept in the state folder."""
        state = STATE / f"llama.cpp-{VERSION}-{model.name}-{tokens}-{'flash' if self.flash else 'plain'}"
        self.ask("fill", path=str(model.path), prompt=prompt, flash=self.flash, positions=tokens, state=str(state))

    def decode(self, model, prompt: str, count: int, threads: int, positions: int = 1024) -> float:
        """Tokens a second, one at a time."""
        asked = {"path": str(model.path), "prompt": prompt, "count": count, "threads": threads}
        return count / self.ask("decode", **asked, flash=self.flash, positions=positions)

    def prefill(self, model, prompt: str, tokens: int, threads: int) -> float:
        """Tokens a second of a prompt that has so many."""
        asked = {"path": str(model.path), "prompt": prompt, "threads": threads}
        return tokens / self.ask("prefill", **asked, flash=self.flash, positions=tokens)

    def rows(self, model, prompts: list[str], count: int, threads: int) -> float:
        """Tokens a second of all rows together."""
        asked = {"path": str(model.path), "prompts": prompts, "count": count, "threads": threads}
        return len(prompts) * count / self.ask("rows", **asked, flash=self.flash, positions=128)
