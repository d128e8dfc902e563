"""What the readers of labelled cascades give, and the folders of graphs per tweet."""

from __future__ import annotations

from typing import NamedTuple

from detectors.cascades import Cascade


class LabelledCascade(NamedTuple):
    """A cascade with its label as the source words it. text, author: of the root, "" if not given.

    author names an account only to keep its cascades on one side of a split.
    """

    cascade: Cascade
    label: str
    text: str = ""
    author: str = ""
