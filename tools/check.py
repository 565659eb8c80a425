#!/usr/bin/env python3
"""Runs the checks of `make test` one after the other, in a server of their own, and says at the end what failed.

tools/check.py        everything
tools/check.py lint   style and drift alone, without a server
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tools.cluster import DATABASE, Cluster, ClusterError, where  # noqa: E402 (a script's own folder comes first)

SQL_FOLDERS = ["deploy", "revert", "verify", "tests/pgtap"]


def run(*command: object, **environment: str) -> bool:
    """Runs one check with its output as it is; true when it passed."""
    started = time.monotonic()
    print(f"\n=== {' '.join(map(str, command)).replace(f'{CHECKOUT}/', '')}", flush=True)
    passed = not subprocess.run(
        list(map(str, command)), cwd=CHECKOUT, env={**os.environ, **environment}, check=False
    ).returncode
    print(f"--- {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.0f} s", flush=True)
    return passed


def lint() -> Iterator[tuple[str, bool]]:
    programs = Path(where("venv"), "bin")
    yield "ruff check", run(programs / "ruff", "check", "--quiet", ".")
    yield "ruff format", run(programs / "ruff", "format", "--check", "--quiet", "--diff", ".")
    yield "sqlfluff", run(programs / "sqlfluff", "lint", "--processes", "0", *SQL_FOLDERS)
    yield "render", run(sys.executable, "tools/render.py", "--check")


def everything() -> Iterator[tuple[str, bool]]:
    yield from lint()
    cluster = Cluster(f"test-{os.getpid()}", forgetful=True)
    try:
        cluster.up()
        yield "deploy and verify", True
        yield "sqitch check", not cluster.sqitch("check").returncode
        dsn = cluster.superuser_dsn()
        yield "sql reference", run(sys.executable, "tools/sql_reference.py", "--check", "--dsn", dsn)
        yield "pytest", run(sys.executable, "-m", "pytest", "-q", HARTONOMOUS_TEST_DSN=dsn)
        cluster.query("CREATE EXTENSION IF NOT EXISTS pgtap", DATABASE)
        target = ["-h", cluster.sockets, "-p", cluster.port, "-U", "postgres", "-d", DATABASE]
        yield "pgtap", run("pg_prove", "--quiet", *target, "--ext", ".sql", "--recurse", "tests/pgtap")
    except ClusterError as error:
        print(error, flush=True)
        yield "deploy and verify", False
    finally:
        cluster.remove()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["all", "lint"], default="all")
    checks = lint() if parser.parse_args().what == "lint" else everything()
    failed = [name for name, passed in checks if not passed]
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
