"""What is posted in the invented world, before a platform writes it down or anybody collects it."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Literal

from hoaxwatch.simulate.people import Account

Label = Literal["likely_false", "likely_true"]
Kind = Literal["original", "share", "reply", "quote"]


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a posting. `words` are drawn over it; None if there are none."""

    name: str
    scene: int
    words: str | None
    #: The words make a false claim.
    is_false: bool
    alt_text: str | None = None


@dataclass(frozen=True, slots=True)
class Wording:
    """What a posting says from a moment on. An edit makes another one, with an id of its own."""

    since: int
    text: str
    lang: str | None
    #: Hashtags as written, in order, without the sign.
    tags: tuple[str, ...]
    links: tuple[str, ...] = ()
    post_id: str = ""


@dataclass(slots=True, eq=False)
class Posting:
    """One thing that somebody published. Times are seconds since 1970 UTC."""

    platform: str
    kind: Kind
    author: Account
    posted_at: int
    topic: str
    label: Label
    wordings: list[Wording]
    pictures: tuple[Picture, ...] = ()
    share_of: Posting | None = None
    #: The share through which it was found, where the platform tells.
    via: Posting | None = None
    reply_to: Posting | None = None
    quote_of: Posting | None = None
    community: str | None = None
    #: Its words say nothing of the false claim that stands on its picture.
    caption_hides: bool = False
    #: Number of the campaign's wave it belongs to.
    wave: int | None = None
    burst: str | None = None
    #: Likes per share, roughly; how well it is liked.
    appeal: float = 2.0
    deleted_at: int | None = None
    #: It is not found by searches: only inside what shares it, or not at all.
    found: Literal["searched", "embedded", "never"] = "searched"
    #: It is found weeks later than its neighbours.
    is_late: bool = False
    number: int = 0
    shared_at: list[int] = field(default_factory=list)
    replied_at: list[int] = field(default_factory=list)
    quoted_at: list[int] = field(default_factory=list)

    @property
    def root(self) -> Posting:
        """The posting whose words these are."""
        return self.share_of or self

    @property
    def post_id(self) -> str:
        """The first id, under which an edited posting is kept."""
        return self.wordings[0].post_id

    @property
    def is_edited(self) -> bool:
        """Whether its words were changed."""
        return len(self.wordings) > 1

    def wording_at(self, moment: float) -> int:
        """Which of its wordings stood then."""
        return max(0, bisect.bisect_right([w.since for w in self.wordings], moment) - 1)

    def shares_at(self, moment: float) -> int:
        """How often it had been shared."""
        return bisect.bisect_right(self.shared_at, moment)

    def likes_at(self, moment: float) -> int:
        """How often it had been liked: grows with its shares and for two days after it."""
        age = min(max(0.0, moment - self.posted_at) / 172_800, 1.0)
        return int(self.appeal * self.shares_at(moment) + 3 * self.appeal * age)

    def replies_at(self, moment: float) -> int:
        """How often it had been answered."""
        return bisect.bisect_right(self.replied_at, moment)

    def quotes_at(self, moment: float) -> int:
        """How often it had been quoted."""
        return bisect.bisect_right(self.quoted_at, moment)
