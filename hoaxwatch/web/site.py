"""What all pages of one server share: the project, its database, who may look, how pages are put
together."""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from math import inf
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread
from time import monotonic
from typing import Any, Generic, TypeVar, cast
from urllib.parse import parse_qsl, urlencode

import jinja2
from fastapi import HTTPException, Request
from starlette.responses import HTMLResponse

from graph.followed import show_topic
from hoaxwatch.evidence import Explainer
from hoaxwatch.pictures import N_LEVELS, level_class
from hoaxwatch.report.page import FILTERS, interval
from hoaxwatch.web.guard import SESSION, Access, cookies_of
from hoaxwatch.web.network import Layouts
from storage import reads
from storage.database import Connection, connect, database_errors
from streams.settings import Settings

Answer = TypeVar("Answer")

#: A query of a page is ended after so long.
TIMEOUT_SECONDS = 30
#: What goes through posts is counted behind the page: a page waits so long for it, a count is ended
#: after so long, is kept so many times as long as it took, and so many answers are.
WAIT_SECONDS, COUNT_SECONDS = 1.0, 900
KEPT_TIMES, N_KEPT = 10.0, 200
#: Whoever asks within so long after a count failed is told why; then it begins anew.
FAILED_SECONDS = 10.0
#: Connections at a time: the embedded server has 50, for everybody.
N_CONNECTIONS = 8
#: A form of ours is shorter (bytes).
LARGEST_FORM = 65_536
#: Remembers who decided last, so that nobody types it twice.
WHO = "hoaxwatch_who"
ASSETS = Path(__file__).parent / "assets"

_LOG = logging.getLogger(__name__)


class Counted(Generic[Answer]):
    """What was counted behind a page."""

    def __init__(self, at: datetime, answer: Answer) -> None:
        #: The state of the database that was counted.
        self.at = at
        self.answer = answer


@dataclass
class _Held:
    """The newest answer to one question, why the last count gave none, until when that is new
    enough, and the end of the count under way."""

    counted: Counted[Any] | None = None
    error: Exception | None = None
    until: float = -inf
    running: Event | None = None


@dataclass
class Site:
    """One project as a page."""

    settings: Settings
    dsn: str
    access: Access
    layouts: Layouts = field(default_factory=Layouts)
    _slots: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(N_CONNECTIONS))
    _held: OrderedDict[object, _Held] = field(default_factory=OrderedDict)
    _counting: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(2))
    _keeping: Lock = field(default_factory=Lock)
    _explaining: Lock = field(default_factory=Lock)
    _explainer: Explainer | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database and cannot write."""
        with self.writing() as connection, reads.one_snapshot(connection):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection for what somebody decides."""
        with (
            self._slots,
            database_errors(self.dsn),
            connect(self.dsn, role="hoaxwatch page", timeout_seconds=TIMEOUT_SECONDS) as opened,
        ):
            yield opened

    def counted(self, name: object, ask: Callable[[Connection], Answer]) -> Counted[Answer] | None:
        """The newest answer there is to a question that goes through many posts. It is counted by a
        thread of its own, so that no page waits for it longer than WAIT_SECONDS; None: the first
        count is still under way. Raises what made the last count fail."""
        with self._keeping:
            held = self._held.setdefault(name, _Held())
            self._held.move_to_end(name)
            if len(self._held) > N_KEPT:
                self._held.popitem(last=False)
            if held.running is None and monotonic() > held.until:
                held.running, held.error = Event(), None
                counting = name, held, held.running, ask
                Thread(target=self._count, args=counting, daemon=True).start()
            running = held.running
        if running is not None:
            running.wait(WAIT_SECONDS)
        if (error := held.error) is not None:
            raise error
        return cast("Counted[Answer] | None", held.counted)

    def count_anew(self) -> None:
        """Somebody has decided something: what is held, or being counted, does not know it. Older
        answers stay until the new ones are there."""
        with self._keeping:
            for name, held in self._held.items():
                self._held[name] = _Held(held.counted)

    def _count(
        self, name: object, held: _Held, running: Event, ask: Callable[[Connection], Answer]
    ) -> None:
        try:
            with (
                self._counting,
                database_errors(self.dsn),
                connect(self.dsn, role="hoaxwatch page", timeout_seconds=COUNT_SECONDS) as opened,
                reads.one_snapshot(opened),
            ):
                began, at = monotonic(), datetime.now(UTC)
                held.counted = Counted(at, ask(opened))
                held.until = monotonic() + KEPT_TIMES * (monotonic() - began)
        except Exception as error:  # told to who waits, or asks next
            _LOG.exception("counting %r for the page failed", name)
            held.error, held.until = error, monotonic() + FAILED_SECONDS
        held.running = None
        running.set()

    def explain(self, post: dict[str, Any]) -> Any:
        """What weighed most in a verdict; the detector is loaded once, by the first who asks."""
        with self._explaining:
            if self._explainer is None:
                self._explainer = Explainer(self.settings)
            return self._explainer(post)


def site_of(request: Request) -> Site:
    """The site that answers a request."""
    site: Site = request.app.state.site
    return site


def page(request: Request, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page with what it shows. Its forms send back a word that only this browser was given."""
    site = site_of(request)
    cookies = cookies_of(request.headers)
    session = cookies.get(SESSION) or secrets.token_hex(16)
    proxy = site.access.user_header and request.headers.get(site.access.user_header)
    html = (
        _templates()
        .get_template(template)
        .render(
            project=site.settings.project,
            form_token=site.access.form_token(session),
            who=proxy or cookies.get(WHO, ""),
            who_is_fixed=bool(proxy),
            path=request.url.path,
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            now=datetime.now(UTC),
            levels=[f"level{i}" for i in range(N_LEVELS)],
            level_class=level_class,
            **shown,
        )
    )
    answer = HTMLResponse(html, status)
    if SESSION not in cookies:
        answer.set_cookie(SESSION, session, httponly=True, samesite="lax")
    return answer


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours has sent.

    Raises HTTPException for another form, one that is too long or holds a null character.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            raise HTTPException(413, "the form is too long")
    fields = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    session = cookies_of(request.headers).get(SESSION, "")
    expected = site_of(request).access.form_token(session)
    if not session or not secrets.compare_digest(
        fields.get("form", "").encode(), expected.encode()
    ):
        raise HTTPException(403, "this form is from another session: go back, reload, send again")
    if any("\0" in value for value in fields.values()):
        raise HTTPException(400, "no field takes a null character")
    return fields


def link(path: str, **query: object) -> str:
    """An address of ours, with the parameters that are not None; of a list with each of its values.

    >>> link("/hashtag", tag="a&b", by=None)
    '/hashtag?tag=a%26b'
    >>> link("/api/alerts", state=["open", "muted"])
    '/api/alerts?state=open&state=muted'
    """
    given = {name: value for name, value in query.items() if value is not None}
    return path + (f"?{urlencode(given, doseq=True)}" if given else "")


def has_assets() -> bool:
    """Whether `make web` has built what the network page draws with."""
    return (ASSETS / "network.js").is_file()


@cache
def _templates() -> jinja2.Environment:
    folder = files("hoaxwatch.web") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({f.name: f.read_text("utf-8") for f in folder.iterdir()}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {"interval": interval, "link": link, "has_assets": has_assets}
    environment.globals["show_topic"] = show_topic
    return environment
