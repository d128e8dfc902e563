from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.claims import (
    CheckedClaim,
    ClaimIndex,
    CorpusChecker,
    Hit,
    MatchPolicy,
    _from_json,
    make_claim,
    match_label,
    read_claims,
    read_rating,
    what_is_said,
)
from streams.records import Content, Problem
from tests.unit.detectors.stem_encoder import StemEncoder

GARLIC = "Garlic water cures the flu within one day"
BRIDGE = "The harbour office closed the old bridge in Dorvik"


def fact_check(text: str = GARLIC, rating: str = "False", **more: Any) -> CheckedClaim:
    return make_claim("check", text=text, url="https://checks.example/1", rating=rating, **more)


def report(text: str = BRIDGE, body: str = "") -> CheckedClaim:
    return make_claim("report", text=text, url="https://news.example/2", body=body)


def content(text: str, root_id: str = "1", lang: str | None = "en") -> Content:
    return Content(platform="x", root_id=root_id, text=text, lang=lang, input_hash=b"h")


def checker(*claims: CheckedClaim, **policy: Any) -> CorpusChecker:
    encoder = StemEncoder()
    return CorpusChecker(ClaimIndex.of(claims, encoder), encoder, MatchPolicy(**policy))


# Ratings


@pytest.mark.parametrize(
    ("words", "stance"),
    [
        ("FALSE", "refuted"),
        ("Pants on Fire!", "refuted"),
        ("mostly-false", "refuted"),
        ("This is not true.", "refuted"),
        ("Incorrect", "refuted"),
        ("Falso", "refuted"),
        ("Partly false", "mixed"),
        ("HALF-TRUE", "mixed"),
        ("Missing Context", "mixed"),
        ("Unproven", "mixed"),
        ("True", "supported"),
        ("Mostly True", "supported"),
        ("Correct", "supported"),
        ("Not false", "unknown"),
        ("Labelled Satire", "unknown"),
        ("", "unknown"),
    ],
)
def test_words_of_ratings(words: str, stance: str) -> None:
    assert read_rating(words) == stance


@pytest.mark.parametrize(
    ("scale", "stance"),
    [
        ((1, 5, 1), "refuted"),
        ((2, 5, 1), "refuted"),
        ((3, 5, 1), "mixed"),
        ((4, 5, 1), "supported"),
        ((5, 5, 1), "supported"),
        ((0, None, None), "unknown"),
        ((-1, 5, 1), "unknown"),
        ((3, 3, 3), "unknown"),
        ((1, 1, 5), "supported"),  # a scale whose best is its least number
    ],
)
def test_places_on_a_scale(scale: tuple[float, Any, Any], stance: str) -> None:
    assert read_rating("no word of a rating", *scale) == stance
    assert read_rating("False", *scale) == "refuted", "words decide"


# Files

