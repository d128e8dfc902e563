from __future__ import annotations

import json

from detectors.cards import ABOUT
from detectors.datasets import DATASETS
from detectors.tfidf import SHIPPED_WEIGHTS, TfidfDetector
from detectors.tfidf_card import model_card

METRICS = json.loads((SHIPPED_WEIGHTS / "metrics.json").read_text(encoding="utf-8"))


def test_shipped_card_is_what_its_metrics_say() -> None:
    card = (SHIPPED_WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert card == model_card(METRICS)


def test_metrics_are_those_of_the_shipped_weights() -> None:
    detector = TfidfDetector()
    assert METRICS["version"] == detector.version
    assert METRICS["threshold"] == detector.threshold


def test_card_follows_its_metrics() -> None:
    other = json.loads(json.dumps(METRICS))
    other["calm"]["flagged"] = 0.4321
    assert "43.2 %" in model_card(other)
    assert "43.2 %" not in model_card(METRICS)


def test_every_data_set_is_described() -> None:
    assert set(ABOUT) == set(DATASETS) == set(METRICS["sizes"])
