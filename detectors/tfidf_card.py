"""The model card of the `tfidf` detector, written from its metrics so that no number can drift."""

from __future__ import annotations

from typing import Any

from detectors.cards import data_section, interval, share, table


def model_card(metrics: dict[str, Any]) -> str:
    """The card as Markdown. metrics: what `detectors.train_tfidf.train` returns."""
    used = "" if metrics["settings"]["shorttext_weight"] else "`shorttext` is not trained on."
    return "\n\n".join(
        [
            _opening(metrics),
            data_section(metrics, used),
            _quality(metrics),
            _calm(metrics),
            _left_out(metrics),
            _choices(metrics),
            _limits(metrics),
        ]
    )


def _opening(metrics: dict[str, Any]) -> str:
    slope, offset = metrics["calibration"]["slope"], metrics["calibration"]["offset"]
    return f"""# Model card: `tfidf`, version `{metrics["version"]}`

Written by `python -m detectors.train_tfidf` from `metrics.json`: do not edit.

**What it is.** TF-IDF of word 1-2-grams ({metrics["n_features"]:,} features) and a logistic
regression, trained on {metrics["trained_on"]}. The score is the calibrated probability of
`likely_false`; from {metrics["threshold"]} on a text counts as likely false. It is the floor that
every other detector must beat, and an opinion about wording: it knows no facts.

**Use.** To rank and count short English posts about public matters, next to a person. Not to judge
a single post or account, and not outside English: other languages get an abstention.

**Calibration.** Platt scaling (slope {slope}, offset {offset}) on the validation texts, of which
{share(metrics["validation_prevalence"])} are false. On a stream where little is false the scores
are too high as probabilities: the mean score of the calm set below is
{metrics["calm"]["mean_score"]:.2f}."""


def _quality(metrics: dict[str, Any]) -> str:
    def row(name: str, measured: dict[str, Any]) -> list[object]:
        of_false, of_true = measured["likely_false"], measured["likely_true"]
        return [
            name,
            measured["n"],
            measured["n_abstained"],
            share(measured["prevalence"]),
            *(f"{of_false[key]:.2f}" for key in ("precision", "recall", "f1")),
            *(f"{of_true[key]:.2f}" for key in ("precision", "recall", "f1")),
            interval(measured, "mcc"),
            interval(measured, "macro_f1"),
        ]

    def more(name: str, measured: dict[str, Any]) -> list[object]:
        by_itself = metrics["alone"].get(name)
        return [
            name,
            f"{measured['mcc_at_half']:.2f}",
            f"{measured['macro_f1_at_half']:.2f}",
            f"{by_itself['mcc']:.2f}" if by_itself else "",
            f"{by_itself['macro_f1']:.2f}" if by_itself else "",
            f"{measured['brier']:.3f}",
            f"{measured['calibration_error']:.3f}",
        ]

    head = ["set", "n", "abstained", "false", "P", "R", "F1", "P", "R", "F1", "MCC", "macro-F1"]
    more_head = ["set", "MCC", "macro-F1", "alone MCC", "alone macro-F1", "Brier", "ECE"]
    test = metrics["test"]
    return f"""## Quality on test texts

At the threshold {metrics["threshold"]}. The first P, R, F1 (precision, recall) are of likely_false,
the second of likely_true; brackets are 95 % bootstrap intervals. `false` is the prevalence.
`pooled` is all sets but `shorttext`.

{table(head, [row(name, measured) for name, measured in test.items()])}

At 0.5 instead; what a model trained on that set alone does there; and calibration (Brier score,
expected calibration error in ten bins).

{table(more_head, [more(name, measured) for name, measured in test.items()])}"""


def _calm(metrics: dict[str, Any]) -> str:
    calm = metrics["calm"]
    low, high = calm["flagged_interval"]
    return f"""## The calm set

{calm["n_choice"] + calm["n_report"]:,} English tweets of 24-30 April 2023, nearly all about a
congress of geoscience, in which hardly anything is false. The threshold was chosen on one half so
that {share(calm["target"])} of it is flagged; of the other half ({calm["n_scored"]:,} scored)
**{share(calm["flagged"])}** is ({share(low)} to {share(high)}). At 0.5 it would be
{share(calm["flagged_at_half"])}. Another calm stream may differ: it is one week and one topic."""


