"""Ours: one session of the server through psycopg, timed as its client sees it."""

import psycopg
from record import seconds

KEPT = 1024  # MB of keys and values that the session may keep: enough for one prompt of 32,768 tokens
MANY = "SELECT count(*) FROM llm.generate_many(%s::text[], %s, %s, options => '{\"ignore_eos\": true}')"
ONE = "SELECT llm.generate(%s, %s, %s, options => '{\"ignore_eos\": true}')"


class Session:
    """The same calls as a Peer has. Speeds are of whole statements: SQL, tokens to text, and all between."""

    name = "ours"

    def __init__(self, dsn: str):
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.connection.execute("SET llm.engine = 'compiled'")

    def close(self) -> None:
        """End the session."""
        self.connection.close()

    def hold(self, model, prompt: str, tokens: int) -> None:
        """Let the session keep a prompt's keys and values, as it does for any prompt."""
        self._set(threads=2, kept=KEPT)
        self.connection.execute(ONE, [prompt, model.name, 1])

    def decode(self, model, prompt: str, count: int, threads: int, positions: int = 0) -> float:
        """Tokens a second after a prompt that the session has seen before; any number of positions does."""
        self._set(threads, KEPT)
        return count / self._seconds(ONE, prompt, model.name, count)

    def prefill(self, model, prompt: str, tokens: int, threads: int) -> float:
        """Tokens a second of a prompt that has so many, to the first token after it."""
        self._set(threads, kept=0)
        return tokens / self._seconds(ONE, prompt, model.name, 1)

    def rows(self, model, prompts: list[str], count: int, threads: int) -> float:
        """Tokens a second of all rows together."""
        self._set(threads, kept=0)
        return len(prompts) * count / self._seconds(MANY, prompts, model.name, count)

    def _seconds(self, query: str, *arguments) -> float:
        return seconds(lambda: self.connection.execute(query, arguments).fetchall())

    def _set(self, threads: int, kept: int) -> None:
        self.connection.execute(f"SET llm.threads = {threads}")
        self.connection.execute(f"SET llm.kv_cache_mb = {kept}")
