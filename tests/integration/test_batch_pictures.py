"""Pictures fetched before a batch is judged: what comes is seen, what does not stalls nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from detectors.att_xdsf import save
from detectors.detector import Detector
from detectors.networks.training import Schedule
from detectors.registry import load_detector
from detectors.train_att_xdsf import Settings as Training
from detectors.train_att_xdsf import fit
from hoaxwatch import cli
from storage.database import connect
from streams.errors import UsageError
from streams.fetching import Failed, Fetched, FetchLimits, fetch
from streams.judging import judging_of
from streams.media import BatchPictures
from streams.metrics import Metrics
from streams.records import Media, Post, encode_reading
from streams.settings import Settings, read_settings
from streams.sources.following import Backoff
from streams.topics import read_lag
from streams.workers import Classifier, Taken
from tests.fakes.pictures import Pictures, running
from tests.faults.scene import SESSION_SECONDS, Scene
from tests.integration.test_whole_posts import Marker, post, verdicts
from tests.unit.detectors.invented_posts import posts_with_labels, rows

if TYPE_CHECKING:
    from tests.conftest import Server

#: Of a batch here; a host that hangs does so for ten minutes.
BOUND_SECONDS = 60.0


@pytest.fixture
def hosts() -> Iterator[dict[str, Pictures]]:
    """A host for each mood: on one they would share its failures."""
    with ExitStack() as stack:
        moods = ("good", "flaky", "page", "huge", "hang", "drip", "down")
        yield {mood: stack.enter_context(running(Pictures())) for mood in moods}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    told = {
        "CONFIG": str(tmp_path / "none.toml"),
        "DETECTOR": "null",
        "RETRY_SECONDS": "0",
        "MEDIA_FETCH": "true",
        "MEDIA_FOLDER": str(tmp_path / "pictures"),
        "MEDIA_PRIVATE_ADDRESSES": "true",
        "MEDIA_BATCH_SECONDS": str(BOUND_SECONDS),
        "MEDIA_PAUSE_SECONDS": "0",
        "MEDIA_SECONDS": "2",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"HOAXWATCH_{name}", value)
    return read_settings()


def posts_of(hosts: dict[str, Pictures]) -> dict[str, Post]:
    """By mood of its host: a post with a picture there. Two have one that is never asked for."""
    addresses = {mood: f"{host.url}/{mood}/1" for mood, host in hosts.items()}
    addresses["inward"] = f"{hosts['good'].url}/to/ftp://127.0.0.1/a.png"
    addresses["none"] = "file:///etc/passwd"
    return {
        mood: post(number, text=f"{mood} news", media=(Media(kind="image", url=url),))
        for number, (mood, url) in enumerate(addresses.items())
    }


def taken(posts: Sequence[Post], offset: int = 0) -> list[Taken]:
    now = datetime.now(UTC).timestamp()
    return [Taken("posts", 0, at, encode_reading(one), now) for at, one in enumerate(posts, offset)]


def image_reasons(database: str) -> dict[str, str]:
    """Why the image had no voice, by post."""
    found = verdicts(database)
    return {post_id: parts["missing"].get("image", "") for post_id, (_, parts) in found.items()}


def n_quarantined(database: str) -> int:
    with connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM hoaxwatch.quarantine").fetchone()
    assert row is not None
    return int(row[0])


def counted(registry: CollectorRegistry) -> dict[str, float]:
    """Pictures by outcome, as Prometheus is told."""
    return {
        sample.labels["outcome"]: sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "hoaxwatch_pictures_total"
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of a small att-XDSF that reads all three parts, hardly trained."""
    posts, positive = posts_with_labels(24)
    train, validation, _ = rows(24)
    quick = Schedule(max_epochs=1, batch=8)
    told = Training(text="characters", network=quick, pictures=quick, trained_on="2026-01-01")
    folder = tmp_path_factory.mktemp("weights")
    save(fit(posts, positive, train, validation, told), folder)
    return folder


@pytest.mark.first_server
def test_a_worker_judges_with_what_came_in_time(
    database: str, settings: Settings, hosts: dict[str, Pictures], weights: Path
) -> None:
    """Nine posts, each with a picture at a host with a mood of its own; all are judged."""
    posts, metrics = posts_of(hosts), Metrics("classify")
    detector: Detector = load_detector("att_xdsf", weights=weights)
    work = Classifier(database, settings, detector, metrics)
    began = time.monotonic()
    work(taken(list(posts.values())))
    seconds = time.monotonic() - began
    work.close()
    reasons = image_reasons(database)
    missing = {mood: reasons[one.post_id] for mood, one in posts.items()}
    assert {mood for mood, reason in missing.items() if not reason} == {"good", "flaky"}
    assert {reason for reason in missing.values() if reason} == {"no_file"}
    found = verdicts(database)
    assert all(score is not None and "text" in parts["used"] for score, parts in found.values())
    assert "image" in found[posts["good"].post_id][1]["used"]
    assert n_quarantined(database) == 0
    assert seconds < BOUND_SECONDS
    assert hosts["flaky"].asked["/flaky/1"] == 2
    assert counted(metrics.registry) == {
        "fetched": 2,
        "its bytes are no JPEG, PNG, GIF or WebP": 1,
        "more than 20,000,000 bytes": 1,
        "no address of a picture on the web": 2,
        "no answer within 2 s": 2,
        "answer 5xx": 1,
    }


