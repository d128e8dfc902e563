"""The truth of an invented world as a file: JSON lines, zstd.

A line is a section, `{"section": NAME, ...}`. One with `columns` is followed by as many lines as
its `n_rows` says, one JSON array each. This folder's README names all sections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from hoaxwatch.simulate.outbox import Outbox
from hoaxwatch.simulate.postings import Label, Posting
from hoaxwatch.simulate.truth import Rules, Table
from hoaxwatch.simulate.world import PLATFORM_SHARES, START, TOPIC_PLANS, World

VERSION = 1
Json = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """What is known of an invented world. Sections as in the file; times are ISO, UTC."""

    about: Json
    #: file -> records in it by what they are: post, deletion, not_post, quarantined.
    records: Mapping[str, Mapping[str, int]]
    #: (platform, root id) -> what the content is.
    labels: Mapping[tuple[str, str], Label]
    #: Rows of every other section with rows, as mappings.
    sections: Mapping[str, list[Json]]
    campaign: Json | None
    tables: Mapping[str, Table]


def truth_of(world: World, outbox: Outbox, rules: Rules, tables: Mapping[str, Table]) -> Truth:
    """Everything that is known of a world and its files."""
    contents = [p for p in world.postings if p.share_of is None]
    campaign = world.campaign
    return Truth(
        about={
            "version": VERSION,
            "seed": world.seed,
            "days": world.n_days,
            "posts": len(world.postings),
            "languages": list(world.languages),
            "repeats": world.has_repeats,
            "starts_at": iso(START),
            "ends_at": iso(world.end),
            "detector": "marker",
            "rules": asdict(rules),
        },
        records={
            name: {"records": file.counts.total(), **dict(sorted(file.counts.items()))}
            for name, file in outbox.files.items()
        },
        labels={(p.platform, p.post_id): p.label for p in contents},
        sections={
            "contents": [_content(p) for p in contents],
            "paths": [
                {"platform": p.platform, "post_id": p.post_id, "via": p.via.post_id}
                for p in world.postings
                if p.via is not None
            ],
            "communities": list(_memberships(world)),
            "circles": [
                {"platform": platform, "circle": number, "author_id": account.account_id}
                for platform, circles in world.circles.items()
                for number, circle in enumerate(circles)
                for account in circle
            ],
            "lineage": [
                {
                    "change": event.change,
                    "at": iso(START + event.day * 86_400),
                    "before": list(event.before),
                    "after": list(event.after),
                }
                for event in world.lineage["x"].events
            ],
            "bursts": [
                {
                    "topic": burst.topic,
                    "hashtag": burst.hashtag,
                    "starts_at": iso(burst.starts_at),
                    "instants": [iso(moment) for moment in burst.instants],
                    "posts": [p.post_id for p in world.postings if p.burst == burst.topic],
                }
                for burst in world.bursts
            ],
            "topics": [
                {"topic": name, "life": plan.life.__name__, "spread": asdict(plan.spread)}
                | {"false_spread": asdict(plan.false_spread)}
                for name, plan in TOPIC_PLANS.items()
            ],
            "pictures": [row for p in contents for row in _pictures(p)],
        },
        campaign=None
        if campaign is None
        else {
            "topic": campaign.topic,
            "hashtag": campaign.hashtag,
            "accounts": [account.account_id for account in campaign.accounts],
            "links": list(campaign.links),
            "waves": [
                {
                    "number": wave.number,
                    "starts_at": iso(wave.starts_at),
                    "text": wave.text,
                    "link": wave.link,
                    "tags": list(wave.tags),
                    "posts": [
                        p.post_id
                        for p in world.postings
                        if p.wave == wave.number and p.kind == "original"
                    ],
                    "shares": [
                        p.post_id
                        for p in world.postings
                        if p.wave == wave.number and p.kind == "share"
                    ],
                }
                for wave in campaign.waves
            ],
        },
        tables=tables,
    )


def _content(posting: Posting) -> Json:
    return {
        "platform": posting.platform,
        "root_id": posting.post_id,
        "label": posting.label,
        "topic": posting.topic,
        "lang": posting.wordings[0].lang,
        "author_id": posting.author.account_id,
        "community": posting.community,
        "n_shares": len(posting.shared_at),
    }


def _pictures(posting: Posting) -> Iterator[Json]:
    for picture in posting.pictures:
        yield {
            "file": picture.name,
            "platform": posting.platform,
            "root_id": posting.post_id,
            "words": picture.words,
            "is_false": picture.is_false,
            "caption_hides": posting.caption_hides,
        }


def _memberships(world: World) -> Iterator[Json]:
    """Who was in which community from which day until before which day."""
    for platform in PLATFORM_SHARES:
        days = world.lineage[platform].days
        since: dict[tuple[str, str], int] = {}
        n_days = world.n_days
        for day in range(n_days + 1):
            members = {
                (name, account.account_id)
                for name, accounts in (
                    days[min(day, len(days) - 1)].items() if day < n_days else ()
                )
                for account in accounts
            }
            for key in sorted(since.keys() - members):
                name, author_id = key
                yield {
                    "platform": platform,
                    "community": name,
                    "author_id": author_id,
                    "from_day": since.pop(key),
                    "until_day": day,
                }
            for key in members - since.keys():
                since[key] = day


def iso(moment: float) -> str:
    """A time as ISO text, UTC."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat()


