"""sentence-transformers on the CPU: run by embeddings.py, in a venv of its own; a line of JSON in, a line out."""

import json
import sys
import time

import torch
from sentence_transformers import SentenceTransformer


def main() -> None:
    folder, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    encoder = SentenceTransformer(folder, device="cpu")
    encoder.encode(["a first text"] * 32)
    for line in sys.stdin:
        texts = json.loads(line)
        started = time.perf_counter()
        embeddings = encoder.encode(texts)
        took = time.perf_counter() - started
        print(json.dumps({"seconds": took, "embeddings": embeddings.tolist()}), flush=True)


if __name__ == "__main__":
    main()
