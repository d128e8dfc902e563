"""The tweet object of X's first API: what `twitter_v1` reads, and what X's own pages still hold.

One object is one post; those inside it (`retweeted_status`, `quoted_status`) are posts themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Literal

from streams.formats.cleaning import BadField
from streams.formats.json_records import Json, count_of, object_of, objects_of, text_of, texts_of
from streams.formats.platform_x import (
    EDIT_WINDOW,
    FIRST_DAY,
    PLATFORM,
    is_id,
    snowflake_time,
    status_of,
    strip_share_prefix,
    write_out,
)
from streams.records import (
    COPY_IN_SHARE,
    CUT,
    WHOLE,
    Author,
    Kind,
    Media,
    Post,
    SeenAs,
)

#: Where a tweet holds another, the one that is embedded deeper first.
NESTED = ("retweeted_status", "quoted_status")
#: Where it tells of its versions.
EDITS = "ext_edit_control"

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_MEDIA_KINDS: dict[str, Literal["image", "video", "gif"]] = {
    "photo": "image",
    "video": "video",
    "animated_gif": "gif",
}


def parse_tweet(
    tweet: Json,
    raw: bytes,
    source: str,
    observed_at: datetime | None = None,
    seen_as: SeenAs = "collected",
) -> Post:
    """The post of one tweet object. Raises BadField.

    A share has text, tags, links, media and language of its original if the object holds it, else
    its own cut copy without "RT @handle: ". A reply that quotes is a quote with `reply_to`. An
    edited post goes under the first id of its history, with the time of that version; a version
    that was replaced counts as CUT, so that the newest text wins.
    """
    x_id = tweet_id(tweet)
    post_id = first_id(tweet)
    share_of = _nested_id(tweet, "retweeted_status")
    quote_of = _nested_id(tweet, "quoted_status")
    reply_to = _reference(tweet, "in_reply_to_status_id")
    original = object_of(tweet.get("retweeted_status"))
    content = original if written(original) is not None else tweet
    text = written(content)
    if text is None and share_of is None:
        raise BadField("text: missing")
    text = text or ""
    kind: Kind = "original"
    completeness = CUT if is_cut(tweet) or is_replaced(tweet) else WHOLE
    if share_of:
        kind = "share"
        completeness = COPY_IN_SHARE
        text = strip_share_prefix(text) if content is tweet else text
        quote_of = reply_to = None  # what the original quotes or replies to, not the share
    elif quote_of:
        kind = "quote"
    elif reply_to:
        kind = "reply"
    return Post(
        platform=PLATFORM,
        post_id=post_id,
        posted_at=_posted_at(tweet, x_id, post_id),
        root_id=share_of or post_id,
        kind=kind,
        text=text,
        completeness=completeness,
        lang=text_of(content.get("lang")) or None,
        hashtags=parse_hashtags(content),
        links=parse_links(content),
        media=parse_media(content),
        author=parse_author(tweet),
        share_of=share_of,
        reply_to=reply_to,
        quote_of=quote_of,
        likes=count_of(tweet, "favorite_count"),
        shares=count_of(tweet, "retweet_count"),
        replies=count_of(tweet, "reply_count"),
        quotes=count_of(tweet, "quote_count"),
        views=count_of(tweet, "view_count") or None,  # X gives 0 where it does not know
        observed_at=observed_at,
        seen_as=seen_as,
        provenance=source,
        raw=raw,
    )


def nested_tweets(tweet: Json) -> Iterator[tuple[str, Json]]:
    """The tweets inside a tweet that have a text, each with its place, the deepest first."""
    for name in NESTED:
        inner = tweet.get(name)
        if isinstance(inner, dict) and written(inner) is not None:
            for place, tweet_inside in nested_tweets(inner):
                yield f"{name}.{place}", tweet_inside
            yield name, inner


def own_object(tweet: Json) -> Json:
    """The tweet alone: those inside it by id only."""
    own = {**tweet}
    for name in NESTED:
        inner = tweet.get(name)
        if isinstance(inner, dict):
            own[name] = {key: inner[key] for key in ("id_str", "id", EDITS) if key in inner}
    return own


def tweet_id(tweet: Json) -> str:
    """The tweet's id. Raises BadField.

    >>> tweet_id({"id": 12}), tweet_id({"id_str": "13", "id": 12})
    ('12', '13')
    """
    found = _id_of(tweet, "id")
    if found is None:
        told = tweet.get("id_str", tweet.get("id"))
        raise BadField(f"id_str: {str(told)[:40]!r} is not an id")
    return found


def first_id(tweet: Json) -> str:
    """The id of the first version of a tweet. Raises BadField.

    >>> first_id({"id": 13, "ext_edit_control": {"initial": {"edit_tweet_ids": ["12", "13"]}}})
    '12'
    """
    x_id = tweet_id(tweet)
    versions = versions_of(tweet)
    return versions[0] if x_id in versions else x_id


def versions_of(tweet: Json) -> list[str]:
    """The ids of all versions of a tweet, the first one first; none if it does not say."""
    told = object_of(tweet.get(EDITS))
    edit = object_of(told.get("edit"))
    initial = object_of(told.get("initial")) or object_of(edit.get("edit_control_initial"))
    versions = texts_of(initial.get("edit_tweet_ids"))
    return versions if all(map(is_id, versions)) else []


def is_replaced(tweet: Json) -> bool:
    """Whether a later version of the tweet is known. Raises BadField."""
    return tweet_id(tweet) in versions_of(tweet)[:-1]


def written(tweet: Json) -> str | None:
    """The longest text the object has, with the three characters that X escapes written out."""
    text = text_of(object_of(tweet.get("extended_tweet")).get("full_text"))
    if text is None:
        text = text_of(tweet.get("full_text"))
    if text is None:
        text = text_of(tweet.get("text"))
    return None if text is None else write_out(text)


def is_cut(tweet: Json) -> bool:
    """Whether X gave only the beginning of a text and a link to the whole."""
    return tweet.get("truncated") is True and not _has_extended(tweet)


def parse_hashtags(tweet: Json) -> tuple[str, ...]:
    """The tags as written, once each, of the whole text if the object has it."""
    tags = (text_of(tag.get("text")) for tag in _entities(tweet, "hashtags"))
    return tuple(dict.fromkeys(tag.strip("#＃ ") for tag in tags if tag and tag.strip("#＃ ")))


def parse_links(tweet: Json) -> tuple[str, ...]:
    """The addresses a tweet points at, unshortened as far as X knows, once each.

    Left out are the links that X itself writes into a text: to the tweet itself, and to the one it
    quotes. Links to media are no `urls` here.
    """
    quoted = object_of(tweet.get("quoted_status"))
    own = {
        _id_of(tweet, "id"),
        _nested_id_or_none(tweet),
        *versions_of(tweet),
        *versions_of(quoted),
    } - {None}
    links = []
    for url in _entities(tweet, "urls"):
        link = text_of(url.get("expanded_url")) or text_of(url.get("url"))
        is_own = link and ("/i/web/status/" in link or status_of(link) in own)
        if link and not is_own:
            links.append(link)
    return tuple(dict.fromkeys(links))


def parse_media(tweet: Json) -> tuple[Media, ...]:
    """Pictures, and the covers of videos, in the tweet's order."""
    media = []
    for medium in _media(tweet):
        kind = _MEDIA_KINDS.get(text_of(medium.get("type")) or "")
        url = text_of(medium.get("media_url_https")) or text_of(medium.get("media_url"))
        if kind and url:
            alt_text = text_of(medium.get("ext_alt_text")) or None
            media.append(Media(kind=kind, url=url, alt_text=alt_text))
    return tuple(media)