def write_truth(path: Path, truth: Truth) -> None:
    """Writes the truth; the same bytes for the same truth."""
    encode = msgspec.json.encode
    with path.open("wb") as out, zstandard.ZstdCompressor(level=6).stream_writer(out) as packed:
        for section in _sections(truth):
            packed.write(encode(section) + b"\n")


def _sections(truth: Truth) -> Iterator[object]:
    yield {"section": "about", **truth.about}
    yield {"section": "records", "files": truth.records}
    yield {"section": "campaign", "campaign": truth.campaign}
    for name, mappings in truth.sections.items():
        columns = tuple(mappings[0]) if mappings else ()
        rows = (tuple(mapping.values()) for mapping in mappings)
        yield from _with_rows({"section": name}, columns, rows, len(mappings))
    for name, table in truth.tables.items():
        head = {"section": "table", "name": name}
        yield from _with_rows(head, table.columns, table.rows, len(table.rows))


def _with_rows(
    head: Json, columns: Sequence[str], rows: Iterable[Sequence[object]], n_rows: int
) -> Iterator[object]:
    yield {**head, "columns": list(columns), "n_rows": n_rows}
    yield from rows


def read_truth(path: Path) -> Truth:
    """What `write_truth` wrote. Raises ValueError if another version of hoaxwatch wrote it."""
    with path.open("rb") as packed:
        lines = iter(zstandard.ZstdDecompressor().stream_reader(packed).readall().splitlines())
    found: dict[str, Any] = {}
    sections: dict[str, list[Json]] = {}
    tables: dict[str, Table] = {}
    for line in lines:
        head = msgspec.json.decode(line)
        name = head.pop("section")
        if name == "about" and head["version"] != VERSION:
            raise ValueError(f"{path} has version {head['version']} of the truth, not {VERSION}")
        if "n_rows" not in head:
            found[name] = head
            continue
        rows = [tuple(msgspec.json.decode(next(lines))) for _ in range(head["n_rows"])]
        columns = tuple(head["columns"])
        if name == "table":
            tables[head["name"]] = Table(columns, rows)
        else:
            sections[name] = [dict(zip(columns, row, strict=True)) for row in rows]
    return Truth(
        about=found["about"],
        records=found["records"]["files"],
        labels={(c["platform"], c["root_id"]): c["label"] for c in sections["contents"]},
        sections=sections,
        campaign=found["campaign"]["campaign"],
        tables=tables,
    )
