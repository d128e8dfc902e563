"""What a cascade's detector must beat: its size, depth and breadth, its pace, and the text.

Source of size, depth, breadth and structure as evidence: Vosoughi, Roy, Aral, Science 359, 2018.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path

from detectors.cascades import Cascade, Floats
from detectors.text.normalise import features

Ints = NDArray[np.int64]

#: Columns of `shape_features` and of `pace_features`.
SHAPE = ("log_size", "depth", "log_breadth", "mean_depth", "share_with_children", "edges_per_node")
PACE = ("log_size", "delay_10", "delay_25", "delay_50", "delay_75", "delay_90")


def shape_features(cascade: Cascade) -> list[float]:
    """Six numbers about the shape, as in SHAPE; depth in steps from the root along the edges.

    >>> from detectors.cascades import build_cascade
    >>> one = build_cascade("r", [("r", "a"), ("r", "b"), ("a", "c")])
    >>> [round(x, 3) for x in shape_features(one)]
    [1.386, 2.0, 0.693, 1.0, 0.5, 0.75]
    """
    n, m = cascade.n_nodes, len(cascade.source)
    if n == 0:
        return [0.0] * len(SHAPE)
    edges = csr_array((np.ones(m), (cascade.source, cascade.target)), shape=(n, n))
    depths = np.zeros(1)
    if cascade.root >= 0:
        found = shortest_path(edges, unweighted=True, indices=cascade.root)
        depths = found[np.isfinite(found)]
    breadth = int(np.bincount(depths.astype(np.int64)).max())
    with_children = len(np.unique(cascade.source)) / n
    return [
        float(np.log(n)),
        float(depths.max()),
        float(np.log(breadth)),
        float(depths.mean()),
        with_children,
        m / n,
    ]


def pace_features(cascade: Cascade) -> list[float]:
    """Size and log(1 + minutes) of five quantiles of the delays, as in PACE: all that a star says.

    0 for delays where no time is known.
    """
    known = cascade.delay_seconds[np.isfinite(cascade.delay_seconds)]
    quantiles = np.percentile(known, [10, 25, 50, 75, 90]) if len(known) else np.zeros(5)
    pace = np.log1p(np.maximum(quantiles, 0) / 60)
    return [float(np.log(max(cascade.n_nodes, 1))), *pace.tolist()]


def logistic_regression(x: Floats, labels: Ints, train: Ints) -> Floats:
    """Probabilities (n, classes) of a multinomial logistic regression on standardised columns."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    return _probabilities(model.fit(x[train], labels[train]), x)


def random_forest(x: Floats, labels: Ints, train: Ints) -> Floats:
    """Probabilities (n, classes) of 200 trees of depth 8, seeded."""
    from sklearn.ensemble import RandomForestClassifier

    model = RandomForestClassifier(200, max_depth=8, random_state=0)
    return _probabilities(model.fit(x[train], labels[train]), x)


def source_text(texts: Sequence[str], labels: Ints, train: Ints) -> Floats:
    """Probabilities (n, classes) of TF-IDF over word 1-2-grams and a logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    grams = [features(text) for text in texts]
    vectoriser = TfidfVectorizer(analyzer=list, sublinear_tf=True)
    vectoriser.fit([grams[i] for i in train])
    x = vectoriser.transform(grams)
    return _probabilities(LogisticRegression(C=10.0, max_iter=5000).fit(x[train], labels[train]), x)


def same_account(authors: Sequence[str], labels: Ints, train: Ints) -> Floats:
    """1 for the class most of an account's training cascades have, the commonest one if it has
    none: what a split that tears accounts apart gives away for nothing. (n, classes)"""
    n_classes = int(labels.max()) + 1
    of_author: dict[str, Counter[int]] = defaultdict(Counter)
    for i in train.tolist():
        of_author[authors[i]][int(labels[i])] += 1
    commonest = Counter(labels[train].tolist())
    found = np.zeros((len(labels), n_classes))
    for i, author in enumerate(authors):
        counts = of_author.get(author) or commonest
        found[i, min(counts, key=lambda label: (-counts[label], label))] = 1.0
    return found


def commonest_class(labels: Ints, train: Ints) -> Floats:
    """1 for the commonest class of the training cascades. (n, classes)"""
    return same_account([""] * len(labels), labels, train)


def _probabilities(model: Any, x: Any) -> Floats:
    found: Floats = model.predict_proba(x)
    return found
