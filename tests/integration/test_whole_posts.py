"""Detectors of whole posts in the run and the worker: pictures, counters, what had a voice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from detectors.posts import Part, PostVerdict, WholePost
from detectors.text.ocr import Line, Ocr, OcrUnavailable, Reading
from storage import writes
from storage.database import connect
from streams import local, steps
from streams.errors import UsageError
from streams.metrics import Metrics
from streams.picture_files import PictureFolders
from streams.records import Author, Content, Deletion, Media, Post, Verdict, encode_reading
from streams.settings import Settings, read_settings
from streams.workers import Classifier, Taken
from tests.unit.detectors.image.pictures import black_png, encoded, photo, poster

DAY = datetime(2026, 3, 1, tzinfo=UTC)
EVERYTHING: frozenset[Part] = frozenset(("hashtags", "account", "counters", "pictures"))


@dataclass
class Engine:
    """Reads the same words in every picture, and counts how often it is asked."""

    words: str = "THE WATER IS POISONED"
    key: str = "invented 1"
    languages: tuple[str, ...] = ("en",)
    n_read: int = 0

    def read(self, pixels: object) -> Reading:
        self.n_read += 1
        return Reading((Line(self.words, 1.0, (0.0, 0.0, 1.0, 1.0)),))


@dataclass
class Marker:
    """Flags what says one of the phrases, in words or on a picture; keeps what it was given."""

    reads: frozenset[Part] = EVERYTHING
    make_ocr: Callable[[], Ocr] | None = None
    name: str = "marker_of_posts"
    version: str = "1"
    threshold: float = 0.5
    phrases: frozenset[str] = frozenset(("poison",))
    seen: list[WholePost] = field(default_factory=list)

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        raise AssertionError("a run asks it about whole posts")

    def explain_post(self, post: WholePost) -> tuple[tuple[str, float], ...]:
        return ()

    def score_posts(self, posts: Sequence[WholePost]) -> list[PostVerdict]:
        self.seen += posts
        found = []
        for post in posts:
            said = f"{post.content.text} {post.overlaid or ''}".casefold()
            verdict = Verdict(
                platform=post.content.platform,
                root_id=post.content.root_id,
                input_hash=b"of the detector's own",
                detector=self.name,
                version=self.version,
                state="scored",
                score=0.9 if any(phrase in said for phrase in self.phrases) else 0.1,
            )
            problem = post.picture_problem
            missing = {} if problem is None else {"image": problem}
            used = ("text",) if problem else ("text", "image")
            found.append(PostVerdict(verdict, used, missing, (("word poison", 0.5),)))
        return found


def post(number: int, **changed: Any) -> Post:
    made = Post(
        platform="instagram",
        post_id=str(number),
        root_id=str(number),
        posted_at=DAY,
        text=f"a calm day {number}",
        hashtags=("Mast",),
        author=Author(author_id="7", followers=12),
        likes=3,
        observed_at=DAY + timedelta(hours=1),
        raw=str(number).encode(),
    )
    return msgspec.structs.replace(made, **changed)


def pictured(number: int, name: str, **changed: Any) -> Post:
    url = f"https://pictures.example/v/{name}?oe={number}"
    return post(number, media=(Media(kind="image", url=url),), **changed)


def settings_with(folder: Path | None = None, **changed: Any) -> Settings:
    return read_settings(detector="null", media=folder, **changed)


def run(database: str, posts: Sequence[Post], judge: Marker, settings: Settings) -> None:
    """As `hoaxwatch run` does: record, judge, then what is left over."""
    with connect(database) as connection:
        writes.prepare(connection)
        batch = steps.prepare(posts, DAY)
        steps.record(connection, batch, judge, "key")
    local.judge_beside(database, judge, settings)


def verdicts(database: str) -> dict[str, tuple[float | None, dict[str, Any]]]:
    with connect(database) as connection:
        rows = connection.execute("SELECT root_id, score::float8, parts FROM hoaxwatch.verdicts")
        return {root: (score, parts) for root, score, parts in rows}


def test_it_gets_everything_that_is_stored_of_a_post(database: str, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(encoded(photo(), "JPEG"))
    judge = Marker(make_ocr=Engine)
    run(database, [pictured(1, "one.jpg")], judge, settings_with(tmp_path))
    (seen,) = judge.seen
    assert seen.content.hashtags == ("mast",)
    assert seen.picture is not None and seen.picture.pixels is not None
    wanted = {"followers": 12, "likes": 3, "likes_counters_age_seconds": 3600.0, "hour": 0.0}
    assert {name: seen.attributes[name] for name in wanted} == wanted
    score, parts = verdicts(database)["1"]
    assert parts == {"used": ["text", "image"], "missing": {}, "attention": [["word poison", 0.5]]}
    assert score is not None


def test_it_gets_nothing_that_it_does_not_read(database: str, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(encoded(photo(), "JPEG"))
    judge = Marker(reads=frozenset())
    run(database, [pictured(1, "one.jpg")], judge, settings_with(tmp_path))
    (seen,) = judge.seen
    assert not seen.content.hashtags and not seen.pictures
    assert "followers" not in seen.attributes and "likes" not in seen.attributes


def test_the_same_post_is_judged_once_and_again_when_what_is_read_changes(
    database: str, tmp_path: Path
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    judge, settings = Marker(), settings_with(folder)

    def n_judged(*posts: Post) -> int:
        before = len(judge.seen)
        run(database, posts, judge, settings)
        return len(judge.seen) - before

    assert n_judged(pictured(1, "a.jpg")) == 1
    assert n_judged(pictured(1, "a.jpg")) == 0
    signed_anew = Media(kind="image", url="https://pictures.example/v/a.jpg?oe=other")
    later = {"observed_at": DAY + timedelta(hours=2), "raw": b"later"}
    assert n_judged(post(1, media=(signed_anew,), raw=b"signed anew")) == 0
    (folder / "a.jpg").write_bytes(encoded(photo(), "JPEG"))
    assert n_judged() == 1, "its picture came later"
    assert n_judged() == 0
    (folder / "a.jpg").write_bytes(encoded(photo(64, 48, 9), "JPEG"))
    assert n_judged() == 1, "another picture under the same name"
    assert n_judged(pictured(1, "a.jpg", likes=4, **later)) == 1, "another counter"
    assert n_judged(pictured(1, "a.jpg", likes=4, **later)) == 0


def test_a_detector_that_reads_no_counters_is_not_asked_again_for_them(database: str) -> None:
    judge = Marker(reads=frozenset(("hashtags",)))
    run(database, [post(1)], judge, settings_with())
    run(
        database,
        [post(1, likes=9, observed_at=DAY + timedelta(days=1), raw=b"2")],
        judge,
        settings_with(),
    )
    assert len(judge.seen) == 1


def test_the_same_input_is_judged_once_though_several_posts_have_it(database: str) -> None:
    judge = Marker(reads=frozenset(("hashtags",)))
    run(database, [post(n, text="the same") for n in (1, 2, 3)], judge, settings_with())
    assert len(judge.seen) == 1
    assert set(verdicts(database)) == {"1", "2", "3"}


def test_words_in_a_picture_are_read_once_and_kept(database: str, tmp_path: Path) -> None:
    made = encoded(_poster(), "PNG")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(made)
    engine = Engine()
    judge, settings = Marker(make_ocr=lambda: engine), settings_with(tmp_path)
    run(database, [pictured(1, "a.png")], judge, settings)
    assert engine.n_read == 1 and verdicts(database)["1"][0] == 0.9
    run(database, [pictured(2, "b.png")], judge, settings)
    assert engine.n_read == 1 and verdicts(database)["2"][0] == 0.9
    run(database, [], judge, settings_with(tmp_path, ocr=False))
    assert verdicts(database)["1"][0] == 0.1, "without OCR the claim is not seen"


def test_without_ocr_it_says_what_to_do(database: str, tmp_path: Path) -> None:
    def none() -> Ocr:
        raise OcrUnavailable("no OCR here")

    with pytest.raises(UsageError, match="--no-ocr"):
        run(database, [post(1)], Marker(make_ocr=none), settings_with(tmp_path))
    run(database, [], Marker(make_ocr=none), settings_with(tmp_path, ocr=False))
    assert verdicts(database)["1"][0] == 0.1


def test_a_media_folder_that_is_none_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        PictureFolders(tmp_path / "absent", tmp_path)


def test_a_picture_that_was_fetched_is_found_by_its_sha256(database: str, tmp_path: Path) -> None:
    data = encoded(photo(), "JPEG")
    digest = sha256(data).digest()
    settings = settings_with(media_folder=tmp_path)
    run(database, [pictured(1, "%2e%2e")], Marker(), settings)
    assert verdicts(database)["1"][1]["missing"] == {"image": "no_file"}
    with connect(database) as connection:
        connection.execute(
            "INSERT INTO hoaxwatch.media_files SELECT platform, root_id,"
            " sha256(convert_to(url, 'UTF8')), url, %s, 'JPEG', 9, now(), NULL, false, 1"
            " FROM hoaxwatch.media",
            (digest,),
        )
    path = tmp_path / digest.hex()[:2] / digest.hex()
    path.parent.mkdir()
    path.write_bytes(data)
    run(database, [], Marker(), settings)
    assert verdicts(database)["1"][1]["missing"] == {}


def hostile(folder: Path) -> dict[str, str]:
    """Pictures that strangers send, and why each has no voice; "": it has one."""
    whole = encoded(photo(), "JPEG")
    files = {
        "cut.jpg": (whole[: len(whole) // 2], "truncated"),
        "dot.png": (encoded(photo(1, 1), "PNG"), "too_small"),
        "bomb.png": (black_png(20_000, 20_000), "too_many_pixels"),
        "drawing.jpg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unknown_format"),
        "empty.jpg": (b"", "empty"),
    }
    for name, (data, _) in files.items():
        (folder / name).write_bytes(data)
    Image.fromarray(photo()).convert("CMYK").save(folder / "print.jpg")
    frames = [Image.fromarray(photo(64, 48, seed)) for seed in (1, 2)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    with (folder / "huge.jpg").open("wb") as file:
        file.write(whole)
        file.truncate(100_000_000)  # claims 100 MB, and takes no room
    expected = {name: reason for name, (_, reason) in files.items()}
    return expected | {"print.jpg": "", "moving.gif": "", "huge.jpg": "too_many_bytes"}


def test_hostile_pictures_cost_their_branch_and_nothing_else(database: str, tmp_path: Path) -> None:
    expected = hostile(tmp_path) | {"absent.jpg": "no_file", "..%2F..%2Fetc%2Fpasswd": "no_file"}
    posts = [pictured(i, name) for i, name in enumerate(expected)]
    run(database, posts, Marker(make_ocr=Engine), settings_with(tmp_path))
    found = verdicts(database)
    assert {
        name: found[str(i)][1]["missing"].get("image", "") for i, name in enumerate(expected)
    } == expected
    assert all(score is not None for score, _ in found.values())


def test_the_worker_judges_whole_posts_and_lives_with_hostile_ones(
    database: str, tmp_path: Path
) -> None:
    expected = hostile(tmp_path)
    posts = [pictured(i, name) for i, name in enumerate(expected)]
    judge = Marker(make_ocr=Engine)
    work = Classifier(
        database, settings_with(tmp_path, retry_seconds=0.0), judge, Metrics("classify")
    )
    now = datetime.now(UTC).timestamp()
    work([Taken("posts", 0, i, encode_reading(p), now) for i, p in enumerate(posts)])
    work.close()
    found = verdicts(database)
    assert [found[str(i)][1]["missing"].get("image", "") for i in range(len(posts))] == list(
        expected.values()
    )


def test_a_deleted_post_leaves_no_words_of_its_picture(database: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(_poster(), "PNG"))
    judge = Marker(make_ocr=Engine)
    run(database, [pictured(1, "a.png")], judge, settings_with(tmp_path))
    assert _n_words(database) == 1
    local.forget(
        database,
        Deletion(platform="instagram", kind="post", deleted_id="1"),
        judge,
        settings_with(tmp_path),
    )
    assert _n_words(database) == 0 and not verdicts(database)


def _n_words(database: str) -> int:
    with connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM hoaxwatch.picture_words").fetchone()
    assert row is not None
    return int(row[0])


def _poster() -> Any:
    return poster("THE WATER IS POISONED")


def test_a_judge_beside_marks_what_it_changes_once_it_counts(database: str) -> None:
    """Another process may bring it into force while it judges beside those that count."""
    judge = Marker()
    with connect(database) as connection:
        writes.prepare(connection)
        steps.record(connection, steps.prepare([post(1), post(2)], DAY), judge, "key")

        def marked_by_verdict_on(number: str) -> int:
            connection.execute("DELETE FROM hoaxwatch.dirty_buckets")
            hashes = connection.execute(
                "SELECT input_hash FROM hoaxwatch.content WHERE root_id = %s", (number,)
            ).fetchall()
            verdict = Verdict(
                platform="instagram",
                root_id=number,
                detector=judge.name,
                version=judge.version,
                input_hash=hashes[0][0],
                state="scored",
                score=0.9,
            )
            assert steps.judge(connection, [verdict], DAY, beside=True)["scored"] == 1
            marks = connection.execute("SELECT DISTINCT hashtag FROM hoaxwatch.dirty_buckets")
            return len(marks.fetchall())

        assert marked_by_verdict_on("1") == 0
        writes.activate_policy(connection, judge.name, judge.version, 0.5, 0.0, DAY)
        assert marked_by_verdict_on("2") == 1
