"""The two labels, always by name: data sets disagree on what 0 and 1 mean."""

from __future__ import annotations

from typing import Literal

Label = Literal["likely_true", "likely_false"]

#: In the order of a model's outputs.
LABELS: tuple[Label, Label] = ("likely_true", "likely_false")
#: A score is the probability of this one.
POSITIVE_CLASS: Label = "likely_false"
