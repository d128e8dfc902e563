"""A small project as a page, with a post, a handle, a hashtag and an alert that try to become
markup."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from hoaxwatch import cli
from hoaxwatch.simulate import simulate
from hoaxwatch.web.app import build_app
from hoaxwatch.web.guard import Access
from storage.alerts import AlertLine, tell_alerts
from storage.database import Connection, connect
from streams import local
from streams.settings import Settings, read_settings
from tests.samples import write_samples

if TYPE_CHECKING:
    from tests.conftest import Server

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
#: What must stay text, wherever it stands.
XSS = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


@dataclass(frozen=True)
class Project:
    """A project that some hundred posts were read into, as a page."""

    dsn: str
    settings: Settings

    def client(self, access: Access | None = None, **options: Any) -> TestClient:
        app = build_app(self.settings, self.dsn, access or Access())
        return TestClient(app, base_url="http://localhost:8400", **options)


@contextmanager
def small_project(server: Server, folder: Path) -> Iterator[Project]:
    """Some hundred posts of five days that tfidf judged; with HOAXWATCH_TEST_MONTH those of an
    invented month."""
    with pytest.MonkeyPatch.context() as patch, server.new_database() as dsn:
        patch.setenv("HOAXWATCH_CONFIG", str(folder / "none.toml"))
        patch.setenv("HOAXWATCH_CLUSTER_MIN_USERS", "5")
        paths = write_samples(folder / "posts", seed=2)
        if os.environ.get("HOAXWATCH_TEST_MONTH"):
            paths = simulate(folder / "month", seed=2, n_posts=10_000, with_tables=False).paths
        files = [str(path) for path in paths]
        assert cli.run(["run", *files, "--detector", "tfidf", "--database", dsn]) == 0
        settings = read_settings(detector="tfidf", project="study")
        with connect(dsn) as connection:
            poison(connection)
        local.count_again(dsn, settings)
        yield Project(dsn, settings)


def poison(connection: Connection) -> None:
    """One original gets a text, a handle and a hashtag that try to become markup."""
    (platform, root, author) = rows(
        connection,
        "SELECT platform, post_id, author_id FROM hoaxwatch.posts p WHERE kind = 'original'"
        " AND EXISTS (SELECT FROM hoaxwatch.posts s WHERE s.share_of = p.post_id)"
        " ORDER BY post_id LIMIT 1",
    )[0]
    given = {"platform": platform, "root": root, "author": author, "xss": XSS}
    for statement in (
        "UPDATE hoaxwatch.content SET text = %(xss)s, hashtags = array_append(hashtags, %(xss)s)"
        " WHERE platform = %(platform)s AND root_id = %(root)s",
        "INSERT INTO hoaxwatch.content_hashtags (hashtag, platform, root_id, written)"
        " VALUES (%(xss)s, %(platform)s, %(root)s, %(xss)s)",
        "UPDATE hoaxwatch.authors SET handle.value = %(xss)s"
        " WHERE platform = %(platform)s AND author_id = %(author)s",
        "INSERT INTO hoaxwatch.dirty_buckets SELECT DISTINCT %(xss)s, date_trunc('hour', posted_at)"
        " FROM hoaxwatch.posts WHERE platform = %(platform)s AND root_id = %(root)s",
    ):
        connection.execute(statement, given)


def add_alert(connection: Connection, subject: str = f"tag:{XSS}") -> None:
    """An alert that no fact bears out."""
    evidence = {"posts": [{"post": f"x:{XSS}", "times": 3}], "accounts": [f"x:{XSS}"]}
    line = AlertLine(
        *("hashtag_surge", subject, XSS, f"#{XSS} rises", evidence, 9.0, NOW, NOW, None, 1),
        is_shadow=False,
    )
    with connection.transaction(), connection.cursor() as cursor:
        tell_alerts(cursor, [line], NOW)


def rows(connection: Connection, query: str) -> list[tuple[Any, ...]]:
    """What a query gives."""
    return connection.execute(query.encode()).fetchall()


def named(project: Project) -> dict[str, str]:
    """A hashtag, a post, an account and an alert of the project; counting withdraws the alert,
    which no fact bears out."""
    with connect(project.dsn) as connection:
        add_alert(connection)
        tag = rows(
            connection,
            "SELECT hashtag FROM mart.hashtag_trends_daily WHERE hashtag NOT LIKE '%<%'"
            " GROUP BY 1 ORDER BY sum(posts) DESC LIMIT 1",
        )[0][0]
        post = rows(
            connection,
            "SELECT platform || ':' || post_id FROM mart.posts_scored WHERE NOT likely_false"
            f" AND hashtags @> ARRAY['{tag}'] AND kind = 'original' ORDER BY 1 LIMIT 1",
        )[0][0]
        author = rows(connection, "SELECT min(platform || ':' || author_id) FROM hoaxwatch.posts")
        alert = rows(connection, "SELECT max(alert_id) FROM mart.alerts")
    return {"tag": tag, "post": post, "account": author[0][0], "alert": str(alert[0][0])}
