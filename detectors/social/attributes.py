"""The social attributes of a post (Zuo et al. 2023, section 3.4). What is not known is None.

Source: Zuo, Wang, Zhang, "A Multimodal Fake Information Detection Method Incorporating Social
Attribute Features", World Scientific Research Journal 9(4), 2023. The paper names kinds, not
fields: counts of links, topics (#), addressed users (@), question and exclamation marks; of
positive and negative words; figures of the account such as its followers. These are ours:
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from unicodedata import normalize

from detectors.social.lexicon import Lexicon, english, lexicon_for
from detectors.text.normalise import MAX_CHARACTERS, normalise, words
from streams.records import Author

#: Value of each attribute by its name; None: not known.
Attributes = Mapping[str, float | None]

TEXT_ATTRIBUTES = (
    "n_links",
    "n_hashtags",
    "n_mentions",
    "n_question_marks",
    "n_exclamation_marks",
    "n_positive_words",
    "n_negative_words",
)
ACCOUNT_ATTRIBUTES = ("followers", "following", "n_posts", "account_age_days", "verified")
ATTRIBUTES = TEXT_ATTRIBUTES + ACCOUNT_ATTRIBUTES

_LINK = re.compile(r"https?://\S+|(?<![\w./])(?:www\.|pic\.twitter\.com/|t\.co/)\S+", re.IGNORECASE)
_HASHTAG = re.compile(r"#(?<!\w#)\w+")
_MENTION = re.compile(r"@(?<!\w@)\w+")


def text_attributes(
    text: str, lang: str | None = None, lexicons: Sequence[Lexicon] | None = None
) -> dict[str, float | None]:
    """The counts in a text. Only its first MAX_CHARACTERS are read.

    Full-width marks count as well (？, ！, ＃, ＠). A link's own signs do not.
    lexicons: of the languages whose words can be counted; by default English (VADER's). Of a text
    in another language it is not known how many words are positive, so these two are None.

    >>> found = text_attributes("Is it a #hoax?! Ask @cdc: https://t.co/?q=1#a", "en")
    >>> [found[name] for name in TEXT_ATTRIBUTES]
    [1, 1, 1, 1, 1, 0, 1]
    >>> text_attributes("Ist das gut?", "de")["n_positive_words"]
    """
    wide = normalize("NFKC", text[:MAX_CHARACTERS])
    said = _LINK.sub(" ", wide)
    lexicon = lexicon_for(text, lang, [english()] if lexicons is None else lexicons)
    tokens = [] if lexicon is None else words(normalise(said))
    return {
        "n_links": len(_LINK.findall(wide)),
        "n_hashtags": len(_HASHTAG.findall(said)),
        "n_mentions": len(_MENTION.findall(said)),
        "n_question_marks": said.count("?"),
        "n_exclamation_marks": said.count("!"),
        "n_positive_words": _n_in(tokens, lexicon and lexicon.positive),
        "n_negative_words": _n_in(tokens, lexicon and lexicon.negative),
    }


def _n_in(tokens: Sequence[str], listed: frozenset[str] | None) -> int | None:
    return None if listed is None else sum(token in listed for token in tokens)


def account_attributes(author: Author | None, at: datetime | None) -> dict[str, float | None]:
    """The figures of an account, as it was when it was seen.

    at: the time of the post (its age is counted up to it). An account that is "younger" than its
    post has a wrong date: its age is not known.
    Counters grow after the post is published: train on figures seen at the age of a post at which
    the detector will meet it, or their size gives the label away.

    >>> from datetime import UTC
    >>> account = Author(author_id="1", followers=12, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    >>> account_attributes(account, datetime(2020, 3, 1, tzinfo=UTC))["account_age_days"]
    60.0
    >>> set(account_attributes(None, None).values())
    {None}
    """
    if author is None:
        return dict.fromkeys(ACCOUNT_ATTRIBUTES)
    age = None
    if author.created_at is not None and at is not None and author.created_at <= at:
        age = (at - author.created_at).total_seconds() / 86_400
    return {
        "followers": author.followers,
        "following": author.following,
        "n_posts": author.n_posts,
        "account_age_days": age,
        "verified": author.verified,
    }
