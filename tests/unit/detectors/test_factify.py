from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectors import evaluate_factify
from detectors.datasets import factify as files
from detectors.datasets.generated_pairs import LabelledPair, generate, thumbnail
from detectors.factify import (
    ALGORITHMS,
    BEYOND,
    CIRCULAR,
    CLASSES,
    PUBLISHED,
    Image,
    Pair,
    Scores,
    Thresholds,
    classifier,
    colour_histogram,
    common_words,
    evaluate,
    fit_thresholds,
    histogram_correlation,
    inputs,
    label_pair,
    score_pairs,
)
from tests.unit.detectors.stem_encoder import StemEncoder

THRESHOLDS = Thresholds(
    text_cosine=0.7,
    common_words=0.3,
    image_cosine=0.8,
    histogram=0.6,
    encoder="stems",
    image_encoder="thumbnail",
)


def scores(text: float, words: float, image: float = math.nan, colour: float = math.nan) -> Scores:
    return Scores(text, words, image, colour, *[0.0] * 7)


def field(*colour: int) -> Image:
    image = np.empty((4, 6, 3), dtype=np.uint8)
    image[:] = colour
    return image


# The paper's scores


def test_common_words_by_hand() -> None:
    # stems: vaccin caus sever ill | old peopl vaccin ill: 2 of 4
    assert common_words("vaccines cause severe illness", "old people vaccinated, ill") == 0.5
    assert common_words("same words", "words same") == 1
    assert common_words("", "anything at all here") == 0


def test_colour_histogram_by_hand() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0, 0] = (255, 0, 0)
    image[0, 1] = (255, 128, 127)
    found = colour_histogram(image, n_bins=2)  # cells: (red, green, blue) each below 128 or not
    assert found.tolist() == [0.5, 0, 0, 0, 0.25, 0, 0.25, 0]
    assert colour_histogram(field(1, 2, 3)).sum() == 1
    assert len(colour_histogram(field(1, 2, 3))) == 512


def test_histogram_correlation_is_pearsons() -> None:
    random = np.random.default_rng(1)
    a, b = random.random(64), random.random(64)
    assert histogram_correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert histogram_correlation(a, a) == pytest.approx(1)
    flat = np.full(8, 1 / 8)
    assert histogram_correlation(flat, flat) == 1
    assert histogram_correlation(flat, np.eye(8)[0]) == 0


def test_scores_of_a_pair_by_hand() -> None:
    red, blue, dark_red = field(250, 0, 0), field(0, 0, 250), field(240, 0, 0)
    pair = Pair(
        "Shop sold 12 rotten melons",
        "Weather is mild. Rotten melons were sold by a shop, 12 of them. It is a hoax.",
        claim_images=(blue, red),
        document_images=(dark_red,),
        claim_ocr="shop",
    )
    (found,) = score_pairs([pair], StemEncoder(), lambda image: image[0, 0].astype(float))
    assert found.image_cosine == pytest.approx(1), "the best of two pictures"
    assert found.histogram == pytest.approx(1), "both reds are in one cell"
    assert found.common_words == 1
    assert found.best_sentence == pytest.approx(1, abs=1e-6)
    assert found.text_cosine < 0.9
    assert found.numbers == 1
    assert found.denials == pytest.approx(math.log(2))
    assert math.isnan(found.ocr), "the document's picture has no text"
    assert not math.isnan(found.picture_in_document)
    assert found.length == pytest.approx(math.log(6) - math.log(18))


def test_what_is_missing_is_nan_and_no_number() -> None:
    (bare,) = score_pairs([Pair("a claim", "")], StemEncoder(), thumbnail)
    for name in ("image_cosine", "histogram", "best_sentence", "ocr", "numbers"):
        assert math.isnan(getattr(bare, name)), name
    (no_encoder,) = score_pairs(
        [Pair("a", "b", (field(1, 2, 3),), (field(1, 2, 3),))], StemEncoder(), None
    )
    assert math.isnan(no_encoder.image_cosine)
    assert no_encoder.histogram == pytest.approx(1)


def test_each_text_is_encoded_once() -> None:
    encoder = StemEncoder()
    score_pairs([Pair("same claim", "Same document.")] * 50, encoder, None)
    assert encoder.n_encoded == 3, "claim, document, and no text in the pictures"


# The paper's rule


