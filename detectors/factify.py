"""Does a document support a claim, refute it, or say too little? Text and pictures, five classes.

A pair is a claim and a document, each with pictures and the text in them. Its scores:

    text_cosine    cosine of the sentence embeddings of claim and document
    common_words   |stems of both| / |stems of the shorter one|, without stop words
    image_cosine   cosine of image features, the best pair of pictures
    histogram      correlation of normalised colour histograms, the best pair of pictures

Source: Mishra et al., "Factify: a multi-modal fact verification dataset", De-Factify at AAAI 2022.
The paper's rule for making labels is `label_pair`; its ten baselines are `PUBLISHED`, which see one
score (text) or two (text and image). What is beyond the paper is under `BEYOND`.

Four of the five labels of its data set were made from these same scores by that rule. A classifier
that reads the scores finds the rule again: its F1 says how well, not how well it verifies claims.
`CIRCULAR` says so, and every evaluation carries it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.multiclass import Ints, confusion_matrix, weighted_f1_of
from detectors.sentences import SentenceEncoder
from detectors.text.stem import content_stems

Floats = NDArray[np.float64]
#: uint8 (height, width, 3), red, green, blue.
Image = NDArray[np.uint8]
#: An image as a vector, such as the features of a ResNet50: float (width,).
ImageEncoder = Callable[[Image], NDArray[Any]]

SUPPORT_TEXT = "Support_Text"
SUPPORT_MULTIMODAL = "Support_Multimodal"
INSUFFICIENT_TEXT = "Insufficient_Text"
INSUFFICIENT_MULTIMODAL = "Insufficient_Multimodal"
REFUTE = "Refute"
CLASSES = (
    SUPPORT_TEXT,
    SUPPORT_MULTIMODAL,
    INSUFFICIENT_TEXT,
    INSUFFICIENT_MULTIMODAL,
    REFUTE,
)

CIRCULAR = (
    "Support and Insufficient labels of Factify were made from text and image similarity; a "
    "classifier that reads such similarities is measured against itself. Classes are balanced by "
    "construction, not by how often they occur."
)
#: The weighted F1 that the paper states as the best of each setting, on its own data.
PAPER_BEST = {"text": 0.413, "multimodal": 0.5309}

HISTOGRAM_BINS = 8
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_DENIAL = re.compile(
    r"\b(?:false|fake|hoax|untrue|not true|incorrect|baseless|misleading|debunk\w*|fabricat\w*"
    r"|doctored|photoshopped|manipulated|no evidence|never (?:said|happened)|fact[- ]?check\w*)\b",
    re.IGNORECASE,
)


class Pair(NamedTuple):
    """A claim and a document. OCR texts are what can be read in the pictures; "" if nothing."""

    claim: str
    document: str
    claim_images: Sequence[Image] = ()
    document_images: Sequence[Image] = ()
    claim_ocr: str = ""
    document_ocr: str = ""


class Scores(NamedTuple):
    """All that is measured of a pair; NaN where a picture or text is missing.

    The first four are the paper's. best_sentence: text_cosine with the document's best sentence.
    claim_in_picture, picture_in_document, ocr: cosines of claim and document OCR, claim OCR and
    document, both OCR texts. numbers: share of the claim's numbers that are in the document.
    denials: words of denial in the document less those in the claim, as log(1 + n) each.
    length: log of the ratio of lengths in words.
    """

    text_cosine: float
    common_words: float
    image_cosine: float
    histogram: float
    best_sentence: float
    claim_in_picture: float
    picture_in_document: float
    ocr: float
    numbers: float
    denials: float
    length: float


def split_sentences(text: str) -> list[str]:
    """The sentences of a document, by their full stops.

    >>> split_sentences(" It is so. Is it? ")
    ['It is so.', 'Is it?']
    """
    return [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]


# Scores


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    """a . b / (|a| |b|), 0 if either has no length.

    >>> cosine(np.array([1.0, 0.0]), np.array([3.0, 4.0]))
    0.6
    """
    scale = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    return float(a.astype(np.float64) @ b.astype(np.float64)) / scale if scale > 0 else 0.0


def common_words(one: str, other: str) -> float:
    """|stems of both| / |stems of the one that has fewer|, 0 if it has none.

    The paper counts common words after stemming and without stop words and gives no formula; of
    what is divided by, the shorter text is the choice that lets a claim be part of an article.

    >>> common_words("Vaccines cause illness", "An illness was caused by the vaccine, she said")
    1.0
    >>> common_words("the moon", "it is")
    0.0
    """
    a, b = content_stems(one), content_stems(other)
    fewer = min(len(a), len(b))
    return len(a & b) / fewer if fewer else 0.0


def colour_histogram(image: Image, n_bins: int = HISTOGRAM_BINS) -> Floats:
    """The share of pixels in each of n_bins^3 cells of the red, green and blue values.

    >>> colour_histogram(np.zeros((2, 2, 3), dtype=np.uint8), n_bins=2).tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    cells = (image.reshape(-1, 3).astype(np.int64) * n_bins) // 256  # (pixels, 3)
    places = (cells[:, 0] * n_bins + cells[:, 1]) * n_bins + cells[:, 2]
    counts = np.bincount(places, minlength=n_bins**3)
    return counts / max(len(cells), 1)


