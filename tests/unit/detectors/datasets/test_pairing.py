from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from detectors.datasets.generated_pairs import thumbnail
from detectors.datasets.pairing import TrustedPost, nearest_pairs, pair_posts
from detectors.factify import Image, Thresholds
from tests.unit.detectors.stem_encoder import StemEncoder

MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)
RULE = Thresholds(
    text_cosine=0.7,
    common_words=0.3,
    image_cosine=0.9,
    histogram=0.9,
    encoder="stems",
    image_encoder="thumbnail 8x8",
)
ALIKE = "harbour office closed old bridge"


def post(account: str, number: int, text: str, day: date = MONDAY, **more: Any) -> TrustedPost:
    return TrustedPost(account, f"{account}{number}", day, text, **more)


def names(posts: list[TrustedPost]) -> list[tuple[str, str]]:
    return [(a.post_id, b.post_id) for a, b in nearest_pairs(posts, StemEncoder())]


def test_the_nearest_of_another_account_on_the_same_day() -> None:
    posts = [
        post("a", 1, ALIKE),
        post("a", 2, "school found lead"),
        post("a", 3, ALIKE, TUESDAY),
        post("b", 1, "lead was found at school"),
        post("b", 2, f"the {ALIKE}"),
        post("c", 1, "summer fair cancelled"),
    ]
    assert names(posts) == [
        ("a1", "b2"),
        ("a2", "b1"),
        ("a1", "c1"),
        ("a2", "c1"),
        ("b1", "c1"),
        ("b2", "c1"),
    ]
    assert names([]) == []


def test_of_equals_the_first_by_id_whatever_the_order() -> None:
    posts = [post("a", 1, ALIKE), post("b", 2, ALIKE), post("b", 1, ALIKE)]
    assert names(posts) == [("a1", "b1")]


def test_the_rule_labels_before_the_article_takes_the_place_of_the_text() -> None:
    link = "https://news.example/1"
    red, blue = (np.zeros((9, 9, 3), np.uint8) for _ in range(2))
    red[:5, :, 0] = blue[4:, :, 2] = 200
    pictures: dict[str, Image] = {"red": red, "blue": blue}
    posts = [
        post("a", 1, ALIKE, images=("gone", "red")),
        post("a", 2, "harbour office bought electric buses", TUESDAY, images=("red",)),
        post("a", 3, "nothing alike", date(2026, 3, 4)),
        post("b", 1, ALIKE, links=("https://t.example/x", link), images=("blue", "red")),
        post("b", 2, "harbour office planted trees", TUESDAY, images=("blue",)),
        post("b", 3, "summer fair cancelled", date(2026, 3, 4)),
    ]
    found = pair_posts(
        posts, StemEncoder(), thumbnail, RULE, {link: "A whole article."}, pictures.get
    )
    assert [(p.claim.post_id, p.source.post_id, p.label, p.document) for p in found] == [
        ("a1", "b1", "Support_Multimodal", "A whole article."),
        ("a2", "b2", "Insufficient_Text", "harbour office planted trees"),
    ]