@pytest.mark.parametrize(
    ("given", "label"),
    [
        (scores(0.71, 0.0, 0.9, 0.7), "Support_Multimodal"),
        (scores(0.71, 0.0, 0.9, 0.6), "Support_Text"),
        (scores(0.71, 0.0, 0.8, 0.7), "Support_Text"),
        (scores(0.71, 0.0), "Support_Text"),
        (scores(0.7, 0.31, 0.9, 0.7), "Insufficient_Multimodal"),
        (scores(0.1, 0.31, 0.1, 0.7), "Insufficient_Text"),
        (scores(0.7, 0.3, 0.9, 0.9), None),
        (scores(0.1, 0.0), None),
    ],
)
def test_the_order_of_the_rule_and_what_is_dropped(given: Scores, label: str | None) -> None:
    assert label_pair(given, THRESHOLDS) == label


def test_thresholds_by_hand() -> None:
    labelled = [
        (scores(0.9, 0.1, 0.9, 0.9), "Support_Multimodal"),
        (scores(0.7, 0.1, 0.3, 0.1), "Support_Text"),
        (scores(0.5, 0.4, 0.7, 0.7), "Insufficient_Multimodal"),
        (scores(0.3, 0.8, 0.1, 0.5), "Insufficient_Text"),
        (scores(0.99, 0.9, 0.99, 0.0), "Refute"),  # has no part
    ]
    fitted = fit_thresholds(
        [s for s, _ in labelled], [label for _, label in labelled], "stems", "thumbnail"
    )
    assert fitted.text_cosine == pytest.approx(0.6)
    assert fitted.image_cosine == pytest.approx(0.5)
    assert fitted.histogram == pytest.approx(0.6)
    assert fitted.common_words == pytest.approx(0.42, abs=1e-5), "the lower 5 % of 0.4 and 0.8"
    assert (fitted.encoder, fitted.image_encoder) == ("stems", "thumbnail")


def test_thresholds_make_the_fewest_errors() -> None:
    random = np.random.default_rng(8)
    support = random.random(300) < 0.5
    values = np.where(support, 0.6, 0.4) + 0.15 * random.standard_normal(300)
    labels = [
        f"{'Support' if s else 'Insufficient'}_{'Multimodal' if i % 2 else 'Text'}"
        for i, s in enumerate(support)
    ]
    given = [scores(float(v), 0.5, float(i % 2), float(i % 2)) for i, v in enumerate(values)]
    cut = fit_thresholds(given, labels, "", "").text_cosine
    errors = int(((values > cut) != support).sum())
    assert errors == min(int(((values > c) != support).sum()) for c in [*values, -1.0])


@pytest.mark.parametrize("labels", [["Support_Text"] * 2, ["Refute"] * 2])
def test_thresholds_need_both_sides(labels: list[str]) -> None:
    with pytest.raises(ValueError, match="pairs of"):
        fit_thresholds([scores(0.5, 0.5, 0.5, 0.5)] * 2, labels, "", "")


# The classifiers


def test_settings_read_what_the_paper_says() -> None:
    given = [Scores(*[0.1 * i for i in range(1, 12)])]
    assert_allclose(inputs(given, "text"), [[0.1]])
    assert_allclose(inputs(given, "multimodal"), [[0.1, 0.3]])
    assert_allclose(inputs(given, "paper's four scores"), [[0.1, 0.2, 0.3, 0.4, 1, 1, 1, 1]])
    assert inputs(given, "all scores").shape == (1, 22)
    products = inputs(given, "all scores and products")
    assert products.shape == (1, 22 + 66)
    assert products[0, 23] == pytest.approx(0.1 * 0.2)
    missing = inputs([scores(0.5, 0.5)], "paper's four scores")
    assert missing.tolist() == [[0.5, 0.5, 0, 0, 1, 1, 0, 0]]
    assert inputs([scores(0.5, 0.5)], "multimodal").tolist() == [[0.5, 0]]


def test_algorithms_are_those_of_the_paper() -> None:
    assert len(PUBLISHED) * len(ALGORITHMS) == 10
    assert classifier("k-NN (3)").n_neighbors == 3
    assert classifier("SVM (RBF)")[-1].kernel == "rbf"
    assert classifier("SVM (RBF)")[0].__class__.__name__ == "StandardScaler"
    forest = classifier("random forest")
    assert (forest.n_estimators, forest.max_depth) == (500, 10)
    with pytest.raises(KeyError):
        classifier("perceptron")


@pytest.fixture(scope="module")
def generated() -> tuple[list[LabelledPair], list[LabelledPair]]:
    return list(generate(12, seed=1)), list(generate(12, seed=2))