@pytest.mark.first_server
def test_a_batch_waits_for_its_pictures_so_long_and_no_longer(
    database: str, settings: Settings, hosts: dict[str, Pictures]
) -> None:
    told = settings.model_copy(update={"media_batch_seconds": 2.0, "media_seconds": 300.0})
    metrics = Metrics("classify")
    work = Classifier(database, told, Marker(), metrics)
    media = tuple(Media(kind="image", url=f"{hosts['hang'].url}/hang/{n}") for n in range(9))
    began = time.monotonic()
    work(taken([post(1, media=media)]))
    assert time.monotonic() - began < 200
    work.close()
    assert image_reasons(database) == {"1": "no_file"}
    outcomes = counted(metrics.registry)
    assert sum(outcomes.values()) == 9 and outcomes["not asked"] >= 7


@pytest.mark.first_server
def test_without_the_setting_nothing_is_fetched(
    database: str, settings: Settings, hosts: dict[str, Pictures]
) -> None:
    posts, metrics = posts_of(hosts), Metrics("classify")
    quiet = settings.model_copy(update={"media_fetch": False})
    for at, (told, judge) in enumerate(
        [(quiet, Marker()), (settings, Marker(reads=frozenset(("hashtags",)), version="2"))]
    ):
        work = Classifier(database, told, judge, metrics)
        work(taken(list(posts.values()), at * len(posts)))
        work.close()
    assert not any(host.asked for host in hosts.values())
    assert not settings.pictures_folder().exists()
    assert counted(metrics.registry) == {}


