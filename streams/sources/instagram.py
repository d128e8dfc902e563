"""Instagram by the Graph API's hashtag search: one pass over what is tracked, then it ends.

The API gives the posts of the last 24 hours, without their authors, for at most 30 hashtags in
seven days per account. So a pass belongs into a timer that runs at least daily, and the list of
hashtags should stay the same for a week. Which hashtags are used up is part of the cursor.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from storage.tracking import Mark, Pull, Tracked
from streams.errors import UsageError
from streams.formats.instagram_graph import parse_record
from streams.formats.json_records import (
    Json,
    count_of,
    decode_json,
    encode_json,
    object_of,
    objects_of,
    parse_json,
    text_of,
)
from streams.records import Post
from streams.settings import Settings
from streams.sources.following import Backoff, Interrupted, retry_after, ticks
from streams.sources.keeping import Keeping
from streams.sources.source import Say, Sighting

NAME = "instagram"
DESCRIPTION = "Instagram, the last 24 hours of tracked hashtags, no authors; needs an approved app"

MOST_HASHTAGS, WINDOW = 30, timedelta(days=7)
KEPT_BY_INSTAGRAM = timedelta(hours=24)
PAGE_POSTS = 50
_CHILDREN = "children{id,media_type,media_url,thumbnail_url}"
_FIELDS = (
    f"id,caption,{_CHILDREN},comments_count,like_count,media_type,media_url,permalink,timestamp"
)
#: Codes of errors that pass by waiting, and what others want of somebody.
_TOO_OFTEN = {4, 17, 32, 613}
_PASSING = {1, 2}
_NO_SUCH_HASHTAG, _TOO_MANY_HASHTAGS = 24, 18
_REFUSALS = {
    190: "Instagram does not take the token (190): {said}; make a new one and set "
    "HOAXWATCH_INSTAGRAM_TOKEN",
    10: "the app may not search hashtags (10): {said}; it needs Instagram Public Content Access",
    200: "the app may not search hashtags (200): {said}; it needs Instagram Public Content Access",
    100: "Instagram does not know what is asked (100): {said}; check instagram_user_id",
}


def open_source(settings: Settings, keeping: Keeping, say: Say) -> Instagram:
    """The source, not connected yet. Raises UsageError without a token."""
    return Instagram(settings, keeping, say)


class Used(msgspec.Struct):
    """A hashtag that counts towards the 30: its id there, and since when, anew every seven days."""

    id: str
    since: datetime


class State(msgspec.Struct):
    """The cursor: hashtags of the last seven days, and until when each was covered."""

    used: dict[str, Used] = msgspec.field(default_factory=dict)
    until: dict[str, datetime] = msgspec.field(default_factory=dict)


class _Failed(Exception):
    """An error about one hashtag: the others go on."""


class Instagram:
    """One pass over the tracked hashtags. Time is the platform's own: the Date of its answers."""

    name = NAME

    def __init__(
        self, settings: Settings, keeping: Keeping, say: Say, backoff: Backoff | None = None
    ) -> None:
        if settings.instagram_token is None or settings.instagram_user_id is None:
            raise UsageError(
                "Instagram needs an approved app: set HOAXWATCH_INSTAGRAM_TOKEN and "
                "HOAXWATCH_INSTAGRAM_USER_ID"
            )
        self._token = settings.instagram_token.get_secret_value()
        self._user = settings.instagram_user_id
        self._most_posts = settings.instagram_most_posts
        self._http = httpx.Client(
            base_url=settings.instagram_url.rstrip("/"), timeout=settings.source_silence_seconds
        )
        self._keeping, self._say = keeping, say
        self._backoff = backoff or Backoff()
        self._now = datetime.now(UTC)

    def track(self, hashtags: Sequence[Tracked]) -> None:
        """From the next pass on."""

    def greet(self, cursor: str | None) -> Generator[Sighting, None, str]:
        """Whose account it is, and how many of its hashtags are left."""
        state = msgspec.json.decode(cursor or "{}", type=State)
        told = yield from self._ask(f"/{self._user}", {"fields": "username"})
        n_used = sum(self._now - used.since < WINDOW for used in state.used.values())
        return (
            f"takes the token of {text_of(told.get('username')) or self._user}; "
            f"{n_used} of {MOST_HASHTAGS} hashtags of seven days used"
        )

    def posts(self, cursor: str | None) -> Iterator[Sighting]:
        """Ends after one pass. Raises UsageError if Instagram refuses us."""
        state = msgspec.json.decode(cursor or "{}", type=State)
        # those that are used up anyhow first
        rows = sorted(self._keeping.rows, key=lambda r: (r.hashtag not in state.used, r.hashtag))
        for row in rows:
            try:
                yield from self._pull(row, state)
            except _Failed as failure:
                self._say(f"instagram: #{row.written}: {failure}")
                pull = self._empty(row, str(failure))
                yield Sighting(None, Mark(_encode(state), (pull,)))

    def _pull(self, row: Tracked, state: State) -> Iterator[Sighting]:
        if row.hashtag not in state.used:
            yield from self._take_into_use(row, state)
        used = state.used[row.hashtag]
        got, after, is_capped = 0, None, False
        began: datetime | None = None
        oldest = None
        seen: set[str] = set()
        while True:
            page = yield from self._media(used.id, after)
            began = began or self._now
            if began - used.since >= WINDOW:  # its seven days ended and begin again
                used.since = began
            items = objects_of(page.get("data"))
            new = [item for item in items if text_of(item.get("id")) not in seen]
            seen |= {text_of(item.get("id")) or "" for item in items}
            is_capped = got + len(new) > self._most_posts
            new = new[: self._most_posts - got]
            got += len(new)
            told = {"data": new, "retrieved_at": self._now.isoformat()}
            for reading in parse_json(encode_json(told), _SOURCE, "page", parse_record):
                if isinstance(reading, Post):
                    oldest = min(oldest or reading.posted_at, reading.posted_at)
                if new:
                    yield Sighting(reading)
            after = text_of(object_of(object_of(page.get("paging")).get("cursors")).get("after"))
            # a cursor may look the same on each page: the end is a page without anything new
            if is_capped or not new or after is None:
                break
        since = max(state.until.get(row.hashtag, row.tracked_from), began - KEPT_BY_INSTAGRAM)
        state.until[row.hashtag] = began
        if since >= began:  # the same moment again: it is covered already
            yield Sighting(None, Mark(_encode(state)))
            return
        pull = Pull(
            NAME,
            row.hashtag,
            began.isoformat(),
            max(since, oldest or since) if is_capped else since,
            began,
            asked=self._most_posts,
            got=got,
            is_capped=is_capped,
        )
        yield Sighting(None, Mark(_encode(state), (pull,)))

    def _take_into_use(self, row: Tracked, state: State) -> Iterator[Sighting]:
        """Asks for the hashtag's id, which makes it count for seven days. What is tracked keeps its
        place: it is asked for again."""
        tracked = self._keeping.hashtags
        state.used = {
            tag: used
            for tag, used in state.used.items()
            if tag in tracked or self._now - used.since < WINDOW
        }
        if len(state.used) >= MOST_HASHTAGS:
            free_at = min(used.since for used in state.used.values()) + WINDOW
            raise _Failed(
                f"30 hashtags were asked for in 7 days; there is room on {free_at:%Y-%m-%d %H:%M}"
            )
        told = yield from self._ask("/ig_hashtag_search", {"user_id": self._user, "q": row.written})
        found = [text_of(item.get("id")) for item in objects_of(told.get("data"))]
        if not found or not found[0]:
            raise _Failed("Instagram gives no id for it")
        state.used[row.hashtag] = Used(found[0], self._now)
        yield Sighting(None, Mark(_encode(state)))

    def _media(self, tag_id: str, after: str | None) -> Generator[Sighting, None, Json]:
        asked = {"user_id": self._user, "fields": _FIELDS, "limit": str(PAGE_POSTS)}
        if after is not None:
            asked["after"] = after
        return (yield from self._ask(f"/{tag_id}/recent_media", asked))

    def _ask(self, path: str, asked: dict[str, str]) -> Generator[Sighting, None, Json]:
        """The answer; ticks while it waits. Raises UsageError, _Failed."""
        try:
            "".join((path, *asked.values())).encode()
        except UnicodeEncodeError:  # a lone surrogate
            raise _Failed("Instagram gave an id or a cursor that cannot be sent back") from None
        while True:
            try:
                return self._answer(path, asked)
            except Interrupted as failure:
                wait = self._backoff.after(failure)
                self._say(f"instagram: {failure}; again in {wait:.0f} s")
                yield from ticks(wait)

    def _answer(self, path: str, asked: dict[str, str]) -> Json:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            answer = self._http.get(path, params=asked, headers=headers)
        except httpx.RequestError as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise Interrupted(f"{self._http.base_url} cannot be reached: {reason}") from None
        self._now = _date_of(answer) or datetime.now(UTC)
        try:
            told = object_of(decode_json(answer.content)[0])
        except (ValueError, RecursionError):
            raise Interrupted(f"Instagram answered {answer.status_code} without JSON") from None
        if answer.status_code == 200:
            self._backoff.reset()
            return told
        problem = object_of(told.get("error"))
        code = count_of(problem, "code") or 0
        said = " ".join((text_of(problem.get("message")) or "it does not say why").split())[:200]
        wait = retry_after(answer.headers.get("Retry-After"))
        if code in _TOO_OFTEN or answer.status_code == 429:
            raise Interrupted(f"asked too often ({code})", wait)
        if code in _PASSING or answer.status_code >= 500:
            raise Interrupted(f"Instagram answered {answer.status_code} ({code})", wait)
        if code in (_NO_SUCH_HASHTAG, _TOO_MANY_HASHTAGS):
            raise _Failed(f"{said} ({code})")
        refusal = _REFUSALS.get(code, "Instagram refuses it ({code}): {said}")
        raise UsageError(refusal.format(code=code, said=said))

    def _empty(self, row: Tracked, reason: str) -> Pull:
        name = f"failed {self._now.isoformat()}"
        return Pull(NAME, row.hashtag, name, self._now, self._now, error=reason)


_SOURCE = f"instagram_graph:{NAME}"


def _encode(state: State) -> str:
    return msgspec.json.encode(state).decode()


def _date_of(answer: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return None
