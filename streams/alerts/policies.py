"""What is worth an alert: thresholds per rule, read from TOML.

A file has one table per rule and one, `[sending]`, for how alerts go out. What it leaves out has
the default written here; `enabled = false` switches a rule off, `shadow = true` records its alerts
and sends none. The defaults were chosen on one invented month and measured on others (README).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph.emerging import EMERGING_FROM
from streams.settings import SettingsError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _over(hours: float) -> Any:
    return Field(
        default=hours, gt=0, description="Over by itself when it did not fire so long (hours)."
    )


def _cooldown(hours: float) -> Any:
    return Field(
        default=hours,
        ge=0,
        description="Firing again within so long it is the same episode, which is not sent again "
        "(hours).",
    )


class RulePolicy(_Table):
    """What every rule has."""

    enabled: bool = Field(default=True, description="Whether the rule is looked at.")
    shadow: bool = Field(default=False, description="Record its alerts and send none.")
    over_hours: float = _over(24.0)
    cooldown_hours: float = _cooldown(72.0)

    @property
    def gap_hours(self) -> float:
        """Two firings further apart belong to two episodes."""
        return max(self.over_hours, self.cooldown_hours)


class EmergingPolicy(RulePolicy):
    """emerging_fake_cluster: a lineage that grows and spreads what is likely false."""

    min_score: float = Field(
        default=EMERGING_FROM,
        ge=0.01,
        le=1,
        description="Least emerging score (graph.emerging; 0 to 1).",
    )
    min_users: int = Field(default=15, ge=1, description="Least accounts in the cluster.")
    min_contents: int = Field(
        default=3, ge=1, description="Least different posts shared in it: one or two are a hit."
    )
    min_judged: int = Field(default=5, ge=1, description="Least judged shares in the cluster.")


class SurgePolicy(RulePolicy):
    """hashtag_surge: an hour far above the same hour of the same weekday, or of other days."""

    min_score: float = Field(
        default=12.0, ge=1, description="Least burst score (graph.bursts; standard deviations)."
    )
    min_posts: int = Field(default=50, ge=1, description="Least posts in the hour.")


class CoordinationPolicy(RulePolicy):
    """coordinated_burst: accounts that again and again post the same link within minutes, or that
    a cluster holds as coordinated sharers."""

    min_accounts: int = Field(default=6, ge=3, description="Least accounts that act together.")
    min_bursts: int = Field(
        default=2, ge=1, description="In so many bursts each of them has to be (bursts)."
    )
    within_minutes: float = Field(
        default=5.0, gt=0, le=60, description="How far apart posts of one burst are (minutes)."
    )
    memory_hours: float = Field(
        default=48.0, gt=0, description="Bursts so far back are put together (hours)."
    )


class ArrivalPolicy(RulePolicy):
    """nothing_is_arriving: no record for a while, though some came before. Workers only."""

    over_hours: float = _over(0.25)
    cooldown_hours: float = _cooldown(0.0)
    quiet_minutes: float = Field(
        default=60.0, gt=0, description="Without a new record so long, it fires (minutes)."
    )


class QuarantinePolicy(RulePolicy):
    """quarantine_rate: of what came lately, too much could not be read. Workers only."""

    over_hours: float = _over(0.25)
    cooldown_hours: float = _cooldown(6.0)
    max_rate: float = Field(
        default=0.05, gt=0, lt=1, description="Greatest share of records put aside (0 to 1)."
    )
    min_records: int = Field(default=20, ge=1, description="Fewer put aside are no alert.")
    within_minutes: float = Field(
        default=60.0, gt=0, description="How far it looks back (minutes)."
    )


class SinkPolicy(RulePolicy):
    """sink_failing: a place where alerts go takes none. Workers only."""

    over_hours: float = _over(0.25)
    cooldown_hours: float = _cooldown(1.0)
    min_tries: int = Field(
        default=3,
        ge=1,
        description="It fires when an alert failed so often at a sink (tries).",
    )


class SendingPolicy(_Table):
    """How alerts go out."""

    daily_quota: int = Field(
        default=50,
        ge=0,
        description="At most so many go out by themselves in 24 hours; the rest in a digest.",
    )
    digest_hours: float = Field(
        default=24.0, gt=0, description="From one digest to the next (hours)."
    )
    lookback_days: float = Field(
        default=90.0,
        gt=0,
        description="Stories are told from so much event time; older alerts stay without their "
        "accounts and posts (days).",
    )


class Policies(_Table):
    """Everything that a file of policies can say."""

    emerging_fake_cluster: EmergingPolicy = EmergingPolicy()
    hashtag_surge: SurgePolicy = SurgePolicy()
    coordinated_burst: CoordinationPolicy = CoordinationPolicy()
    nothing_is_arriving: ArrivalPolicy = ArrivalPolicy()
    quarantine_rate: QuarantinePolicy = QuarantinePolicy()
    sink_failing: SinkPolicy = SinkPolicy()
    sending: SendingPolicy = SendingPolicy()

    #: Rules about what was posted: pure functions of the tables, in event time.
    TOLD: ClassVar[tuple[str, ...]] = (
        "emerging_fake_cluster",
        "hashtag_surge",
        "coordinated_burst",
    )
    #: Rules about the machinery, in wall-clock time.
    WATCHED: ClassVar[tuple[str, ...]] = ("nothing_is_arriving", "quarantine_rate", "sink_failing")

    def of(self, rule: str) -> RulePolicy:
        """The policy of a rule."""
        policy: RulePolicy = getattr(self, rule)
        return policy


DEFAULT_POLICIES = Policies()


def read_policies(path: Path | None) -> Policies:
    """The policies of a file; the defaults without one.

    Raises SettingsError with one line that names file, line and key of every mistake.
    """
    if path is None:
        return DEFAULT_POLICIES
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise SettingsError(
            f"cannot read the alert policies {path}: {reason}; name another file in alert_policies"
        ) from None
    return parse_policies(text, str(path))


def parse_policies(text: str, source: str) -> Policies:
    """The policies that a TOML text says.

    >>> parse_policies("[hashtag_surge]\\nmin_posts = 9", "p.toml").hashtag_surge.min_posts
    9
    >>> parse_policies("[hashtag_surge]\\n\\nmin_post = 9", "p.toml")
    Traceback (most recent call last):
        ...
    streams.settings.SettingsError: p.toml line 3: hashtag_surge.min_post: no such key; there are \
