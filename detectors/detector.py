"""The one interface of all detectors: contents in, verdicts out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from streams.records import Content, Verdict

if TYPE_CHECKING:
    from detectors.datasets.labelled import LabelledPost
    from detectors.trained import Opinion


class DetectorUnusable(ValueError):
    """A detector that cannot judge here as it was asked to; the message is one line that says what
    to do. Its kinds are beside what raises them."""


class Detector(Protocol):
    """Scores contents. Pure: no network, no database, no settings, no state that changes a score.

    The score of a content may not depend on which other contents are in the same call, on their
    order, or on what was scored before (DESIGN: "Scores do not depend on their neighbours").
    """

    @property
    def name(self) -> str:
        """The name in the registry, as in `--detector NAME`."""

    @property
    def version(self) -> str:
        """Changes whenever a score could change: weights, preprocessing, engine."""

    @property
    def threshold(self) -> float:
        """Scores of at least this much count as likely false unless the policy says otherwise."""

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content, in order: scored, or abstained with a reason."""


@runtime_checkable
class Explains(Protocol):
    """A detector whose evidence costs more than its score, so that it is given on demand."""

    def explain(self, content: Content) -> tuple[tuple[str, float], ...]:
        """What weighed most, as (feature, contribution to the calibrated logit), largest first.
        () for a content that is not scored. As pure as `score`."""


@runtime_checkable
class NamesClasses(Protocol):
    """A detector that may know more classes than two: 5g_conspiracy, other_conspiracy, none."""

    @property
    def classes(self) -> tuple[str, ...]:
        """All of them, by name."""

    @property
    def false_classes(self) -> frozenset[str]:
        """Those that make a post likely false."""

    def classify_posts(self, posts: Sequence[LabelledPost]) -> list[str]:
        """The likeliest class of each post, in order, whatever its language. Sees no label."""


@runtime_checkable
class JudgesPosts(Protocol):
    """A detector that reads more of a post than its text: account, counters, time, pictures.

    `score` is then what it says where nothing but the text is known.
    """

    def judge_posts(self, posts: Sequence[LabelledPost]) -> list[Opinion]:
        """One opinion per post, in order. Never looks at a label."""
