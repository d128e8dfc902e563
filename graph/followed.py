"""Words and links that are followed like hashtags: posts without a hashtag have a topic too.

A topic is a key beside those of hashtags, which never look like one of these:

    word:impfung            posts with the word, alone or as a hashtag
    word:tap water          posts with both words, in any order
    link:example.org/a      posts with a link to this page
    link:example.org        posts with a link to any page of the site

Followed topics have hours, days, windows, clusters and alerts as hashtags have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graph.headline import words_of
from graph.topics import Topic, canonical_link, leads_to
from streams.records import hashtag_key

WORD, LINK = "word:", "link:"

#: A key is part of index entries, which PostgreSQL bounds to 2,704 bytes.
MAX_TOPIC_CHARACTERS = 500


def topic_key(written: str) -> str:
    """The key of a topic as a user writes it; without `word:` or `link:` it is a hashtag.

    Raises: ValueError if nothing is left of it, or if it is too long.

    >>> topic_key("#EGU23"), topic_key("word:Tap-Water Impfung")
    ('egu23', 'word:impfung tap-water')
    >>> topic_key("link:https://www.Example.org/a/?utm_source=x")
    'link:example.org/a'
    """
    kind, name = _split(written)
    if kind is None:
        return hashtag_key(written)
    key = " ".join(sorted(words_of(name))) if kind == WORD else canonical_link(name)
    if not key:
        raise ValueError(f"{written!r} names no {'word' if kind == WORD else 'page'}")
    if len(key) > MAX_TOPIC_CHARACTERS:
        raise ValueError(f"{written[:40]}... has more than {MAX_TOPIC_CHARACTERS} characters")
    return kind + key


def find_key(written: str) -> str:
    """As `topic_key`, for a search: what is no topic is a key that nothing has.

    >>> find_key("word:Impfung"), find_key("word:!")
    ('word:impfung', 'word:!')
    """
    try:
        return topic_key(written)
    except ValueError:
        return hashtag_key(written)


def is_followed(key: str) -> bool:
    """Whether a key is a word's or a link's, not a hashtag's.

    >>> is_followed("word:impfung"), is_followed("impfung")
    (True, False)
    """
    return _split(key)[0] is not None


def show_topic(key: str, written: str | None = None) -> str:
    """A topic as people read it; `written`: the hashtag as it is mostly written.

    >>> show_topic("egu23", "EGU23"), show_topic("word:impfung")
    ('#EGU23', 'word:impfung')
    """
    return key if is_followed(key) else f"#{written or key}"


def as_topic(key: str) -> Topic:
    """The same as a choice among posts.

    >>> as_topic("word:tap water").keywords, as_topic("egu23").hashtag
    (('tap', 'water'), 'egu23')
    """
    kind, name = _split(key)
    if kind is None:
        return Topic(hashtag=key)
    return Topic(keywords=tuple(name.split())) if kind == WORD else Topic(link=name)


def _split(key: str) -> tuple[str | None, str]:
    for kind in (WORD, LINK):
        if key.lower().startswith(kind):
            return kind, key[len(kind) :]
    return None, key


@dataclass(frozen=True)
class Followed:
    """The topics that a project follows, ready to be looked for.

    >>> followed = Followed.of(["word:tap water", "link:example.org"])
    >>> followed.find("The #water from the tap", ["https://news.example.org/a"])
    ['link:example.org', 'word:tap water']
    """

    words: tuple[tuple[str, frozenset[str]], ...]
    links: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, keys: Iterable[str]) -> Followed:
        """From keys as `topic_key` gives them; hashtags among them need not be looked for."""
        split = [(key, *_split(key)) for key in sorted(set(keys))]
        return cls(
            tuple((key, frozenset(name.split())) for key, kind, name in split if kind == WORD),
            tuple((key, name) for key, kind, name in split if kind == LINK),
        )

    def __bool__(self) -> bool:
        return bool(self.words or self.links)

    def find(self, text: str, links: Iterable[str]) -> list[str]:
        """The keys of the topics that a text with these links has, sorted.

        Cost: once through the words of the text, and one comparison per link and followed link.
        """
        found: list[str] = []
        if self.words:
            said = words_of(text)
            found += [key for key, wanted in self.words if wanted <= said]
        if self.links:
            pages = list(map(canonical_link, links))
            found += [
                key for key, wanted in self.links if any(leads_to(page, wanted) for page in pages)
            ]
        return sorted(found)