def parse_author(tweet: Json) -> Author | None:
    """The account, as the tweet holds it; some hold only its id."""
    user = object_of(tweet.get("user"))
    author_id = _id_of(user, "id") or text_of(tweet.get("user_id_str"))
    if not author_id:
        return None
    told = text_of(user.get("created_at"))
    created_at = parse_date(told) if told else None
    verified = user.get("verified")
    return Author(
        author_id=author_id,
        handle=text_of(user.get("screen_name")) or None,
        name=text_of(user.get("name")) or None,
        followers=count_of(user, "followers_count"),
        following=count_of(user, "friends_count"),
        n_posts=count_of(user, "statuses_count"),
        created_at=created_at if created_at and created_at >= FIRST_DAY else None,
        verified=verified if isinstance(verified, bool) else None,
    )


@lru_cache(maxsize=4096)  # accounts post often, and each tweet says when its account was made
def parse_date(text: str) -> datetime | None:
    """The moment of a date as the first API writes it, in UTC, or None.

    >>> parse_date("Mon Apr 24 16:13:34 +0200 2023").isoformat(), parse_date("24 April")
    ('2023-04-24T14:13:34+00:00', None)
    """
    parts = text.split()
    if len(parts) != 6 or parts[1] not in _MONTHS:
        return None
    try:
        hour, minute, second = map(int, parts[3].split(":"))
        zone = parts[4]
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
        at = timezone(-offset if zone[0] == "-" else offset)
        day = int(parts[5]), _MONTHS[parts[1]], int(parts[2])
        return datetime(*day, hour, minute, second, tzinfo=at).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _posted_at(tweet: Json, x_id: str, post_id: str) -> datetime:
    """When the tweet was published; where that is missing, the moment that its id holds. An edited
    one: when its first version was."""
    told = tweet.get("created_at")
    posted_at = parse_date(told) if isinstance(told, str) else None
    if told is None:
        posted_at = _second_of(x_id)
    if posted_at is None or posted_at < FIRST_DAY:
        raise BadField(f"created_at: {str(told)[:40]!r} is not a time of X")
    first_at = _second_of(post_id) if post_id != x_id else None
    if first_at and timedelta() <= posted_at - first_at <= EDIT_WINDOW:
        return first_at
    return posted_at


