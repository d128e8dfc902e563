"""Claims that were checked before: does a post repeat one, and what was found?

    post ──► embedding ──► nearest checked claims ──► shared words ──► the rating decides

A fact-check resembles the claim it refutes, so similarity is not support: what a match means is
what its publisher found. A fact-check that rates the claim false gives Refute, any other
Insufficient, with its rating to be read. Trusted reports are another kind of document: near enough
they support, they alone do, and they never refute. Every answer names its document, rating and
address.

Matching by meaning errs. A match needs a high cosine, a few stems in common, no number that
contradicts, and a post that has enough words; and a post that itself denies what it repeats is no
repetition: there the checker abstains.
Source: retrieval of checked claims, Shaar et al., "That is a known lie", ACL 2020; classes: Mishra
et al. 2021 (see `detectors.factify`).
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.factify import (
    INSUFFICIENT_TEXT,
    REFUTE,
    SUPPORT_TEXT,
    common_words,
    has_numbers,
    n_denials,
    shared_numbers,
)
from detectors.long_rows import long_rows
from detectors.sentences import SentenceEncoder, Vectors
from detectors.text.abstain import stated_language
from detectors.text.normalise import MAX_CHARACTERS
from detectors.text.stem import content_stems
from streams.records import Content, Problem

Kind = Literal["check", "report"]
Stance = Literal["refuted", "supported", "mixed", "unknown"]

#: Candidates beyond the k nearest that are looked at again in float64, and how far a float32
#: product of two vectors of length 1 may be off.
_SPARE, _ROUNDING = 16, 1e-5
#: Claims and queries that are multiplied at once: 64 MB of products.
_BLOCK, _QUERIES = 65_536, 256


class CheckedClaim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A claim that somebody checked, or a trusted report.

    text: the claim, or the report's headline. body: what the report says, "" if not given.
    rating: as published. claim_id: names the document and its claim, stable over loads.
    """

    claim_id: str
    kind: Kind
    text: str
    url: str
    stance: Stance
    rating: str = ""
    publisher: str = ""
    title: str = ""
    reviewed_on: str = ""
    lang: str | None = None
    body: str = ""


# Ratings

#: Words of ratings; the first stance of which one is there counts, so "partly false" is mixed.
#: English, and the commonest of the great fact-checkers' other languages. What is not here is
#: unknown, which is safe.
_RATINGS: Mapping[Stance, str] = {
    "mixed": """
        half true, partly true, partly false, partially true, partially false, mixture, mixed,
        misleading, missing context, lacks context, needs context, out of context, exaggerated,
        unproven, unverified, unsupported, disputed, cherry picking, verdadero a medias, engañoso,
        enganoso, teilweise falsch, irreführend, fehlender kontext, trompeur, à nuancer
        """,
    "refuted": """
        not true, untrue, mostly false, pants on fire, false, fake, hoax, incorrect, inaccurate,
        wrong, fabricated, altered, doctored, manipulated, debunked, no evidence, baseless, scam,
        four pinocchios, three pinocchios, misattributed, miscaptioned, falso, falsa, falsch, faux,
        bulo, mentira
        """,
    "supported": """
        mostly true, true, correct, accurate, confirmed, verified, geppetto checkmark, verdadero,
        verdadeiro, richtig, wahr, vrai
        """,
}
_WORDS = re.compile(r"[^\W_]+")


