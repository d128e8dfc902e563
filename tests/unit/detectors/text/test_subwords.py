"""Vectors of words from their pieces, beside gensim's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detectors.text.subwords import (
    Subwords,
    SubwordsUnavailable,
    WordVectors,
    learn_subwords,
    pieces,
    whitened,
)

SENTENCES = [
    ["the", "vaccine", "injury", "was", "hidden"],
    ["a", "vaccine", "against", "measles"],
    ["the", "ferry", "was", "late", "again"],
    ["ferry", "times", "in", "the", "harbour"],
] * 30


@pytest.fixture(scope="module")
def learnt() -> Subwords:
    return learn_subwords(SENTENCES, width=16, n_buckets=2000, epochs=10)


def test_a_word_that_was_never_met_has_the_vector_that_gensim_gives_it() -> None:
    fasttext = pytest.importorskip("gensim.models.fasttext")
    model = fasttext.FastText(
        SENTENCES, vector_size=8, bucket=500, min_n=3, max_n=6, seed=1, workers=1
    )
    own = Subwords(np.array(model.wv.vectors_ngrams))
    for word in ("vaccineinjury", "überall", "ワクチン", "b"):
        np.testing.assert_allclose(own.vector(word), model.wv[word], rtol=1e-5, atol=1e-7)


def test_a_tag_is_near_the_words_it_is_made_of(learnt: Subwords) -> None:
    def cosine(one: str, other: str) -> float:
        a, b = learnt.vector(one), learnt.vector(other)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    assert cosine("vaccineinjury", "vaccine") > cosine("vaccineinjury", "ferry") + 0.1


def test_vectors_point_in_all_directions_in_which_they_differ() -> None:
    random = np.random.default_rng(0)
    common, own = random.normal(size=(1, 4)), random.normal(size=(500, 4))
    words = [f"word{i:03}" for i in range(200)]
    white = whitened(Subwords((50 * common + 0.01 * own).astype(np.float32)), words)
    vectors = WordVectors(white).of(words)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-2)
    np.testing.assert_allclose(np.cov(vectors, rowvar=False), np.eye(4), atol=0.05)


def test_learning_twice_gives_the_same_bits(learnt: Subwords) -> None:
    again = learn_subwords(SENTENCES, width=16, n_buckets=2000, epochs=10)
    assert np.array_equal(again.table, learnt.table)


def test_the_topic_is_the_mean_of_its_tags(learnt: Subwords) -> None:
    expected = (learnt.vector("vaccineinjury") + learnt.vector("measles")) / 2
    np.testing.assert_allclose(learnt.topic(["VaccineInjury", "measles"]), expected, rtol=1e-6)


def test_published_vectors_are_learnt_further(tmp_path: Path, learnt: Subwords) -> None:
    fasttext = pytest.importorskip("gensim.models.fasttext")
    path = tmp_path / "vectors.bin"
    model = fasttext.FastText(
        SENTENCES, vector_size=8, bucket=500, min_n=3, max_n=6, seed=1, workers=1
    )
    fasttext.save_facebook_model(model, str(path))
    given = learn_subwords([["vaccine", "hidden", "harbour", "late"]] * 300, given=path)
    assert given.table.shape == (500, 8)
    before = Subwords(np.array(model.wv.vectors_ngrams))
    assert not np.allclose(given.vector("vaccine"), before.vector("vaccine"))
    path.write_bytes(b"nothing")
    with pytest.raises(SubwordsUnavailable, match=r"vectors\.bin"):
        learn_subwords(SENTENCES, given=path)


def test_a_megabyte_is_cut_and_surrogates_are_no_error(learnt: Subwords) -> None:
    assert len(pieces("x" * 1_000_000)) < 500
    assert np.isfinite(learnt.vector("\ud800abc")).all()
    assert WordVectors(learnt).of([]).shape == (0, 16)


@pytest.mark.parametrize("sentences", [[], [[], []], [["once", "each"]]])
def test_where_no_word_occurs_twice_all_vectors_are_0(sentences: list[list[str]]) -> None:
    learnt = learn_subwords(sentences, width=8, n_buckets=50)
    assert learnt.table.shape == (50, 8) and not learnt.vector("once").any()
