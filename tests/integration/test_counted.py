"""What goes through posts is counted behind the page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

import pytest

from hoaxwatch.web import site as module
from hoaxwatch.web.guard import Access
from hoaxwatch.web.site import Site
from storage.database import Connection
from streams.settings import read_settings


@pytest.fixture
def site(database: str) -> Site:
    return Site(read_settings(), database, Access())


def test_a_page_does_not_wait_and_the_next_one_has_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    may_end, asked = threading.Event(), []

    def ask(connection: Connection) -> int:
        asked.append(connection)
        assert may_end.wait(30)
        return 7

    assert site.counted("slow", ask) is None
    assert site.counted("slow", ask) is None
    assert len(asked) == 1  # one count, whoever asks
    monkeypatch.setattr(module, "WAIT_SECONDS", 30.0)
    may_end.set()
    counted = site.counted("slow", ask)
    assert counted is not None
    assert counted.answer == 7
    assert len(asked) == 1


def test_an_answer_is_kept_for_a_while_and_an_old_one_shown_until_the_new_one_is_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((1, 2))
    may_end = threading.Event()

    def ask(_: Connection) -> int:
        answer = next(answers)
        assert answer == 1 or may_end.wait(30)
        return answer

    monkeypatch.setattr(module, "KEPT_TIMES", 1e6)
    first = site.counted("n", ask)
    assert first is not None and first.answer == 1
    assert site.counted("n", ask) is first
    site._held["n"].until = 0.0
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.05)
    assert site.counted("n", ask) is first
    monkeypatch.setattr(module, "WAIT_SECONDS", 30.0)
    may_end.set()
    second = site.counted("n", ask)
    assert second is not None and second.answer == 2
    assert second.at > first.at


def test_what_waited_for_others_is_kept_no_longer_for_it(site: Site) -> None:
    with site._counting, site._counting:
        asking = threading.Thread(target=site.counted, args=("n", lambda _: 1))
        asking.start()
        asking.join()  # WAIT_SECONDS later
        running = site._held["n"].running
    assert running is not None and running.wait(30)
    assert site._held["n"].counted is not None
    assert site._held["n"].until - monotonic() < module.KEPT_TIMES * module.WAIT_SECONDS / 2


def test_a_failure_that_nobody_waited_for_is_told_to_the_next_and_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    may_end, asked = threading.Event(), []

    def fail(_: Connection) -> int:
        asked.append(1)
        assert may_end.wait(30)
        raise ZeroDivisionError("nothing to share")

    assert site.counted("wrong", fail) is None
    running = site._held["wrong"].running
    may_end.set()
    assert running is not None and running.wait(30)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            site.counted("wrong", fail)
    assert len(asked) == 1  # it is not tried anew by each who asks
    assert "nothing to share" in caplog.text and "wrong" in caplog.text


def test_what_somebody_decides_is_counted_before_what_is_held_is_shown_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_TIMES", 1e6)
    monkeypatch.setattr(module, "WAIT_SECONDS", 30.0)
    may_end = threading.Event()

    def slow(answer: int) -> Callable[[Connection], int]:
        return lambda _: answer if may_end.wait(30) else -1

    first = site.counted("n", lambda _: 1)
    site.count_anew()
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    assert site.counted("n", slow(2)) is first  # until the new one is there
    site.count_anew()  # what began before knows nothing of it
    assert site.counted("n", slow(3)) is first
    monkeypatch.setattr(module, "WAIT_SECONDS", 30.0)
    may_end.set()
    last = site.counted("n", slow(4))
    assert last is not None and last.answer == 3


def test_it_cannot_write_and_a_failure_is_told_and_forgotten(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAILED_SECONDS", 0.0)

    def write(connection: Connection) -> None:
        connection.execute("TRUNCATE hoaxwatch.posts")

    for _ in range(2):
        with pytest.raises(Exception, match="read-only"):
            site.counted("wrong", write)
    counted = site.counted("wrong", lambda _: 3)
    assert counted is not None and counted.answer == 3


def test_old_questions_are_let_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "N_KEPT", 2)
    for name in "abc":
        site.counted(name, lambda _: 1)
    assert list(site._held) == ["b", "c"]
