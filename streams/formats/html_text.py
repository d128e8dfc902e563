"""HTML that a server made of a post, as text again: its paragraphs, and where its links lead."""

from __future__ import annotations

import re
from html import unescape

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*)>")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ATTRIBUTE = re.compile(r"([a-zA-Z-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_BREAKS = {"br": "\n", "li": "\n"}
_BLOCKS = {"p", "div", "blockquote", "ul", "ol", "pre", "h1", "h2", "h3", "h4", "h5", "h6"}
_MANY_LINES = re.compile(r"\n{3,}")
#: Classes of links that are words of the text: who is spoken to, a tag.
_NO_LINKS = {"mention", "hashtag", "u-url"}


def text_of_html(html: str) -> str:
    """The text of an HTML fragment; paragraphs are set off by an empty line.

    >>> text_of_html('<p>Snow &amp; rain<br>in <b>May</b></p><p>Boots!</p>')
    'Snow & rain\\nin May\\n\\nBoots!'
    """
    if "<" not in html:
        return unescape(html).strip()
    text = _TAG.sub(_space_of, _COMMENT.sub("", html))
    return _MANY_LINES.sub("\n\n", unescape(text)).strip()


def links_of_html(html: str) -> tuple[str, ...]:
    """The addresses that the links of an HTML fragment lead to, once each, without those that stand
    for an account or a tag.

    >>> links_of_html('<a href="https://a.org/?b&amp;c">a</a> <a href="/t" class="hashtag">#t</a>')
    ('https://a.org/?b&c',)
    """
    links = []
    for closing, name, inside in _TAG.findall(html):
        if closing or name.lower() != "a":
            continue
        found = {key.lower(): unescape(a or b) for key, a, b in _ATTRIBUTE.findall(inside)}
        is_word = _NO_LINKS & set(found.get("class", "").split()) or "tag" in found.get("rel", "")
        link = found.get("href", "")
        if link.startswith(("http://", "https://")) and not is_word:
            links.append(link)
    return tuple(dict.fromkeys(links))


def _space_of(tag: re.Match[str]) -> str:
    closing, name, _ = tag.groups()
    if name.lower() in _BLOCKS:
        return "\n\n"
    return "" if closing else _BREAKS.get(name.lower(), "")