REVIEW = {
    "@context": "https://schema.org",
    "@type": "ClaimReview",
    "datePublished": "2026-02-03T10:00:00Z",
    "url": "https://checks.example/garlic",
    "claimReviewed": GARLIC,
    "author": {"@type": "Organization", "name": "Example Checks"},
    "name": "No, garlic water does not cure the flu",
    "inLanguage": "en",
    "reviewRating": {
        "@type": "Rating",
        "ratingValue": "1",
        "bestRating": "5",
        "worstRating": "1",
        "alternateName": "False",
    },
}
GOOGLE = {
    "claims": [
        {
            "text": GARLIC,
            "claimant": "posts",
            "claimReview": [
                {
                    "publisher": {"name": "Example Checks", "site": "checks.example"},
                    "url": "https://checks.example/garlic",
                    "title": "No, garlic water does not cure the flu",
                    "reviewDate": "2026-02-03T00:00:00Z",
                    "textualRating": "False",
                    "languageCode": "en",
                }
            ],
        }
    ]
}
CSV = (
    "text,url,rating,publisher,title,reviewed_on,lang\n"
    f'"{GARLIC}",https://checks.example/garlic,False,Example Checks,'
    '"No, garlic water does not cure the flu",2026-02-03,en\n'
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("one.json", json.dumps(REVIEW)),
        ("list.json", json.dumps([REVIEW])),
        ("graph.json", json.dumps({"@graph": [REVIEW]}, indent=2)),
        ("feed.json", json.dumps({"dataFeedElement": [{"item": [REVIEW]}]})),
        ("lines.jsonl", "\n" + json.dumps(REVIEW) + "\n\n"),
        ("google.json", json.dumps(GOOGLE)),
        ("marked.json", "\ufeff" + json.dumps(REVIEW)),
        ("table.csv", CSV),
    ],
)
def test_every_form_gives_the_same_claim(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    (found,) = read_claims(path)
    assert isinstance(found, CheckedClaim)
    assert found.text == GARLIC
    assert found.url == "https://checks.example/garlic"
    assert (found.kind, found.stance, found.rating) == ("check", "refuted", "False")
    assert (found.publisher, found.reviewed_on, found.lang) == (
        "Example Checks",
        "2026-02-03",
        "en",
    )
    assert found.title == "No, garlic water does not cure the flu"
    same = fact_check()
    assert (found.claim_id == same.claim_id) == (found.url == same.url)


def test_bad_records_are_told_and_end_nothing(tmp_path: Path) -> None:
    lines = [
        json.dumps(REVIEW),
        "{",
        json.dumps(REVIEW | {"claimReviewed": " "}),
        json.dumps(REVIEW | {"url": "checks.example"}),
        json.dumps("False"),
        json.dumps(7),
        json.dumps([]),
        json.dumps(REVIEW | {"claimReviewed": BRIDGE}),
    ]
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join(lines))
    found = list(read_claims(path))
    problems = [one for one in found if isinstance(one, Problem)]
    assert [type(one) for one in found].count(CheckedClaim) == 2
    assert [p.position for p in problems] == [
        "line 2",
        "line 3, review 1",
        "line 4, review 1",
        "line 5, review 1",
        "line 6, review 1",
    ]
    assert problems[0].reason.startswith("not JSON")
    assert problems[1].reason == "no claim in it: claimReviewed or text is empty"
    assert problems[2].reason == "no address in it: url is 'checks.example'"
    assert all(problem.source == "mixed.jsonl" for problem in problems)


@pytest.mark.parametrize("separator", "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_only_a_line_feed_ends_a_line(tmp_path: Path, separator: str, suffix: str) -> None:
    texts = [f"garlic{separator}cures the flu", "the bridge is closed"]
    url = "https://checks.example/1"
    path = tmp_path / f"claims.{suffix}"
    if suffix == "csv":
        lines = ["text,url", *(f"{text},{url}" for text in texts)]
    else:
        rows = [{"claimReviewed": text, "url": url} for text in texts]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines), "utf-8")
    found = list(read_claims(path))
    assert [one.text for one in found if isinstance(one, CheckedClaim)] == texts


def test_a_stray_quote_swallows_no_claim_after_it(tmp_path: Path) -> None:
    url = "https://checks.example/1"
    rows = [f"claim {i},{url}" for i in range(8000)]
    rows[2] = f'"garlic cures,{url}'
    rows[5] = f'"he said ""no"", twice\n\nand went",{url}'
    rows[6] = f'"he said "no" again",{url}'
    path = tmp_path / "claims.csv"
    path.write_text("\n".join(["text,url", *rows]))
    found = list(read_claims(path))
    (problem,) = (one for one in found if isinstance(one, Problem))
    assert (problem.position, problem.reason) == ("row 4", "no address in it: url is ''")
    texts = [one.text for one in found if isinstance(one, CheckedClaim)]
    assert texts[:5] == [
        "claim 0",
        "claim 1",
        "claim 3",
        "claim 4",
        'he said "no", twice\n\nand went',
    ]
    assert texts[5:] == ['he said no" again"', *(f"claim {i}" for i in range(7, 8000))]


