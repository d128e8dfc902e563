"""The model card of `cascade_gcn`, written from its metrics so that no number can drift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

#: What each row of the tables is.
ROWS = {
    "commonest class": "always the commonest class",
    "same account": "the class most of the account's other cascades have",
    "shape, logistic": "size, depth, breadth and three more, logistic regression",
    "shape, forest": "the same, random forest",
    "size and pace, forest": "size and quantiles of delays, random forest",
    "source text": "TF-IDF of the source text, logistic regression",
    "gcn": "the network, nine features",
    "gcn with replies": "the network, and whether a node is a reply",
    "gcn with replies and delays": "the network, replies and delays",
    "gcn trained on whole cascades": "the network, trained on whole cascades only",
}


def model_card(metrics: Mapping[str, Any]) -> str:
    """The card as Markdown. metrics: what `detectors.train_cascade_gcn.train` returns."""
    return "\n\n".join(
        [
            _opening(metrics),
            _data(metrics),
            _quality(metrics),
            _early(metrics),
            _scores(metrics),
            _fusion(metrics),
            _fusion_file(metrics),
            _choices(metrics),
            _limits(metrics),
        ]
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def _interval(one: Mapping[str, Any], name: str) -> str:
    low, high = one[f"{name}_interval"]
    return f"{one[name]:.2f} ({low:.2f} to {high:.2f})"


def _opening(metrics: Mapping[str, Any]) -> str:
    whole = metrics["early"]["whole"]["rows"]
    network, shape, text = whole["gcn"], whole["shape, forest"], whole["source text"]
    return f"""# Model card: `cascade_gcn`, version `{metrics["version"]}`

Written by `python -m detectors.train_cascade_gcn` from `metrics.json`: do not edit.

**What it is.** Graph convolutions over first- and second-order proximity of a cascade's graph
(Tuan and Minh, MediaEval 2020), on nine features of each node, trained on Twitter15 on
{metrics["trained_on"]}. Four classes; the score is the calibrated probability that a rumour whose
truth was settled, or that was none, is false.

**What it is worth.** Little by itself. On cascades of accounts and stories it has not seen its MCC
is {network["mcc"]:.2f} (four classes), that of six numbers about size and shape
{shape["mcc"]:.2f}, that of the source text {text["mcc"]:.2f}. It does not say whether a post is
false; it says whether it spreads a little more like those that were.

**Use.** As one part of a combined score (`detectors.fusion`), next to text. Not alone, not to judge
an account, and not on cascades of depth 1: of those it abstains with the reason `star`."""


def _data(metrics: Mapping[str, Any]) -> str:
    data = metrics["data"]
    rows = [
        [name, one["n"], f"{one['median_size']:,.0f}"] for name, one in data["by_class"].items()
    ]
    back = 100 * data["n_back_in_time"] / data["n_edges"]
    return f"""## Data

Twitter15 (Liu et al. 2015, Ma et al. 2017): {data["n"]:,} cascades, {data["n_nodes"]:,} tweets and
retweets, {data["n_edges"]:,} edges; {back:.1f} % of the edges go back in time and are kept. Who
retweeted through whom was inferred by its publishers. Licence not stated in our copy: ask them. No
part of it is shipped.

{table(["class", "cascades", "median size"], rows)}

