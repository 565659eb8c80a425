#!/usr/bin/env python3
"""A private PostgreSQL server with the database deployed in it: for the demo, for tests, for development.

    tools/cluster.py up      create it if there is none, start it, deploy what is not deployed yet
    tools/cluster.py down    stop it
    tools/cluster.py dsn     print one libpq URI of a login that may load and generate, usable by any local account
    tools/cluster.py psql    open psql as that login
    tools/cluster.py remove  stop it and delete it with everything in it

The deployment is `sqitch deploy`, as on a DBA's server. This file only makes a server for it and sets the target and
the variables. The server never runs as root; tools/where prints its account and folders. The superuser connects only
through the Unix socket and from the accounts that made the cluster (peer authentication). Logins connect through
127.0.0.1 with a random password.
"""

import argparse
import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

CHECKOUT = Path(__file__).resolve().parent.parent
DATABASE = "hartonomous"
LOGIN = "hartonomous"
LONGEST_SOCKET_PATH = 107
SETTINGS = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
password_encryption = 'scram-sha-256'
max_wal_size = '4GB'
shared_buffers = '256MB'
timezone = 'UTC'
"""
# For clusters of one test run.
FORGETFUL = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
HBA = """\
local all,replication postgres   peer map=makers
host  all postgres 127.0.0.1/32  reject
host  all all      127.0.0.1/32  scram-sha-256
"""


class ClusterError(Exception):
    """A problem that the caller can fix; the message says how."""


@cache
def where(name: str) -> str:
    """The output of tools/where."""
    found = subprocess.run([CHECKOUT / "tools" / "where", name], capture_output=True, text=True, check=False)
    if found.returncode:
        raise ClusterError("no PostgreSQL with plpython3, PostGIS and pgTAP on this machine: run tools/install")
    return found.stdout.strip()


def site_packages() -> Path:
    """The folder of the venv's packages, which the server's interpreter imports from."""
    version = Path(where("python")).name
    return Path(where("venv"), "lib", version, "site-packages")


def free_port(wanted: int = 0) -> int:
    """The wanted port if it is free, so that connection strings stay valid; otherwise any other."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", wanted))
        except (OSError, OverflowError):
            return free_port()
        return probe.getsockname()[1]


def clean_environment(**more: str) -> dict[str, str]:
    """An environment without the shell's variables, which a server and psql would obey."""
    path = f"{where('bin')}:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"
    kept = {name: os.environ[name] for name in ("HOME", "TERM") if name in os.environ}
    return {"PATH": path, "LANG": "C.UTF-8", **kept, **more}