def read_rating(
    words: str, value: float | None = None, best: float | None = None, worst: float | None = None
) -> Stance:
    """What a rating means. Its words decide; without any that are known, its place on its scale.

    A value counts only if both ends of its scale are stated and differ: many publishers leave 0 or
    -1 in the field. The lower quarter is refuted, the upper one supported.

    >>> read_rating("Mostly False"), read_rating("Half true"), read_rating("This is NOT true!")
    ('refuted', 'mixed', 'refuted')
    >>> read_rating("", 1, best=5, worst=1), read_rating("Zzz", 3, 5, 1), read_rating("", 0)
    ('refuted', 'mixed', 'unknown')
    """
    told = f" {' '.join(_WORDS.findall(words.casefold()))} "
    if " not false " in told:
        return "unknown"
    for stance, phrases in _RATINGS.items():
        if any(f" {phrase.strip()} " in told for phrase in phrases.split(",")):
            return stance
    if value is None or best is None or worst is None or best == worst:
        return "unknown"
    place = (value - worst) / (best - worst)
    if not 0 <= place <= 1:
        return "unknown"
    return "refuted" if place <= 0.25 else "supported" if place >= 0.75 else "mixed"


# Files


def read_claims(path: Path, kind: Kind = "check") -> Iterator[CheckedClaim | Problem]:
    """The claims of a file, in order; what is none becomes a Problem and ends nothing.

    Known are schema.org's ClaimReview as JSON-LD (one, a list, an @graph, or a data feed with
    dataFeedElement), the answer of Google's Fact Check Tools (`claims` with `claimReview` in each),
    either of them one to a line, and CSV with the columns text and url and, if there are, rating,
    publisher, title, reviewed_on, lang, body. kind="report": trusted reports, whose ratings are not
    read.
    """
    text = path.read_text("utf-8-sig", errors="replace")
    source = path.name
    if path.suffix.casefold() in (".csv", ".tsv"):
        yield from _from_csv(text, kind, source, "\t" if path.suffix.casefold() == ".tsv" else ",")
        return
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if whole is not None:
        yield from _from_json(whole, kind, source, "")
        return
    for number, line in enumerate(text.split("\n"), 1):  # splitlines also splits within texts
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Problem(
                reason=f"not JSON: {error}",
                source=source,
                position=f"line {number}",
                raw=line.encode(),
            )
            continue
        yield from _from_json(value, kind, source, f"line {number}")


def _from_json(
    value: Any, kind: Kind, source: str, position: str
) -> Iterator[CheckedClaim | Problem]:
    try:
        reviews = list(_reviews(value))
    except RecursionError:  # json.loads of Python 3.12 and 3.13 takes deeper ones than we do
        where = position or "whole file"
        yield Problem(reason="nested too deep to be read", source=source, position=where)
        return
    for number, (review, outer) in enumerate(reviews, 1):
        where = f"{position}, review {number}" if position else f"review {number}"
        try:
            yield _claim(review, outer, kind)
        except (ValueError, TypeError, AttributeError) as error:
            yield Problem(
                reason=str(error) or type(error).__name__,
                source=source,
                position=where,
                raw=_raw(review),
            )


def _raw(review: Any) -> bytes:
    """As JSON; nothing of what nests too deep to be written."""
    try:
        return json.dumps(review).encode()
    except RecursionError:
        return b""


def _reviews(value: Any) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Each review with what stands around it: a claim of Google's answer, else nothing."""
    if isinstance(value, list):
        for inner in value:
            yield from _reviews(inner)
    elif isinstance(value, dict):
        for container in ("@graph", "dataFeedElement", "claims"):
            if isinstance(value.get(container), list):
                yield from _reviews(value[container])
                return
        if isinstance(value.get("claimReview"), list):
            for review in value["claimReview"]:
                yield review, value
        elif "item" in value and "claimReviewed" not in value:
            yield from _reviews(value["item"])
        elif value:
            yield value, {}
    elif value is not None:
        yield value, {}


def _claim(review: Any, outer: Mapping[str, Any], kind: Kind) -> CheckedClaim:
    if not isinstance(review, dict):
        raise ValueError(f"no review but {type(review).__name__}")
    rating = _one(review.get("reviewRating"), "alternateName")
    author = _one(review.get("author") or review.get("publisher"), "name")
    words = _text(rating.get("alternateName") or review.get("textualRating"))
    return make_claim(
        kind,
        text=_text(review.get("claimReviewed") or outer.get("text")),
        url=_text(review.get("url")),
        rating=words,
        value=_number(rating.get("ratingValue")),
        best=_number(rating.get("bestRating")),
        worst=_number(rating.get("worstRating")),
        publisher=_text(author.get("name") or author.get("site")),
        title=_text(review.get("name") or review.get("title") or review.get("headline")),
        reviewed_on=_text(review.get("datePublished") or review.get("reviewDate"))[:10],
        lang=_text(review.get("inLanguage") or review.get("languageCode")) or None,
        body=_text(review.get("articleBody") or review.get("reviewBody")),
    )