def histogram_correlation(a: Floats, b: Floats) -> float:
    """Pearson's correlation of two histograms, in [-1, 1]; 1 for equal ones, 0 if one is flat.

    >>> round(histogram_correlation(np.array([1.0, 0, 0]), np.array([0.5, 0.5, 0])), 4)
    0.5
    """
    x, y = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    if scale > 0:
        return float(x @ y) / scale
    return 1.0 if np.array_equal(a, b) else 0.0


def image_similarity(pair: Pair, encode_image: ImageEncoder | None) -> tuple[float, float]:
    """The cosine and the histogram correlation of the most similar two pictures, one of each side.

    NaN without pictures on either side; the cosine is NaN without an encoder.
    """
    if not (len(pair.claim_images) and len(pair.document_images)):
        return float("nan"), float("nan")

    def best(describe: Callable[[Image], Any], alike: Callable[[Any, Any], float]) -> float:
        of_claim = [describe(image) for image in pair.claim_images]
        of_document = [describe(image) for image in pair.document_images]
        return max(alike(a, b) for a in of_claim for b in of_document)

    by_colour = best(colour_histogram, histogram_correlation)
    return float("nan") if encode_image is None else best(encode_image, cosine), by_colour


def score_pairs(
    pairs: Sequence[Pair], encoder: SentenceEncoder, encode_image: ImageEncoder | None
) -> list[Scores]:
    """The scores of each pair, in order. Cost: that of encoding each sentence once."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    sentences = [[number(s) for s in split_sentences(pair.document)] for pair in pairs]
    for pair in pairs:
        for text in (pair.claim, pair.document, pair.claim_ocr, pair.document_ocr):
            number(text)
    vectors = encoder.encode(list(texts))

    def alike(one: str, other: str) -> float:
        if not (one.strip() and other.strip()):
            return float("nan")
        return cosine(vectors[texts[one]], vectors[texts[other]])

    found = []
    for pair, own in zip(pairs, sentences, strict=True):
        by_image, by_colour = image_similarity(pair, encode_image)
        claim = vectors[texts[pair.claim]]
        found.append(
            Scores(
                text_cosine=cosine(claim, vectors[texts[pair.document]]),
                common_words=common_words(pair.claim, pair.document),
                image_cosine=by_image,
                histogram=by_colour,
                best_sentence=max((cosine(claim, vectors[i]) for i in own), default=float("nan")),
                claim_in_picture=alike(pair.claim, pair.document_ocr),
                picture_in_document=alike(pair.claim_ocr, pair.document),
                ocr=alike(pair.claim_ocr, pair.document_ocr),
                numbers=shared_numbers(pair.claim, pair.document),
                denials=n_denials(pair.document) - n_denials(pair.claim),
                length=float(
                    np.log1p(len(pair.claim.split())) - np.log1p(len(pair.document.split()))
                ),
            )
        )
    return found


def shared_numbers(claim: str, document: str) -> float:
    """The share of the claim's numbers that the document has; NaN if the claim has none.

    >>> shared_numbers("1,200 of 5 die", "of 5 people 1200 died"), shared_numbers("many", "5")
    (1.0, nan)
    """

    def numbers(text: str) -> set[str]:
        return {found.replace(",", "") for found in _NUMBER.findall(text)}

    wanted = numbers(claim)
    return len(wanted & numbers(document)) / len(wanted) if wanted else float("nan")


def has_numbers(text: str) -> bool:
    """Whether digits are in a text."""
    return _NUMBER.search(text) is not None


def n_denials(text: str) -> float:
    """log(1 + number of words that deny something).

    >>> round(n_denials("The photo is fake, a fact-check found; not true."), 4)
    1.3863
    """
    return float(np.log1p(len(_DENIAL.findall(text))))


# The paper's rule for labels


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of `label_pair`. encoder, image_encoder: whose scores they are for; others have others."""

    text_cosine: float
    common_words: float
    image_cosine: float
    histogram: float
    encoder: str
    image_encoder: str


