"""What must be shown in one run on a quiet machine: the figures of the table, with their bounds and their aims."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Demand:
    """A figure by name, threads and place. `over`: what is compared, ours over the peer's, over the limit, or itself.

    `bound` is the least that it may be or, `at_most`, the largest. `peer` is whose the figure's other number is.
    """

    name: str
    bound: float
    aim: float | None = None
    threads: int | None = None
    at: int | None = None
    over: str = "peer"
    peer: str = "llama.cpp"
    at_most: bool = False

    def value(self, figure: dict) -> float:
        """The number that is compared."""
        return figure["ours"] / (1 if self.over == "itself" else figure[self.over])

    def is_met(self, figure: dict) -> bool:
        """Whether the figure shows what is demanded."""
        value = self.value(figure)
        return value <= self.bound if self.at_most else value >= self.bound


DEMANDS = (
    *(Demand(f"decode {type}", 1.3, 1.45, 1) for type in ("Q8_0", "Q4_0")),
    *(Demand(f"decode {type}", 1.15, 1.3, 2) for type in ("Q8_0", "Q4_0")),
    *(Demand("prefill of 512, Q8_0", 2.3, 3, threads) for threads in (1, 2)),
    *(Demand("prefill of 512, Q4_0", 2, 2.4, threads) for threads in (1, 2)),
    *(Demand("prefill of 4,096, Q8_0", 2, 3, threads) for threads in (1, 2)),
    *(Demand("rows, Q8_0", 2.5, 3.3, threads, 32) for threads in (1, 2)),
    *(Demand("decode after a context, Q8_0", 2.5, 4, threads, 8192) for threads in (1, 2)),
    Demand("decode stories260K", 1, 2, 1),
    Demand("decode Q8_0", 0.85, threads=1, over="limit"),
    Demand("decode F16", 0.85, threads=1, over="limit"),
    Demand("decode Q4_0", 0.8, threads=1, over="limit"),
    Demand("llm.forward over llm.generate, Q8_0", 0.7, 0.9, 1, peer="llm.generate"),
    *(
        Demand(f"logits {type}: {difference} difference", 1, at_most=True)
        for type in ("Q8_0", "Q4_0")
        for difference in ("largest", "mean")
    ),
    *(Demand(f"logits {type}: argmax agrees", 1) for type in ("Q8_0", "Q4_0")),
    Demand("load, seconds over raw COPY's", 4, peer="raw COPY", at_most=True),
    *(
        Demand(f"cancel {work}, slowest", 100, over="itself", at_most=True)
        for work in ("decode", "prefill", "llm.forward")
    ),
    *(
        Demand(f"llm.{name}, cancelled half way", 100, over="itself", at_most=True)
        for name in ("generate_query", "generate_into")
    ),
    Demand("first token of a session, Q8_0", 1.0, over="itself", at_most=True),
    Demand("pack Q8_0", 6.0, over="itself", at_most=True),
    Demand("compile the engine", 40, over="itself", at_most=True),
    Demand("memory of each of 8 sessions, Q8_0", 200, over="itself", at_most=True),
    Demand("tidy, values a minute", 20_000, over="itself"),
    *(Demand(f"embeddings {type}: texts", 1.3, threads=2, peer="sentence-transformers") for type in ("f32", "Q8_0")),
    Demand("embeddings f32: smallest cosine of 200", 0.9999, over="itself"),
    Demand("embeddings Q8_0: smallest cosine of 200", 0.999, over="itself"),
    Demand("search, 100000 rows, p50", 30, over="itself", at_most=True),
    Demand("llm.similar_tokens, 151,936 x 896, p50", 15, over="itself", at_most=True),
    *(
        Demand(f"a row of llm.weight_matrices, weights, {form}151,936 x 896, p50", 2, over="itself", at_most=True)
        for form in ("", "prepared, ")
    ),
    *(
        Demand(f"llm.nearby_atoms(geom, 10){place}{when}, p50", 3, over="itself", at_most=True)
        for when in ("", " after llm.drop_model")
        for place in ("", *(f" at codes of {type}" for type in ("F16", "Q8_0", "Q4_0")))
    ),
    Demand("llm_store.atom of a token by text, p50", 1, over="itself", at_most=True),
    Demand("token atoms, keys alone", 200_000, over="itself"),
    Demand("token atoms, all indexes", 200_000, over="itself"),
    Demand("llm.tokens of a token by text, p50", 1, over="itself", at_most=True),
)
