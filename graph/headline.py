"""The keywords of a claim or headline, and the posts that carry them.

Trivedi et al. 2021, section 4.2 (after Meyers, Weiss, Spanakis, MISDOOM 2020): "A tweet belongs to
a news graph if it contains the keywords extracted from the news article's headline." The paper does
not say how they are extracted; what we do is below, in words that can be checked by reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from unicodedata import category, normalize

_STOP_WORDS = {
    "en": """
        a about after again against all also am an and any are as at be because been before being
        below between both but by can could did do does doing don down during each few for from
        further get gets got had has have having he her here hers him his how i if in into is it its
        just let may me might more most must my new no nor not now of off on once only or other our
        out over own said same say says see she should so some such than that the their theirs them
        then there these they this those through to too under until up us very was we were what when
        where which while who whom why will with would you your yours breaking exclusive news report
        reports reportedly update video watch
    """,
    "de": """
        ab aber alle allem allen aller alles als also am an ander andere auch auf aus bei beim bin
        bis bist da damit dann das dass dein deine dem den der des dessen die dies diese diesem
        diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es etwas euch
        euer fuer für gegen gibt hab habe haben hat hatte hatten hier hin hinter ich ihm ihn ihr
        ihre ihrem ihren ihrer im in ins ist ja jede jedem jeden jeder jedes jetzt kann kein keine
        keinem keinen können man mehr mein meine mich mit mir muss müssen nach nicht nichts noch nun
        nur ob oder ohne sehr sein seine seinem seinen seiner seit sich sie sind so soll sollen
        sondern über um und uns unser unter viel vom von vor war waren warum was wegen weil wenn wer
        werden wie wieder will wir wird wo worden wurde wurden zu zum zur zwischen aktuell
        eilmeldung exklusiv nachrichten
    """,
    "es": """
        a al algo ante antes aquí así aunque bajo bien cada como con contra cual cuando de del desde
        donde dos durante e el él ella ellas ellos en entre era eran es esa ese eso esta está estaba
        están este esto fue fueron ha había han hasta hay la las le les lo los más me mi mí muy nada
        ni no nos nosotros o os otra otro para pero poco por porque qué que quien se según ser si sí
        sin sobre son su sus también tan te tiene tienen todo todos tras tu tú un una uno unos y ya
        yo noticias última ultima
    """,
    "fr": """
        à a ai au aux avec avait avant c ça car ce ceci cela ces cet cette chez comme contre d dans
        de des depuis deux donc dont du elle elles en encore entre est et été être eu fait il ils j
        je l la le les leur leurs lui m ma mais me même mes moi mon n ne nos notre nous on ont ou où
        par pas pendant plus pour qu que quand qui s sa sans se selon ses si son sont sous sur t ta
        te tes toi ton tous tout toute très tu un une vers vos votre vous y actualité
    """,
    "it": """
        a ad ai al alla alle allo anche ancora c che chi ci come con contro cosa da dagli dai dal
        dalla dalle degli dei del della delle dello di dopo dove e è ed era essere fa fra gli ha
        hanno ho i il in io l la le lei li lo loro lui ma mi mia mio molto ne nei nel nella nelle
        nello no noi non o per perché più può prima qua quale quando questa questo quello qui se
        senza si sono sta su sua sue sugli sui sul sulla suo tra tu un una uno vi voi
    """,
    "pt": """
        a à ainda ao aos as às até com como contra da das de dela dele depois do dos e é ela elas
        ele eles em entre era essa esse esta está estão este eu foi foram há isso já la lhe mais mas
        me mesmo meu minha muito na não nas nem no nos nós o os ou para pela pelas pelo pelos por
        porque qual quando que quem se sem ser será seu seus só sobre sua suas também te tem têm um
        uma você
    """,
}
#: Words that say nothing about what a text is about, per language (ISO 639-1): articles, pronouns,
#: prepositions, conjunctions, auxiliary verbs, and what newspapers put into every headline.
STOP_WORDS = {language: frozenset(words.split()) for language, words in _STOP_WORDS.items()}

MAX_KEYWORDS = 5

_NOT_WORDS = re.compile(r"https?://\S+|@\w+")


def headline_keywords(
    headline: str, language: str | None = None, max_keywords: int = MAX_KEYWORDS
) -> tuple[str, ...]:
    """The words of a headline or claim that say what it is about, in its own order.

    1. Links and @names are dropped; words are letters with their marks and digits, NFKC and
       casefolded.
    2. Stop words of the language, or of all languages if it is None or not one of STOP_WORDS, and
       words of one or two letters are dropped. Numbers stay.
    3. If more than `max_keywords` are left, those stay that are most likely to be rare: first what
       is a number or is written with a capital although most words of the headline are not, then
       the longest, of equals the first.

    No corpus, no model: the same headline always gives the same keywords, and a person can change
    them. Languages written without spaces come out as one long word: give the words yourself.

    Cost: microseconds.   Raises: ValueError if max_keywords < 1.

    >>> headline_keywords("Doctors admit that tap water contains microchips", "en")
    ('doctors', 'admit', 'water', 'contains', 'microchips')
    >>> headline_keywords("BREAKING: 42 dead in Vienna, says the @police https://t.co/x", "en")
    ('42', 'dead', 'vienna')
    """
    if max_keywords < 1:
        raise ValueError(f"max_keywords is {max_keywords}; it must be at least 1")
    stop_words = STOP_WORDS.get((language or "")[:2].lower(), _ALL_STOP_WORDS)
    written = _words(headline)
    n_capitals = sum(word[0].isupper() for word in written)
    capitals_tell = n_capitals <= len(written) / 2
    kept: dict[str, tuple[bool, int]] = {}
    for word in written:
        key = word.casefold()
        is_number = any(letter.isdigit() for letter in key)
        if key in stop_words or (len(key) < 3 and not is_number):
            continue
        is_name = is_number or (capitals_tell and word[0].isupper())
        kept.setdefault(key, (is_name, len(key)))
    rarest = sorted(kept, key=lambda key: kept[key], reverse=True)[:max_keywords]
    return tuple(key for key in kept if key in set(rarest))


def carries_keywords(text: str, keywords: Iterable[str], at_least: int | None = None) -> bool:
    """Whether a text has all the keywords (the paper's rule), or at least so many of them.

    A keyword is found as a word or as a hashtag of its own; "tap" is not found in "tape".

    Raises: ValueError if there are no keywords, or fewer than `at_least`.

    >>> carries_keywords("The #Water is safe, doctors say", ("doctors", "water"))
    True
    >>> carries_keywords("The water is safe", ("doctors", "water"), at_least=1)
    True
    """
    wanted = {normalize("NFKC", keyword).casefold() for keyword in keywords}
    needed = len(wanted) if at_least is None else at_least
    if not 1 <= needed <= len(wanted):
        raise ValueError(f"{needed} of {len(wanted)} keywords are needed; that cannot be")
    return len(wanted & words_of(text)) >= needed


def words_of(text: str) -> set[str]:
    """The words and hashtags of a text in the form in which they are compared: NFKC, casefold.

    >>> sorted(words_of("The #Water of @Bob: https://t.co/x #पानी"))
    ['of', 'the', 'water', 'पानी']
    """
    return {word.casefold() for word in _words(text)}


def _words(text: str) -> list[str]:
    return _word_pattern().findall(_NOT_WORDS.sub(" ", normalize("NFKC", text)))


@cache
def _word_pattern() -> re.Pattern[str]:
    r"""A word: letters and digits, the marks on them, and what joins or parts letters within it.

    Marks are vowel signs of Hindi, Tamil or Thai, vowels of Arabic: `\w` leaves them out.
    """
    marks = "".join(chr(c) for c in range(0x300, 0x10000) if category(chr(c)) in ("Mn", "Mc"))
    joins = "\u200c\u200d'’\\-"  # only before a letter
    inside = rf"[{marks}{joins}](?:(?=[^\W_])|(?<![{joins}]))"
    return re.compile(rf"[^\W_]+(?:{inside}[^\W_]*)*")


_ALL_STOP_WORDS = frozenset().union(*STOP_WORDS.values())
