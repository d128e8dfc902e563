"""What is true of X (Twitter) in whatever format its posts come."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

PLATFORM = "x"

#: The day of the first tweet. An earlier post or account is a broken date.
FIRST_DAY = datetime(2006, 3, 21, tzinfo=UTC)

#: Ids given since 2010-11-04 hold their moment: 42 bits of milliseconds since this one.
SNOWFLAKE_EPOCH = datetime(2010, 11, 4, 1, 42, 54, 657000, tzinfo=UTC)
FIRST_SNOWFLAKE = 29_700_000_000

#: A post can be edited for an hour; a "first id" given longer before is not the first of an edit.
EDIT_WINDOW = timedelta(days=1)

_SHARE_PREFIX = re.compile(r"RT @\w+: ?")


def is_id(text: str) -> bool:
    """Whether `text` is an id of X: decimal digits, at most the 20 of 64 bits.

    >>> is_id("1379953907619799041"), is_id("1.37e18"), is_id("٣")
    (True, False, False)
    """
    return text.isdigit() and text.isascii() and len(text) <= 20


def strip_share_prefix(text: str) -> str:
    """The text of a share without the "RT @handle: " that X puts before it.

    >>> strip_share_prefix("RT @a_b: It rains"), strip_share_prefix("RT this!")
    ('It rains', 'RT this!')
    """
    return _SHARE_PREFIX.sub("", text, count=1) if text.startswith("RT @") else text


def snowflake_time(x_id: str) -> datetime | None:
    """The moment, to the millisecond, at which an id was given; None for ids before 2010-11-04.

    Posts have such ids since 2010-11-04, accounts since about 2016.

    >>> snowflake_time("1576994746135764992").isoformat()
    '2022-10-03T17:57:01.281000+00:00'
    """
    number = int(x_id)
    if number < FIRST_SNOWFLAKE:
        return None
    return SNOWFLAKE_EPOCH + timedelta(milliseconds=number >> 22)


def write_out(text: str) -> str:
    """The text with the three characters that X escapes written out.

    >>> write_out("Snow &amp; rain &lt;3")
    'Snow & rain <3'
    """
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def status_of(link: str) -> str | None:
    """The id of the post of X that a link points at.

    >>> status_of("https://twitter.com/a/status/12/photo/1"), status_of("https://a.org/status/1")
    ('12', None)
    """
    host, _, path = link.partition("//")[2].partition("/")
    if host not in ("twitter.com", "x.com", "mobile.twitter.com", "www.twitter.com"):
        return None
    return path.partition("/status/")[2].partition("/")[0].partition("?")[0] or None


#: What X names instead of countries where a post must be shown in none: all of them, or a notice of
#: copyright.
_EVERYWHERE = {"XX", "XY"}


def is_withheld(countries: object) -> bool:
    """Whether a post or an account must be shown nowhere, by the list of countries X gives.

    >>> is_withheld(["DE", "FR"]), is_withheld(["XX"]), is_withheld(None)
    (False, True, False)
    """
    return isinstance(countries, list) and any(name in _EVERYWHERE for name in countries)