def make_claim(
    kind: Kind,
    *,
    text: str,
    url: str,
    rating: str = "",
    value: float | None = None,
    best: float | None = None,
    worst: float | None = None,
    publisher: str = "",
    title: str = "",
    reviewed_on: str = "",
    lang: str | None = None,
    body: str = "",
) -> CheckedClaim:
    """A claim with its id and stance. Raises: ValueError without a text or an address."""
    if not text.strip():
        raise ValueError("no claim in it: claimReviewed or text is empty")
    if not re.match(r"https?://\S", url):
        raise ValueError(f"no address in it: url is {url[:80]!r}")
    stance: Stance = "unknown" if kind == "report" else read_rating(rating, value, best, worst)
    name = blake2b(f"{kind}\0{url}\0{text}".encode(errors="surrogatepass"), digest_size=12)
    shown = rating or ("" if value is None else f"{value:g} of {worst or 0:g} to {best or 0:g}")
    return CheckedClaim(
        claim_id=name.hexdigest(),
        kind=kind,
        text=text.strip(),
        url=url,
        stance=stance,
        rating="" if kind == "report" else shown,
        publisher=publisher,
        title=title,
        reviewed_on=reviewed_on,
        lang=lang,
        body=body,
    )


def _from_csv(
    text: str, kind: Kind, source: str, delimiter: str
) -> Iterator[CheckedClaim | Problem]:
    rows = _csv_rows(text.split("\n"), delimiter)
    names = [name.strip().casefold() for name in next(rows, [])]
    for number, row in enumerate(rows, 2):
        fields = dict(zip(names, row, strict=False))
        try:
            yield make_claim(
                kind,
                text=fields.get("text", ""),
                url=fields.get("url", ""),
                rating=fields.get("rating", ""),
                publisher=fields.get("publisher", ""),
                title=fields.get("title", ""),
                reviewed_on=fields.get("reviewed_on", ""),
                lang=fields.get("lang") or None,
                body=fields.get("body", ""),
            )
        except ValueError as error:
            yield Problem(
                reason=str(error),
                source=source,
                position=f"row {number}",
                raw=json.dumps(row).encode(),
            )


