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


BOTH = (1, 2)
TYPES = ("Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4", "Q8_0", "Q4_0")
ALONE = ("Q4_K", "Q5_K", "Q6_K", "Q3_K", "Q2_K", "IQ4_XS", "IQ4_NL", "MXFP4", "Q8_0", "Q5_0", "Q5_1", "Q4_0", "Q4_1")
EVERY = *(f"1.5B {type}" for type in TYPES), *(f"0.6B all-{type}" for type in ALONE)


def over_both(name: str, llama: tuple, ik: tuple, threads: tuple[int, ...] = BOTH, at: int | None = None):
    """A figure over llama.cpp's and over ik_llama.cpp's: (bound, aim or none) of each."""
    peers = ("llama.cpp", llama), ("ik_llama.cpp", ik)
    return [Demand(name, *bounds, threads=each, at=at, peer=peer) for peer, bounds in peers for each in threads]


DEMANDS = (
    *over_both("decode 1.5B Q4_K_M", (1.35,), (1.3,), (1,)),
    *over_both("decode 1.5B Q4_K_M", (1.05,), (1.02,), (2,)),
    *over_both("prefill of 512, 1.5B Q4_K_M", (1.8, 1.95), (1.25, 1.4)),
    *over_both("prefill of 4,096, 1.5B Q4_K_M", (1.8, 1.95), (1.25, 1.4)),
    *over_both("rows, 1.5B Q4_K_M", (2.5,), (1.3,), at=32),
    *over_both("decode after a context, 1.5B Q4_K_M", (1.8,), (1.2,), at=8192),
    *over_both("decode 8B Q4_K_M", (1.25,), (1.2,), (1,)),
    *over_both("prefill of 512, 8B Q4_K_M", (1.8,), (1.2,)),
    *(
        demand
        for type in ("Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4")
        for demand in (
            *over_both(f"decode 1.5B {type}", (1.25,), (1.2,), (1,)),
            *over_both(f"prefill of 512, 1.5B {type}", (1.7,), (1.2,)),
        )
    ),
    *over_both("decode 1.5B Q8_0", (1.6,), (1.2,), (1,)),
    *over_both("decode 1.5B Q8_0", (1.4,), (1.0,), (2,)),
    *over_both("prefill of 512, 1.5B Q8_0", (2.66,), (1.25,), (1,)),
    *over_both("prefill of 512, 1.5B Q8_0", (2.43,), (1.25,), (2,)),
    *over_both("decode 1.5B Q4_0", (1.35,), (1.2,), (1,)),
    *over_both("decode 1.5B Q4_0", (1.07,), (1.03,), (2,)),
    *over_both("prefill of 512, 1.5B Q4_0", (2.28,), (1.25,), (1,)),
    *over_both("prefill of 512, 1.5B Q4_0", (1.99,), (1.25,), (2,)),
    *(Demand(f"decode {label}", 0.93, threads=1, over="limit") for label in (*EVERY, "1.5B F16")),
    *(Demand(f"packed {label}", 1.06, peer="the file", at_most=True) for label in EVERY),
    *(
        Demand(f"logits {label}: {difference} difference", 1, at_most=True)
        for label in EVERY
        for difference in ("largest", "mean")
    ),
    *(Demand(f"logits {label}: argmax agrees", 1) for label in EVERY),
    Demand("decode stories260K", 1, 2, 1),
    Demand("llm.forward over llm.generate, 0.5B Q8_0", 0.7, 0.9, 1, peer="llm.generate"),
    Demand("load 8B Q4_K_M, seconds over raw COPY's", 3, peer="raw COPY", at_most=True),
    *(
        Demand(f"cancel {work}, slowest", 100, over="itself", at_most=True)
        for work in ("decode", "prefill", "llm.forward")
    ),
    *(
        Demand(f"llm.{name}, cancelled half way", 100, over="itself", at_most=True)
        for name in ("generate_query", "generate_into")
    ),
    Demand("first token of a session, 1.5B Q4_K_M", 0.7, over="itself", at_most=True),
    Demand("pack 1.5B Q4_K_M", 2.0, over="itself", at_most=True),  # half a GB of the file a second
    Demand("compile the engine", 60, over="itself", at_most=True),
    *(
        Demand(f"memory of each of 8 sessions, {size} Q4_K_M", 200, over="itself", at_most=True)
        for size in ("1.5B", "8B")
    ),
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
        Demand(f"llm_atoms.nearby_atoms(geom, 10){place}{when}, p50", 3, over="itself", at_most=True)
        for when in ("", " after llm.drop_model")
        for place in ("", *(f" at codes of {type}" for type in ("F16", "Q8_0", "Q4_0")))
    ),
    Demand("llm_store.atom of a token by text, p50", 1, over="itself", at_most=True),
    Demand("token atoms, keys alone", 200_000, over="itself"),
    Demand("token atoms, all indexes", 200_000, over="itself"),
    Demand("llm.tokens of a token by text, p50", 1, over="itself", at_most=True),
)
