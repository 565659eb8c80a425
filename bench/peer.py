"""The peers, llama.cpp and ik_llama.cpp as Python packages bring them: their venvs, their processes, the calls to them.

A venv is made in the state folder and the source package is built there for this processor, which takes ten minutes to
an hour, once, and a C++ compiler. HARTONOMOUS_PEER names the Python of another venv that has llama.cpp's package,
HARTONOMOUS_PEER_IK that of ik_llama.cpp's.
"""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from places import STATE

NUMPY = "2.4.6"
RELEASE = "-DGGML_NATIVE=ON -DCMAKE_BUILD_TYPE=Release"
HERE = Path(__file__).parent
TILES = f"-DCMAKE_CXX_FLAGS=-include{HERE / 'amx_tiles.h'}"
LIBRARIES = f"-DCMAKE_PROJECT_ik_llama_cpp_python_INCLUDE={HERE / 'ik_llama.cmake'}"
NATIVE = "-DCMAKE_C_FLAGS=-march=native -DCMAKE_CXX_FLAGS=-march=native"  # some of ik_llama.cpp's sources need both
WIDE = re.compile(r"vpdpbusd\s.*%zmm")  # products of bytes in registers of 512 bits


@dataclass(frozen=True)
class Package:
    """A package of PyPI with a peer in it; `variable` is of the environment, and names the Python that has it."""

    peer: str
    name: str
    version: str
    folder: str  # what it installs
    variable: str
    flags: str
    repacks: bool = True  # weights, when it is told nothing about it


PACKAGES = (
    Package("llama.cpp", "llama-cpp-python", "0.3.36", "llama_cpp", "HARTONOMOUS_PEER", f"{RELEASE} {TILES}"),
    Package(
        "ik_llama.cpp",
        "ik-llama-cpp-python",
        "0.1.5",
        "ik_llama_cpp",
        "HARTONOMOUS_PEER_IK",
        f"{RELEASE} {NATIVE} {LIBRARIES}",
        repacks=False,
    ),
)
NAMES = tuple(package.peer for package in PACKAGES)


@cache
def python(package: Package) -> Path:
    """The Python of a peer's venv, made at its first use. Raises SystemExit if its library is not of this processor."""
    given = os.environ.get(package.variable)
    folder = Path(given).parent.parent if given else STATE / f"{package.name}-{package.version}"
    if not given and not (folder / "built").exists():
        _build(package, folder)
    _check(package, folder)
    return Path(given) if given else folder / "bin" / "python"


def _build(package: Package, folder: Path) -> None:
    if not shutil.which("c++"):
        raise SystemExit(f"building {package.peer} needs a C++ compiler: apt-get install g++")
    print(f"building {package.name} {package.version} for this processor, ten minutes or more, once", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    source = ["--no-binary", package.name, f"{package.name}=={package.version}"]
    environment = {**os.environ, "CMAKE_ARGS": package.flags}
    subprocess.run([*pip, f"numpy=={NUMPY}", *source], env=environment, check=True)
    (folder / "built").touch()


def _check(package: Package, folder: Path) -> None:
    """Refuse a library without the widest instructions that the processor has: a slower peer would be no peer."""
    if "avx512_vnni" not in Path("/proc/cpuinfo").read_text() or not shutil.which("objdump"):
        return
    libraries = sorted(folder.glob(f"lib/python*/site-packages/{package.folder}/lib/libggml*.so"))
    if not any(map(_is_wide, libraries)):
        raise SystemExit(
            f"{package.peer} in {folder} has no vpdpbusd on 512 bits, as this processor has: build it from its source "
            f'package with CMAKE_ARGS="{package.flags}"'
        )


def _is_wide(library: Path) -> bool:
    with subprocess.Popen(["objdump", "-d", library], stdout=subprocess.PIPE, text=True) as process:
        found = any(map(WIDE.search, process.stdout))
        process.kill()
    return found


@dataclass(frozen=True)
class Way:
    """How a peer computes: with flash attention or without, weights repacked when they are loaded or as they are."""

    flash: bool = True
    repack: bool = True

    def __str__(self) -> str:
        return f"{'flash' if self.flash else 'plain'} attention, {'repacked' if self.repack else 'as loaded'}"


WAYS = tuple(Way(flash, repack) for repack, flash in itertools.product((True, False), repeat=2))


class PeerEndedError(RuntimeError):
    """A peer's process ended in a call: what was asked is not possible in its way, or not at all."""


class Peer:
    """A process that holds the model that it was asked about last; `way` says how it computes."""

    def __init__(self, package: Package):
        self._package, self.way = package, WAYS[0]
        self.name, self.repacks = package.peer, package.repacks

    @cached_property
    def _process(self) -> subprocess.Popen:
        command = [python(self._package), HERE / "llama.py", self.name]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, call: str, model, positions: int, sequences: int = 1, **arguments):
        """What llama.py's function of that name returns, for a context of so many positions and sequences.

        Raises PeerEndedError if the process ends in it; the next call starts another one.
        """
        kind = {"positions": positions, "sequences": sequences, "flash": self.way.flash, "repack": self.way.repack}
        request = {"call": call, "path": str(model.path), **kind, **arguments}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self.close()
            raise PeerEndedError(f"{self.name} ended in {call}({model.path}) with {sequences} sequences, {self.way}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process, and with it give back what its model holds."""
        if "_process" in self.__dict__:
            self._process.stdin.close()
            self._process.wait()
            del self._process

    def hold(self, model, prompt: str, tokens: int) -> None:
        """Let contexts for so many tokens hold a prompt: computed once, then kept in the state folder."""
        self.ask("fill", model, tokens, prompt=prompt, state=self._state(model, tokens))

    def decode(self, model, prompt: str, count: int, threads: int, positions: int = 1024) -> float:
        """Tokens a second, one at a time."""
        asked = {"prompt": prompt, "count": count, "threads": threads, "state": self._state(model, positions)}
        return count / self.ask("decode", model, positions, **asked)

    def prefill(self, model, prompt: str, tokens: int, threads: int) -> float:
        """Tokens a second of a prompt that has so many."""
        return tokens / self.ask("prefill", model, tokens, prompt=prompt, threads=threads)

    def rows(self, model, prompts: list[str], count: int, threads: int) -> float:
        """Tokens a second of all rows together."""
        asked = {"prompts": prompts, "count": count, "threads": threads}
        return len(prompts) * count / self.ask("rows", model, 128, len(prompts), **asked)

    def _state(self, model, positions: int) -> str:
        """Where a context's content is kept. With flash attention values lie in another order than without."""
        kind = "flash" if self.way.flash else "plain"
        return str(STATE / f"{self.name}-{self._package.version}-{model.name}-{positions}-{kind}")
