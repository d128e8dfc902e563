"""Two forms in which a tweet is given to an encoder: as Tuan and Minh wrote it, and as the corpus
was on which CT-BERT learnt. Which one is stored with the model.

Sources: Tuan and Minh, MediaEval 2020, section 3.1 (they used tweet-preprocessor and ekphrasis;
this is ours); Müller, Salathé, Kummervold, "COVID-Twitter-BERT", arXiv 2005.07503.
"""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from typing import TYPE_CHECKING, Literal
from unicodedata import category, name, normalize

from detectors.text.normalise import MAX_CHARACTERS

if TYPE_CHECKING:
    from detectors.text.hashtags import HashtagSegmenter

Form = Literal["paper", "ct-bert"]
FORMS: tuple[Form, ...] = ("paper", "ct-bert")

_HAPPY = (":)", ":-)", ":d", ":-d", "=)", ";)", ";-)", "(:", ":]", ":p", ":-p", "xd")
_SAD = (":(", ":-(", "=(", ":'(", "):", ":[", ":/", ":-/", ":c")


def _any_of(signs: tuple[str, ...]) -> str:
    """What matches any of these emoticons, the longest first, with round brackets repeated."""
    escaped = map(re.escape, sorted(signs, key=len, reverse=True))
    return "|".join(sign.replace(r"\(", r"\(+").replace(r"\)", r"\)+") for sign in escaped)


#: Behind a space, and eyes with a round mouth behind a word or its end as well ("good:)"); before a
#: space or a mark. What closes a bracket behind a word ("(as follows:)") is found first and stays.
_EMOTICON = re.compile(
    r"(?:(?<!\S)|(?<=[^\W\d_]|[!?.])(?=[:;]['-]?[()]))"
    rf"(?:(?P<happy>{_any_of(_HAPPY)})|(?P<sad>{_any_of(_SAD)}))"
    r"(?![^\s.,!?;:'\"”)\]*])"
    r"|\([^()]*[^\W\d_]:\)"
)
_LINK = re.compile(r"https?://\S+|(?<![\w.])www\.\S+")
_MENTION = re.compile(r"@(?<!\w@)\w+")
_HASHTAG = re.compile(r"#(?<!\w#)(\w+)")
_NUMBER = re.compile(r"(?<![\w#])[+-]?\d+(?:[.,:]\d+)*%?(?!\w)")
_STRETCHED = re.compile(r"(\w)\1{2,}")
#: What joins and varies emojis, and shows nothing itself.
_JOINERS = "\u200d\ufe0f"
_USELESS = str.maketrans(dict.fromkeys(";:-=", " "))


def prepare(text: str, form: Form) -> str:
    """The text in that form, with single spaces; a lone surrogate becomes a question mark."""
    found = as_paper(text) if form == "paper" else as_ct_bert(text)
    return " ".join(found.split()).encode(errors="replace").decode()


def as_paper(text: str) -> str:
    """Lower case; mentions and emojis removed; emoticons as happy or sad; then without ; : - =;
    links and numbers as words, letters repeated more than twice shortened, hashtags cut into words.

    Emoticons come before the signs they are made of go: the other way round none would be left.

    >>> " ".join(as_paper("@WHO so good:) 💉 #StayHome: 1,200 caaaases; https://t.co/x").split())
    'so good happy stay home number caases url'
    """
    text = normalize("NFKC", unescape(text[:MAX_CHARACTERS])).replace("’", "'")
    text = _LINK.sub(" url ", text)
    text = _MENTION.sub(" ", text)
    text = "".join(" " if _is_emoji(character) else character for character in text)
    text = _HASHTAG.sub(lambda found: f" {' '.join(_segmenter().words(found[1]))} ", text)
    text = text.lower()
    text = _EMOTICON.sub(lambda found: f" {found.lastgroup}" if found.lastgroup else found[0], text)
    text = _NUMBER.sub(" number ", text)
    text = text.translate(_USELESS)
    return _STRETCHED.sub(r"\1\1", text)


def as_ct_bert(text: str) -> str:
    """Lower case; users as twitteruser, links as twitterurl, emojis by their name between colons.

    >>> as_ct_bert("@WHO vaccines work 💉 https://t.co/x")
    'twitteruser vaccines work :syringe: twitterurl'
    """
    text = normalize("NFKC", unescape(text[:MAX_CHARACTERS])).replace("’", "'")
    text = _LINK.sub("twitterurl", text)
    text = _MENTION.sub("twitteruser", text)
    text = "".join(_named(character) if _is_emoji(character) else character for character in text)
    return text.lower()


def _is_emoji(character: str) -> bool:
    is_symbol = category(character) in ("So", "Sk") and ord(character) > 0xFF
    return is_symbol or character in _JOINERS


def _named(emoji: str) -> str:
    words = name(emoji, "").lower().replace(" ", "_").replace("-", "_")
    return f":{words}:" if words and emoji not in _JOINERS else ""


@cache
def _segmenter() -> HashtagSegmenter:
    """Loaded when the first hashtag is met (0.5 s)."""
    from detectors.text.hashtags import HashtagSegmenter

    return HashtagSegmenter()
