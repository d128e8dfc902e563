"""The model card of the `bert` detector, written from its metrics so that no number can drift."""

from __future__ import annotations

from typing import Any

from detectors.cards import data_section, interval, share, table


def model_card(metrics: dict[str, Any]) -> str:
    """The card as Markdown. metrics: what `detectors.train_bert.train` returns."""
    return "\n\n".join(
        [
            _opening(metrics),
            data_section(metrics, "`shorttext` is not used: see `tfidf`."),
            _quality(metrics),
            _comparison(metrics),
            _calm(metrics),
            _left_out(metrics),
            _choices(metrics),
            _limits(metrics),
        ]
    )


def _opening(metrics: dict[str, Any]) -> str:
    slope, offset = metrics["calibration"]["slope"], metrics["calibration"]["offset"]
    settings, engines, wide = metrics["settings"], metrics["engines"], metrics["wide"]
    return f"""# Model card: `bert`, version `{metrics["version"]}`

Written by `python -m detectors.train_bert` from `metrics.json`: do not edit.

**What it is.** The encoder {metrics["encoder"]} (a 6-layer BERT with hidden size 384; Apache-2.0;
its weights come by pip, are checked by their hash, and are not in this folder) with low-rank
adapters (LoRA, rank {settings["rank"]}) on the layers above the lowest {settings["frozen"]} and a
head with two independent logits, likely_true and likely_false, each with its own binary
cross-entropy. Beside it, a logistic regression of {wide["n_features"]:,} word 1-2-grams
(`wide.npz`, the wide part), which learnt from the same texts and is the baseline below:
{wide["share"]} times its logit is added to likely_false and taken from likely_true. Trained on
{metrics["trained_on"]}. The score is the calibrated probability of
`likely_false`; from {metrics["threshold"]} on a text counts as likely false. Where both logits
are below zero, or neither is, it abstains (`unsure_logits`). It reads the first
{settings["max_tokens"]} tokens. It is an opinion about wording: it knows no facts.

**Use.** To rank and count short English posts about public matters, next to a person. Not to judge
a single post or account, and not outside English: other languages get an abstention.

**Calibration.** Platt scaling of half the difference of the logits (slope {slope}, offset
{offset}), fitted together with the share of the wide part on the validation texts, of which
{share(metrics["validation_prevalence"])} are false.
On a stream where little is false the scores are too high as probabilities: the mean score of the
calm set below is {metrics["calm"]["mean_score"]:.2f}.

**Engines.** Each has its own version. On {engines["n"]:,} test texts fp32 and int8 give the same
label on {100 * engines["agreement"]:.2f} %; macro-F1 is {engines["macro_f1_fp32"]:.4f} with fp32
and {engines["macro_f1_int8"]:.4f} with int8."""


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
            f"{measured['mcc_at_half']:.2f}",
            f"{measured['macro_f1_at_half']:.2f}",
            f"{measured['brier']:.3f}",
            f"{measured['calibration_error']:.3f}",
        ]

    head = ["set", "n", "abstained", "false", "P", "R", "F1", "P", "R", "F1", "MCC", "macro-F1"]
    more = ["MCC at 0.5", "macro-F1 at 0.5", "Brier", "ECE"]
    rows = [row(name, measured) for name, measured in metrics["test"].items()]
    return f"""## Quality on test texts

At the threshold {metrics["threshold"]}, of what is scored; `n` counts that, and nearly all
abstentions are unsure logits. The first P, R, F1 (precision, recall) are of likely_false, the
second of likely_true; brackets are 95 % bootstrap intervals. `false` is the prevalence; Brier
score and expected calibration error (ten bins) say how good the probabilities are. `pooled` is
all sets.

{table([*head, *more], rows)}"""


def _difference(found: list[float]) -> str:
    whole, low, high = found
    return f"{whole:+.3f} ({low:+.3f} to {high:+.3f})"


def _comparison(metrics: dict[str, Any]) -> str:
    rows = [
        [
            name,
            *(
                _difference(measured[key][statistic])
                for key in ("over_baseline", "over_baseline_at_half", "over_tfidf")
                for statistic in ("mcc", "macro_f1")
            ),
        ]
        for name, measured in metrics["test"].items()
    ]
    head = ["set", "MCC", "macro-F1", "MCC at 0.5", "macro-F1 at 0.5"]
    return f"""## Beside TF-IDF

How much better than TF-IDF with a logistic regression on the same test texts, with the paired 95 %
bootstrap interval of the difference; an abstention counts as not flagged. The baseline learnt from
the very same texts, calm posts included, and has its calibration and threshold by the same rules;
the last two columns compare with the shipped `tfidf` (no calm posts) as both ship.

{table([*head, "MCC over `tfidf`", "macro-F1 over `tfidf`"], rows)}"""


def _calm(metrics: dict[str, Any]) -> str:
    calm = metrics["calm"]
    low, high = calm["flagged_interval"]
    return f"""## The calm set

{calm["n_all"]:,} English tweets of 24-30 April 2023, mostly about a congress of geoscience and a
football match, in which hardly anything is false. {calm["n_learn"]} distinct ones of one half
were learnt from: not as true, since nobody has checked them, but as unlike likely_false (the
second logit alone). {calm["n_choose"]:,} other distinct ones of that half set the threshold so
that at most {share(calm["target"])} of them are flagged. Of the other half ({calm["n_scored"]:,}
scored) **{share(calm["flagged"])}** are ({share(low)} to {share(high)}); at 0.5 it would be
{share(calm["flagged_at_half"])}. Of all {calm["n_all"]:,}, copies and a smear campaign of some
hundred near-identical tweets included, {share(calm["flagged_of_all"])} are. Another calm stream
may differ: it is one week and few topics, and both halves share them."""


