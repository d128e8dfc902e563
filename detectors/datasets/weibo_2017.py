"""Weibo 2017 (Jin et al.): Chinese posts, fake (by Weibo's own service) or real (Xinhua's).

The training split, with sixteen figures of each text and without pictures or accounts. Used by Zuo
et al. 2023. It has no column for the event: split it by near-duplicate texts.
Source: Jin, Cao, Guo, Zhang, Luo, "Multimodal Fusion with Recurrent Neural Networks for Rumor
Detection on Microblogs", ACM Multimedia 2017.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from detectors.datasets.labelled import LabelledPost, data_file, read_csv
from detectors.datasets.mediaeval2016 import parse_number
from detectors.labels import Label
from detectors.social.categories import COUNT_EDGES, Field

NAME = "weibo_2017"
_LABEL_OF: dict[str, Label] = {"real": "likely_true", "fake": "likely_false"}
#: Our name, the column, and where its categories begin.
_COLUMNS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("n_links", "URL", COUNT_EDGES),
    ("n_hashtags", "hashtag", COUNT_EDGES),
    ("n_mentions", "@", COUNT_EDGES),
    ("n_question_marks", "question_mark", COUNT_EDGES),
    ("n_exclamation_marks", "exclamation_mark", COUNT_EDGES),
    ("n_positive_words", "sentiment_pos", COUNT_EDGES),
    ("n_negative_words", "sentiment_neg", COUNT_EDGES),
    ("sentiment_score", "sentiment_score", (-100.0, -50.0, -10.0, 0.0, 1.0, 10.0, 50.0, 100.0)),
    ("n_people", "people", COUNT_EDGES),
    ("n_locations", "location", COUNT_EDGES),
    ("n_organisations", "organization", COUNT_EDGES),
    ("n_first_pronouns", "first_pronoun", COUNT_EDGES),
    ("n_second_pronouns", "second_pronoun", COUNT_EDGES),
    ("n_third_pronouns", "third_pronoun", COUNT_EDGES),
    ("n_words", "words", (1.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 120.0)),
    ("n_characters", "characters", (1.0, 20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 200.0)),
)
#: The sixteen figures as fields of categories.
FIELDS: tuple[Field, ...] = tuple(Field(name, edges) for name, _, edges in _COLUMNS)


def read(folder: Path) -> Iterator[LabelledPost]:
    """The posts of `train.csv`; 50 of its texts are empty. How many pictures a post had is known
    (`n_images`), the pictures are not there."""
    columns = ("id", "label", "text", "n_images", *(column for _, column, _ in _COLUMNS))
    for row in read_csv(data_file(folder, "train.csv"), columns):
        if row["label"] in _LABEL_OF:
            attributes = {name: parse_number(row[column]) for name, column, _ in _COLUMNS}
            yield LabelledPost(
                dataset=NAME,
                split=None,
                post_id=row["id"],
                text=row["text"],
                label=_LABEL_OF[row["label"]],
                lang="zh",
                attributes={**attributes, "n_images": parse_number(row["n_images"])},
                platform="weibo",
            )
