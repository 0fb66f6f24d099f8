"""Words sorted by buckets against numpy's sorts: nanoseconds a word, and ratios.

    python benchmarks/bench_sorting.py [--words N] [--rounds N]

Ids are random, times are those of a day, nearly in order, with the row in the lower bits, and users
come five times each. The peers, in the same run: ``np.sort``, and a stable one, which knows of order.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.sorting import sorted_words

if TYPE_CHECKING:
    from collections.abc import Callable


def load(words: int) -> dict[str, Any]:
    """Words of each kind."""
    rng = np.random.default_rng(1)
    rows = np.arange(words, dtype=np.uint64)
    day_us = 86_400_000_000
    # Within a minute of each other, as a feed delivers them.
    times = np.sort(rng.integers(0, day_us, words)) + rng.integers(0, 60_000_000, words)
    people = rng.integers(0, 2**64, max(1, words // 5), np.uint64)
    return {
        "ids": rng.integers(0, 2**64, words, np.uint64),
        "times": (times.astype(np.uint64) << np.uint64((words - 1).bit_length())) | rows,
        "users": rng.choice(people, words),
    }


def best(work: Callable[[], Any], rounds: int) -> float:
    """Seconds of processor of the quickest round."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    print(f"{args.words} words, ns each; the quickest of {args.rounds} rounds")
    for name, words in load(args.words).items():
        if not np.array_equal(sorted_words(words), np.sort(words)):
            raise SystemExit(f"{name} are not sorted")
        ours = best(lambda w=words: sorted_words(w), args.rounds)
        plain = best(lambda w=words: np.sort(w), args.rounds)
        stable = best(lambda w=words: np.sort(w, kind="stable"), args.rounds)
        ns = [x / args.words * 1e9 for x in (ours, plain, stable)]
        print(
            f"  {name:6} buckets {ns[0]:5.1f}   np.sort {ns[1]:5.1f} ({plain / ours:.1f} times)"
            f"   stable {ns[2]:5.1f} ({stable / ours:.1f} times)"
        )


if __name__ == "__main__":
    main()
