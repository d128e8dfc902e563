"""What a text itself says, for formats that bring only the text: its hashtags and its links."""

from __future__ import annotations

import re

#: A tag goes on until a space or a mark of punctuation. Accents, vowel signs of Indic scripts and
#: emoji belong to it, which `\w` would cut off.
_TAG = re.compile(
    "[#＃]([^\\s\\x00-/:-@\\[-^`{-\\xa9\\xab-\\xb4\\xb6-\\xb9\\xbb-\\xbf\\xd7\\xf7"
    "\\u2000-\\u200b\\u200e-\\u206f\\u2e00-\\u2e7f\\u3001-\\u3003\\u3008-\\u3020\\u3030\\u303d"
    "\\ufeff\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff3e\\uff40\\uff5b-\\uff65\\ufffd]+)"
)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_LINK = re.compile(r"https?://[^\s<>\"'“”«»\ufffd]+", re.IGNORECASE)
#: What ends a sentence rather than an address.
_BEHIND_LINK = ".,;:!?…)]}*_~"


def find_hashtags(text: str) -> tuple[str, ...]:
    """The hashtags of a text as written, without the sign, once each.

    A sign inside a word or an address begins no tag, but tags may stand wall to wall.

    >>> find_hashtags("Snow! #May#Snow, #हिन्दी #🥾 a#b https://example.org/#top &#39;")
    ('May', 'Snow', 'हिन्दी', '🥾')
    """
    if "#" not in text and "＃" not in text:
        return ()
    found: list[str] = []
    end = 0
    for match in _TAG.finditer(text):
        before = text[match.start() - 1] if match.start() else " "
        is_joined = match.start() == end and bool(found)
        if is_joined or not (before.isalnum() or before in "_&/"):
            found.append(match[1])
            end = match.end()
    return tuple(dict.fromkeys(found))


def bare_tag(given: str) -> str:
    """A hashtag as a source gives it, without its sign, and without controls, which no app shows.

    >>> bare_tag("#Snow\\x07 ")
    'Snow'
    """
    return _CONTROLS.sub("", given).strip("#＃ ")


def find_links(text: str) -> tuple[str, ...]:
    """The web addresses of a text, without the punctuation behind them, once each.

    >>> find_links("See https://example.org/a_(b), or http://example.org.")
    ('https://example.org/a_(b)', 'http://example.org')
    """
    if "://" not in text:
        return ()
    return tuple(dict.fromkeys(map(_strip_behind, _LINK.findall(text))))


def _strip_behind(link: str) -> str:
    while link and link[-1] in _BEHIND_LINK:
        if link[-1] == ")" and link.count("(") >= link.count(")"):
            break
        link = link[:-1]
    return link