@dataclass
class Cluster:
    """One server, in a folder of its name."""

    name: str = "main"
    forgetful: bool = False

    @property
    def folder(self) -> Path:
        return Path(where("state"), self.name)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket: below the state unless that path is too long for a socket."""
        folder = self.folder / "s"
        if len(os.fsencode(folder / ".s.PGSQL.65535.lock")) <= LONGEST_SOCKET_PATH:
            return folder
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        return Path(f"/var/tmp/hartonomous-socket-{digest}")

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    @property
    def exists(self) -> bool:
        return (self.data / "PG_VERSION").is_file()

    @property
    def running(self) -> bool:
        return self.exists and not self._server("pg_ctl", "status", "-D", self.data, check=False).returncode

    def create(self) -> None:
        """initdb in a new folder that belongs to the server's account."""
        own_folder(self.folder.parent, os.getuid())
        for folder in (self.folder, self.sockets):
            folder.mkdir(mode=0o755, exist_ok=True)
            shutil.chown(folder, where("user"))
        self._server(
            *("initdb", "-D", self.data, "-U", "postgres", "--auth-local=peer", "--auth-host=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        self._write("pg_hba.conf", HBA)
        makers = sorted({account_name(), where("user")})
        self._write("pg_ident.conf", "".join(f"makers {maker} postgres\n" for maker in makers))

    def start(self) -> None:
        """Starts a stopped server, on the port that it had before if that is free."""
        kept = self.folder / "port"
        port = free_port(self.port if kept.is_file() else 0)
        kept.write_text(f"{port}\n")
        settings = SETTINGS.format(port=port, sockets=self.sockets) + (FORGETFUL if self.forgetful else "")
        self._write("hartonomous.conf", settings)
        if "hartonomous.conf" not in (self.data / "postgresql.conf").read_text():
            with (self.data / "postgresql.conf").open("a") as conf:
                conf.write("include 'hartonomous.conf'\n")
        started = self._server("pg_ctl", "start", "-w", "-D", self.data, "-l", self.log, check=False)
        if started.returncode:
            raise ClusterError(f"the server did not start; its log is {self.log}\n{started.stdout}")

    def stop(self) -> None:
        if self.running:
            self._server("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def remove(self) -> None:
        self.stop()
        for folder in (self.sockets, self.folder):
            shutil.rmtree(folder, ignore_errors=True)

    def up(self) -> None:
        """From any state to a running server with everything deployed and a login."""
        if not self.exists:
            say(f"making a server in {self.folder}")
            self.create()
        if not self.running:
            self.start()
        self.create_database(DATABASE)
        self.deploy(DATABASE)
        self.create_login(LOGIN, "llm_loader")
        self.query(f"GRANT CREATE ON SCHEMA public TO {LOGIN}", DATABASE)  # for tables of one's own

    def create_database(self, database: str) -> None:
        if self.query(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):
            return
        self.query(f"CREATE DATABASE {database} ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0")

    def sqitch(self, command: str, *arguments: str, database: str = DATABASE) -> subprocess.CompletedProcess:
        """Runs a sqitch command on a database. Captures the output; the caller checks the exit status."""
        target = f"db:pg://postgres@/{database}?host={quote(str(self.sockets), safe='')}&port={self.port}"
        return subprocess.run(
            ["sqitch", command, *arguments, target],
            cwd=CHECKOUT,
            env=clean_environment(SQITCH_FULLNAME="private cluster", SQITCH_EMAIL="nobody@localhost.invalid"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def deploy(self, database: str) -> None:
        """`sqitch deploy --verify`, with the venv as the server's packages."""
        if self.query("SELECT to_regclass('sqitch.changes')", database):
            checked = self.sqitch("check", database=database)
            if checked.returncode:
                raise ClusterError(
                    f"{checked.stdout}\nThe scripts, or their order in sqitch.plan, changed after they were deployed "
                    f"in {self.folder}. A released change is reworked, never edited. While developing: make clean, "
                    "then make up."
                )
        else:
            say("deploying, and verifying each change")
        deployed = self.sqitch("deploy", "--verify", "--set", f"python_site={site_packages()}", database=database)
        # sqitch also fails when there is nothing to deploy.
        if deployed.returncode and "Nothing to deploy" not in deployed.stdout:
            told = "\n".join(line for line in deployed.stdout.splitlines() if not line.endswith(". ok"))
            raise ClusterError(f"{told}\nsqitch deploy failed; the server's log is {self.log}")

    def warm_up(self) -> None:
        """Compiles the engine for this machine's processor, once a release, so that no query has to wait for it."""
        release = self.query("SELECT llm_runtime.release()", DATABASE)
        warm = self.folder / "warm"
        if warm.is_file() and warm.read_text() == release:
            return
        say("compiling the engine for this processor, about a minute, once")
        self.query("SELECT llm.warm_up()", DATABASE)
        warm.write_text(release)

    def create_login(self, login: str, group: str) -> None:
        """A login that is a member of a group role, with a random password that this folder keeps."""
        exists = self.query(f"SELECT 1 FROM pg_roles WHERE rolname = '{login}'")
        if exists and (self.folder / f"{login}.password").is_file():
            return
        password = secrets.token_hex(16)
        self.query(f"DROP ROLE IF EXISTS {login}")
        self.query(f"CREATE ROLE {login} LOGIN PASSWORD '{password}' IN ROLE {group}")
        with open(self.folder / f"{login}.password", "w", opener=only_for_me) as file:
            file.write(password)

    def dsn(self, login: str = LOGIN, database: str = DATABASE) -> str:
        """The URI of a login: it holds the password, so that any local account can use it."""
        password = (self.folder / f"{login}.password").read_text()
        return f"postgresql://{login}:{password}@127.0.0.1:{self.port}/{database}"

    def superuser_dsn(self, database: str = DATABASE) -> str:
        """The URI of the superuser: only the account that made the cluster can use it."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.sockets), safe='')}&port={self.port}"

    def query(self, sql: str, database: str = "postgres") -> str:
        """Runs SQL as the superuser and returns what psql prints for it."""
        done = subprocess.run(
            [
                Path(where("bin"), "psql"),
                "-XqAt",
                "-v",
                "ON_ERROR_STOP=1",
                "-d",
                self.superuser_dsn(database),
                "-c",
                sql,
            ],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ClusterError(done.stderr.strip())
        return done.stdout.strip()

    def _server(self, program: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess:
        """Runs a program of PostgreSQL's as the server's account."""
        command = [where("bin") + "/" + program, *map(str, arguments)]
        if os.getuid() == 0:
            command = ["runuser", "-u", where("user"), "--", *command]
        # A file, not a pipe: pg_ctl's child keeps the output open as long as it lives.
        output = self.folder.parent / f".{self.name}.output"
        with output.open("w") as file:
            done = subprocess.run(
                command,
                cwd="/",
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        done.stdout = output.read_text()
        output.unlink()
        if check and done.returncode:
            raise ClusterError(f"{program} failed:\n{done.stdout}")
        return done

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.write_text(text)
        shutil.chown(path, where("user"))


def say(message: str) -> None:
    print(f"cluster: {message}", file=sys.stderr, flush=True)


def account_name() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def own_folder(folder: Path, uid: int) -> None:
    """Makes the folder, or refuses one of another account: anybody can write to /var/tmp."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o755, parents=True)
    if folder.stat(follow_symlinks=False).st_uid != uid:
        raise ClusterError(f"{folder} belongs to another account")


def only_for_me(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="main", help="which cluster (default: main)")
    parser.add_argument("command", choices=["up", "down", "dsn", "psql", "remove"])
    arguments = parser.parse_args()
    cluster = Cluster(arguments.name)
    match arguments.command:
        case "up":
            cluster.up()
            cluster.warm_up()
        case "down":
            cluster.stop()
        case "remove":
            cluster.remove()
        case "dsn" | "psql" if not cluster.running:
            raise ClusterError("the server is not running: make up starts it")
        case "dsn":
            print(cluster.dsn())
        case "psql":
            os.execvp("psql", ["psql", "-v", "SHOW_CONTEXT=never", "-P", "null=NULL", cluster.dsn()])


if __name__ == "__main__":
    try:
        main()
    except ClusterError as error:
        sys.exit(f"cluster: {error}")
