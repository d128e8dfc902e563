"""Fills the templates of `words`: no two texts alike unless somebody repeats one on purpose."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from hoaxwatch.simulate import words
from hoaxwatch.simulate.words import Stance, Templates, Topic

_SLOT = re.compile(r"\{(\w+)\}")


class Wordsmith:
    """Says things, remembering what was said."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._said: set[str] = set()

    def say(self, topic: Topic, stance: Stance, lang: str) -> str:
        """A new text about a topic."""
        for _ in range(20):
            opener = self._chance.choice(words.OPENERS[lang][stance])
            closer = self._chance.choice(words.CLOSERS[lang][stance])
            body = self._filled(topic.said(stance)[lang], lang)
            if stance == "false" and (not opener or opener.endswith((". ", "it: "))):
                body = body[0].upper() + body[1:]
            if (closer or stance == "false") and not body.endswith((".", "!", "?")):
                body += "."
            text = opener + body + closer
            if self._is_new(text):
                return text
        return self._numbered(text)

    def phrase(self, templates: Templates, lang: str) -> str:
        """A new text of these templates, in the language or else in English."""
        for _ in range(20):
            text = self._filled(templates.get(lang) or templates["en"], lang)
            if self._is_new(text):
                return text
        return self._numbered(text)

    def varied(self, text: str) -> str:
        """The text as another account of a campaign posts it: often the very same."""
        return text + self._chance.choice(words.VARIATIONS)

    def emoji(self) -> str:
        """Nothing but emoji."""
        return "".join(self._chance.choices(words.EMOJI, k=self._chance.randint(1, 4)))

    def _numbered(self, text: str) -> str:
        """Where the templates are used up, people count."""
        number = 2
        while not self._is_new(f"{text} ({number})"):
            number += 1
        return f"{text} ({number})"

    def _is_new(self, text: str) -> bool:
        is_new = text not in self._said
        self._said.add(text)
        return is_new

    def _filled(self, templates: Sequence[str], lang: str) -> str:
        slots = words.SLOTS[lang]

        def fill(slot: re.Match[str]) -> str:
            name = slot[1]
            if name == "n":
                return str(self._chance.randint(2, 97))
            return self._chance.choice(slots[name])

        return _SLOT.sub(fill, self._chance.choice(templates))
