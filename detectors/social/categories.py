"""Numbers as categories, so that a table of vectors can be learnt for them and "not known" is one.

    category(value) = 0                                  if it is not known
                      1 + number of edges <= value       else

Zuo et al. one-hot encode the attributes and give no bins. Ours are fixed, not fitted: about equal
steps of the logarithm, the same for every data set, and stored with the model.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import isnan

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.social.attributes import Attributes

#: Categories of a count: not known, 0, 1, 2, 3, 4-5, 6-10, 11 and more.
COUNT_EDGES = (1.0, 2.0, 3.0, 4.0, 6.0, 11.0)
#: Of an account's figure: not known, 0, 1-9, 10-99, ... , ten million and more.
FIGURE_EDGES = tuple(10.0**power for power in range(8))
#: Of an age: not known, under a day, week, month, year, five years, ten years, and more [days].
AGE_EDGES = (1.0, 7.0, 30.0, 365.0, 1826.0, 3652.0)
#: Of a yes or no: not known, no, yes.
FLAG_EDGES = (1.0,)


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attribute and where its categories begin. edges: ascending."""

    name: str
    edges: tuple[float, ...]

    @property
    def n_categories(self) -> int:
        """With the one for "not known"."""
        return len(self.edges) + 2

    def category(self, value: float | None) -> int:
        """The number of a value's category, from 0.

        >>> count = Field("n_links", COUNT_EDGES)
        >>> [count.category(v) for v in (None, 0, 1, 5, 1000, float("nan"))]
        [0, 1, 2, 5, 7, 0]
        """
        if value is None or isnan(value):
            return 0
        return 1 + bisect_right(self.edges, value)


#: The fields of a post that hoaxwatch itself has read.
FIELDS: tuple[Field, ...] = (
    Field("n_links", COUNT_EDGES),
    Field("n_hashtags", COUNT_EDGES),
    Field("n_mentions", COUNT_EDGES),
    Field("n_question_marks", COUNT_EDGES),
    Field("n_exclamation_marks", COUNT_EDGES),
    Field("n_positive_words", COUNT_EDGES),
    Field("n_negative_words", COUNT_EDGES),
    Field("followers", FIGURE_EDGES),
    Field("following", FIGURE_EDGES),
    Field("n_posts", FIGURE_EDGES),
    Field("account_age_days", AGE_EDGES),
    Field("verified", FLAG_EDGES),
)


def quantile_field(name: str, values: Iterable[float | None], n: int) -> Field:
    """A field for a number of unknown scale: about equally many of these values in each category.

    values: of the training split alone. n: at most so many categories for known values.

    >>> quantile_field("score", [1, 2, 3, 4, None], 2)
    Field(name='score', edges=(3.0,))
    >>> quantile_field("constant", [7, 7], 4).edges
    ()
    """
    known = np.array([v for v in values if v is not None and not isnan(v)], dtype=np.float64)
    if not known.size:
        return Field(name, ())
    edges = np.unique(np.quantile(known, np.arange(1, n) / n, method="higher"))
    return Field(name, tuple(float(edge) for edge in edges if edge > known.min()))


def categories_of(fields: Sequence[Field], attributes: Sequence[Attributes]) -> NDArray[np.int64]:
    """The categories of several posts: (posts, fields). An attribute that is not there is unknown.

    >>> categories_of(FIELDS[:2], [{"n_links": 2, "n_hashtags": 0}, {"n_links": None}])
    array([[3, 1],
           [0, 0]])
    """
    return np.array(
        [[field.category(one.get(field.name)) for field in fields] for one in attributes],
        dtype=np.int64,
    ).reshape(len(attributes), len(fields))