def _left_out(metrics: dict[str, Any]) -> str:
    rows = [
        [
            name,
            measured["n"],
            interval(measured, "mcc"),
            f"{measured['mcc_at_half']:.2f}",
            interval(measured, "macro_f1"),
            f"{measured['calibration_error']:.3f}",
        ]
        for name, measured in metrics["left_out"].items()
    ]
    head = ["left out", "n", "MCC", "MCC at 0.5", "macro-F1", "ECE"]
    return f"""## Sets it has never seen

The nearest thing to a new topic: trained, calibrated and given its threshold without a set, then
measured on that set's test texts. The two COVID-19 rumour sets resemble each other and Constraint,
so even this flatters them.

{table(head, rows)}"""


def _choices(metrics: dict[str, Any]) -> str:
    names = list(metrics["settings"])
    columns = [*metrics["chosen_on"], "mean"]
    rows = [
        [*(tried[name] for name in names), *(f"{tried[column]:.3f}" for column in columns)]
        for tried in metrics["tried"]
    ]
    chosen = ", ".join(f"{name} {value}" for name, value in metrics["settings"].items())
    by_calm, by_mcc = metrics["threshold_by_calm"], metrics["threshold_by_mcc"]
    return f"""## Choices

All on validation texts: MCC at the threshold that the calm half allows, one setting after the
other. Chosen: {chosen}. The threshold is the greater of the one the calm half asks for
({by_calm}) and the one with the best validation MCC ({by_mcc}).

{table([*names, *columns], rows)}"""


def _limits(metrics: dict[str, Any]) -> str:
    test, left_out = metrics["test"], metrics["left_out"]
    weakest, *_, strongest = sorted(left_out, key=lambda name: left_out[name]["mcc"])
    by_weight: dict[float, float] = {}
    for tried in metrics["tried"]:  # the first of each weight: they differ in nothing else
        by_weight.setdefault(tried["shorttext_weight"], tried["mean"])
    short = ", ".join(f"{mean:.3f} with weight {weight}" for weight, mean in by_weight.items())
    return f"""## Limits and negative results

- **It does not check facts.** It learns how false claims of 2007-2020 were worded and sourced.
  Features that say false most: {", ".join(metrics["most_false"])}. That say true most:
  {", ".join(metrics["most_true"])}. Several of them are the topic or the collector's habit.
- **LIAR is nearly out of reach**: MCC {test["liar"]["mcc"]:.2f}, and
  {left_out["liar"]["mcc"]:.2f} when trained without it: wording says little about whether a
  politician's statement is true.
- **A new topic is harder than any test split**: on sets it has never seen the MCC is from
  {left_out[weakest]["mcc"]:.2f} ({weakest}) to {left_out[strongest]["mcc"]:.2f} ({strongest}).
  Expect that, not the pooled {test["pooled"]["mcc"]:.2f}.
- **One model for all sets costs**: Constraint alone reaches macro-F1
  {metrics["alone"]["constraint"]["macro_f1"]:.2f} at its own even odds, the shared model
  {test["constraint"]["macro_f1_at_half"]:.2f} at 0.5 and
  {test["constraint"]["macro_f1"]:.2f} at the threshold, which buys few false alarms with recall
  ({test["constraint"]["likely_false"]["recall"]:.2f}).
- **`shorttext` does harm**, all else equal: mean validation MCC is {short}.
  Its labels are largely its sources (tweets about anything are "fake"), so a model that learns it
  flags tweets as such, and the calm set then asks for a threshold that little else reaches.
- **Small sets**: {test["horne2017"]["n"]} texts of horne2017 and {test["isot"]["n"]} of isot decide
  nothing; see their intervals. isot's labels are its sources.
- **Dates and domain**: US politics of 2007-2017 and COVID-19 in 2020; later words are unknown.
- **Calibrated on about even classes** (above): do not add scores up to a number of false posts in a
  stream without labelling a sample of it.
"""