def label_pair(scores: Scores, thresholds: Thresholds) -> str | None:
    """The label that the paper's rule gives a pair of a claim and a trusted report; None: dropped.

        text_cosine > T1              -> Support
        else common_words > T2        -> Insufficient
        else                          -> the pair is dropped
        pictures similar              -> .._Multimodal, else .._Text

    Pictures are similar if both measures exceed their thresholds (the paper uses both and says not
    how; its values stand in a figure). A pair without pictures is .._Text. Refute never comes from
    this rule: the paper takes those pairs from fact-checks.

    >>> t = Thresholds(text_cosine=0.7, common_words=0.3, image_cosine=0.8, histogram=0.6,
    ...                encoder="", image_encoder="")
    >>> def label(*first): return label_pair(Scores(*first, *[0.0] * 7), t)
    >>> label(0.9, 0.0, 0.9, 0.9), label(0.9, 0.0, 0.9, 0.1), label(0.1, 0.9, 0.9, 0.9)
    ('Support_Multimodal', 'Support_Text', 'Insufficient_Multimodal')
    >>> label(0.7, 0.4, 0.0, 0.0), label(0.7, 0.3, 0.9, 0.9)
    ('Insufficient_Text', None)
    """
    similar = scores.image_cosine > thresholds.image_cosine and (
        scores.histogram > thresholds.histogram
    )
    if scores.text_cosine > thresholds.text_cosine:
        return SUPPORT_MULTIMODAL if similar else SUPPORT_TEXT
    if scores.common_words > thresholds.common_words:
        return INSUFFICIENT_MULTIMODAL if similar else INSUFFICIENT_TEXT
    return None


def fit_thresholds(
    scores: Sequence[Scores], labels: Sequence[str], encoder: str, image_encoder: str
) -> Thresholds:
    """The thresholds under which `label_pair` repeats given labels best; Refute is left out.

    T1 parts Support from Insufficient with the fewest errors; each image threshold parts
    Multimodal from Text with the fewest, by itself; T2 keeps 95 % of the Insufficient pairs. Cut
    points lie half way between neighbouring scores. Raises: ValueError if a side has no pair.
    """
    kept = [(s, label) for s, label in zip(scores, labels, strict=True) if label != REFUTE]
    is_support = np.array([label.startswith("Support") for _, label in kept], dtype=np.bool_)
    is_multimodal = np.array([label.endswith("Multimodal") for _, label in kept], dtype=np.bool_)
    columns = {name: np.array([getattr(s, name) for s, _ in kept]) for name in Scores._fields[:4]}
    insufficient = columns["common_words"][~is_support]
    if not (is_support.any() and len(insufficient)):
        raise ValueError("thresholds need pairs of Support and of Insufficient")
    below = float(np.percentile(insufficient, 5))
    return Thresholds(
        text_cosine=_best_cut(columns["text_cosine"], is_support),
        common_words=round(max(below - 1e-6, 0.0), 6),
        image_cosine=_best_cut(columns["image_cosine"], is_multimodal),
        histogram=_best_cut(columns["histogram"], is_multimodal),
        encoder=encoder,
        image_encoder=image_encoder,
    )