**Splits.** `random` draws cascades by themselves, as the literature does. `apart` keeps together
what one of {data["n_accounts"]} accounts posted and what tells the same story (near-duplicate
texts): {data["n_groups"]} groups, the largest of {data["largest_group"]}. The ids are hashed and
carry no time, so there is no split by time. All numbers are of one cross-validation in
{metrics["n_folds"]} folds: each cascade is judged by a network that saw neither it nor, in `apart`,
its group."""


def _quality(metrics: Mapping[str, Any]) -> str:
    def rows(found: Mapping[str, Any]) -> list[list[object]]:
        return [
            [
                ROWS[name],
                *(
                    cell
                    for split in ("random", "apart")
                    for cell in (
                        _interval(found[split][name], "mcc"),
                        f"{found[split][name]['accuracy']:.2f}",
                    )
                ),
            ]
            for name in found["apart"]
        ]

    four, two = metrics["four_class"], metrics["true_against_false"]
    head = ["", "MCC, random", "accuracy", "MCC, apart", "accuracy"]
    network = four["apart"]["gcn"]
    by_class = [
        [name, *(f"{one[key]:.2f}" for key in ("precision", "recall", "f1"))]
        for name, one in network["by_class"].items()
    ]
    classes = list(network["by_class"])
    confusion = [[name, *row] for name, row in zip(classes, network["confusion"], strict=True)]
    return f"""## Quality on whole cascades

Brackets are 95 % bootstrap intervals, drawn by group in `apart`. These networks learn from whole
cascades, as the literature's do; the one that ships learns at several ages at once and is measured
under "How early". Stars are left out for the networks ({four["apart"]["gcn"]["n"]:,} of
{four["apart"]["shape, forest"]["n"]:,} cascades are none).

Four classes:

{table(head, rows(four))}

`true` against `false` only:

{table(head, rows(two))}

The network, four classes, `apart`, by class, and label by prediction:

{table(["class", "precision", "recall", "F1"], by_class)}

{table(["label", *classes], confusion)}"""


def _early(metrics: Mapping[str, Any]) -> str:
    early = metrics["early"]
    names = list(next(iter(early.values()))["rows"])
    rows = [
        [
            age,
            f"{one['median_size']:,.0f}",
            sum(one["abstained"].values()),
            *(f"{one['rows'][name]['mcc']:.2f}" for name in names),
        ]
        for age, one in early.items()
    ]
    network = [f"{age} {_interval(one['rows']['gcn'], 'mcc')}" for age, one in early.items()]
    return f"""## How early

What is seen of each cascade that long after its root; four classes, MCC, split `apart`, on those
that are no star by then. The networks are trained at all these ages at once (as the one that
ships), the baselines at the age in question. The source text does not change with age, only the
cascades that are left in. Which ages to learn from was decided before measuring: for early looks.

{table(["seen", "median size", "abstained", *(ROWS[name] for name in names)], rows)}

The network with its intervals: {"; ".join(network)}."""


def _scores(metrics: Mapping[str, Any]) -> str:
    rows = [
        [
            age,
            one["n"],
            f"{100 * one['prevalence']:.0f} %",
            f"{one['mcc']:.2f}",
            f"{one['brier']:.3f}",
            f"{one['brier_of_prevalence']:.3f}",
            f"{one['calibration_error']:.3f}",
            f"{100 * one['unverified_flagged']:.0f} %",
        ]
        for age, one in metrics["scores"].items()
    ]
    calibration = metrics["calibration"]
    head = ["seen", "n", "false", "MCC", "Brier", "of prevalence", "ECE", "unverified flagged"]
    return f"""## The score

`false` against `true` and `non-rumor`; `unverified` has neither label and no part. Platt scaling
(slope {calibration["slope"]}, offset {calibration["offset"]}) and threshold
{metrics["threshold"]} (the greatest MCC) are fitted on the same cross-validated logits of all ages
that are measured here, so the numbers flatter by what two and one parameters can do. `of
prevalence` is the Brier score of always saying how many are false; ECE the expected calibration
error in ten bins.

{table(head, rows)}"""


def _fusion(metrics: Mapping[str, Any]) -> str:
    fusion = metrics["fusion"]
    rows = [
        [name, one["n"], f"{one['mcc']:.3f}", f"{one['brier']:.4f}"]
        for name, one in fusion.items()
        if name != "weights"
    ]
    text, structure = fusion["weights"]
    return f"""## With the source text

`detectors.fusion` on the whole cascades, `apart`; its weights (logits of text {text:.2f}, of
structure {structure:.2f}, mean over folds) are learnt on the other folds. `false` against `true`
and `non-rumor` at 0.5.

