"""How far people agree on labels. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def fleiss_kappa(counts: NDArray[np.int64]) -> float | None:
    """Agreement beyond chance of several annotators, who need not be the same for each item.

        kappa = (P - E) / (1 - E)
        P     = mean over items of  sum_j n_ij (n_ij - 1) / (n_i (n_i - 1))
        E     = sum over labels of p_j^2,  p_j the share of label j among all labels given

    counts: (items, labels), how many annotators gave an item a label; items with fewer than two
    are left out. 1 is full agreement, 0 what chance gives.
    Source: Fleiss, Psychological Bulletin 76, 1971; unequal numbers: Fleiss, Levin, Paik,
    Statistical Methods for Rates and Proportions, 2003, 18.3.
    Returns: None if nothing is left, or if all ever gave one and the same label.

    >>> fleiss_kappa(np.array([[2, 0], [0, 2], [2, 0], [0, 2]]))
    1.0
    >>> round(fleiss_kappa(np.array([[2, 0], [1, 1], [0, 2], [1, 1]])), 3)
    0.0
    """
    counts = counts[counts.sum(axis=1) >= 2]
    if not len(counts):
        return None
    n = counts.sum(axis=1)
    agreement = float(((counts * (counts - 1)).sum(axis=1) / (n * (n - 1))).mean())
    expected = float(np.square(counts.sum(axis=0) / n.sum()).sum())
    if expected == 1:
        return None
    return (agreement - expected) / (1 - expected)