def _best_cut(values: Floats, above: NDArray[np.bool_]) -> float:
    """The cut with the fewest errors if all greater values are taken for `above`."""
    known = np.isfinite(values)
    values, above = values[known], above[known]
    if not (above.any() and (~above).any()):
        raise ValueError("thresholds need pairs of each kind with pictures")
    order = np.argsort(values, kind="stable")
    values, above = values[order], above[order]
    # cutting before position k: errors are those above that lie before it and the others after
    errors = np.concatenate([[0], np.cumsum(above)]) + (
        np.concatenate([np.cumsum((~above)[::-1])[::-1], [0]])
    )
    middles = np.concatenate([[values[0] - 1e-3], (values[1:] + values[:-1]) / 2, [values[-1]]])
    distinct = np.concatenate([[True], values[1:] > values[:-1], [True]])
    errors = np.where(distinct, errors, len(values) + 1)
    return round(float(middles[int(np.argmin(errors))]), 6)


# Classifiers


class Row(NamedTuple):
    """A line of the results: which scores, which algorithm, how good, and the confusion matrix
    (label by prediction, in the order of CLASSES)."""

    setting: str
    algorithm: str
    weighted_f1: float
    confusion: Ints


#: What each setting reads: the paper's two, and two beyond it.
PUBLISHED: Mapping[str, tuple[str, ...]] = {
    "text": ("text_cosine",),
    "multimodal": ("text_cosine", "image_cosine"),
}
BEYOND: Mapping[str, tuple[str, ...]] = {
    "paper's four scores": Scores._fields[:4],
    "all scores": Scores._fields,
    "all scores and products": Scores._fields,
}

ALGORITHMS = (
    "logistic regression",
    "k-NN (3)",
    "SVM (RBF)",
    "decision tree",
    "random forest",
)


def classifier(algorithm: str) -> Any:
    """An unfitted classifier of scikit-learn as the paper's notebook has it: k = 3; RBF after
    scaling; 500 trees of depth 10; all else its defaults. Seeded. Raises: KeyError."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    from sklearn.tree import DecisionTreeClassifier

    return {
        "logistic regression": LogisticRegression(max_iter=5000),
        "k-NN (3)": KNeighborsClassifier(n_neighbors=3),
        "SVM (RBF)": make_pipeline(StandardScaler(), SVC(kernel="rbf")),
        "decision tree": DecisionTreeClassifier(random_state=0),
        "random forest": RandomForestClassifier(500, max_depth=10, random_state=0),
    }[algorithm]


def inputs(scores: Sequence[Scores], setting: str) -> Floats:
    """What a setting's classifiers read, (n, columns).

    A score that is missing is 0; beyond the paper a column says that it is. Products are those of
    every two scores.
    """
    names = {**PUBLISHED, **BEYOND}[setting]
    raw = np.array([[getattr(s, name) for name in names] for s in scores]).reshape(-1, len(names))
    known = np.isfinite(raw)
    x = np.where(known, raw, 0.0)
    if setting in PUBLISHED:
        return x
    columns = [x, known.astype(np.float64)]
    if setting.endswith("products"):
        i, j = np.triu_indices(len(names))
        columns.append(x[:, i] * x[:, j])
    return np.concatenate(columns, axis=1)


def evaluate(
    train: Sequence[Scores],
    train_labels: Sequence[str],
    test: Sequence[Scores],
    test_labels: Sequence[str],
    settings: Sequence[str] = (*PUBLISHED, *BEYOND),
) -> list[Row]:
    """Every algorithm in every setting, fitted on train, measured on test by weighted F1.

    Show `CIRCULAR` beside the rows. Raises: ValueError for a label that is none of CLASSES.
    """
    y, wanted = class_numbers(train_labels), class_numbers(test_labels)
    rows = []
    for setting in settings:
        x, asked = inputs(train, setting), inputs(test, setting)
        for algorithm in ALGORITHMS:
            predicted = classifier(algorithm).fit(x, y).predict(asked).astype(np.int64)
            matrix = confusion_matrix(wanted, predicted, len(CLASSES))
            rows.append(Row(setting, algorithm, weighted_f1_of(matrix), matrix))
    return rows


def class_numbers(labels: Sequence[str]) -> Ints:
    """The places of labels in CLASSES. Raises: ValueError."""
    numbers = {name: i for i, name in enumerate(CLASSES)}
    unknown = sorted(set(labels) - set(numbers))
    if unknown:
        raise ValueError(f"no class is called {unknown[0]!r}; there are: {', '.join(CLASSES)}")
    return np.array([numbers[label] for label in labels], dtype=np.int64)
