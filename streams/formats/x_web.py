"""Tweets as X's own pages hold them (GraphQL), as browser extensions catch them.

Most of it is the tweet object of the first API, in `legacy`; around it stand what came later. It
is turned into that object, with the page's own beside it.
"""

from __future__ import annotations

from streams.formats.json_records import Json, object_of, text_of
from streams.formats.tweet_object import EDITS

#: Where the turned object keeps what it was made of.
MADE_OF = "__web"

_KEYS = {"rest_id", "legacy"}
_NESTED = ("retweeted_status_result", "quoted_status_result")


def is_web_tweet(record: Json) -> bool:
    """Whether a record is a tweet of X's pages."""
    return bool(unwrap(record).keys() & _KEYS)


def unwrap(result: Json) -> Json:
    """The tweet itself: some come with a word on who may see them around."""
    inner = result.get("tweet")
    return inner if isinstance(inner, dict) else result


def as_tweet_object(result: Json) -> Json:
    """A tweet of X's pages as a tweet object of the first API, those inside it too."""
    result = unwrap(result)
    legacy = object_of(result.get("legacy"))
    tweet: Json = {key: value for key, value in legacy.items() if key not in _NESTED}
    tweet[MADE_OF] = result
    x_id = text_of(result.get("rest_id")) or text_of(legacy.get("id_str"))
    if x_id is not None:
        tweet["id_str"] = x_id
    edits = object_of(result.get("edit_control"))
    if edits:
        tweet[EDITS] = {"initial": object_of(edits.get("edit_control_initial")) or edits}
    user = _user_of(result)
    if user:
        tweet["user"] = user
    note = object_of(
        object_of(object_of(result.get("note_tweet")).get("note_tweet_results")).get("result")
    )
    if text_of(note.get("text")):
        tweet["extended_tweet"] = {
            "full_text": note["text"],
            "entities": note.get("entity_set"),
            "extended_entities": legacy.get("extended_entities"),
        }
    views = object_of(result.get("views")) or object_of(result.get("ext_views"))
    told = text_of(views.get("count")) or ""
    if told.isdecimal() and len(told) <= 18:
        tweet["view_count"] = int(told)
    for place, key in ((legacy, _NESTED[0]), (result, _NESTED[1]), (legacy, _NESTED[1])):
        inner = object_of(object_of(place.get(key)).get("result"))
        if is_web_tweet(inner):
            tweet[key.removesuffix("_result")] = as_tweet_object(inner)
    return tweet


def own_web_object(tweet: Json) -> Json:
    """What a turned tweet was made of, with those inside it by id only."""
    own = {**object_of(tweet.get(MADE_OF))}
    legacy = {**object_of(own.get("legacy"))}
    for place, key in ((legacy, _NESTED[0]), (own, _NESTED[1]), (legacy, _NESTED[1])):
        if key in place:
            inner = object_of(tweet.get(key.removesuffix("_result")))
            x_id = text_of(inner.get("id_str"))
            held = object_of(inner.get(MADE_OF))
            edits = {"edit_control": held["edit_control"]} if "edit_control" in held else {}
            place[key] = {"result": {"rest_id": x_id, **edits} if x_id else {}}
    if "legacy" in own:
        own["legacy"] = legacy
    return own


def _user_of(result: Json) -> Json:
    """The account, as the first API gives it; lately its name and age stand in `core`."""
    found = object_of(object_of(object_of(result.get("core")).get("user_results")).get("result"))
    if not found:
        return object_of(result.get("user"))  # the older form of the pages
    user = {**object_of(found.get("legacy")), **object_of(found.get("core"))}
    if "rest_id" in found:
        user["id_str"] = found["rest_id"]
    verification = object_of(found.get("verification"))
    if "verified" in verification:
        user["verified"] = verification["verified"]
    return user
