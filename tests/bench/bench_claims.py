"""Checked claims: exact search over many against one pair at a time, and what matching costs.

    python -m tests.bench.bench_claims [N_CLAIMS] [N_POSTS] [REPEATS]

The vectors are of the embedded encoder's width; half of the posts lie near a claim, the others
nowhere; what they mean has no part in the cost. `matched` is what the pipeline does after it has a
vector: all claims above their thresholds, in float16 as stored. Memory is what the process gained
by holding the index. Bar: 3 ms of processor time a post, and 20 times as fast as the baseline with
the same answers.

With HOAXWATCH_TEST_DATA it also measures matching itself by the embedded encoder, by threshold: how
often posts of a calm week match claims about other matters, and true posts about COVID-19 match
refuted claims about it (any match is an accident), and how many retellings of a story in Twitter15
find another telling of it.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from detectors.claims import (
    CheckedClaim,
    ClaimIndex,
    Hit,
    MatchPolicy,
    find_matches,
    make_claim,
    reason_not_to_check,
    what_is_said,
)
from detectors.datasets import read_dataset, twitter15
from detectors.datasets.calm import read_calm_posts
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.sentences import MeanPooled, Vectors
from streams.records import Content
from tests.bench.measure import print_result, processor_seconds_of, seconds_of, spread

WIDTH = 384
THRESHOLDS = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


def unit_vectors(n: int, seed: int) -> Vectors:
    """Random directions, float32 (n, WIDTH)."""
    found = np.random.default_rng(seed).standard_normal((n, WIDTH), dtype=np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def one_by_one(index: ClaimIndex, vectors: Vectors, queries: Vectors) -> list[list[str]]:
    """The baseline: for each post a product with every claim in turn, then a sort."""
    found = []
    for query in queries:
        scores = [float(np.dot(vector, query)) for vector in vectors]
        best = sorted(range(len(scores)), key=lambda i: -scores[i])[:5]
        found.append([index.claims[i].claim_id for i in best])
    return found


def resident_bytes() -> int:
    """What the process holds in memory (Linux)."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def ids(hits: list[list[Hit]]) -> list[list[str]]:
    """The claims of each answer."""
    return [[hit.claim.claim_id for hit in own] for own in hits]


def measure_matching(folder: Path, n_posts: int = 1000, n_claims: int = 3000) -> dict[str, object]:
    """Accidents and retellings that are found, by threshold."""
    encoder = MeanPooled()
    random = np.random.default_rng(1)

    def some(texts: Iterable[str], n: int) -> list[str]:
        distinct = sorted({text.strip() for text in texts})
        return [distinct[i] for i in random.permutation(len(distinct))[:n]]

    def labelled(name: str, label: str) -> list[str]:
        return [r.text for r in read_dataset(name, folder / "text") if r.label == label]

    def index_of(texts: Sequence[str]) -> ClaimIndex:
        return ClaimIndex.of(
            [
                make_claim("check", text=t, url=f"https://checks.example/{i}", rating="False")
                for i, t in enumerate(texts)
            ],
            encoder,
        )

    def encoded(texts: Sequence[str]) -> Vectors:
        return encoder.encode([what_is_said(text) for text in texts])

    covid = some(labelled("covid19_rumour_tweets", "likely_false"), n_claims)
    checks = index_of(covid + some(labelled("liar", "likely_false"), n_claims))
    asked = {
        "calm": some(read_calm_posts(folder / "tweets_2023_csv"), n_posts),
        "same_matter": some(labelled("constraint", "likely_true"), n_posts),
    }
    vectors = {name: encoded(texts) for name, texts in asked.items()}
    stories: dict[int, list[str]] = defaultdict(list)
    told = [one.text.strip() for one in twitter15.read(folder)]
    for text, group in zip(told, near_duplicate_groups(told), strict=True):
        if text not in stories[group]:
            stories[group].append(text)
    tellings = index_of([own[0] for own in stories.values()])
    told_again = [(own[0], text) for own in stories.values() for text in own[1:]]
    again = encoded([text for _, text in told_again])

    def matches(
        texts: Sequence[str], found: Vectors, index: ClaimIndex, cosine: float
    ) -> list[list[CheckedClaim]]:
        policy = MatchPolicy(cosine=cosine)
        return [
            [match.claim for match in own] if may_match(text, policy) else []
            for text, own in zip(texts, find_matches(texts, found, index, policy), strict=True)
        ]

    table: list[dict[str, object]] = []
    for cosine in THRESHOLDS:
        row: dict[str, object] = {"cosine": cosine}
        for name, texts in asked.items():
            row[name] = sum(map(bool, matches(texts, vectors[name], checks, cosine)))
        found = matches([text for _, text in told_again], again, tellings, cosine)
        row["retold"] = sum(
            first in [claim.text for claim in own]
            for (first, _), own in zip(told_again, found, strict=True)
        )
        table.append(row)
    return {
        "n_claims": len(checks),
        **{f"n_{name}": len(texts) for name, texts in asked.items()},
        "n_retold": len(told_again),
        "matched_by_threshold": table,
    }