def _left_out(metrics: dict[str, Any]) -> str:
    left_out = {name: m for name, m in metrics["left_out"].items() if name != "pooled"}
    rows: list[list[object]] = [
        [
            name,
            m["n"],
            interval(m, "mcc"),
            f"{m['mcc_at_half']:.2f}",
            interval(m, "macro_f1"),
            f"{m['calibration_error']:.3f}",
            f"{m['share']:.2f}",
            *(
                _difference(m[key][statistic])
                for key in ("over_baseline", "over_baseline_at_half")
                for statistic in ("mcc", "macro_f1")
            ),
        ]
        for name, m in left_out.items()
    ]
    pooled = metrics["left_out"]["pooled"]
    rows.append(
        [
            "pooled",
            pooled["n"],
            *[""] * 5,
            *(
                _difference(pooled[key][statistic])
                for key in ("over_baseline", "over_baseline_at_half")
                for statistic in ("mcc", "macro_f1")
            ),
        ]
    )
    head = ["left out", "n", "MCC", "MCC at 0.5", "macro-F1", "ECE", "wide part"]
    over = ["MCC over", "macro-F1 over", "MCC over at 0.5", "macro-F1 over at 0.5"]
    return f"""## Sets it has never seen

The nearest thing to a new topic: trained, calibrated and given its threshold without a set, then
measured on that set's test texts, beside the same baseline without that set. The two COVID-19
rumour sets resemble each other and Constraint, so even this flatters. isot and horne2017 have too
few test texts to be left out. `wide part` is its share, chosen without the set. `pooled` takes all
of them as one, each text judged by what was trained without its set; its interval is that of other
texts of these sets, not of other sets, and those differ.

{table([*head, *over], rows)}"""


def _choices(metrics: dict[str, Any]) -> str:
    untold = ("dropout", "batch", "seed", "wide")
    names = [name for name in metrics["settings"] if name not in untold]
    columns = [*metrics["chosen_on"], "mean", "mean_at_half"]
    rows = [
        [*(tried[name] for name in names), *(f"{tried[column]:.3f}" for column in columns)]
        for tried in metrics["tried"]
    ]
    chosen = ", ".join(f"{name} {metrics['settings'][name]}" for name in names)
    by_calm, by_mcc = metrics["threshold_by_calm"], metrics["threshold_by_mcc"]
    parts = [
        [
            {None: "the wide part alone", 0.0: "the encoder alone"}.get(tried["share"], "both"),
            *(f"{tried[column]:.3f}" for column in columns),
        ]
        for tried in metrics["wide"]["tried"]
    ]
    return f"""## Choices

All on validation texts: MCC at the threshold that the calm posts allow, and their mean at even
odds. Chosen: {chosen}. The threshold is the greater of the one the calm
posts ask for ({by_calm}) and the one with the greatest mean of the sets' validation MCC ({by_mcc});
so is the baseline's.

{table([*names, *columns], rows)}

That was the adapter, by itself. The wide part came later: how much it counts, and the calibration
of both, is what makes the validation texts likeliest. With each calibrated on the same texts:

{table(["", *columns], parts)}

The test texts had been reported for the encoder alone before, with the threshold that has the best
pooled MCC. For both together, and with the threshold above, they were looked at once, after these
choices."""


def _limits(metrics: dict[str, Any]) -> str:
    test, left_out = metrics["test"], metrics["left_out"]
    names = [name for name in left_out if name != "pooled"]
    by_mcc = sorted(names, key=lambda name: left_out[name]["mcc"])
    weakest, strongest = by_mcc[0], by_mcc[-1]
    return f"""## Limits and negative results

- **It does not check facts.** It learns how false claims of 2007-2020 were worded and sourced.
- **LIAR is nearly out of reach**: MCC {test["liar"]["mcc"]:.2f}, and
  {left_out["liar"]["mcc"]:.2f} when trained without it: wording says little about whether a
  politician's statement is true.
- **A new topic is harder than any test split**: on sets it has never seen the MCC is from
  {left_out[weakest]["mcc"]:.2f} ({weakest}) to {left_out[strongest]["mcc"]:.2f} ({strongest}).
  Expect that, not the pooled {test["pooled"]["mcc"]:.2f}.
- **Calm posts decide the threshold.** Without them in training, fluent tweets about anything score
  high and the threshold must be so high that recall falls below that of `tfidf` (see `calm_weight`
  under Choices). With them, quiet tweets on these topics are known; on others less so.
- **Small sets**: {test["horne2017"]["n"]} texts of horne2017 and {test["isot"]["n"]} of isot decide
  nothing; see their intervals. isot's labels are its sources.
- **Long texts are read from their beginning**: what comes after {metrics["settings"]["max_tokens"]}
  tokens (about 90 words) is not.
- **Dates and domain**: US politics of 2007-2017 and COVID-19 in 2020; later words are unknown.
- **Calibrated on about even classes** (above): do not add scores up to a number of false posts in a
  stream without labelling a sample of it.
- **Not as in the paper**: a small encoder, adapters instead of all weights,
  {metrics["settings"]["epochs"]} epochs, {metrics["settings"]["max_tokens"]} tokens, bfloat16 in
  training (Trivedi et al.: BERT-base, ten epochs, 256 tokens, no half precision).
"""
