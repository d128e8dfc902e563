"""Claim and document read together, on invented pairs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detectors.cross_encoder import (
    N_FIGURES,
    SETTINGS,
    CrossEncoder,
    classify,
    fit,
    nearest_sentences,
    read_pairs,
)
from detectors.datasets.generated_pairs import EVENTS, generate, thumbnail
from detectors.encoder import read_encoder
from detectors.factify import Pair, class_numbers
from detectors.train_bert import Learner
from tests.unit.detectors.stem_encoder import StemEncoder

QUICK = SETTINGS._replace(epochs=12, frozen=4, batch=5, dropout=0.0)
FOUND = list(generate(2))
PAIRS, LABELS = [one.pair for one in FOUND], [one.label for one in FOUND]


@pytest.fixture(scope="module")
def made() -> CrossEncoder:
    return fit(read_encoder(), PAIRS, LABELS, StemEncoder(), thumbnail, QUICK)


def test_it_learns_ten_pairs_each_whatever_its_neighbours(made: CrossEncoder) -> None:
    found = classify(made, PAIRS, StemEncoder(), thumbnail)
    assert (found == class_numbers(LABELS)).mean() >= 0.9
    alone = [int(classify(made, [pair], StemEncoder(), thumbnail)[0]) for pair in PAIRS]
    assert found.tolist() == alone


def test_a_seed_gives_the_same_again() -> None:
    once, again, other = (
        fit(
            read_encoder(),
            PAIRS[:5],
            LABELS[:5],
            StemEncoder(),
            None,
            QUICK._replace(epochs=1, seed=seed),
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(once.head_weight, again.head_weight)
    assert not torch.equal(once.head_weight, other.head_weight)


def test_the_nearest_sentences_stand_in_their_order() -> None:
    document = "The bridge is old. Rain fell. Dorvik closed the bridge. A fair came. It was cold."
    pair = Pair("Dorvik closed the old bridge", document)
    (kept,) = nearest_sentences([pair], StemEncoder())
    assert kept.startswith("The bridge is old.")
    assert "Dorvik closed the bridge." in kept
    assert kept.count(".") == 3
    assert nearest_sentences([Pair("a", "")], StemEncoder()) == [""]


def test_missing_pictures_are_said_to_be() -> None:
    (one,) = [found.pair for found in generate(1)][:1]
    learner = Learner(read_encoder(), QUICK)
    read = read_pairs(learner, [one, one._replace(claim_images=())], StemEncoder(), thumbnail)
    assert read.figures.shape == (2, N_FIGURES)
    assert read.figures[0, 2:].tolist() == [1, 1]
    assert read.figures[1].tolist() == [0, 0, 0, 0]
    both = learner.encoder.tokenizer.encode(one.claim, nearest_sentences([one], StemEncoder())[0])
    assert len(read.states[0]) == len(both.ids)


def test_a_label_that_is_no_class_is_told() -> None:
    (one,) = [found.pair for found in generate(1)][:1]
    with pytest.raises(ValueError, match="no class is called 'Maybe'"):
        fit(read_encoder(), [one], ["Maybe"], StemEncoder(), None, QUICK)


def test_pairs_of_some_events_tell_of_no_others() -> None:
    told = [found.pair for found in generate(20, events=EVENTS[-2:])]
    assert all("spoiled meat" in pair.claim or "trees" in pair.claim for pair in told)
    everything = [found.pair.claim for found in generate(3)]
    assert everything == [found.pair.claim for found in generate(3, events=EVENTS)]
    assert np.unique(everything).size > 5
