#!/usr/bin/env python3
"""Runs the checks of `make test` in two lanes at the same time, and lists at the end what failed.

    tools/check.py        everything
    tools/check.py lint   only style and rendered scripts, without a server
    tools/check.py pgtap FILE ...   some files of tests/pgtap in the server that is up

The first lane has a server of its own, with everything deployed, and shows its output as it comes. The second does not
use that one: its output follows when the first lane is through.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tools.cluster import DATABASE, Cluster, ClusterError, where  # noqa: E402 (a script's own folder comes first)

PURE_TESTS = ["tests/plpython", "tests/loaders", "tests/tidy", "tests/tools"]
DEPLOYMENT_TESTS = ["tests/deployment"]  # each has a server of its own
SERVER_TESTS = ["tests/database"]
SQL_FOLDERS = ["deploy", "revert", "verify", "tests/pgtap"]


Result = tuple[str, bool]


def run(*command: object, output: IO[str] = sys.stdout, **environment: str) -> bool:
    """Runs one check and writes its messages to the output. Returns whether it passed."""
    started = time.monotonic()
    print(f"\n=== {' '.join(map(str, command)).replace(f'{CHECKOUT}/', '')}", file=output, flush=True)
    done = subprocess.run(
        list(map(str, command)),
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        stdout=output,
        stderr=subprocess.STDOUT,
        check=False,
    )
    passed = done.returncode == 0
    print(f"--- {'passed' if passed else 'FAILED'} in {time.monotonic() - started:.0f} s", file=output, flush=True)
    return passed


def pytest(*folders: str, output: IO[str] = sys.stdout, **environment: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "--durations=10", "--durations-min=5"]
    return run(*command, *folders, output=output, **environment)


def lint(output: IO[str] = sys.stdout) -> Iterator[Result]:
    programs = Path(where("venv"), "bin")
    yield "ruff check", run(programs / "ruff", "check", "--quiet", ".", output=output)
    yield "ruff format", run(programs / "ruff", "format", "--check", "--quiet", "--diff", ".", output=output)
    yield "sqlfluff", run(programs / "sqlfluff", "lint", "--processes", "0", *SQL_FOLDERS, output=output)
    yield "render", run(sys.executable, "tools/render.py", "--check", output=output)


def second_lane(output: IO[str]) -> list[Result]:
    return [
        *lint(output),
        ("pytest without a server", pytest(*PURE_TESTS, output=output)),
        ("pytest of deployments", pytest(*DEPLOYMENT_TESTS, output=output)),
    ]


def pgtap(cluster: Cluster, *arguments: str) -> bool:
    cluster.query("CREATE EXTENSION IF NOT EXISTS pgtap", DATABASE)
    target = ["-h", cluster.sockets, "-p", cluster.port, "-U", "postgres", "-d", DATABASE]
    return run("pg_prove", *target, *arguments)


def first_lane() -> Iterator[Result]:
    cluster = Cluster(f"test-{os.getpid()}", forgetful=True)
    try:
        cluster.up()
        yield "deploy and verify", True
        yield "sqitch check", not cluster.sqitch("check").returncode
        dsn = cluster.superuser_dsn()
        yield "sql reference", run(sys.executable, "tools/sql_reference.py", "--check", "--dsn", dsn)
        yield "pytest in a server", pytest(*SERVER_TESTS, HARTONOMOUS_TEST_DSN=dsn)
        yield "pgtap", pgtap(cluster, "--quiet", "--ext", ".sql", "--recurse", "tests/pgtap")
    except ClusterError as error:
        print(error, flush=True)
        yield "deploy and verify", False
    finally:
        cluster.remove()


def everything() -> Iterator[Result]:
    with tempfile.TemporaryFile("w+") as output, ThreadPoolExecutor(1) as lane:
        second = lane.submit(second_lane, output)
        yield from first_lane()
        results = second.result()
        output.seek(0)
        sys.stdout.writelines(output)
        yield from results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["all", "lint", "pgtap"], default="all")
    parser.add_argument("files", nargs="*", help="of pgtap: run these in the server that make up started")
    # An interrupted run still removes its server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    given = parser.parse_args()
    if given.what == "pgtap":
        return 0 if pgtap(Cluster(), *given.files) else 1
    checks = lint() if given.what == "lint" else everything()
    failed = [name for name, passed in checks if not passed]
    print(f"\nFAILED: {', '.join(failed)}" if failed else "\nall checks passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
