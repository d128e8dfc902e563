"""X API v2 through tweepy: what both sources of X need. Raw bytes, limits obeyed, money counted.

tweepy has one host built in; an adapter sends its requests to the one that is set.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
import requests
import tweepy
from requests.adapters import HTTPAdapter

from storage.tracking import Tracked
from streams.errors import UsageError
from streams.formats.json_records import Json, count_of, decode_json, object_of, objects_of, text_of
from streams.formats.platform_x import SNOWFLAKE_EPOCH, snowflake_time
from streams.settings import Settings
from streams.sources.following import Backoff, Interrupted, ticks
from streams.sources.source import Say, Sighting

#: The host that tweepy speaks to, whatever is set.
BUILT_IN = "https://api.twitter.com"
#: X finds what was posted in the last seconds a little later (seconds).
SETTLE_SECONDS = 30.0
#: The archive is asked once a second at most.
ARCHIVE_SECONDS = 1.0
#: If X's clock and ours differ by more, ours is wrong. X's tells whole seconds only.
CLOCK_OFF = timedelta(seconds=60)
#: Recent search goes back so far.
KEPT_BY_X = timedelta(days=7) - timedelta(minutes=5)

_POST_FIELDS = (
    "created_at,lang,public_metrics,entities,referenced_tweets,conversation_id,note_tweet,"
    "attachments,edit_history_tweet_ids,in_reply_to_user_id,possibly_sensitive"
)
_USER_FIELDS = "created_at,public_metrics,verified,verified_type,protected"
_MEDIA_FIELDS = "type,url,preview_image_url,alt_text,variants,width,height"
_EXPANSIONS = "referenced_tweets.id,attachments.media_keys"
_AUTHORS = "author_id,referenced_tweets.id.author_id"

#: status -> what somebody must do about it.
_REFUSALS = {
    400: "X does not understand a query (400): {detail}",
    401: "X does not know the token (401); set HOAXWATCH_X_BEARER_TOKEN to one that is valid",
    402: "X wants money first (402): {detail}; add credits in its developer console",
    403: "the plan of this token does not allow it (403): {detail}; change the plan in X's "
    "developer console, or use --source x_search",
    404: "{host} has no such thing (404); set x_url to https://api.x.com",
}


def shown_fields(with_authors: bool) -> dict[str, str]:
    """What is asked of each post. Authors may be billed one by one."""
    asked = {"expansions": _EXPANSIONS, "tweet_fields": _POST_FIELDS, "media_fields": _MEDIA_FIELDS}
    if with_authors:
        asked |= {"expansions": f"{_AUTHORS},{_EXPANSIONS}", "user_fields": _USER_FIELDS}
    return asked


def earlier(x_id: str, by: timedelta) -> str:
    """The id that a post would have had so much earlier.

    >>> earlier("1576994746135764992", timedelta(seconds=60))
    '1576994494476189696'
    """
    milliseconds = (int(x_id) >> 22) - int(by.total_seconds() * 1000)
    return str(max(milliseconds, 0) << 22)


def id_at(moment: datetime) -> str:
    """The smallest id that a post of this moment can have."""
    return str(int((moment - SNOWFLAKE_EPOCH).total_seconds() * 1000) << 22)


def time_of(x_id: str) -> datetime:
    """When a post with this id was made."""
    return snowflake_time(x_id) or SNOWFLAKE_EPOCH


class Spent(msgspec.Struct):
    """What the cursor of each source of X has: the month (YYYY-MM), and what it cost so far."""

    month: str = ""
    spent: float = 0.0


class Purse:
    """What was spent this month, in US dollars, by what X charges per post and per account.

    The same thing is charged once a UTC day. What one source spends is kept with its cursor; what
    the others of the project spend counts against the same limit (`note_spent`).

    >>> purse = Purse(1.0, 0.25, 0.5)
    >>> page = {"data": [{"id": "1"}, {"id": "2"}], "includes": {"users": [{"id": "7"}]}}
    >>> day = datetime(2026, 3, 2, tzinfo=UTC)
    >>> purse.pay(page, day); purse.pay(page, day); purse.spent, purse.is_empty(day)
    (1.0, True)
    >>> purse.is_empty(datetime(2026, 4, 1, tzinfo=UTC))
    False
    >>> purse.note_spent("2026-04", 0.75); str(purse)
    'about $0.75 of $1.00 spent this month'
    """

    def __init__(self, limit: float, per_post: float, per_user: float) -> None:
        self.limit = limit
        self._prices = {"post": per_post, "user": per_user}
        self.month, self.spent = "", 0.0
        self._others = Spent()
        self._day, self._paid = "", set[str]()

    def __str__(self) -> str:
        return f"about ${self._total():.2f} of ${self.limit:.2f} spent this month"

    def resume(self, state: Spent) -> None:
        """Goes on from what a cursor says."""
        self.month, self.spent = state.month, state.spent

    def save(self, state: Spent) -> None:
        """Writes what was spent into what becomes the cursor."""
        state.month, state.spent = self.month, round(self.spent, 6)

    def note_spent(self, month: str, usd: float) -> None:
        """What others have spent of the same money."""
        self._others = Spent(month, usd)

    def _total(self) -> float:
        return self.spent + (self._others.spent if self._others.month == self.month else 0.0)

    def correct(self, now: datetime) -> None:
        """By a clock that is right: a month that a wrong one began too early becomes the present
        one. What was spent stays."""
        if self.month > f"{now + timedelta(days=1):%Y-%m}":
            self.month = f"{now:%Y-%m}"

    def pay(self, page: Json, now: datetime) -> None:
        """Counts what an answer holds."""
        self._turn(now)
        data, includes = page.get("data"), object_of(page.get("includes"))
        posts = objects_of(data) or [object_of(data)]
        posts += objects_of(includes.get("tweets")) + objects_of(includes.get("posts"))
        for kind, things in (("post", posts), ("user", objects_of(includes.get("users")))):
            for thing in things:
                name = f"{kind} {text_of(thing.get('id'))}"
                if "id" in thing and name not in self._paid:
                    self._paid.add(name)
                    self.spent += self._prices[kind]

    def is_empty(self, now: datetime) -> bool:
        """Whether nothing more may be spent this month."""
        self._turn(now)
        return self._total() >= self.limit

    def _turn(self, now: datetime) -> None:
        """Only forward: a clock that is behind must not make forget what was spent."""
        if self.month < f"{now:%Y-%m}":
            self.month, self.spent = f"{now:%Y-%m}", 0.0
        if self._day < f"{now:%Y-%m-%d}":
            self._day, self._paid = f"{now:%Y-%m-%d}", set()


class HostAdapter(HTTPAdapter):
    """Sends what is meant for the built-in host to another, and waits for no answer for ever."""

    def __init__(self, host: str, silence_seconds: float) -> None:
        super().__init__()
        self._host, self._silence_seconds = host.rstrip("/"), silence_seconds
        #: The Date of the latest answer, if our clock is wrong; and when it came (monotonic).
        self.told_at: datetime | None = None
        self._came_at = 0.0

    def now(self) -> datetime:
        """The time, by the host's clock if ours is wrong."""
        if self.told_at is None:
            return datetime.now(UTC)
        return self.told_at + timedelta(seconds=time.monotonic() - self._came_at)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """As its base."""
        request.url = (request.url or "").replace(BUILT_IN, self._host, 1)
        kwargs["timeout"] = (10.0, self._silence_seconds)
        answer = super().send(request, *args, **kwargs)
        self._note_clock(answer.headers.get("Date"))
        return answer

    def _note_clock(self, told: str | None) -> None:
        try:
            moment = parsedate_to_datetime(told or "").astimezone(UTC)
        except ValueError:
            return
        self.told_at = moment if abs(moment - datetime.now(UTC)) > CLOCK_OFF else None
        self._came_at = time.monotonic()


