"""Posts of Instagram in a folder, with the labels that people gave them."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from detectors.datasets.prepared import BadData
from hoaxwatch import cli
from hoaxwatch.labelled_folder import read_instagram, read_labels
from streams.formats import instagram_graph, instaloader

LABELS = (
    "post_id,label,by\n"
    "Cra_2FrgAAB,anti,ann\nCra_2FrgAAB,anti,bo\nCra_2FrgAAB,other,cy\n"
    "https://www.instagram.com/p/Cra4qDjAAAB/,other,ann\n"
    "Cra4qDjAAAF,anti,ann\nCra4qDjAAAF,other,bo\n"
    "Cra_2FrgAAZ,anti,ann\n"
)


def folder_of_posts(folder: Path) -> Path:
    """Posts by instaloader and pages of the Graph API, two pictures of one, and a tie."""
    own = folder / "ada"
    own.mkdir(parents=True)
    with lzma.open(own / "2023-04-24_14-13-34_UTC.json.xz", "wb") as file:
        file.write(instaloader.example().splitlines()[0])
    for number in (1, 2):
        (own / f"2023-04-24_14-13-34_UTC_{number}.jpg").write_bytes(b"a picture")
    (folder / "pages.json").write_bytes(instagram_graph.example())
    (folder / "Cra4qDjAAAB.jpg").write_bytes(b"a picture")
    (folder / "labels.csv").write_text(LABELS)
    return folder


def test_most_people_decide_and_pictures_lie_beside_their_post(tmp_path: Path) -> None:
    found = read_instagram(
        folder_of_posts(tmp_path / "mine"), {"anti": "likely_false", "other": "likely_true"}
    )
    assert [(p.post_id, p.label, [i.name for i in p.images]) for p in found.posts] == [
        (
            "Cra_2FrgAAB",
            "likely_false",
            ["2023-04-24_14-13-34_UTC_1.jpg", "2023-04-24_14-13-34_UTC_2.jpg"],
        ),
        ("Cra4qDjAAAB", "likely_true", ["Cra4qDjAAAB.jpg"]),
    ]
    assert (found.n_ties, found.n_absent, found.n_problems) == (1, 1, 0)
    assert found.posts[0].author_id == "11"
    assert found.posts[0].attributes["likes"] == 7
    assert found.posts[0].attributes["n_hashtags"] == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, r"cannot read .*labels\.csv: No such file"),
        ("id,label\n", "has no column 'post_id'"),
        ("post_id,label\nnot a code!,anti\n", "line 2: 'not a code!' is no shortcode"),
        ("post_id,label\nCra_2FrgAAB,1\n", "line 2: label '1' is no word"),
        ("post_id,label,by\nCra_2FrgAAB,anti,André\n", "is no CSV in UTF-8: save it as CSV UTF-8"),
    ],
)
def test_labels_that_cannot_be_used_are_said(
    tmp_path: Path, written: str | None, said: str
) -> None:
    if written is not None:
        (tmp_path / "labels.csv").write_text(written, "cp1252")  # as Excel saves a CSV
    with pytest.raises(BadData, match=said):
        read_instagram(tmp_path)


def test_what_stands_beside_a_label_may_be_long(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(f"post_id,label,text\nCra_2FrgAAB,anti,{'long ' * 40_000}\n")
    assert list(read_labels(file).values()) == [["anti"]]


def test_the_command_divides_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    node = json.loads(instaloader.example().splitlines()[0])
    words = ["rock", "tree", "lake", "wind", "snow", "fish", "bird", "moon", "star", "salt"]
    labels = ["post_id,label"]
    for number, (first, second) in enumerate((a, b) for a in words for b in words[:5]):
        code = f"Cra_2FrgA{number // 26:X}{chr(65 + number % 26)}"
        caption = {"edges": [{"node": {"text": f"{first} by {second} again"}}]}
        own = {**node["node"], "shortcode": code, "edge_media_to_caption": caption}
        Path(f"{code}.json").write_text(json.dumps({**node, "node": own}))
        labels.append(f"{code},{'anti' if number % 2 else 'other'}")
    Path("labels.csv").write_text("\n".join(labels) + "\n")
    asked = ["datasets", "prepare", "instagram", ".", "--json"]
    assert cli.run([*asked, "--labels", "anti=likely_false,other=likely_true"]) == cli.OK
    told = json.loads(capsys.readouterr().out)
    assert told["read"] == 50
    assert sum(part["likely_false"] for part in told["posts"].values() if part) == 25
    assert Path("instagram.jsonl").is_file()
    assert cli.run([*asked, "--labels", "anti"]) == cli.USAGE