def test_a_long_body_is_read_and_an_endless_number_is_none(tmp_path: Path) -> None:
    body = "word " * 40_000
    path = tmp_path / "claims.csv"
    path.write_text(f"text,url,body\n{GARLIC},https://checks.example/1,{body}\n")
    (found,) = read_claims(path)
    assert isinstance(found, CheckedClaim) and found.body == body
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(REVIEW | {"reviewRating": {"ratingValue": 10**400}}))
    (found,) = read_claims(path)
    assert isinstance(found, CheckedClaim) and found.stance == "unknown"


@pytest.mark.parametrize(
    ("fields", "rating", "publisher"),
    [
        ({"author": "Example Facts"}, "False", "Example Facts"),
        ({"author": ["Example Facts", "Another"]}, "False", "Example Facts"),
        ({"author": []}, "False", ""),
        ({"reviewRating": ["False"], "author": None}, "False", ""),
        ({"reviewRating": [{"alternateName": "False"}, {}], "author": None}, "False", ""),
        ({"reviewRating": {"ratingValue": math.nan, "bestRating": 5}, "author": {}}, "", ""),
    ],
)
def test_fields_as_publishers_also_write_them(
    tmp_path: Path, fields: dict[str, Any], rating: str, publisher: str
) -> None:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps(REVIEW | {"publisher": None} | fields))
    (found,) = read_claims(path)
    assert isinstance(found, CheckedClaim)
    assert (found.rating, found.publisher) == (rating, publisher)


def test_a_line_nested_without_end_is_told_and_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    nested = "[" * 100_000 + "]" * 100_000
    path.write_text(f"{nested}\n{json.dumps(REVIEW)}\n")
    problem, claim = read_claims(path)
    assert isinstance(problem, Problem) and problem.position == "line 1"
    assert isinstance(claim, CheckedClaim)


def test_whatever_nests_too_deep_for_us_is_told() -> None:
    # json.loads of Python 3.12 and 3.13 takes it, that of 3.11 does not
    nested: list[Any] = []
    for _ in range(5000):
        nested = [nested]
    for position, told in (("line 1", "line 1"), ("", "whole file")):
        (problem,) = _from_json(nested, "check", "claims.json", position)
        assert isinstance(problem, Problem)
        assert (problem.reason, problem.position) == ("nested too deep to be read", told)
    problem, claim = _from_json([{"claimReviewed": nested}, REVIEW], "check", "claims.json", "")
    assert isinstance(problem, Problem) and problem.position == "review 1"
    assert isinstance(claim, CheckedClaim)