class XClient:
    """Calls with patience: what passes is waited out, what somebody must mend ends in one line."""

    def __init__(self, settings: Settings, say: Say, backoff: Backoff | None = None) -> None:
        """Raises UsageError without a token or a budget."""
        if settings.x_bearer_token is None:
            raise UsageError(
                "X needs a token; make one in its developer console and set "
                "HOAXWATCH_X_BEARER_TOKEN"
            )
        if settings.x_budget_usd <= 0:
            raise UsageError(
                "X charges for each post; say what a month may cost at most: x_budget_usd"
            )
        # its log repeats what is said here, at length
        logging.getLogger("tweepy").setLevel(logging.CRITICAL)
        self.settings, self.say = settings, say
        self.backoff = backoff or Backoff()
        self.purse = Purse(settings.x_budget_usd, settings.x_post_usd, settings.x_user_usd)
        self.fields = shown_fields(settings.x_with_authors)
        self._token = settings.x_bearer_token.get_secret_value()
        self._free_at = 0.0
        self._api = tweepy.Client(self._token, return_type=requests.Response)
        self._host = HostAdapter(settings.x_url, settings.source_silence_seconds)
        self._api.session.mount(BUILT_IN, self._host)

    @property
    def token(self) -> str:
        """The bearer token."""
        return self._token

    def mount(self, session: requests.Session) -> None:
        """Has a session of tweepy use the host that is set."""
        silence = self.settings.source_silence_seconds
        session.mount(BUILT_IN, HostAdapter(self.settings.x_url, silence))

    def look_at_clock(self) -> None:
        """Asks X for nothing but the Date of its answer, which costs nothing; unanswered, ours is
        taken to be right, but corrects no month."""
        with suppress(requests.RequestException, OSError):
            self._api.session.head(BUILT_IN)
            self.purse.correct(self.now())

    def now(self) -> datetime:
        """The time, by X's clock if ours is wrong."""
        return self._host.now()

    def is_spent(self) -> bool:
        """Whether the money of the month that it is now is spent."""
        return self.purse.is_empty(self.now())

    def search(
        self,
        query: str,
        since_id: str,
        until_id: str | None,
        at_most: int,
        token: str | None,
        *,
        is_archive: bool = False,
    ) -> Generator[Sighting, None, Json]:
        """One page of recent search or of the archive, newest first, with when it came; waits as
        often as needed."""
        api = self._api
        call = api.search_all_tweets if is_archive else api.search_recent_tweets
        answer = yield from self.ask(
            lambda: call(
                query,
                since_id=since_id,
                until_id=until_id,
                max_results=min(max(at_most, 10), 100),
                next_token=token,
                **self.fields,
            )
        )
        if is_archive:
            self._free_at = max(self._free_at, datetime.now(UTC).timestamp() + ARCHIVE_SECONDS)
        return self._paid(answer)

    def count(self, query: str) -> Generator[Sighting, None, int]:
        """How many posts of the last seven days a query finds."""
        answer = yield from self.ask(lambda: self._api.get_recent_tweets_count(query))
        meta = object_of(answer.get("meta"))
        return count_of(meta, "total_tweet_count", "total_post_count") or 0

    def greet(self) -> Generator[Sighting, None, str]:
        """What X says of the token and its plan, beside what was spent. Costs nothing."""
        answer = yield from self.ask(lambda: self._api.request("GET", "/2/usage/tweets"))
        self.is_spent()  # another month begins at nothing
        told = object_of(answer.get("data"))
        used, cap = (_whole(told.get(name)) for name in ("project_usage", "project_cap"))
        of_cap = f" of {cap:,}" if cap else ""
        read = "" if used is None else f"{used:,}{of_cap} posts of its plan read; "
        return f"takes the token; {read}{self.purse}"

    def ask(self, call: Callable[[], requests.Response]) -> Generator[Sighting, None, Json]:
        """The answer to a call; ticks while it waits. Raises UsageError."""
        while True:
            yield from ticks(self._free_at - datetime.now(UTC).timestamp())
            try:
                answer = call()
                told = object_of(decode_json(answer.content)[0])
            except tweepy.HTTPException as error:
                failure = self.failed(error.response.status_code, error.response)
            except (requests.RequestException, OSError) as error:
                failure = Interrupted(f"{self.settings.x_url} cannot be reached: {short(error)}")
            except (ValueError, RecursionError):
                failure = Interrupted("X answered with half a page")
            else:
                self.backoff.reset()
                self._obey(answer)
                return told
            wait = self.backoff.after(failure)
            self.say(f"x: {failure}; again in {wait:.0f} s")
            yield from ticks(wait)

    def failed(self, status: int, response: Any) -> Interrupted:
        """What a status means that is no success. Raises UsageError if waiting will not help."""
        if status not in (420, 429) and status < 500:
            refusal = _REFUSALS.get(status, "X refuses it ({status}): {detail}")
            detail = _detail_of(response) or "it does not say why"
            raise UsageError(refusal.format(status=status, detail=detail, host=self.settings.x_url))
        reset = response.headers.get("x-rate-limit-reset") if response is not None else None
        wait = None
        if reset is not None and reset.isdigit():
            wait = min(max(int(reset) - datetime.now(UTC).timestamp() + 1, 0.0), 3600.0)
        return Interrupted(f"X answered {status}", wait)

    def _obey(self, answer: requests.Response) -> None:
        """Nothing is asked while nothing is left."""
        headers = answer.headers
        reset = headers.get("x-rate-limit-reset", "")
        if headers.get("x-rate-limit-remaining") == "0" and reset.isdigit():
            self._free_at = float(reset) + 1

    def _paid(self, page: Json) -> Json:
        came_at = self._host.told_at or datetime.now(UTC)
        self.purse.pay(page, came_at)
        return page | {"__twarc": {"retrieved_at": came_at.isoformat()}}