def _csv_rows(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """The rows of a CSV but empty ones. Where quotes do not match, the line is a row by itself:
    after a stray one all that follows would be one field."""
    first = 0
    while first < len(lines):
        begin = first
        rest = (f"{lines[i]}\n" for i in range(begin, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, strict=True)
        try:
            for row in long_rows(reader):
                first = begin + reader.line_num
                if row:
                    yield row
        except csv.Error:
            yield from long_rows(csv.reader([lines[first]], delimiter=delimiter))
            first += 1


def _one(value: Any, name: str) -> Mapping[str, Any]:
    """The first of several, or nothing; a text alone is what the field `name` would say."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, dict) else {name: value}


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    return value.strip() if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


# Search


class Hit(NamedTuple):
    """A claim of an index, and the cosine of its vector with the query's."""

    claim: CheckedClaim
    cosine: float


class ClaimIndex:
    """Claims with their vectors: exact nearest neighbours by a matrix product, in process.

    Cost: 4 bytes x width per claim (154 MB for 100,000 of MiniLM); time in the folder's README.
    """

    def __init__(self, claims: Sequence[CheckedClaim], vectors: NDArray[Any], encoder: str) -> None:
        """vectors: (claims, width), of length 1, float32 or what becomes it (float16 as stored).

        encoder: the name of the encoder that made them. Raises: ValueError if the numbers differ.
        """
        if vectors.ndim != 2 or len(claims) != len(vectors):
            raise ValueError(f"{len(claims)} claims and vectors of shape {vectors.shape}")
        self.claims = tuple(claims)
        self.encoder = encoder
        self._vectors = np.ascontiguousarray(vectors, dtype=np.float32)

    @staticmethod
    def of(claims: Iterable[CheckedClaim], encoder: SentenceEncoder) -> ClaimIndex:
        """The index of claims, each id once, encoded here."""
        distinct = list({claim.claim_id: claim for claim in claims}.values())
        vectors = encoder.encode([what_is_said(claim.text) for claim in distinct])
        return ClaimIndex(distinct, vectors, encoder.name)

    @property
    def vectors(self) -> Vectors:
        """(claims, width), in the order of `claims`."""
        return self._vectors

    def __len__(self) -> int:
        return len(self.claims)

    def changed(self, added: ClaimIndex | None = None, removed: Iterable[str] = ()) -> ClaimIndex:
        """The index without the ids in `removed` (withdrawn claims), and with what is added: an id
        that is there already is replaced. Nothing that stays is encoded again.

        Raises: ValueError if `added` is of another encoder.
        """
        if added is not None and added.encoder != self.encoder:
            raise ValueError(f"vectors of {added.encoder} cannot join those of {self.encoder}")
        gone = set(removed) | ({c.claim_id for c in added.claims} if added else set())
        kept = [i for i, claim in enumerate(self.claims) if claim.claim_id not in gone]
        claims = [self.claims[i] for i in kept]
        parts = [self._vectors[kept]]
        if added is not None:
            claims += added.claims
            parts.append(added._vectors)
        return ClaimIndex(claims, np.concatenate(parts), self.encoder)

    def above(self, queries: Vectors, least: NDArray[np.float32]) -> list[list[Hit]]:
        """Every claim whose cosine with a query is at least its own in `least` (claims,), greatest
        first, ties by id.

        Exact as `search` is. An answer over some claims is the part of the answer over all that is
        about them, so claims may come and go without asking again about the others.
        """
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        found: list[list[Hit]] = [[] for _ in asked]
        for start in range(0, len(asked), _QUERIES):
            own = asked[start : start + _QUERIES]
            for first in range(0, len(self.claims), _BLOCK):
                block = self._vectors[first : first + _BLOCK]
                near = own @ block.T >= least[first : first + _BLOCK] - _ROUNDING
                rows, places = np.nonzero(near)
                exact = np.einsum(
                    "ij,ij->i", block[places].astype(np.float64), own[rows].astype(np.float64)
                )
                for row, place, cosine in zip(
                    rows.tolist(), (places + first).tolist(), exact.tolist(), strict=True
                ):
                    if cosine >= least[place]:
                        hit = Hit(self.claims[place], round(cosine, 9))
                        found[start + row].append(hit)
        return [sorted(hits, key=_nearest_first) for hits in found]

    def search(self, queries: Vectors, k: int = 5) -> list[list[Hit]]:
        """The k claims with the greatest cosine to each query, greatest first, ties by id.

        Exact: a float32 product finds candidates with room for its rounding, and those are
        multiplied again in float64, pair by pair; so the answer to a query has the same bits
        whatever else is asked with it. queries: (n, width), of length 1.
        """
        if k <= 0 or not self.claims:
            return [[] for _ in queries]
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        parts = range(0, len(asked), _QUERIES)
        return [hits for i in parts for hits in self._search(asked[i : i + _QUERIES], k)]

    def _search(self, asked: Vectors, k: int) -> list[list[Hit]]:
        n, wanted = len(self.claims), min(k, len(self.claims))
        held = min(n, wanted + _SPARE)
        best = np.zeros((len(asked), 0), dtype=np.float32)
        places = np.zeros((len(asked), 0), dtype=np.int64)
        for first in range(0, n, _BLOCK):
            block = asked @ self._vectors[first : first + _BLOCK].T  # (queries, block)
            chosen = _greatest(block, held)
            best = np.concatenate([best, np.take_along_axis(block, chosen, axis=1)], axis=1)
            places = np.concatenate([places, chosen + first], axis=1)
            chosen = _greatest(best, held)
            best = np.take_along_axis(best, chosen, axis=1)
            places = np.take_along_axis(places, chosen, axis=1)
        return [
            self._hits(query, scores, own, wanted)
            for query, scores, own in zip(asked, best, places, strict=True)
        ]

    def _hits(
        self, query: Vectors, scores: Vectors, places: NDArray[np.int64], wanted: int
    ) -> list[Hit]:
        least = float(np.sort(scores)[-wanted]) - 2 * _ROUNDING
        if len(scores) < len(self.claims) and float(scores.min()) > least:
            # more near-ties than there is room for: all that could be among the k
            everything = self._vectors @ query
            places = np.flatnonzero(everything > least)
        else:
            places = places[scores > least]
        exact = np.einsum(
            "ij,j->i", self._vectors[places].astype(np.float64), query.astype(np.float64)
        )
        hits = [
            Hit(self.claims[i], round(float(c), 9))
            for i, c in zip(places.tolist(), exact.tolist(), strict=True)
        ]
        return sorted(hits, key=_nearest_first)[:wanted]


def _nearest_first(hit: Hit) -> tuple[float, str]:
    return -hit.cosine, hit.claim.claim_id


def _greatest(scores: Vectors, k: int) -> NDArray[np.int64]:
    """The columns of the k greatest of each row, in no order."""
    n = scores.shape[1]
    if n <= k:
        return np.broadcast_to(np.arange(n), scores.shape)
    return np.argpartition(scores, n - k, axis=1)[:, -k:]


# Matching


class MatchPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a post repeats a checked claim. Measured in the folder's README, "Why".

    cosine: at least, with a fact-check. report_cosine (T1), report_words (T2): the paper's rule for
    reports, and report_least: below it a report is not looked at, since among many reports one
    shares some words with any post. min_stems: a post must have as many content stems.
    shared_stems: so many must be the claim's. languages: ISO 639-1 codes that the encoder knows; a
    post that states another is not checked. None: all.
    """

    cosine: float = 0.8
    report_cosine: float = 0.7
    report_least: float = 0.65
    report_words: float = 0.3
    min_stems: int = 4
    shared_stems: int = 2
    languages: tuple[str, ...] | None = ("en",)

    def least(self, claims: Sequence[CheckedClaim]) -> NDArray[np.float32]:
        """The least cosine at which each of these can be a match, (claims,)."""
        of_kind = {"check": self.cosine, "report": min(self.report_cosine, self.report_least)}
        return np.array([of_kind[claim.kind] for claim in claims], dtype=np.float32)

    def version(self, encoder: str) -> str:
        """Names this policy with an encoder: 12 hex digits that change whenever a match could,
        documents aside."""
        told = msgspec.json.encode((_MATCHING, encoder, self))
        return blake2b(told, digest_size=6).hexdigest()


#: Raised when the code below matches otherwise.
_MATCHING = 1


#: What stands beside the words of a post: links, whom it is addressed to, tags behind its end.
_LINKS = re.compile(r"https?://\S+|pic\.twitter\.com/\S+")
_ADDRESSEES = re.compile(r"(?<!\w)(?:RT )?@\w+:?")


def what_is_said(text: str) -> str:
    """A text as it is compared: without links, addressees, and tags behind its end. The text itself
    if nothing else is in it. Of longer ones the first 20,000 characters.

    >>> what_is_said("RT @ann: The #flu is cured by garlic https://t.co/ab12 #health #truth")
    'The #flu is cured by garlic'
    """
    kept = _ADDRESSEES.sub(" ", _LINKS.sub(" ", text[:MAX_CHARACTERS]))
    words = kept.split()
    n_said = len(words)
    while n_said and words[n_said - 1].startswith("#"):
        n_said -= 1
    return " ".join(words[:n_said] or words) or text[:MAX_CHARACTERS]


class Match(NamedTuple):
    """A document that a post repeats. label: one of `factify.CLASSES`, or DENIES."""

    claim: CheckedClaim
    label: str
    cosine: float
    common_words: float


def reason_not_to_check(content: Content, policy: MatchPolicy) -> str | None:
    """Why a content is not compared with anything: `language`, `too_short`; None: it is.

    >>> reason_not_to_check(Content(platform="x", root_id="1", text="Is it true?"), MatchPolicy())
    'too_short'
    """
    stated = stated_language(content.lang)
    if policy.languages is not None and stated is not None and stated not in policy.languages:
        return "language"
    is_short = len(content_stems(what_is_said(content.text))) < policy.min_stems
    return "too_short" if is_short else None


def find_matches(
    texts: Sequence[str], vectors: Vectors, index: ClaimIndex, policy: MatchPolicy
) -> list[list[Match]]:
    """Every document that each of these texts repeats; the first decides.

    Fact-checks come before reports, then the nearest, ties by id. What a text matches of some
    documents is the same whatever others there are.
    """
    near = index.above(vectors, policy.least(index.claims))
    return [
        sorted(_matches(what_is_said(text), hits, policy), key=lambda m: m.claim.kind != "check")
        for text, hits in zip(texts, near, strict=True)
    ]


def _matches(text: str, hits: Sequence[Hit], policy: MatchPolicy) -> Iterator[Match]:
    for hit in hits:
        label = match_label(text, hit, policy)
        if label is not None:
            alike = round(common_words(text, hit.claim.text), 6)
            # rounded to half precision, vectors may be a little longer than 1
            yield Match(hit.claim, label, min(hit.cosine, 1.0), alike)


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was found for one content: "already checked by ...".

    state: matched, unmatched (nothing near enough), abstained (with reason: `language`;
    `too_short`; `denies`: the post repeats a claim to deny it).
    label: one of `factify.CLASSES` if matched. claim: the document that decided, with its rating
    and address; cosine and common_words say how near it is. A match is a pointer to somebody's
    finding, not a finding of ours.
    """

    platform: str
    root_id: str
    input_hash: bytes
    checker: str
    version: str
    state: Literal["matched", "unmatched", "abstained"]
    reason: str | None = None
    label: str | None = None
    claim: CheckedClaim | None = None
    cosine: float | None = None
    common_words: float | None = None


class ClaimChecker(Protocol):
    """Checks contents against documents: the interface beside `Detector` and `CascadeDetector`.

    It gives a `Check`, not a `Verdict`: its answer is a document, and "nothing found" is no score.
    The answer to a content depends on the documents and on nothing else in the call.
    """

    @property
    def name(self) -> str:
        """As in a table of checkers."""

    @property
    def version(self) -> str:
        """Changes whenever an answer could: encoder, policy, documents."""

    def check(
        self, contents: Sequence[Content], similar_images: Mapping[tuple[str, str], bool] = ...
    ) -> list[Check]:
        """One per content, in order."""


class CorpusChecker:
    """Checks contents against an index of fact-checks and trusted reports.

    Cost: encoding a post (5-10 ms) and a product with the matrix.
    """

    name = "claims"

    def __init__(
        self, index: ClaimIndex, encoder: SentenceEncoder, policy: MatchPolicy | None = None
    ) -> None:
        """Raises: ValueError if the index was made by another encoder."""
        if index.encoder != encoder.name:
            raise ValueError(
                f"the claims were encoded by {index.encoder}, posts would be by {encoder.name}: "
                "load the claims again"
            )
        self._index, self._encoder = index, encoder
        self._policy = policy or MatchPolicy()
        digest = blake2b(self._policy.version(encoder.name).encode(), digest_size=6)
        for claim_id in sorted(f"{c.claim_id} {c.stance}" for c in index.claims):
            digest.update(claim_id.encode())
        self.version = digest.hexdigest()

    def check(
        self,
        contents: Sequence[Content],
        similar_images: Mapping[tuple[str, str], bool] | None = None,
    ) -> list[Check]:
        """One check per content, in order. Equal texts are encoded once.

        similar_images: (root_id, claim_id) -> whether pictures of post and document are alike, for
        those that were compared; it picks between .._Multimodal and .._Text.
        """
        reasons = [reason_not_to_check(content, self._policy) for content in contents]
        texts = list(
            {c.text: None for c, reason in zip(contents, reasons, strict=True) if reason is None}
        )
        found: dict[str, list[Match]] = {}
        if texts:
            vectors = self._encoder.encode([what_is_said(text) for text in texts])
            matches = find_matches(texts, vectors, self._index, self._policy)
            found = dict(zip(texts, matches, strict=True))
        return [
            self._check(content, reason, found.get(content.text, []), similar_images or {})
            for content, reason in zip(contents, reasons, strict=True)
        ]

    def _check(
        self,
        content: Content,
        reason: str | None,
        matches: Sequence[Match],
        similar_images: Mapping[tuple[str, str], bool],
    ) -> Check:
        unmatched = Check(
            platform=content.platform,
            root_id=content.root_id,
            input_hash=content.input_hash,
            checker=self.name,
            version=self.version,
            state="unmatched",
        )
        if reason is not None:
            return msgspec.structs.replace(unmatched, state="abstained", reason=reason)
        if not matches:
            return unmatched
        decides = matches[0]
        if decides.label == DENIES:
            return msgspec.structs.replace(
                unmatched, state="abstained", reason=DENIES, claim=decides.claim
            )
        label = decides.label
        if similar_images.get((content.root_id, decides.claim.claim_id), False):
            label = label.replace("_Text", "_Multimodal")
        return msgspec.structs.replace(
            unmatched,
            state="matched",
            label=label,
            claim=decides.claim,
            cosine=decides.cosine,
            common_words=decides.common_words,
        )


#: Why a match with a refuted claim is not used: the post denies what it repeats.
DENIES = "denies"


def match_label(text: str, hit: Hit, policy: MatchPolicy) -> str | None:
    """One of `factify.CLASSES` for a post and a near document, DENIES, or None: no match.

    A fact-check that refutes gives Refute, any other Insufficient_Text: that a post is like what
    somebody rated true does not make it true, and the rating is there to be read. A report: the
    paper's rule (`factify.label_pair`).

    >>> claim = make_claim("check", text="Garlic water cures the flu in a day",
    ...                    url="https://example.org/a", rating="False")
    >>> policy = MatchPolicy()
    >>> match_label("Garlic water cures flu within a day!", Hit(claim, 0.93), policy)
    'Refute'
    >>> match_label("No, garlic water curing flu is a hoax", Hit(claim, 0.9), policy)
    'denies'
    >>> match_label("Garlic bread is on sale", Hit(claim, 0.5), policy) is None
    True
    """
    claim = hit.claim
    if claim.kind == "report":
        if hit.cosine < policy.report_least:
            return None
        if len(content_stems(text) & content_stems(f"{claim.text} {claim.body}")) < (
            policy.shared_stems
        ):
            return None
        if hit.cosine > policy.report_cosine:
            return SUPPORT_TEXT
        shares_words = common_words(text, claim.text) > policy.report_words
        return INSUFFICIENT_TEXT if shares_words else None
    shared = len(content_stems(text) & content_stems(claim.text))
    if hit.cosine < policy.cosine or shared < policy.shared_stems:
        return None
    if shared_numbers(claim.text, text) == 0 and has_numbers(text):
        return None  # "9 died" is not "900 died", however alike the rest is
    if n_denials(text) > n_denials(claim.text):
        return DENIES
    return REFUTE if claim.stance == "refuted" else INSUFFICIENT_TEXT
