"""What model cards have in common: the data sets, tables, numbers with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: What the numbers cannot say about each set: what it is, when, its licence, its label rule.
ABOUT = {
    "liar": (
        "LIAR (Wang 2017): statements of US politicians, PolitiFact, 2007-2016",
        "not stated in our copy: ask its publisher",
        "true, mostly-true against false, pants-fire; the two in between dropped",
    ),
    "constraint": (
        "Constraint 2021 (Patwa et al.): English posts about COVID-19, 2020",
        "not stated in our copy: ask its publisher",
        "real (official accounts) against fake (fact-checked)",
    ),
    "covid19_rumour_tweets": (
        "COVID-19 rumour data set (Cheng et al. 2021): claims from tweets, 2020",
        "MIT",
        "T against F; U (unverified) dropped",
    ),
    "covid19_rumour_news": (
        "COVID-19 rumour data set: claims from news and fact-checks, 2020",
        "MIT",
        "T against F; U (unverified) dropped",
    ),
    "isot": (
        "ISOT (Ahmed et al. 2018), a part: whole articles, 2016-2017",
        "not stated in our copy: ask its publisher",
        "Reuters against flagged sites: the label is the source; dateline and agency taken out",
    ),
    "horne2017": (
        "Horne and Adali 2017: US political articles, 2016",
        "redistribution allowed with its notice",
        "Real against Fake; Satire dropped",
    ),
    "shorttext": (
        "short texts published with Trivedi et al. 2021",
        "not stated in our copy: ask its publisher",
        "1 = real, 0 = fake, the reverse of the paper; the label is largely the source",
    ),
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table.

    >>> print(table(["set", "n"], [["a", 1]]))
    | set | n |
    |---|---|
    | a | 1 |
    """
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def interval(measured: Mapping[str, Any], name: str) -> str:
    """A measure with its 95 % interval."""
    low, high = measured[f"{name}_interval"]
    return f"{measured[name]:.2f} ({low:.2f} to {high:.2f})"


def share(value: float) -> str:
    """As a percentage.

    >>> share(0.125)
    '12.5 %'
    """
    return f"{100 * value:.1f} %"


def data_section(metrics: Mapping[str, Any], used: str) -> str:
    """The sets, their licences and splits. used: what is not trained on, if anything."""

    def counts(name: str, split: str) -> str:
        of = metrics["sizes"][name].get(split, {})
        return f"{of.get('likely_false', 0)} / {of.get('likely_true', 0)}"

    leaked = _leaked(metrics.get("near_duplicates_trained_on", {}))
    rows = [
        [name, *ABOUT[name], *(counts(name, split) for split in ("train", "validation", "test"))]
        for name in metrics["sizes"]
    ]
    head = ["set", "what", "licence", "labels", "train", "validation", "test"]
    return f"""## Data

Counts are texts labelled likely_false / likely_true.{used and " " + used}

{table(head, rows)}

**Split.** The test splits are LIAR's `valid` and Constraint's `val` as published, and a tenth of
each other set; validation is a tenth as well. Texts that share half of their word 4-grams form a
group; a group never straddles two splits, across sets too: where it would, the copies outside the
test split (then outside the validation split) are dropped, and of a group one text per set stays.
So the numbers are lower than those of random splits. No data set is shipped with the model.
{leaked}""".rstrip()


def _leaked(n_of: Mapping[str, int]) -> str:
    """Of metrics that are older than today's splits."""
    if not n_of:
        return ""
    named = ", ".join(f"{n} of {name}" for name, n in n_of.items())
    return f"""
**Measured before** word 4-grams that more than 100 texts share were compared. Test texts that
nearly repeat a training text: {named}.
Splits that are drawn now hold none."""
