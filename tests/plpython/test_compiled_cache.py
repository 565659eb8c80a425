"""Code that one process compiles and another one loads from the cache folder of `simd.registers.entry`."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.plpython.compiled import CHECKOUT

PARTS = """
    from plpython.simd.registers import compiled

    def powers(factor):
        @compiled
        def part(x, count):  # too long to be copied into its caller, so it keeps a name
            total = 0.0
            for i in range(count):
                for j in range(count):
                    total += x[i % 4] * factor + x[j % 4] / (1.0 + total * total)
                    for k in range(j if total > 1e9 else 0):
                        total += x[k % 4] * k
            return total * factor

        return part
"""
ENTRY = """
    from parts import powers
    from plpython.simd.registers import entry

    part = powers({factor})

    @entry
    def run(x, count):
        return part(x, count) + part(x, count + 1)
"""
CALL = """
    import importlib, sys, numpy
    for name in sys.argv[1:]:
        print(importlib.import_module(name).run(numpy.arange(4.0), 5))
"""


@pytest.fixture
def call(tmp_path):
    """call(*names) -> what the entries of those modules return in a process of their own, which imports them so."""
    sources = {"parts": PARTS, "small": ENTRY.format(factor=1.0), "large": ENTRY.format(factor=1000.0)}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{CHECKOUT}",
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }

    def call(*names):
        command = [sys.executable, "-c", textwrap.dedent(CALL), *names]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert ran.returncode == 0, ran.stderr
        return [float(line) for line in ran.stdout.split()]

    return call


def test_entries_of_two_processes_do_not_take_each_others_parts(call):
    small, large = call("small"), call("large")  # compiled: parts of one name, had the processes the same count
    assert small != large
    assert call("small", "large") == small + large
    assert call("large", "small") == large + small


def test_an_entry_is_compiled_beside_one_that_was_loaded(call):
    small = call("small")
    first, large = call("small", "large")
    assert [first] == small
    assert call("large") == [large] != small


def test_kernels_are_kept_in_the_folder_that_is_set_while_their_modules_are_imported(tmp_path):
    """A server sets the folder for the imports alone, and calls the kernels later."""
    code = f"""
        from numba.core import config
        config.CACHE_DIR = {str(tmp_path)!r}
        from plpython.kernels import attention, dispatch
        config.CACHE_DIR = ""
        kernels = [*attention.OVER.values(), *(k for layout in dispatch.LAYOUTS for k in layout.kernels.values())]
        print(len(kernels), all(k.dispatcher._cache.cache_path.startswith({str(tmp_path)!r}) for k in kernels))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    count, inside = ran.stdout.split()
    assert int(count) >= 20 and inside == "True"