def may_match(text: str, policy: MatchPolicy) -> bool:
    """Whether a text is compared at all."""
    content = Content(platform="x", root_id="1", text=text, lang="en")
    return reason_not_to_check(content, policy) is None


def main(n_claims: int, n_posts: int, repeats: int) -> None:
    """Measures search alone, in batches and post by post, and the baseline on fewer posts."""
    vectors = unit_vectors(n_claims, seed=1)
    claims = [
        make_claim("check", text=f"claim {i} of many", url=f"https://checks.example/{i}")
        for i in range(n_claims)
    ]
    before = resident_bytes()
    index = ClaimIndex(claims, vectors.astype(np.float16), "random")
    gained = resident_bytes() - before
    queries = unit_vectors(n_posts, seed=2)
    queries[::2] = vectors[: len(queries[::2])] + 0.4 * queries[::2]
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    texts = [f"post {i} repeats claim {i // 2} of many" for i in range(n_posts)]
    policy = MatchPolicy()

    def match() -> None:
        find_matches(texts, queries, index, policy)

    few = queries[: max(n_posts // 100, 2)]
    matched = [seconds_of(match) for _ in range(repeats)]
    processor = min(processor_seconds_of(match) for _ in range(repeats))
    together = [seconds_of(partial(index.search, queries)) for _ in range(repeats)]
    alone = [seconds_of(lambda: [index.search(q[None]) for q in few]) for _ in range(repeats)]
    held = index.vectors
    baseline = seconds_of(partial(one_by_one, index, held, few))
    is_same = ids(index.search(few)) == one_by_one(index, held, few)
    per_post = sorted(together)[len(together) // 2] / n_posts
    result: dict[str, object] = {
        "n_claims": n_claims,
        "n_posts": n_posts,
        "repeats": repeats,
        "matched": spread(matched),
        "batched": spread(together),
        "ms_per_post_matched": round(1000 * sorted(matched)[len(matched) // 2] / n_posts, 3),
        "processor_ms_per_post_matched": round(1000 * processor / n_posts, 3),
        "ms_per_post_batched": round(1000 * per_post, 3),
        "ms_per_post_alone": round(1000 * sorted(alone)[len(alone) // 2] / len(few), 3),
        "ms_per_post_one_by_one": round(1000 * baseline / len(few), 3),
        "ratio": round(baseline / len(few) / per_post, 1),
        "gained_mib": round(gained / 2**20, 1),
        "same_answers": is_same,
        "bar": "processor_ms_per_post_matched <= 3, ratio >= 20",
    }
    folder = os.environ.get("HOAXWATCH_TEST_DATA")
    if folder:
        result["matching"] = measure_matching(Path(folder))
    print_result("claims", result)


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["100000", "1000", "3"][len(sys.argv) - 1 :])])
