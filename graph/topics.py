"""What can be followed: a hashtag, words, a link, one post; and when two links are one page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Parameters of links that say how somebody came there, not where.
_TRACKING = ("utm_", "fbclid", "gclid", "igshid", "mc_cid", "mc_eid", "ref_src")
#: The same on X only: elsewhere these are the thread of a forum or the words of a search.
_TRACKING_ON_X = ("s=", "t=")
_X = re.compile(r"(?:.+\.)?(?:x|twitter)\.com")


@dataclass(frozen=True, kw_only=True)
class Topic:
    """What is followed; no field: everything. Several fields must all hold."""

    #: Counting form: `streams.records.hashtag_key`.
    hashtag: str | None = None
    #: All of these words (`graph.headline`).
    keywords: tuple[str, ...] = ()
    #: A link, compared in its canonical form; a site alone means all its pages.
    link: str | None = None
    #: Key of a post, or its id alone: with all its shares and the replies below it.
    root: str | None = None

    def describe(self) -> str:
        """The topic in words.

        >>> Topic(hashtag="egu23").describe(), Topic().describe()
        ('#egu23', 'everything')
        """
        said = [f"#{self.hashtag}"] if self.hashtag else []
        said += [" ".join(self.keywords)] if self.keywords else []
        said += [part for part in (self.link, self.root) if part]
        return ", ".join(said) or "everything"


def canonical_link(link: str) -> str:
    """A link without what does not change where it leads: scheme, www, fragment, tracking, the last
    slash; the host in lower case. Two posts with the same canonical link point at the same page.

    >>> canonical_link("https://www.Example.org/a/?utm_source=x&id=3#top")
    'example.org/a?id=3'
    >>> canonical_link("https://x.com/a/status/1?s=20&t=abc"), canonical_link("https://a.org/?t=2")
    ('x.com/a/status/1', 'a.org?t=2')
    >>> canonical_link("Example.org") == canonical_link("https://example.org/")
    True
    """
    link = link.strip()
    try:
        parts = urlsplit(link if "://" in link else f"//{link}")
    except ValueError:
        return link
    host = parts.netloc.lower().removeprefix("www.")
    tracking = (*_TRACKING, *_TRACKING_ON_X) if _X.fullmatch(host) else _TRACKING
    query = "&".join(
        part for part in parts.query.split("&") if part and not part.startswith(tracking)
    )
    return host + parts.path.rstrip("/") + (f"?{query}" if query else "")


def leads_to(link: str, wanted: str) -> bool:
    """Whether a canonical link is the wanted page, or on the wanted site if that names no page.

    >>> leads_to("news.example.org/a", "example.org"), leads_to("example.org/a", "example.org/b")
    (True, False)
    """
    if link == wanted:
        return True
    host = link.partition("/")[0].partition("?")[0]
    return host == wanted or host.endswith(f".{wanted}")