def _whole(told: object) -> int | None:
    """A count, which X writes as a number or in quotes."""
    digits = str(told)
    return int(digits) if digits.isdecimal() and len(digits) < 19 else None


def short(error: BaseException) -> str:
    """An error of requests names objects; the last part says what happened."""
    return " ".join(str(error).rpartition(": ")[2].split())[:100] or type(error).__name__


def queries_of(hashtags: Sequence[Tracked], most_chars: int = 512) -> list[str]:
    """Queries that find any of the hashtags, as few as their length allows.

    >>> day = datetime(2026, 3, 2, tzinfo=UTC)
    >>> queries_of([Tracked(name, name, day) for name in ("snow", "ice", "tea")], 16)
    ['#snow OR #ice', '#tea']
    """
    queries: list[str] = []
    for row in hashtags:
        asked = row.query
        if queries and len(queries[-1]) + len(asked) + 4 <= most_chars:
            queries[-1] += f" OR {asked}"
        else:
            queries.append(asked)
    return queries


def _detail_of(response: Any) -> str:
    try:
        told = object_of(decode_json(response.content)[0])
    except (ValueError, AttributeError, RuntimeError, requests.RequestException):
        return ""
    first = object_of(next(iter(objects_of(told.get("errors"))), {}))
    said = text_of(told.get("detail")) or text_of(first.get("message")) or ""
    return " ".join(said.split())[:200]
