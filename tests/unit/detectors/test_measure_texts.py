"""The table of text detectors beside TF-IDF, on made-up sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from detectors import measure_texts
from detectors.bert import SHIPPED_WEIGHTS
from detectors.measure_texts import (
    ROWS,
    beside,
    groups_of,
    learnt_texts,
    left_out,
    main,
    markdown,
    posts_of,
    trained,
)
from detectors.train_bert import part
from tests.encoders import save_tiny
from tests.house.repository import ROOT
from tests.made_up_sets import write_sets

TABLE = SHIPPED_WEIGHTS / "beside_tfidf.json"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sets(tmp_path_factory.mktemp("data"))


def test_both_are_measured_and_how_far_they_are_apart() -> None:
    positive = np.array([True, True, True, False, False, False, False, False])
    flagged = np.array([True, True, False, True, False, False, False, False])
    floor = np.array([True, False, False, False, False, False, True, True])
    row = beside(positive, flagged, floor, np.arange(8))
    assert (row["n"], row["n_groups"], row["prevalence"]) == (8, 8, 0.375)
    assert (row["accuracy"], row["floor_accuracy"]) == (0.75, 0.5)
    mcc, of_floor = (2 * 4 - 1) / 15, (1 * 3 - 2 * 2) / 15
    assert row["mcc"] == pytest.approx(mcc, abs=1e-4)
    assert row["floor_mcc"] == pytest.approx(of_floor, abs=1e-4)
    assert row["over_mcc"] == pytest.approx(mcc - of_floor, abs=1e-4)
    for name in ("accuracy", "floor_mcc", "over_macro_f1"):
        low, high = row[f"{name}_interval"]
        assert low < row[name] < high
    together = beside(positive, flagged, floor, np.zeros(8, dtype=np.int64))
    assert together["over_mcc_interval"] == [together["over_mcc"]] * 2


def test_left_out_sets_are_read_and_pooled(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_texts, "CHOSEN_ON", ("liar", "constraint"))
    examples = learnt_texts(data)
    sizes = {}
    for name in ("liar", "constraint"):
        own = part(examples, "test", name)
        sizes[name] = len(own)
        positive = [e.positive for e in own]
        columns = {"positive": positive, "flagged": positive, "baseline": [True] * len(own)}
        (tmp_path / f"left_out_{name}.json").write_text(json.dumps({"columns": columns}))
    one = left_out("liar", data, tmp_path, print)
    both = left_out("pooled", data, tmp_path, print)
    assert (one["n"], both["n"]) == (sizes["liar"], sum(sizes.values()))
    assert (one["mcc"], one["floor_mcc"], both["over_mcc"]) == (1.0, 0.0, 1.0)
    assert len(groups_of(part(examples, "test", "liar"))) == sizes["liar"]


def test_a_set_is_divided_by_its_published_test_split(data: Path) -> None:
    posts = posts_of("liar", data)
    assert {post.split for post in posts} == {"train", "validation", "test"}
    published = {e.record.text for e in part(learnt_texts(data), "test", "liar")}
    assert {post.text for post in posts if post.split == "test"} == published
    assert {post.split for post in posts_of("covid19_rumour_tweets", data)} >= {"train", "test"}


@pytest.mark.timeout(3600)  # seconds of a core, which others may want as well
def test_two_are_trained_on_the_same_posts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_texts, "DEFAULT_ENCODER", str(save_tiny(tmp_path / "encoder")))
    ways: dict[str, dict[str, str]] = {
        "tfidf": {},
        "bert": {"frozen": "1", "rank": "4", "epochs": "6", "learning_rate": "5e-3"},
    }

    def stop(line: str) -> None:
        if "epoch 4 of 6" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained("liar", data, tmp_path, stop, ways, True)
    said: list[str] = []
    row = trained("liar", data, tmp_path, said.append, ways, True)
    assert [line.split(":")[0] for line in said if "epoch" in line][:2] == [
        "  resumed after epoch 3 of 6", "  epoch 4 of 6"
    ]  # fmt: skip
    test = [post for post in posts_of("liar", data) if post.split == "test"]
    assert row["n"] == len(test)
    assert row["sizes"]["train"] > row["sizes"]["validation"] > 0
    assert row["floor_mcc"] > 0.3
    assert (tmp_path / "liar" / "bert" / "config.json").is_file()


def test_rows_are_kept_and_shown(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ["alone liar", "--data", str(data), "--out", str(tmp_path / "rows.json")]
    with pytest.raises(SystemExit):
        main(["alone nothing", *told[1:]])
    assert "no row 'alone nothing': shipped liar" in capsys.readouterr().err
    row = beside(np.array([True, False]), np.array([True, False]), np.ones(2, bool), np.arange(2))
    monkeypatch.setitem(ROWS, "alone liar", lambda *given: row)
    main(told)
    monkeypatch.setitem(ROWS, "alone liar", lambda *given: pytest.fail("measured again"))
    main(told)
    main(["--table", *told[3:]])
    assert "| alone liar | 2 | 50.0 % | 1.00" in capsys.readouterr().out


def test_the_page_shows_the_measured_rows() -> None:
    page = (ROOT / "docs" / "text_detectors.md").read_text("utf-8")
    assert markdown(json.loads(TABLE.read_text("utf-8"))) in page
