"""Writes an invented world: post files, pictures, and the truth."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hoaxwatch.simulate import on_bluesky, on_instagram, on_x, poison
from hoaxwatch.simulate.outbox import Outbox
from hoaxwatch.simulate.people import SPEAKERS
from hoaxwatch.simulate.sightings import Ledger
from hoaxwatch.simulate.truth import Rules, tables_of
from hoaxwatch.simulate.truth_file import Truth, truth_of, write_truth
from hoaxwatch.simulate.world import World, make_world

POSTS, MEDIA, TRUTH = "posts", "media", "truth.jsonl.zst"

#: Told what is being done, and how much of how much.
Watch = Callable[[str, int, int], None]


class FolderInUse(ValueError):
    """The folder holds files that are not an invented world. The message says what to do."""


@dataclass(frozen=True)
class Simulated:
    """What was written. `paths` are the post files in the order in which they were collected."""

    folder: Path
    paths: list[Path]
    world: World
    truth: Truth


def simulate(
    folder: Path,
    seed: int = 1,
    n_days: int = 30,
    n_posts: int = 40_000,
    *,
    languages: Sequence[str] = tuple(SPEAKERS),
    has_repeats: bool = True,
    with_pictures: bool = True,
    with_poison: bool = True,
    with_tables: bool = True,
    long_text_bytes: int = poison.LONG_TEXT_BYTES,
    rules: Rules | None = None,
    watch: Watch = lambda what, done, total: None,
) -> Simulated:
    """Writes FOLDER/posts, FOLDER/media and FOLDER/truth.jsonl.zst: the same bytes for the same
    arguments. A world that is there already is replaced.

    languages, has_repeats: see `make_world`; a world without repeats has no poison either.
    with_tables: work out what every table must hold, the longest part. rules: the settings it is
    worked out for.   Cost: about 20 s for a month of 40,000 posts.
    Raises: FolderInUse, OSError, ValueError.
    """
    _check(folder)
    rules = rules or Rules()
    watch("inventing the world", 0, 1)
    world = make_world(seed, n_days, n_posts, languages=languages, has_repeats=has_repeats)
    posts, media = _clear(folder)
    outbox = Outbox(posts, Ledger())
    collectors = [on_x.collect]
    if has_repeats:
        collectors += [on_instagram.collect, on_bluesky.collect]
    for done, collect in enumerate(collectors):
        watch("collecting posts", done, len(collectors))
        collect(world, outbox)
    if with_poison and has_repeats:
        poison.write(world, outbox, long_text_bytes)
    outbox.close()
    if with_pictures:
        _draw_all(world, media, watch)
    tables = {}
    if with_tables:
        watch("working out the truth", 0, 1)
        files = outbox.files.values()
        tables = tables_of(
            outbox.ledger, [row for file in files for row in file.quarantined], rules
        )
    truth = truth_of(world, outbox, rules, tables)
    write_truth(folder / TRUTH, truth)
    paths = [file.path for file in outbox.files.values()]
    return Simulated(folder, paths, world, truth)


def _check(folder: Path) -> None:
    """What is not ours is not touched."""
    if folder.exists() and any(folder.iterdir()) and not (folder / TRUTH).exists():
        raise FolderInUse(
            f"{folder} holds files already and no invented world; give another folder"
        )


def _clear(folder: Path) -> tuple[Path, Path]:
    """Empty folders for posts and pictures."""
    posts, media = folder / POSTS, folder / MEDIA
    for part in (posts, media):
        shutil.rmtree(part, ignore_errors=True)
    # with the truth in place, a writing that breaks off can be done again
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRUTH).touch()
    posts.mkdir()
    media.mkdir()
    return posts, media


def _draw_all(world: World, media: Path, watch: Watch) -> None:
    from hoaxwatch.simulate.pictures import draw

    drawn = [picture for posting in world.postings for picture in posting.pictures]
    for done, picture in enumerate(drawn):
        if done % 100 == 0:
            watch("drawing pictures", done, len(drawn))
        (media / picture.name).write_bytes(draw(picture))