def test_rows_on_invented_pairs(
    generated: tuple[list[LabelledPair], list[LabelledPair]],
) -> None:
    encoder = StemEncoder()
    train, test = (score_pairs([p.pair for p in g], encoder, thumbnail) for g in generated)
    labels = [[p.label for p in pairs] for pairs in generated]
    rows = evaluate(train, labels[0], test, labels[1])
    assert [(row.setting, row.algorithm) for row in rows[:10]] == [
        (setting, algorithm) for setting in PUBLISHED for algorithm in ALGORITHMS
    ]
    assert len(rows) == 5 * (len(PUBLISHED) + len(BEYOND))
    best = {s: max(r.weighted_f1 for r in rows if r.setting == s) for s in (*PUBLISHED, *BEYOND)}
    assert best["text"] < best["multimodal"] < best["all scores"]
    for row in rows:
        assert row.confusion.sum() == len(test)
        assert row.confusion.sum(axis=1).tolist() == [12] * 5
    again = evaluate(train, labels[0], test, labels[1], settings=["text"])
    assert [row.weighted_f1 for row in again] == [row.weighted_f1 for row in rows[:5]]


def test_unknown_label_is_told() -> None:
    with pytest.raises(ValueError, match="no class is called 'Support'; there are: Support_Text"):
        evaluate([scores(1, 1)], ["Support"], [scores(1, 1)], ["Refute"])


def test_generated_pairs_are_the_same_each_time() -> None:
    one, two = (list(generate(2, seed=5)) for _ in range(2))
    for a, b in zip(one, two, strict=True):
        assert (a.label, a.pair.claim, a.pair.document) == (b.label, b.pair.claim, b.pair.document)
        assert a.pair.document_images[0].tobytes() == b.pair.document_images[0].tobytes()
    assert [p.label for p in one] == list(CLASSES) * 2
    assert one[0].pair.claim != next(generate(1, seed=6)).pair.claim


def test_the_report_says_that_it_is_circular(
    generated: tuple[list[LabelledPair], list[LabelledPair]],
) -> None:
    report = evaluate_factify.report(*generated, StemEncoder())
    assert report["note"] == CIRCULAR
    assert "measured against itself" in CIRCULAR
    assert report["paper_best_weighted_f1"] == {"text": 0.413, "multimodal": 0.5309}
    assert len(report["rows"]) == 25
    rule = report["label_rule"]
    assert rule["n"] == 48
    assert sum(map(sum, rule["confusion"])) + rule["n_dropped"] == 48
    json.dumps(report)


# The published files

ROWS = """Id,Claim,claim_image,Claim OCR,document,Document_Image,document_ocr,Category
0,"a, b",https://x/1.jpg,SALE,long document,https://x/2.jpg,,Support_Text
1,c,,,d,https://x/none.jpg,,Refute
"""


def test_published_files(tmp_path: Path) -> None:
    known = {"https://x/1.jpg": field(1, 1, 1), "https://x/2.jpg": field(2, 2, 2)}
    for name, text in (
        ("a.csv", ROWS),
        ("a.tsv", ROWS.replace('"a, b"', "a b").replace(",", "\t")),
    ):
        path = tmp_path / name
        path.write_text(text)
        first, second = files.read(path, known.get)
        assert (first.label, second.label) == ("Support_Text", "Refute")
        assert (first.pair.document, first.pair.claim_ocr) == ("long document", "SALE")
        assert first.pair.document_images[0][0, 0].tolist() == [2, 2, 2]
        assert (second.pair.claim_images, second.pair.document_images) == ((), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("claim,document\n", "has no column claimimage: it has claim, document"),
        (ROWS.replace("Refute", "Maybe"), "row 3: no class is called 'Maybe'"),
        (ROWS.replace("SALE", "SOLDÉ"), "is no CSV in UTF-8: save it as CSV UTF-8"),
    ],
)
def test_files_that_are_none_are_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, "cp1252")  # as Excel saves a CSV
    with pytest.raises(files.BadFile, match=message):
        list(files.read(path, lambda address: None))


def test_pictures_by_the_end_of_their_address(tmp_path: Path) -> None:
    from PIL import Image as Pictures

    Pictures.fromarray(field(9, 8, 7)).save(tmp_path / "p.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    load = evaluate_factify.load_from(tmp_path)
    found = load("https://example.org/media/p.png")
    assert found is not None
    assert found[0, 0].tolist() == [9, 8, 7]
    assert load("https://example.org/other.png") is None
    assert load("https://example.org/broken.png") is None
    assert evaluate_factify.load_from(None)("p.png") is None