@pytest.mark.first_server
def test_a_picture_that_came_later_is_judged_by_reprocess_and_when_its_post_is_met_again(
    database: str,
    settings: Settings,
    hosts: dict[str, Pictures],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host was down; `media fetch` gets the picture; the verdict that counts is anew."""
    monkeypatch.setattr("hoaxwatch.commands.reprocess.detector_of", lambda settings: Marker())
    host = hosts["good"]
    media = (Media(kind="image", url=f"{host.url}/flaky/1"),)
    first, second = post(1, media=media), post(2, media=media, text="of the other")
    down = BatchPictures(settings, lambda address, limits: Failed("answer 503", True))
    work = Classifier(database, settings, Marker(), Metrics("classify"))
    work._judging._fetch_pictures = down  # type: ignore[attr-defined]
    work(taken([first, second]))
    assert image_reasons(database) == {"1": "no_file", "2": "no_file"}
    assert cli.run(["media", "fetch", "--database", database]) == 0
    work(taken([post(1, media=media, likes=9, raw=b"again")], 2))
    work.close()
    assert image_reasons(database) == {"1": "", "2": "no_file"}
    command = ["reprocess", "--detector", "marker_of_posts", "--database", database]
    assert cli.run(command) == 0
    assert image_reasons(database) == {"1": "", "2": ""}


@pytest.mark.first_server
def test_a_post_that_is_met_again_has_its_picture_tried_again_five_times_in_all(
    database: str, settings: Settings, hosts: dict[str, Pictures]
) -> None:
    tries: list[str] = []

    def down(address: str, limits: FetchLimits) -> Failed:
        tries.append(address)
        return Failed("answer 404 of a cache", is_passing=True)

    work = Classifier(database, settings, Marker(), Metrics("classify"))
    one = post(1, media=(Media(kind="image", url=f"{hosts['good'].url}/good/1"),))
    for at in range(7):
        # another object each time: no host is left alone
        fetching = BatchPictures(settings, down, lambda: Backoff(0.01))
        work._judging._fetch_pictures = fetching  # type: ignore[attr-defined]
        work(taken([one], at))
    work.close()
    assert len(tries) == 5 * 3
    assert image_reasons(database) == {"1": "no_file"}


def test_no_transaction_is_open_while_a_host_takes_its_time(
    database: str, settings: Settings, hosts: dict[str, Pictures]
) -> None:
    states: list[str] = []

    def looking(address: str, limits: FetchLimits) -> Fetched | Failed:
        with connect(database) as connection:
            rows = connection.execute(
                "SELECT state FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'hoaxwatch classify'"
            )
            states.extend(state for (state,) in rows)
        return fetch(address, limits)

    work = Classifier(database, settings, Marker(), Metrics("classify"))
    work._judging._fetch_pictures = BatchPictures(settings, looking)  # type: ignore[attr-defined]
    work(taken([posts_of(hosts)["good"]]))
    work.close()
    assert states == ["idle"]


@pytest.mark.first_server
def test_a_folder_that_fills_up_costs_pictures_and_not_posts(
    database: str, settings: Settings, hosts: dict[str, Pictures], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    posts, metrics = posts_of(hosts), Metrics("classify")
    work = Classifier(database, settings, Marker(), metrics)
    with monkeypatch.context() as patch:
        patch.setattr("streams.media._write", full)
        work(taken([posts["good"]]))
    assert counted(metrics.registry) == {"not stored": 1}
    assert image_reasons(database) == {"0": "no_file"}
    work(taken([posts["good"]], 1))  # there is room again
    work.close()
    assert image_reasons(database) == {"0": ""}
    assert n_quarantined(database) == 0


def test_a_folder_that_cannot_be_made_is_said_at_the_start(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    wrong = settings.model_copy(update={"media_folder": tmp_path / "file" / "below"})
    with pytest.raises(UsageError, match="set media_folder to a folder that can"):
        judging_of(Marker(), wrong, of_new=True)
    judging_of(Marker(), wrong)  # explain and the others fetch nothing


@pytest.mark.first_server
def test_pictures_that_are_here_are_not_fetched(
    database: str, settings: Settings, hosts: dict[str, Pictures], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "a.png").write_bytes(b"\x89PNG, or so it says")
    media = (Media(kind="image", url=f"{hosts['good'].url}/good/a.png"),)
    told = settings.model_copy(update={"media": own})
    work = Classifier(database, told, Marker(), Metrics("classify"))
    work(taken([post(1, media=media)]))
    work.close()
    assert not hosts["good"].asked


@pytest.mark.first_server
def test_a_run_fetches_too_and_says_how_many(
    database: str,
    settings: Settings,
    hosts: dict[str, Pictures],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As `--pictures` says, over the setting. What was fetched is there without it as well."""
    monkeypatch.setenv("HOAXWATCH_MEDIA_FETCH", "false")
    monkeypatch.setattr("hoaxwatch.commands.pipeline.detector_of", lambda settings: Marker())
    file = tmp_path / "posts.csv"
    lines = [
        f"instagram,{n},2026-03-01T12:00:00Z,The {mood} news,{hosts[mood].url}/{mood}/1"
        for n, mood in enumerate(("good", "page"))
    ]
    file.write_text("\n".join(["platform,post_id,posted_at,text,images", *lines, ""]))
    command = ["run", str(file), "--database", database]
    assert cli.run(command) == 0
    assert not hosts["good"].asked and "pictures:" not in capsys.readouterr().err
    assert cli.run([*command, "--pictures"]) == 0
    (said,) = (x for x in capsys.readouterr().err.splitlines() if x.startswith("  pictures: "))
    assert "1 fetched" in said and "1 its bytes are no JPEG, PNG, GIF or WebP" in said
    found = verdicts(database)
    assert [found[n][1]["missing"] for n in "01"] == [{}, {"image": "no_file"}]


@pytest.mark.timeout(900)
def test_a_worker_on_brokers_that_waits_longer_than_its_session_stays_a_member(
    one_server: Server,
    kafka: str,
    tmp_path: Path,
    settings: Settings,
    hosts: dict[str, Pictures],
    weights: Path,
) -> None:
    posts = posts_of(hosts)
    told = {
        "DETECTOR": "att_xdsf",
        "WEIGHTS": str(weights),
        "MEDIA_SECONDS": "300",
        "MEDIA_BATCH_SECONDS": str(2.5 * SESSION_SECONDS),
    }
    with one_server.new_database() as dsn:
        scene = Scene(kafka, dsn, tmp_path, f"pictures{os.getpid()}-", partitions=1)
        scene.set_up()
        try:
            scene.start("classify", "c0", **{f"HOAXWATCH_{k}": v for k, v in told.items()})
            scene.send(posts.values())
            scene.wait_for(lambda: len(verdicts(dsn)) == len(posts))
            scene.wait_for(
                lambda: not any(r.lag for r in read_lag(scene.settings) if "posts" in r.topic)
            )
        finally:
            scene.stop()
        reasons = image_reasons(dsn)
        assert scene.n_starts == {"c0": 1}
        assert {mood for mood, one in posts.items() if not reasons[one.post_id]} >= {"good"}
        assert reasons[posts["hang"].post_id] == "no_file"
        assert n_quarantined(dsn) == 0
