"""The files of an invented world: the same bytes each time, every record accounted for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from hoaxwatch.simulate import Simulated, simulate
from hoaxwatch.simulate.truth_file import read_truth
from hoaxwatch.simulate.writing import FolderInUse
from streams.formats.registry import load_format, read_file, sniff_format
from streams.records import Deletion, NotAPost, Post, Problem

RUN = """
import sys
from pathlib import Path
from hoaxwatch.simulate import simulate
simulate(Path(sys.argv[1]), int(sys.argv[2]), 4, 400)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """Eight days with pictures and tables."""
    return simulate(tmp_path_factory.mktemp("world"), 1, 8, 1500, long_text_bytes=200_000)


def digests(folder: Path) -> dict[str, str]:
    """File -> hash of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name, seed, hash_seed in (("a", 7, "1"), ("b", 7, "2"), ("c", 8, "1")):
        command = [sys.executable, "-c", RUN, str(tmp_path / name), str(seed)]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": hash_seed})
        found.append(digests(tmp_path / name))
    assert found[0] == found[1]
    assert found[0]["posts/x_search_week1.jsonl"] != found[2]["posts/x_search_week1.jsonl"]
    assert len(found[0]) > 30


def test_every_record_is_what_the_truth_says(written: Simulated) -> None:
    """Of each file: as many posts, deletions, other records and broken ones, by its own reader."""
    names = {Post: "post", Deletion: "deletion", NotAPost: "not_post", Problem: "quarantined"}
    for path in written.paths:
        format = sniff_format(path)
        told = Counter(written.truth.records[path.name])
        n_records = told.pop("records")
        found = Counter(names[type(reading)] for reading in read_file(path, format))
        # these two become clear when they are stored
        late = sum(
            reason in ("posted_at", "cannot be stored")
            for source, _, reason in written.truth.tables["quarantine"].rows
            if str(source).endswith(
                f":{path.stem if path.suffix in ('.gz', '.zst') else path.name}"
            )
        )
        found = found - Counter(post=late) + Counter(quarantined=late)
        assert (path.name, +found) == (path.name, +told)
        assert n_records == found.total()
    assert {load_format(sniff_format(path)).NAME for path in written.paths} == {
        *("twitter_v2", "instagram_graph", "bluesky")
    }


def test_each_picture_lies_beside_the_posts(written: Simulated) -> None:
    """The last part of its address is the name of its file."""
    media = written.folder / "media"
    addresses = {
        item.url
        for path in written.paths
        for reading in read_file(path)
        if isinstance(reading, Post)
        for item in reading.media
    }
    names = {address.partition("?")[0].rpartition("/")[2] for address in addresses}
    there = {path.name for path in media.iterdir()}
    assert names - {"none.jpg"} <= there
    assert there == {row["file"] for row in written.truth.sections["pictures"]}
    for name in sorted(names - {"none.jpg"})[:40]:
        with Image.open(media / name) as image:
            image.load()
            assert image.format == ("PNG" if name.endswith(".png") else "JPEG")
        assert (media / name).stat().st_size < 40_000


def test_some_captions_hide_what_the_picture_claims(written: Simulated) -> None:
    truth = written.truth
    hidden = [row for row in truth.sections["pictures"] if row["caption_hides"] and row["is_false"]]
    assert hidden
    texts = {(row[0], row[1]): row[2] for row in truth.tables["content"].rows}
    for row in hidden:
        assert truth.labels[row["platform"], row["root_id"]] == "likely_false"
        assert row["words"]
        caption = texts.get((row["platform"], row["root_id"]), "") or ""
        assert row["words"].casefold() not in caption.casefold()


def test_the_truth_is_read_as_it_was_written(written: Simulated) -> None:
    assert read_truth(written.folder / "truth.jsonl.zst") == written.truth


def test_without_repeats_each_post_is_collected_once(tmp_path: Path) -> None:
    made = simulate(tmp_path, 1, 15, 1200, languages=["en"], has_repeats=False, with_tables=False)
    readings = [reading for path in made.paths for reading in read_file(path)]
    posts = [reading for reading in readings if isinstance(reading, Post)]
    assert {type(reading) for reading in readings} <= {Post, NotAPost}
    assert len(posts) == 1200
    assert len({post.post_id for post in posts}) == len({post.text for post in posts}) == 1200
    assert {post.lang for post in posts} == {"en"}


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FolderInUse, match="another folder"):
        simulate(tmp_path, 1, 2, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_world_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    for days in (9, 3):
        simulate(tmp_path, 1, days, 200, with_pictures=False, with_tables=False)
    assert not (tmp_path / "posts" / "x_search_week2.jsonl").exists()