def _second_of(x_id: str) -> datetime | None:
    given_at = snowflake_time(x_id)
    return given_at and given_at.replace(microsecond=0)


def _id_of(record: Json, field: str) -> str | None:
    """An id, as a text where there is one: other programs round the number."""
    value = record.get(f"{field}_str")
    if value is None:
        value = record.get(field)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and is_id(value) else None


def _reference(tweet: Json, field: str) -> str | None:
    """The id of another tweet, if the field is filled. Raises BadField if with something else."""
    found = _id_of(tweet, field)
    told = tweet.get(f"{field}_str") or tweet.get(field)
    if found is None and told:
        raise BadField(f"{field}: {str(told)[:40]!r} is not an id")
    return found


def _nested_id(tweet: Json, name: str) -> str | None:
    """The id of the tweet that is held, or only named. Raises BadField."""
    inner = tweet.get(name)
    if isinstance(inner, dict):
        return first_id(inner)
    return _reference(tweet, f"{name}_id")


def _nested_id_or_none(tweet: Json) -> str | None:
    inner = object_of(tweet.get("quoted_status"))
    return _id_of(inner, "id") or _id_of(tweet, "quoted_status_id")


def _has_extended(tweet: Json) -> bool:
    return bool(text_of(object_of(tweet.get("extended_tweet")).get("full_text")))


def _entities(tweet: Json, key: str) -> list[Json]:
    whole = object_of(tweet.get("extended_tweet")) if _has_extended(tweet) else tweet
    return objects_of(object_of(whole.get("entities")).get(key))


def _media(tweet: Json) -> list[Json]:
    """`entities` has the first picture only, `extended_entities` all of them."""
    for place in (object_of(tweet.get("extended_tweet")), tweet):
        for name in ("extended_entities", "entities"):
            found = objects_of(object_of(place.get(name)).get("media"))
            if found:
                return found
    return []
