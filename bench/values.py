"""Values that `tidy` cleans in a minute: llm.generate_many over generated values, with the tokens that it takes.

python bench/values.py [--count 4000]    # the server is that of `make up`, with tidy in it, or HARTONOMOUS_DSN
"""

import argparse
import os
import statistics
import sys

import psycopg
from places import CHECKOUT
from record import Figure, record, seconds

from tools.cluster import Cluster

sys.path.insert(0, str(CHECKOUT / "tidy"))
import data

AIM = 20_000  # values a minute
MANY = "SELECT count(*) FILTER (WHERE error IS NULL) FROM llm.generate_many(%s::text[], %s)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN"))
    parser.add_argument("--model", default="tidy")
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    prompts = [item.prompt for item in data.unseen(1, arguments.count)]
    with psycopg.connect(arguments.dsn or Cluster().dsn(), autocommit=True) as connection:
        connection.execute("SET llm.engine = 'compiled'")
        if arguments.threads:
            connection.execute(f"SET llm.threads = {arguments.threads}")
        connection.execute(MANY, [prompts[:100], arguments.model])
        times = [
            seconds(lambda: connection.execute(MANY, [prompts, arguments.model]).fetchone())
            for _ in range(arguments.rounds)
        ]
    speed = 60 * arguments.count / statistics.median(times)
    record(Figure("tidy, values a minute", "1/min", speed, limit=AIM, threads=arguments.threads))


if __name__ == "__main__":
    main()