{table(["", "n", "MCC", "Brier"], rows)}"""


def _fusion_file(metrics: Mapping[str, Any]) -> str:
    fusion = metrics["fusion_file"]
    sets = [
        [
            " and ".join(one["parts"]),
            one["n"],
            f"{one['intercept']:+.3f}",
            ", ".join(f"{weight:.3f}" for weight in one["weights"]),
        ]
        for one in fusion["sets"]
    ]
    found = fusion["measured"] or {}
    rows = [
        [name, one["n"], f"{one['mcc']:.3f}", f"{one['brier']:.4f}"]
        for name, one in found.items()
        if name != "weights"
    ]
    measured = (
        ""
        if not rows
        else f"""

On the whole cascades, `apart`, weights of the other folds, at 0.5 (`tfidf` never saw Twitter15):

{table(["", "n", "MCC", "Brier"], rows)}"""
    )
    return f"""## What ships as the combined score

`fusion.json`, version `{fusion["version"]}`: the weights of the shipped `tfidf` and of this
network, on cascades that neither was trained on, each at every age. A missing part has no vote.

{table(["parts", "n", "intercept", "weights of the logits"], sets)}{measured}"""


def _choices(metrics: Mapping[str, Any]) -> str:
    tried = metrics["tried"]
    names = list(tried[0])
    chosen = ", ".join(f"{name} {value}" for name, value in metrics["settings"].items())
    shipped = metrics["shipped"]
    return f"""## Choices

By the mean MCC on the validation parts of the `apart` folds. Chosen: {chosen}. The epoch with the
least validation loss is kept; for the network that ships it was {shipped["epoch"]} (loss
{shipped["validation_loss"]:.3f}).

{table(names, [[one[name] for name in names] for one in tried])}

Read into the paper: each of the three graphs has weights of its own; features are scaled by
log(1 + x) and their training mean and spread; `eigenvector` is taken without directions, since with
them it is 0 in a graph without cycles."""


def _limits(metrics: Mapping[str, Any]) -> str:
    apart, random = metrics["four_class"]["apart"], metrics["four_class"]["random"]
    account = random["same account"]["mcc"], apart["same account"]["mcc"]
    delays = apart["gcn with replies and delays"]["mcc"] - apart["gcn"]["mcc"]
    gain = metrics["fusion"]["both"]["mcc"] - metrics["fusion"]["text"]["mcc"]
    whole = metrics["early"]["whole"]["rows"]
    both_ways = whole["gcn trained on whole cascades"]["mcc"], whole["gcn"]["mcc"]
    flagged = metrics["scores"]["whole"]["unverified_flagged"]
    return f"""## Limits and negative results

- **Structure says little here.** Nine features in three graph convolutions are within the intervals
  of six numbers about size and shape; see the tables.
- **Text says much more**, and part of that is knowing the account and the story: naming the class
  of an account's other cascades has an MCC of {account[0]:.2f} in the random split and
  {account[1]:.2f} in `apart`, where there are none.
- **Learning at all ages costs quality on whole cascades**: an MCC of {both_ways[1]:.2f} instead of
  {both_ways[0]:.2f}.
- **Rumours that nobody settled** are flagged as often as false ones or more ({100 * flagged:.0f} %
  of them on whole cascades): a flag says "spreads like a rumour".
- **Delays and replies** change the MCC by {delays:+.2f} (`apart`), so they stay an option.
- **With text** the combined score changes the MCC by {gain:+.3f}.
- **Inferred paths.** Platforms name the root of a share only. The paths of Twitter15 were inferred;
  a cascade as X delivers it is a star, and there the detector abstains. Paths have to come from
  somewhere: replies, quotes, follower data.
- **One data set, Twitter before 2016, in English**, cascades of 56 posts and more. Whether its
  cascades are like those of other years, topics or platforms was not measured.
- **Collected whole.** In a stream a cascade is seen only as far as it was collected.
"""
