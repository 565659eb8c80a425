"""Embeddings and search through SQL against sentence-transformers and numpy, in the same run.

    python bench/embeddings.py [--rounds 5]

Agreement: the smallest cosine to sentence-transformers' embeddings over 200 texts of ten languages, empty and over-long
ones among them, in f32 and in Q8_0. Throughput: 1,000 texts of mixed length, both with all processors, in turns.
Search: 100,000 rows of 384 numbers, each answer compared with numpy's.

The server is the one that `make up` started, or HARTONOMOUS_DSN. sentence-transformers gets a venv in the state folder,
made at the first use; HARTONOMOUS_SENTENCE_TRANSFORMERS names the Python of another venv that has it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
import psycopg
from places import STATE
from record import Figure, interleaved, record, seconds
from rich.console import Console

from loaders.reader import read_model
from loaders.upload.upload import upload
from tools import demo_search
from tools.cluster import Cluster

VERSION, TORCH = "6.2.0", "2.13.0"
THREADS = len(os.sched_getaffinity(0))
ROWS, WIDTH, SEARCHES = 100_000, 384, 50
MANY = "SELECT embedding FROM llm.embed_many(%s, %s)"
SEARCH = "SELECT (content ->> 'id')::int FROM llm.search(%s::bytea, 'bench_passage', 10)"
SENTENCES = (
    "The weights of the model are rows, and its transformer is a query.",
    "Das Wetter in Zürich war gestern trübe, heute scheint die Sonne über dem See.",
    "Où est la gare la plus proche, s'il vous plaît ?",
    "El niño corrió por la playa mientras su abuela leía el periódico.",
    "Вчера вечером мы долго говорили про новую книгу.",
    "データベースの中で言語モデルが動いています。",
    "数据库中的语言模型可以回答问题。",
    "قرأت الكتاب في المكتبة يوم الثلاثاء.",
    "O gato preto dormiu em cima da mesa da cozinha.",
    "डेटाबेस में भाषा मॉडल चलता है।",
)


class Peer:
    """A process with sentence-transformers and the encoder."""

    def __init__(self, folder: Path):
        # -P: with this folder in front, transformers would import our kernels.py for a package of its own.
        command = [peer_python(), "-P", Path(__file__).with_name("sentence_encoder.py"), folder, str(THREADS)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def encode(self, texts: list[str]) -> tuple[float, np.ndarray]:
        """(seconds that it took by its own clock, f32[n, width])."""
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit("sentence-transformers ended")
        found = json.loads(answer)
        return found["seconds"], np.array(found["embeddings"], np.float32)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def peer_python() -> Path:
    """The Python of the peer's venv, made at its first use."""
    given = os.environ.get("HARTONOMOUS_SENTENCE_TRANSFORMERS")
    if given:
        return Path(given)
    folder = STATE / f"sentence-transformers-{VERSION}"
    if not (folder / "built").exists():
        print(f"installing sentence-transformers {VERSION}, some minutes, once", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        packages = [f"sentence-transformers=={VERSION}", f"torch=={TORCH}"]
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "built").touch()
    return folder / "bin" / "python"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    dsn = arguments.dsn or Cluster().superuser_dsn()
    with psycopg.connect(dsn, autocommit=True) as connection, tempfile.TemporaryDirectory() as scratch:
        folder = demo_search.fetch(Path(scratch), Console(stderr=True))
        upload(connection, read_model(folder), "bench-minilm", replace=True)
        connection.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = 'bench-minilm-q8'")
        connection.execute("SELECT llm.quantize('bench-minilm', 'bench-minilm-q8', 'Q8_0')")
        connection.execute("SET llm.engine = 'compiled'")
        peer = Peer(folder)
        try:
            compare(connection, peer)
            race(connection, peer, arguments.rounds)
        finally:
            peer.close()
        search(connection)


def compare(connection: psycopg.Connection, peer: Peer) -> None:
    """The smallest cosine between our embeddings and the peer's."""
    texts = agreement_texts()
    _, expected = peer.encode(texts)
    for name, model in (("f32", "bench-minilm"), ("Q8_0", "bench-minilm-q8")):
        cosines = (embedded(connection, texts, model) * expected).sum(axis=1)
        record(Figure(f"embeddings {name}: smallest cosine of {len(texts)}", "cosine", float(cosines.min())))


