"""hoaxwatch datasets: data for training and measuring, made ready or collected."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from detectors.long_rows import long_rows
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, settings_of
from hoaxwatch.show import (
    Column,
    notes,
    number,
    output_of,
    print_json,
    print_lines,
    shorten,
    show_rows,
)
from storage import reads
from streams.claims import default_encoder
from streams.errors import UsageError

app = typer.Typer(
    help="Labelled data: public sets made ready, pairs collected from stored posts.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Images = Annotated[
    Path | None,
    typer.Option("--images", help="A folder of the pictures, named by the end of their addresses."),
]

#: T1, T2 and those of pictures where no file of Factify's was measured: the paper has its own in a
#: figure, for other encoders.
NOT_FITTED = {"text_cosine": 0.7, "common_words": 0.3, "image_cosine": 0.9, "histogram": 0.9}

_FACTIFY_COLUMNS = (
    *("claim", "document", "claim_image", "document_image"),
    *("claim_ocr", "document_ocr", "category"),
)


@app.command("list")
def list_sets(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A folder of sets: counts what is there (text/, weibo_2017/)."),
    ] = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List the public data sets that can be read: licence, label rule, how many posts are there."""
    from detectors.datasets.catalogue import CATALOGUE, count

    rows = [
        {
            "name": name,
            "reads": about.kind,
            "folder": about.folder,
            "posts": None if data is None else count(name, data),
            "what": about.what,
            "licence": about.licence,
            "labels": about.labels,
        }
        for name, about in CATALOGUE.items()
    ]
    columns = [
        Column("set", lambda row: row["name"]),
        Column("of", lambda row: row["reads"]),
        Column("labelled", lambda row: number(row["posts"]), is_number=True),
        Column("licence", lambda row: shorten(row["licence"], 40)),
        Column("label rule", lambda row: shorten(row["labels"], 78)),
    ]
    show_rows(rows, output_of(as_json, as_csv), columns, "Data sets", "none")


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="Which data set: hoaxwatch datasets list.")],
    path: Annotated[Path, typer.Argument(help="The folder of its files; of factify, its file.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write; default: NAME.jsonl."),
    ] = None,
    split: Annotated[
        str,
        typer.Option("--split", help="By random, account, event, time, source or as published."),
    ] = "random",
    held_out: Annotated[
        list[str] | None,
        typer.Option("--held-out", help="An account, event or source that is tested; repeatable."),
    ] = None,
    apart: Annotated[
        list[Path] | None,
        typer.Option("--apart-from", help="Leave out what nearly repeats a post of this file."),
    ] = None,
    near: Annotated[
        float | None,
        typer.Option(
            "--near",
            min=0.3,
            max=1.0,
            help="Keep one of texts that share so much of their word 4-grams, as 0.8.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the split.")] = 0,
    images: Images = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", help="Of instagram, what labels.csv means: 1=likely_false,..."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Make a public set ready: labelled posts as JSON lines, with train, validation and test.

    No near-duplicate of a text is in two splits; with --apart-from none in another file either.
    With --near a text is there once, not only on one side.
    `train` and `evaluate` read the file. Of factify, whose file is given on request by its authors:
    counts its classes and fits the label rule's thresholds for `datasets pair`. `instagram` is a
    folder of one's own posts with labels.csv (post_id,label).
    """
    if name == "factify":
        _prepare_factify(path, output or Path("thresholds.json"), images, as_json)
        return
    from detectors.datasets import UnknownDataset
    from detectors.datasets.catalogue import INSTAGRAM, read_labelled
    from detectors.datasets.groups import told_once
    from detectors.datasets.labelled import MissingDataset
    from detectors.datasets.prepared import (
        BadData,
        apart_from,
        divide,
        read_posts_file,
        with_text,
        write_posts_file,
    )

    try:
        read = _own_posts(path, labels) if name == INSTAGRAM else list(read_labelled(name, path))
        found = with_text(read)
        others = [post for other in apart or () for post in read_posts_file(other)]
        alone = apart_from(found, others) if others else found
        once = alone if near is None else told_once(alone, near, others)
        n_repeats, alone = len(alone) - len(once), once
        posts = divide(alone, split, seed, held_out or ())
    except (UnknownDataset, MissingDataset, BadData) as error:
        raise UsageError(str(error)) from None
    target = output or Path(f"{name}.jsonl")
    _write(target, lambda: write_posts_file(target, posts))
    counts = {
        part: dict(sorted(Counter(p.label for p in posts if p.split == part).items()))
        for part in ("train", "validation", "test")
    }
    if as_json:
        print_json(
            {
                "set": name,
                "split": split,
                "read": len(read),
                "no_text": len(read) - len(found),
                "repeats_others": len(found) - len(alone) - n_repeats,
                "repeats_itself": n_repeats,
            }
            | {"near_duplicates": len(alone) - len(posts), "posts": counts}
        )
        return
    for part, own in counts.items():
        _say(f"{part}: " + ", ".join(f"{number(n)} {label}" for label, n in own.items()))
    left = f"{number(len(alone) - len(posts))} left out that nearly repeat one of another split"
    _say(f"{number(len(read))} posts read, {left}")
    if len(found) < len(read):
        _say(f"{number(len(read) - len(found))} left out that have no text")
    if others:
        n_others = len(found) - len(alone) - n_repeats
        _say(f"{number(n_others)} nearly repeat a post of {len(apart or ())} files")
    if near is not None:
        _say(f"{number(n_repeats)} left out of which {near:g} is in another post of the set")
    _say(f"wrote {target}")


@app.command()
def describe(
    files: Annotated[
        list[Path], typer.Argument(help="Labelled posts: .jsonl or .csv, as prepare writes them.")
    ],
    labels: Annotated[
        str | None, typer.Option("--labels", help="What they are called here: fake=likely_false.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How long lists are.")] = 10,
    as_json: options.Json = False,
) -> None:
    """What labelled posts are made of: sizes, lengths, what tells classes apart, repetitions.

    Look here before you train: a class that its hashtags, sites or lengths give away is learnt by
    those, and near-duplicates across splits make every measurement too good.
    """
    from detectors.datasets import description
    from detectors.datasets.prepared import BadData, parse_words, read_posts_files

    try:
        words = None if labels is None else parse_words(labels)
        found = description.describe(read_posts_files(files, words), top)
    except BadData as error:
        raise UsageError(str(error)) from None
    if as_json:
        splits = {split or "not divided": counts for split, counts in found.splits.items()}
        classes = [one._asdict() for one in found.classes]
        print_json(found._asdict() | {"splits": splits, "classes": classes})
        return
    columns = [
        Column("class", lambda row: row["label"]),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
        Column("accounts", lambda row: number(row["accounts"]), is_number=True),
        Column("events", lambda row: number(row["events"]), is_number=True),
        Column("pictures", lambda row: number(row["pictures"]), is_number=True),
        Column("days", lambda row: _days(row["first_posted_at"], row["last_posted_at"])),
        Column("words", lambda row: "{:.0f} ({:.0f} to {:.0f})".format(*_median_first(row))),
        Column("words no other has", lambda row: number(row["own_runs"][0]), is_number=True),
        Column("runs of 3 no other has", lambda row: number(row["own_runs"][2]), is_number=True),
    ]
    title = f"{number(found.posts)} posts; words a post: median (10 % to 90 %)"
    show_rows(found.classes, output_of(False, False), columns, title, "none")
    for one in found.classes:
        lists = (
            ("words that tell it", [f"{word} {z:.1f}" for word, z in one.telling]),
            *((name, [f"{what} {number(n)}" for what, n in most]) for name, most in _lists(one)),
        )
        print_lines(f"{one.label}, {name}: {', '.join(items)}" for name, items in lists if items)
    for split, counts in sorted(found.splits.items(), key=lambda item: _ORDER.index(item[0])):
        own = ", ".join(f"{number(n)} {label}" for label, n in sorted(counts.items()))
        print_lines([f"{split or 'not divided'}: {own}"])
    print_lines(
        [
            f"{number(found.near_duplicates)} posts nearly repeat another one; "
            f"{number(found.labelled_differently)} have one with another label, "
            f"{number(found.across_splits)} one in another split"
        ]
    )


_ORDER = ("train", "validation", "test", None)


def _lists(one: Any) -> tuple[tuple[str, Any], ...]:
    return ("hashtags", one.hashtags), ("addressed", one.addressed), ("sites", one.sites)


def _median_first(row: Any) -> tuple[float, float, float]:
    low, middle, high = row["words"]
    return middle, low, high


def _days(first: datetime | None, last: datetime | None) -> str:
    return "–" if first is None or last is None else f"{first:%Y-%m-%d} to {last:%Y-%m-%d}"


def _own_posts(folder: Path, labels: str | None) -> list[Any]:
    from detectors.datasets.prepared import parse_words
    from hoaxwatch.labelled_folder import read_instagram

    found = read_instagram(folder, None if labels is None else parse_words(labels))
    _say(
        f"{number(found.n_ties)} posts on which people are divided, {number(found.n_absent)} "
        f"labelled that are not there or have no text, {number(found.n_problems)} records that "
        "cannot be read"
    )
    return found.posts


def _prepare_factify(path: Path, output: Path, images: Path | None, as_json: bool) -> None:
    from detectors.datasets.factify import BadFile, read
    from detectors.datasets.generated_pairs import thumbnail
    from detectors.evaluate_factify import IMAGE_ENCODER, load_from
    from detectors.factify import fit_thresholds, score_pairs

    try:
        found = list(read(path, load_from(images)))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the path") from None
    except BadFile as error:
        raise UsageError(str(error)) from None
    encoder = default_encoder()
    scores = score_pairs([one.pair for one in found], encoder, thumbnail)
    try:
        thresholds = fit_thresholds(
            scores, [one.label for one in found], encoder.name, IMAGE_ENCODER
        )
    except ValueError as error:
        raise UsageError(f"{path}: {error}; without pictures give --images FOLDER") from None
    _write(output, lambda: output.write_bytes(msgspec.json.format(msgspec.json.encode(thresholds))))
    counts = Counter(one.label for one in found)
    complete = sum(bool(p.pair.claim_images and p.pair.document_images) for p in found)
    if as_json:
        fitted = msgspec.to_builtins(thresholds)
        print_json(
            {"pairs": len(found), "with_pictures": complete, "classes": dict(counts)}
            | {"thresholds": fitted}
        )
        return
    classes = ", ".join(f"{number(n)} {label}" for label, n in sorted(counts.items()))
    _say(f"{number(len(found))} pairs, {number(complete)} with both pictures: {classes}")
    _say(f"wrote {output}")


@app.command()
def pair(
    accounts: Annotated[
        list[str], typer.Argument(help="Two or more accounts that are trusted, by name.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The CSV to write.")] = Path(
        "pairs.csv"
    ),
    articles: Annotated[
        Path | None,
        typer.Option("--articles", help="A CSV with the columns url and text: linked articles."),
    ] = None,
    images: Images = None,
    ocr: Annotated[bool, typer.Option("--ocr", help="Read the words in pictures.")] = False,
    thresholds: Annotated[
        Path | None, typer.Option("--thresholds", help="What datasets prepare wrote.")
    ] = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Pair similar posts of trusted accounts by day, as Factify was collected.

    For each stored post of an account the most similar one of each other account on the same day
    (UTC). The second text gives way to its article, if --articles has it. The CSV has Factify's
    columns. Labels follow from the scores: a good result on them shows that a model can repeat the
    rule.
    """
    names = list(dict.fromkeys(account.removeprefix("@") for account in accounts))
    if len(names) < 2:
        raise UsageError("give two accounts or more: pairs are of different accounts")
    from detectors.datasets.generated_pairs import thumbnail
    from detectors.datasets.pairing import TrustedPost, pair_posts
    from detectors.evaluate_factify import IMAGE_ENCODER, load_from

    with connected(settings_of(project, database)) as connection:
        posts = [TrustedPost(*row) for row in reads.read_posts_of(connection, names)]
    missing = sorted(set(names) - {post.account for post in posts})
    if missing:
        raise UsageError(f"no post of {', '.join(missing)} is stored in this project")
    encoder = default_encoder()
    rule = _thresholds(thresholds, encoder.name, IMAGE_ENCODER)
    texts = {} if articles is None else _read_articles(articles)
    load = load_from(images)
    kept = pair_posts(posts, encoder, thumbnail, rule, texts, load)
    read_words = _reader(ocr, load)

    def write() -> None:
        with output.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([*_FACTIFY_COLUMNS, "claim_post", "document_post", "text_cosine"])
            for one in kept:
                own, other = (post.images[0] if post.images else "" for post in one[:2])
                writer.writerow(
                    [
                        *(one.claim.text, one.document, own, other),
                        *(read_words(own), read_words(other), one.label),
                        *(one.claim.post_id, one.source.post_id),
                        round(one.scores.text_cosine, 6),
                    ]
                )

    _write(output, write)
    counts = Counter(one.label for one in kept)
    n_articles = sum(one.document != one.source.text for one in kept)
    if as_json:
        used = msgspec.to_builtins(rule)
        print_json(
            {"posts": len(posts), "pairs": len(kept), "articles": n_articles}
            | {"classes": dict(counts), "thresholds": used}
        )
        return
    classes = ", ".join(f"{number(n)} {label}" for label, n in sorted(counts.items()))
    _say(
        f"{number(len(posts))} posts, {number(len(kept))} pairs, {number(n_articles)} with an "
        f"article: {classes or 'none'}"
    )
    if thresholds is None:
        _say("thresholds were not fitted to data: hoaxwatch datasets prepare factify FILE")
    _say(f"wrote {output}")


