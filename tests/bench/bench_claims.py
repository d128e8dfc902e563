"""Checked claims: exact search over many against one pair at a time, and what matching costs.

    python -m tests.bench.bench_claims [N_CLAIMS] [N_POSTS] [REPEATS]

The vectors are random, of the embedded encoder's width: what they mean has no part in the cost.
Memory is what the index holds. Bar: at least 20 times as fast as the baseline, the same answers.

With HOAXWATCH_TEST_DATA it also measures matching itself by the embedded encoder: how often posts
of a calm week match claims about other matters (any match is an accident), and how many retellings
of a story in Twitter15 find another telling of it, by threshold.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np

from detectors.claims import ClaimIndex, Hit, MatchPolicy, make_claim, match_label
from detectors.datasets import read_dataset, twitter15
from detectors.datasets.calm import read_calm_posts
from detectors.datasets.near_duplicates import near_duplicate_groups
from detectors.sentences import MeanPooled, Vectors
from detectors.text.stem import content_stems
from tests.bench.measure import print_result, seconds_of, spread

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


def ids(hits: list[list[Hit]]) -> list[list[str]]:
    """The claims of each answer."""
    return [[hit.claim.claim_id for hit in own] for own in hits]


def share(flags: list[bool]) -> float:
    """As a number between 0 and 1."""
    return round(sum(flags) / max(len(flags), 1), 4)


def measure_matching(folder: Path, n_posts: int = 1000, n_claims: int = 2000) -> dict[str, object]:
    """Accidents on the calm set, and retellings that are found, by threshold."""
    encoder = MeanPooled()
    policy = MatchPolicy()

    def index_of(texts: list[str]) -> ClaimIndex:
        return ClaimIndex.of(
            [
                make_claim("check", text=t, url=f"https://checks.example/{i}", rating="False")
                for i, t in enumerate(texts)
            ],
            encoder,
        )

    def nearest(index: ClaimIndex, texts: list[str]) -> list[Hit]:
        return [hits[0] for hits in index.search(encoder.encode(texts), 1)]

    def matched(texts: list[str], hits: list[Hit], cosine: float, guarded: bool) -> list[bool]:
        if not guarded:
            return [hit.cosine >= cosine for hit in hits]
        own = MatchPolicy(cosine=cosine)
        return [
            len(content_stems(text)) >= policy.min_stems
            and match_label(text, hit, own) not in (None, "denies")
            for text, hit in zip(texts, hits, strict=True)
        ]

    claims = [r.text for r in read_dataset("liar", folder / "text") if r.label == "likely_false"]
    claims += [
        r.text
        for r in read_dataset("covid19_rumour_tweets", folder / "text")
        if r.label == "likely_false"
    ]
    random = np.random.default_rng(1)
    claims = [claims[i] for i in random.permutation(len(claims))[:n_claims]]
    posts = read_calm_posts(folder / "tweets_2023_csv")
    calm = [posts[i] for i in random.permutation(len(posts))[:n_posts]]
    accidents = nearest(index_of(claims), calm)

    stories: dict[int, list[str]] = defaultdict(list)
    texts = [one.text for one in twitter15.read(folder)]
    for text, group in zip(texts, near_duplicate_groups(texts), strict=True):
        if text not in stories[group]:
            stories[group].append(text)
    first = index_of([own[0] for own in stories.values()])
    told_again = [(own[0], text) for own in stories.values() for text in own[1:]]
    again = nearest(first, [text for _, text in told_again])
    right = [hit.claim.text == told for hit, (told, _) in zip(again, told_again, strict=True)]
    retold = [text for _, text in told_again]
    table = []
    for cosine in THRESHOLDS:
        row: dict[str, object] = {"cosine": cosine}
        for name, guarded in (("cosine_alone", False), ("with_guards", True)):
            found = matched(retold, again, cosine, guarded)
            row[name] = {
                "accidents": share(matched(calm, accidents, cosine, guarded)),
                "found": share([f and r for f, r in zip(found, right, strict=True)]),
                "wrong_story": share([f and not r for f, r in zip(found, right, strict=True)]),
            }
        table.append(row)
    return {
        "n_calm_posts": len(calm),
        "n_claims": len(claims),
        "n_retellings": len(retold),
        "n_stories": len(stories),
        "by_threshold": table,
    }


def main(n_claims: int, n_posts: int, repeats: int) -> None:
    """Measures search alone, in batches and post by post, and the baseline on fewer posts."""
    vectors = unit_vectors(n_claims, seed=1)
    claims = [
        make_claim("check", text=f"claim {i}", url=f"https://checks.example/{i}")
        for i in range(n_claims)
    ]
    index = ClaimIndex(claims, vectors, "random")
    queries = unit_vectors(n_posts, seed=2)
    few = queries[: max(n_posts // 100, 2)]
    together = [seconds_of(partial(index.search, queries)) for _ in range(repeats)]
    alone = [seconds_of(lambda: [index.search(q[None]) for q in few]) for _ in range(repeats)]
    baseline = seconds_of(partial(one_by_one, index, vectors, few))
    is_same = ids(index.search(few)) == one_by_one(index, vectors, few)
    per_post = sorted(together)[len(together) // 2] / n_posts
    result: dict[str, object] = {
        "n_claims": n_claims,
        "n_posts": n_posts,
        "repeats": repeats,
        "batched": spread(together),
        "ms_per_post_batched": round(1000 * per_post, 3),
        "ms_per_post_alone": round(1000 * sorted(alone)[len(alone) // 2] / len(few), 3),
        "ms_per_post_one_by_one": round(1000 * baseline / len(few), 3),
        "ratio": round(baseline / len(few) / per_post, 1),
        "index_mib": round(vectors.nbytes / 2**20, 1),
        "same_answers": is_same,
        "bar": "ratio >= 20",
    }
    folder = os.environ.get("HOAXWATCH_TEST_DATA")
    if folder:
        result["matching"] = measure_matching(Path(folder))
    print_result("claims", result)


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["100000", "1000", "3"][len(sys.argv) - 1 :])])