def test_reports_have_no_rating(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(CSV.replace("lang\n", "body\n").replace(",en\n", ",whole article\n"))
    (found,) = read_claims(path, kind="report")
    assert isinstance(found, CheckedClaim)
    assert (found.kind, found.stance, found.rating) == ("report", "unknown", "")
    assert found.body == "whole article"


def test_ids_name_document_and_claim() -> None:
    ids = {fact_check().claim_id, fact_check(BRIDGE).claim_id, report(GARLIC).claim_id}
    assert len(ids) == 3
    assert fact_check(rating="True").claim_id == fact_check().claim_id, (
        "a corrected rating replaces"
    )


# Search


def random_index(n: int, width: int = 32, seed: int = 1) -> tuple[ClaimIndex, np.ndarray]:
    vectors = np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    claims = [
        make_claim("check", text=f"claim {i}", url=f"https://checks.example/{i}") for i in range(n)
    ]
    return ClaimIndex(claims, vectors, "random"), vectors


def brute_force(
    index: ClaimIndex, vectors: np.ndarray, query: np.ndarray, k: int
) -> list[tuple[float, str]]:
    """One pair at a time, all of them sorted."""
    found = [
        (round(float(v.astype(np.float64) @ query.astype(np.float64)), 9), claim.claim_id)
        for v, claim in zip(vectors, index.claims, strict=True)
    ]
    return sorted(found, key=lambda pair: (-pair[0], pair[1]))[:k]


def told(hits: list[Hit]) -> list[tuple[float, str]]:
    return [(hit.cosine, hit.claim.claim_id) for hit in hits]


@given(st.integers(1, 60), st.integers(1, 8), st.integers(0, 10_000))
def test_search_is_brute_force(n: int, k: int, seed: int) -> None:
    index, vectors = random_index(n, width=4, seed=seed)
    queries = random_index(3, width=4, seed=seed + 1)[1]
    for hits, query in zip(index.search(queries, k), queries, strict=True):
        expected = brute_force(index, vectors, query, k)
        assert [c for c, _ in told(hits)] == pytest.approx([c for c, _ in expected], abs=1e-8)
        assert len(hits) == min(k, n)


def test_search_of_many_blocks_is_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.claims._BLOCK", 100)
    index, vectors = random_index(1234)
    queries = random_index(7, seed=9)[1]
    for hits, query in zip(index.search(queries, 5), queries, strict=True):
        assert told(hits) == brute_force(index, vectors, query, 5)


@pytest.mark.parametrize("block", [7, 65_536])
def test_all_above_a_threshold_of_their_own(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detectors.claims._BLOCK", block)
    monkeypatch.setattr("detectors.claims._QUERIES", 3)
    index, vectors = random_index(40, width=4)
    queries = random_index(8, width=4, seed=2)[1]
    least = np.tile(np.array([0.2, 0.7], np.float32), 20)
    for hits, query in zip(index.above(queries, least), queries, strict=True):
        near = {c.claim_id for c, own in zip(index.claims, least, strict=True) if own < 0.5}
        expected = [
            (cosine, claim_id)
            for cosine, claim_id in brute_force(index, vectors, query, 40)
            if cosine >= (0.2 if claim_id in near else 0.7)
        ]
        assert [claim_id for _, claim_id in told(hits)] == [claim_id for _, claim_id in expected]
        assert [c for c, _ in told(hits)] == pytest.approx([c for c, _ in expected], abs=1e-8)
    assert any(index.above(queries, least))


def test_what_is_above_does_not_depend_on_the_other_claims() -> None:
    index, vectors = random_index(300, width=6)
    queries = random_index(9, width=6, seed=4)[1]
    least = np.full(300, 0.4, np.float32)
    whole = [told(hits) for hits in index.above(queries, least)]
    parts = [
        ClaimIndex(index.claims[part], vectors[part], "random").above(queries, least[part])
        for part in (slice(0, 111), slice(111, 300))
    ]
    for i, found in enumerate(whole):
        joined = told(parts[0][i]) + told(parts[1][i])
        assert sorted(joined, key=lambda pair: (-pair[0], pair[1])) == found


def test_an_answer_has_the_same_bits_whatever_else_is_asked() -> None:
    index, _ = random_index(3000)
    queries = random_index(50, seed=3)[1]
    together = [told(hits) for hits in index.search(queries)]
    assert together == [told(index.search(query[None])[0]) for query in queries]
    order = random.Random(1).sample(range(50), 50)
    assert [told(h) for h in index.search(queries[order])] == [together[i] for i in order]


def test_more_ties_than_there_is_room_for() -> None:
    vectors = np.tile(np.array([[0.6, 0.8]], np.float32), (200, 1))
    claims = random_index(200)[0].claims
    index = ClaimIndex(claims, vectors, "random")
    (hits,) = index.search(vectors[:1], k=3)
    assert [hit.claim.claim_id for hit in hits] == sorted(c.claim_id for c in claims)[:3]


def test_half_precision_as_it_is_stored() -> None:
    index, vectors = random_index(500)
    stored = ClaimIndex(index.claims, vectors.astype(np.float16), "random")
    for exact, rough in zip(
        index.search(vectors[:20], 1), stored.search(vectors[:20], 1), strict=True
    ):
        assert rough[0].claim == exact[0].claim
        assert rough[0].cosine == pytest.approx(1, abs=2e-3)


def test_nothing_to_find_and_nothing_asked() -> None:
    empty = ClaimIndex([], np.zeros((0, 32), np.float32), "random")
    assert empty.search(random_index(2)[1]) == [[], []]
    assert random_index(5)[0].search(np.zeros((0, 32), np.float32)) == []


def test_withdrawn_replaced_and_added() -> None:
    encoder = StemEncoder()
    index = ClaimIndex.of([fact_check(), fact_check(BRIDGE)], encoder)
    assert (len(index), encoder.n_encoded) == (2, 2)
    query = encoder.encode([GARLIC])
    without = index.changed(removed=[fact_check().claim_id])
    assert [hit.claim.text for hit in without.search(query)[0]] == [BRIDGE]
    assert len(index) == 2, "the old one is as it was"
    corrected = index.changed(added=ClaimIndex.of([fact_check(rating="True")], encoder))
    assert len(corrected) == 2
    assert corrected.search(query)[0][0].claim.stance == "supported"
    assert encoder.n_encoded == 4, "what stays is not encoded again"


def test_vectors_of_two_encoders_are_not_mixed() -> None:
    one, other = StemEncoder("one"), StemEncoder("other")
    index = ClaimIndex.of([fact_check()], one)
    with pytest.raises(ValueError, match="vectors of other cannot join those of one"):
        index.changed(added=ClaimIndex.of([report()], other))
    with pytest.raises(ValueError, match="encoded by one, posts would be by other"):
        CorpusChecker(index, other)
    with pytest.raises(ValueError, match="1 claims and vectors of shape"):
        ClaimIndex([fact_check()], np.zeros((2, 3)), "one")


# Matching


@pytest.mark.parametrize(
    ("rating", "label"),
    [
        ("False", "Refute"),
        ("True", "Insufficient_Text"),
        ("Half true", "Insufficient_Text"),
        ("Who knows", "Insufficient_Text"),
    ],
)
def test_the_rating_decides_and_not_the_similarity(rating: str, label: str) -> None:
    claim = fact_check(rating=rating, publisher="Example Checks")
    (found,) = checker(claim).check([content("Garlic water cures flu within a day!!")])
    assert (found.state, found.label, found.claim) == ("matched", label, claim)
    assert found.cosine is not None
    assert found.cosine > 0.9
    assert found.claim is not None
    assert (found.claim.url, found.claim.rating) == ("https://checks.example/1", rating)


def test_a_report_supports_and_never_refutes() -> None:
    near, far = (
        content("In Dorvik the harbour office has closed the old bridge"),
        content("The harbour office in Dorvik closed, and bought electric buses"),
    )
    found = checker(report(), report_least=0.4).check([near, far])
    assert [one.label for one in found] == ["Support_Text", "Insufficient_Text"]
    assert found[0].claim == report()


def test_a_fact_check_comes_before_a_report() -> None:
    found = checker(report(GARLIC), fact_check()).check([content(GARLIC)])
    assert [one.label for one in found] == ["Refute"]


def test_pictures_pick_the_subclass() -> None:
    claim = report(GARLIC)
    ask = [content(GARLIC, root_id=root) for root in ("1", "2")]
    found = checker(claim).check(ask, {("1", claim.claim_id): True, ("2", claim.claim_id): False})
    assert [one.label for one in found] == ["Support_Multimodal", "Support_Text"]


@pytest.mark.parametrize(
    ("text", "state", "reason"),
    [
        ("Garlic water!", "abstained", "too_short"),
        ("", "abstained", "too_short"),
        ("Fact-check: garlic water cures flu within a day is a hoax", "abstained", "denies"),
        ("The mayor opened a library near the station yesterday", "unmatched", None),
        ("https://t.co/a @someone garlic", "abstained", "too_short"),
    ],
)
def test_no_match_by_accident(text: str, state: str, reason: str | None) -> None:
    (found,) = checker(fact_check(), cosine=0.6).check([content(text)])
    assert (found.state, found.reason, found.label) == (state, reason, None)


def test_numbers_that_contradict_are_no_match() -> None:
    claim = fact_check("Police counted 42 injured after the storm in Dorvik")
    texts = [
        "Police counted 42 injured after the storm in Dorvik",
        "Police counted 900 injured after the storm in Dorvik",
        "Police counted many injured after the storm in Dorvik",
    ]
    found = checker(claim).check([content(text) for text in texts])
    assert [one.state for one in found] == ["matched", "unmatched", "matched"]


def test_a_report_that_is_only_somewhat_near_is_no_match() -> None:
    """Among many reports one shares a third of its words with any post."""
    hit = Hit(report(), 0.6)
    text = "The harbour office in Dorvik bought electric buses"
    assert match_label(text, hit, MatchPolicy()) is None
    assert match_label(text, hit, MatchPolicy(report_least=0.5)) == "Insufficient_Text"


def test_links_addressees_and_tags_behind_the_end_have_no_part() -> None:
    claim = fact_check("Police counted 42 injured after the storm in Dorvik")
    text = "Police counted many injured after the storm in Dorvik"
    dressed = f"RT @ann1: {text} https://t.co/9x8 #Storm7 #Dorvik"
    plain, other = checker(claim).check([content(text), content(dressed)])
    assert plain.state == "matched"
    assert (other.label, other.cosine, other.common_words) == (
        plain.label,
        plain.cosine,
        plain.common_words,
    )
    assert what_is_said("#only #tags @ann") == "#only #tags"
    assert what_is_said("@ann") == "@ann"


def test_a_high_cosine_without_common_words_is_no_match() -> None:
    hit = Hit(fact_check(), 0.99)
    assert match_label("completely different words stand here", hit, MatchPolicy()) is None


def test_other_languages_are_left_to_encoders_that_know_them() -> None:
    german = content(GARLIC, lang="de")
    (found,) = checker(fact_check()).check([german])
    assert (found.state, found.reason) == ("abstained", "language")
    (found,) = checker(fact_check(), languages=None).check([german])
    assert found.state == "matched"
    (found,) = checker(fact_check()).check([content(GARLIC, lang=None)])
    assert found.state == "matched"


def test_checks_are_in_order_and_do_not_depend_on_each_other() -> None:
    own = checker(fact_check(), report(), fact_check("Tap water in Querford holds lead", "True"))
    texts = [GARLIC, "x", BRIDGE, "Lead was found in Querford's tap water", GARLIC, "nothing here"]
    asked = [content(text, root_id=str(i)) for i, text in enumerate(texts)]
    together = own.check(asked)
    assert [one.root_id for one in together] == ["0", "1", "2", "3", "4", "5"]
    assert together == [own.check([one])[0] for one in asked]
    assert own.check([]) == []


def test_version_changes_with_documents_policy_and_encoder() -> None:
    versions = {
        checker(fact_check()).version,
        checker(fact_check(), report()).version,
        checker(fact_check(rating="True")).version,
        checker(fact_check(), cosine=0.9).version,
        CorpusChecker(ClaimIndex.of([fact_check()], e := StemEncoder("b")), e).version,
    }
    assert len(versions) == 5
    assert checker(fact_check()).version in versions


def test_with_the_embedded_encoder() -> None:
    from detectors.sentences import MeanPooled

    encoder = MeanPooled()
    index = ClaimIndex.of([fact_check(), fact_check(BRIDGE, "True"), report()], encoder)
    posts = [
        "Doctors hate this: drinking garlic water will cure your flu in one day",
        "Share: the historic bridge at Dorvik was shut by the harbour office",
        "Lovely weather for a walk along the river with the dog today",
    ]
    found = CorpusChecker(index, encoder).check([content(post) for post in posts])
    assert [one.label for one in found] == ["Refute", "Insufficient_Text", None]
    assert msgspec.json.decode(msgspec.json.encode(found[0]))["claim"]["rating"] == "False"