def _thresholds(path: Path | None, encoder: str, image_encoder: str) -> Any:
    from detectors.factify import Thresholds

    if path is None:
        return Thresholds(**NOT_FITTED, encoder=encoder, image_encoder=image_encoder)
    try:
        rule = msgspec.json.decode(path.read_bytes(), type=Thresholds)
    except (OSError, msgspec.DecodeError) as error:
        raise UsageError(f"{path} holds no thresholds ({error}); write them anew") from None
    if (rule.encoder, rule.image_encoder) != (encoder, image_encoder):
        raise UsageError(
            f"{path} is for {rule.encoder} and {rule.image_encoder}, here are {encoder} and "
            f"{image_encoder}: hoaxwatch datasets prepare factify FILE"
        )
    return rule


def _read_articles(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return {row["url"]: row["text"] for row in long_rows(csv.DictReader(lines))}
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no CSV in UTF-8: save it as CSV UTF-8") from None
    except KeyError as error:
        raise UsageError(f"{path} has no column {error}; it wants url and text") from None


def _reader(wanted: bool, load: Callable[[str], Any]) -> Callable[[str], str]:
    """Reads the words in the picture of an address; nothing where there is no picture."""
    if not wanted:
        return lambda address: ""
    from detectors.text.ocr import OcrUnavailable, default_engine

    try:
        engine = default_engine()
    except OcrUnavailable as error:
        raise UsageError(str(error)) from None

    def read(address: str) -> str:
        image = load(address) if address else None
        return "" if image is None else engine.read(image).text

    return read


def _write(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}; give another place with --output"
        ) from None


def _say(line: str) -> None:
    notes.print(line, markup=False, soft_wrap=True)