def race(connection: psycopg.Connection, peer: Peer, rounds: int) -> None:
    """Texts a second, ours through SQL and the client."""
    texts = mixed_texts(1000)
    contenders = {
        "f32": lambda: seconds(lambda: embedded(connection, texts, "bench-minilm")),
        "Q8_0": lambda: seconds(lambda: embedded(connection, texts, "bench-minilm-q8")),
        "peer": lambda: peer.encode(texts)[0],
    }
    for run in contenders.values():
        run()
    took = interleaved(contenders, rounds)
    for name in ("f32", "Q8_0"):
        rate, theirs = len(texts) / took[name], len(texts) / took["peer"]
        record(Figure(f"embeddings {name}: texts", "1/s", rate, theirs, threads=THREADS))


def search(connection: psycopg.Connection) -> None:
    """Milliseconds of a search: nobody wrote since the last one, another table was written, this table was."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((ROWS, WIDTH), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    store(connection, rows)
    queries = random.standard_normal((SEARCHES, WIDTH), np.float32)
    record(Figure("search, first of a session", "ms", 1000 * seconds(lambda: found(connection, queries[0]))))
    quiet = []
    for query in queries:
        quiet.append(1000 * seconds(lambda query=query: found(connection, query)))
        if found(connection, query) != np.argsort(-(rows @ query), kind="stable")[:10].tolist():
            raise SystemExit("a search did not find what numpy finds")
    record(Figure(f"search, {ROWS} rows, p50", "ms", float(np.median(quiet)), limit=30.0))
    elsewhere = []
    for number, query in enumerate(queries):
        connection.execute("INSERT INTO bench_elsewhere VALUES (%s)", [number])
        elsewhere.append(1000 * seconds(lambda query=query: found(connection, query)))
    record(Figure(f"search, {ROWS} rows, after a change elsewhere, p50", "ms", float(np.median(elsewhere))))
    busy = []
    for number, query in enumerate(queries):
        connection.execute("UPDATE bench_passage SET body = body || '!' WHERE id = %s", [number])
        busy.append(1000 * seconds(lambda query=query: found(connection, query)))
    record(Figure(f"search, {ROWS} rows, after a change, p50", "ms", float(np.median(busy))))
    connection.execute("DROP TABLE bench_passage, bench_elsewhere")


def store(connection: psycopg.Connection, rows: np.ndarray) -> None:
    """The rows in a table as docs/embeddings.md makes it."""
    connection.execute("DROP TABLE IF EXISTS bench_passage, bench_elsewhere")
    connection.execute("CREATE TABLE bench_elsewhere (number integer)")
    connection.execute(
        "CREATE TABLE bench_passage (id integer PRIMARY KEY, body text, embedding bytea) "
        "WITH (toast_tuple_target = 128)"
    )
    connection.execute("ALTER TABLE bench_passage ALTER embedding SET STORAGE EXTERNAL")
    with connection.cursor().copy("COPY bench_passage FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text", "bytea"])
        for number, row in enumerate(rows):
            copy.write_row((number, f"row {number}", row.tobytes()))
    connection.execute("VACUUM ANALYZE bench_passage")


def found(connection: psycopg.Connection, query: np.ndarray) -> list[int]:
    return [number for (number,) in connection.execute(SEARCH, [query.tobytes()])]


def embedded(connection: psycopg.Connection, texts: list[str], model: str) -> np.ndarray:
    rows = connection.execute(MANY, (texts, model), binary=True).fetchall()
    return np.frombuffer(b"".join(content for (content,) in rows), "<f4").reshape(len(texts), -1)


def agreement_texts() -> list[str]:
    """200 texts: empty, blank, one letter, every language alone and mixed, up to twice what the model reads."""
    random = np.random.default_rng(7)
    texts = ["", " \n", "a", "?!", "🙂 émoji", "x" * 300, "word " * 600, *SENTENCES]
    while len(texts) < 200:
        count = int(random.integers(1, 40))
        texts.append(" ".join(random.choice(SENTENCES, count)))
    return texts


def mixed_texts(count: int) -> list[str]:
    """Texts of 1 to 250 words of this repository, most of them some tens, as passages and questions are."""
    words = " ".join(demo_search.sentences()).split()
    random = np.random.default_rng(0)
    lengths = np.clip(random.lognormal(3.2, 0.8, count), 1, 250).astype(int)
    starts = random.integers(0, len(words) - 250, count)
    return [" ".join(words[start : start + length]) for start, length in zip(starts, lengths, strict=True)]


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s in all", file=sys.stderr)