enabled, shadow, over_hours, cooldown_hours, min_score, min_posts
    """
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{source} is not valid TOML: {error}") from None
    try:
        return Policies.model_validate(told, strict=False)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_mistake(problem, text, source) for problem in error.errors())
        ) from None


def _mistake(problem: Mapping[str, Any], text: str, source: str) -> str:
    keys = tuple(str(part) for part in problem["loc"])
    where = f"{source} line {line_of(text, keys)}: {'.'.join(keys)}"
    if problem["type"] == "extra_forbidden":
        known = Policies if len(keys) == 1 else Policies.model_fields[keys[0]].annotation
        assert known is not None
        return f"{where}: no such key; there are {', '.join(known.model_fields)}"
    return f"{where}: {problem['msg']} (got {problem['input']!r})"


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """The line of a key in a TOML text, from 1; that of its table where it is not by itself.

    >>> line_of("a = 1\\n[b]\\n# c = 2\\nc = 3\\n", ("b", "c")), line_of("[b]\\n", ("b", "c"))
    (4, 1)
    """
    table: tuple[str, ...] = ()
    best = (0, 1)  # how many of the keys fit, and where they do first
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"\s*\[+([^\]]*)\]", line)
        pair = re.match(r"\s*([\w.\"' -]+?)\s*=", line)
        if head:
            table = found = _parts(head[1])
        elif pair:
            found = table + _parts(pair[1])
        else:
            continue
        if found == keys[: len(found)] and len(found) > best[0]:
            best = (len(found), number)
    return best[1]


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip(" \"'") for part in dotted.split("."))


def write_policies(policies: Policies) -> str:
    """Policies as TOML with what each key means; `parse_policies` reads it back.

    >>> parse_policies(write_policies(DEFAULT_POLICIES), "p.toml") == DEFAULT_POLICIES
    True
    """
    lines = []
    for name in Policies.model_fields:
        table = getattr(policies, name)
        lines += [*(f"# {line.strip()}" for line in (type(table).__doc__ or "").splitlines())]
        lines.append(f"[{name}]")
        for key, described in type(table).model_fields.items():
            value = getattr(table, key)
            shown = str(value).lower() if isinstance(value, bool) else f"{value}"
            lines.append(f"{key} = {shown}  # {described.description}")
        lines.append("")
    return "\n".join(lines)
