"""hoaxwatch graph: how the posts of one topic spread, from the database or from files."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from graph.bursts import Pulled, collected_share
from graph.cascades import explain_depth, measure_cascades, time_to
from graph.communities import Communities, infomap, leiden, louvain
from graph.concentration import explain_spread, find_core_users
from graph.coordination import CoordinationRules, find_coordination, find_network
from graph.emerging import EMERGING_FROM
from graph.export import FORMATS, GraphTable, describe_table, iso_time, pseudonymise
from graph.followed import as_topic, show_topic
from graph.headline import headline_keywords, words_of
from graph.layout import layout_network
from graph.spread import (
    Spread,
    actions_of,
    authors_of,
    choose,
    co_share_network_of,
    forest_of,
    hashtag_network_of,
    propagation_of,
    spread_of,
    user_network_of,
    without_deleted,
)
from graph.stability import assess_stability, find_stars
from graph.topics import Topic
from graph.traits import relate_traits
from graph.users import UserNetwork
from hoaxwatch.commands import options
from hoaxwatch.commands.options import connected, parse_span, settings_of
from hoaxwatch.images import read_phashes
from hoaxwatch.networks import (
    Profile,
    draw_table,
    table_of_coordination,
    table_of_hashtags,
    table_of_propagation,
    table_of_users,
)
from hoaxwatch.show import (
    Column,
    Output,
    minute,
    notes,
    number,
    output_of,
    percent,
    print_json,
    shorten,
    show_rows,
)
from storage import reads
from storage.bursts import read_covered
from storage.lineages import label_lineage
from storage.reads import ClusterRow
from storage.spreads import read_spread
from streams.errors import UsageError
from streams.formats.registry import read_file
from streams.records import Author, Deletion, Post, hashtag_key

app = typer.Typer(
    help="How a topic spreads: cascades, communities, coordination, pictures, files for others.",
    no_args_is_help=True,
)

Files = Annotated[
    list[str] | None, typer.Argument(help="Files of posts; default: the project's database.")
]
Hashtag = Annotated[str | None, typer.Option("--hashtag", "-t", help="Posts with this hashtag.")]
Keywords = Annotated[
    str | None, typer.Option("--keywords", help="Posts whose text has all these words.")
]
Headline = Annotated[
    str | None, typer.Option("--headline", help="Posts with the keywords of this claim.")
]
Link = Annotated[str | None, typer.Option("--link", help="Posts with this link.")]
Root = Annotated[
    str | None, typer.Option("--root", help="This post with its shares and the replies below it.")
]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="Rows.")]
Algorithm = Annotated[
    str, typer.Option("--algorithm", help="louvain, leiden or infomap (undirected).")
]
Kind = Annotated[
    str,
    typer.Option("--kind", help="What is done together: retweet, link, hashtags, text, image."),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="Folder with the pictures, for --kind image."),
]
Window = Annotated[
    float, typer.Option("--window", help="Together means at most so far apart (seconds).")
]
Destination = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]

#: Words of links, hashtags and texts take longer to copy than a share to press.
_KINDS = ("retweet", "link", "hashtags", "text", "image")
_NETWORKS = ("users", "propagation", "hashtags", "coordination")


@dataclass(frozen=True)
class Asked:
    """What was asked for: the posts of the topic, and what goes with them."""

    topic: Topic
    spread: Spread
    #: Of posts by key, also of those outside the period.
    authors: dict[str, str | None]
    profiles: dict[str, Profile]
    #: Hashtags in counting form, as they are most often written.
    written: dict[str, str]
    seed: int

    @property
    def about(self) -> dict[str, object]:
        """For a manifest."""
        return {"topic": self.topic.describe()}


@contextmanager
def _asking(
    files: list[str] | None,
    *,
    hashtag: str | None,
    keywords: str | None,
    headline: str | None,
    link: str | None,
    root: str | None,
    since: str | None,
    until: str | None,
    project: str | None,
    database: str | None,
) -> Iterator[Asked]:
    settings = settings_of(project, database)
    words = tuple(sorted(words_of(keywords or "")))
    if keywords and not words:
        raise UsageError(f"--keywords {keywords!r} has no word; links and @names are none")
    if headline is not None:
        words += headline_keywords(headline)
        if not words:
            raise UsageError(
                f"--headline {headline!r} has no word that says what it is about; "
                "give the words yourself with --keywords"
            )
        notes.print(f"keywords: {', '.join(words)}", markup=False)
    named = as_topic(options.parse_topic(hashtag)) if hashtag else Topic()
    topic = replace(named, keywords=(*named.keywords, *words), link=link or named.link, root=root)
    start, end = parse_span(since, until, settings.timezone)
    profiles: dict[str, Profile] = {}
    if files:
        forms: dict[str, Counter[str]] = {}
        deletions: list[Deletion] = []
        whole = spread_of(_watch(files, profiles, forms, deletions))
        if deletions:
            n_posts = len(whole.posts)
            whole = without_deleted(whole, deletions)
            notes.print(f"{n_posts - len(whole.posts):,} posts were deleted and left out")
        chosen = choose(whole, topic, start, end)
        authors = authors_of(whole)
        written = {tag: min(n, key=lambda form: (-n[form], form)) for tag, n in forms.items()}
    else:
        with connected(settings) as connection:
            whole = read_spread(connection, topic)
            chosen = choose(whole, Topic(), start, end)
            authors = authors_of(whole)
            users = sorted({post.author for post in whole.posts if post.author})
            profiles = {
                row.user: Profile(row.handle, row.followers)
                for row in reads.read_users(connection, users)
            }
            tags = {tag for content in chosen.contents.values() for tag in content.hashtags}
            written = reads.read_display_forms(connection, sorted(tags))
    if not chosen.posts:
        where = "these files" if files else "this project"
        raise UsageError(f"{where} hold no post of {topic.describe()}{_period(since, until)}")
    yield Asked(topic, chosen, authors, profiles, written, max(settings.seed, 1))


def _period(since: str | None, until: str | None) -> str:
    said = [f"since {since}"] if since else []
    said += [f"until {until}"] if until else []
    return f" {' '.join(said)}" if said else ""


def _watch(
    files: Sequence[str],
    profiles: dict[str, Profile],
    forms: dict[str, Counter[str]],
    deletions: list[Deletion],
) -> Iterator[Post]:
    """Every post of the files; notes who wrote them, how hashtags are written and what is to be
    deleted, and says how many records are none of these."""
    n_problems = 0
    for file in files:
        for reading in read_file(file):
            if isinstance(reading, Post):
                if reading.author is not None:
                    key = f"{reading.platform}:{reading.author.author_id}"
                    _note(profiles, key, reading.author)
                for tag in reading.hashtags:
                    forms.setdefault(hashtag_key(tag), Counter())[tag.lstrip("#")] += 1
                yield reading
            elif isinstance(reading, Deletion):
                deletions.append(reading)
            else:
                n_problems += 1
    if n_problems:
        notes.print(f"{n_problems:,} records are no posts and were left out")


def _note(profiles: dict[str, Profile], key: str, author: Author) -> None:
    handle, followers = profiles.get(key, (None, None))
    profiles[key] = Profile(
        author.handle or handle, followers if author.followers is None else author.followers
    )


def _name(asked: Asked, user: str | None) -> str:
    if user is None:
        return "unknown"
    profile = asked.profiles.get(user)
    return (profile and profile.handle) or user.partition(":")[2]


def build(
    files: Files = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
) -> None:
    """Build the networks of a topic and say what is in them: how much, who, how concentrated.

    The propagation graph has a node per post and share; the user network links who is shared with
    who shares. Nothing is stored.
    """
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        facts = _facts(asked)
    if as_json:
        print_json(facts)
        return
    print(asked.topic.describe())
    for name, value in facts.items():
        if name != "topic":
            shown = number(value) if isinstance(value, int) else value
            print(f"  {name.replace('_', ' '):<22} {'–' if shown is None else shown}")


def _facts(asked: Asked) -> dict[str, Any]:
    spread = asked.spread
    graph, forest = propagation_of(spread), forest_of(spread)
    network = user_network_of(spread, asked.authors)
    per_root: dict[str, int] = {}
    for share in spread.shares:
        per_root[share.root] = per_root.get(share.root, 0) + 1
    originals = [post for post in spread.posts if post.share_of is None]
    verdicts = [spread.contents[post.root].likely_false for post in originals]
    core = find_core_users(
        [post.author for post in originals],
        [per_root.get(post.root, 0) for post in originals],
        [bool(verdict) for verdict in verdicts],
    )
    times = [post.at_us for post in spread.posts]
    facts: dict[str, Any] = {
        **asked.about,
        "posts": len(spread.posts),
        "shares": len(spread.shares),
        "cascades": len(graph.root_ids),
        "accounts": len({post.author for post in spread.posts if post.author}),
        "accounts_in_network": network.n_users,
        "links": len(network.weight),
        "self_shares": network.n_self_shares,
        "shares_unknown_who": network.n_unknown_authors,
        "first_at": iso_time(min(times)),
        "last_at": iso_time(max(times)),
        "spread": explain_spread(list(per_root.values())),
        "depth": explain_depth(forest),
    }
    n_judged = sum(verdict is not None for verdict in verdicts)
    facts["judged"] = n_judged or None
    if n_judged:
        facts["likely_false"] = sum(bool(verdict) for verdict in verdicts)
    if core.posts is not None:
        facts["core_of_false_posts"] = _concentration(core.posts)
    if core.shares is not None:
        facts["core_of_false_shares"] = _concentration(core.shares)
        facts["most_shared_false"] = ", ".join(_name(asked, user) for user in core.accounts[:5])
    return facts


def _concentration(found: Any) -> str:
    tops = ", ".join(f"top {k}: {percent(share)}" for k, share in found.top.items())
    return f"{tops}; Gini {found.gini:.2f} among {found.n_parts:,} accounts"


def cascades(
    files: Files = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    k: Annotated[
        int, typer.Option("--time-to", min=1, help="Show the time to so many posts.")
    ] = 10,
    limit: Limit = 20,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List the cascades of a topic, largest first: size, shape and speed.

    A cascade is a post with what came through it: shares by the path that the platform names
    (Bluesky's via), else below the original, and replies. Times are from its first post.
    """
    output = output_of(as_json, as_csv)
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        forest = forest_of(asked.spread)
    shapes, time_to_k = measure_cascades(forest), time_to(forest, k)
    order = np.lexsort((np.arange(forest.n_trees), -shapes.size))[:limit]
    posts = {post.key: post for post in asked.spread.posts}
    rows = [
        {
            "root": shapes.top_ids[i],
            "author": _name(asked, posts[shapes.top_ids[i]].author),
            "text": asked.spread.contents[posts[shapes.top_ids[i]].root].text,
            "posts": int(shapes.size[i]),
            "accounts": int(shapes.n_users[i]),
            "depth": int(shapes.depth[i]),
            "breadth": int(shapes.breadth[i]),
            "structural_virality": round(float(shapes.structural_virality[i]), 4),
            "half_life_seconds": _known(shapes.half_life_seconds[i]),
            f"time_to_{k}_seconds": _known(time_to_k[i]),
            "duration_seconds": _known(shapes.duration_seconds[i]),
            "back_in_time": int(shapes.n_back_in_time[i]),
            "began_elsewhere": bool(shapes.is_cut[i]),
        }
        for i in order.tolist()
    ]
    columns = [
        Column("root", lambda row: row["root"]),
        Column("by", lambda row: shorten(row["author"], 20)),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
        Column("accounts", lambda row: number(row["accounts"]), is_number=True),
        Column("depth", lambda row: number(row["depth"]), is_number=True),
        Column("breadth", lambda row: number(row["breadth"]), is_number=True),
        Column("virality", lambda row: f"{row['structural_virality']:.2f}", is_number=True),
        Column("half after", lambda row: _duration(row["half_life_seconds"]), is_number=True),
        Column(f"{k} after", lambda row: _duration(row[f"time_to_{k}_seconds"]), is_number=True),
        Column("note", _cascade_note),
    ]
    show_rows(rows, output, columns, f"{asked.topic.describe()}: {forest.n_trees:,} cascades", "")
    if output is Output.table:
        notes.print(explain_depth(forest), markup=False)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 3)


def _duration(seconds: float | None) -> str:
    """A time as people say it.

    >>> _duration(90), _duration(7200), _duration(200000), _duration(None)
    ('90 s', '2.0 h', '2.3 d', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def _cascade_note(row: Any) -> str:
    said = ["began elsewhere"] if row["began_elsewhere"] else []
    said += [f"{row['back_in_time']} back in time"] if row["back_in_time"] else []
    return ", ".join(said)


_FINDERS = {"louvain": louvain, "leiden": leiden, "infomap": infomap}


def _find(network: UserNetwork, algorithm: str, seed: int) -> Communities:
    if algorithm not in _FINDERS:
        raise UsageError(f"--algorithm {algorithm!r} is unknown; there are {', '.join(_FINDERS)}")
    if algorithm == "infomap":
        return infomap(network, seed=seed, directed=False)
    return louvain(network, seed=seed) if algorithm == "louvain" else leiden(network, seed=seed)


def communities(
    files: Files = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    algorithm: Algorithm = "louvain",
    by: Annotated[
        str,
        typer.Option("--by", help="shares: who shares whom; co-shares: who shares the same posts."),
    ] = "shares",
    runs: Annotated[
        int, typer.Option("--runs", min=2, help="Seeded runs whose agreement is measured.")
    ] = 10,
    min_users: Annotated[
        int, typer.Option("--min-users", min=1, help="Leave out communities with fewer accounts.")
    ] = 5,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Show who shares each other, and how far it can be believed.

    Runs with other seeds tell which communities are in the network and which in the seed. A
    community that is one account with its audience is marked: it is fame, not a group.

    Accounts that share the same posts (--by co-shares) need not share each other, and whoever wrote
    these posts need not be known.
    """
    if by not in ("shares", "co-shares"):
        raise UsageError(f"--by {by!r} is no network; there are shares and co-shares")
    output = output_of(as_json, as_csv)
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        network = (
            user_network_of(asked.spread, asked.authors)
            if by == "shares"
            else co_share_network_of(asked.spread)
        )
    found = _find(network, algorithm, asked.seed)
    others = [_find(network, algorithm, asked.seed + 1 + run).membership for run in range(runs)]
    stability, stars = (
        assess_stability(found.membership, others),
        find_stars(network, found.membership),
    )
    sizes = np.bincount(found.membership, minlength=found.n_communities)
    inside = found.membership[network.source] == found.membership[network.target]
    n_inside = np.bincount(
        found.membership[network.source[inside]],
        weights=network.weight[inside],
        minlength=found.n_communities,
    )
    leading, rank = "most_shared", network.times_shared
    if by == "co-shares":
        leading, rank = "most_in_common", network.times_shared + network.shares_made
    rows = []
    for i in np.flatnonzero(sizes >= min_users).tolist():
        members = np.flatnonzero(found.membership == i)
        top = members[np.lexsort((members, -rank[members]))][:3]
        note = ""
        if stars.is_star[i]:
            note = "one account"
        elif stability.is_unstable[i]:
            note = "unstable"
        rows.append(
            {
                "community": i,
                "accounts": int(sizes[i]),
                "shares_inside": int(n_inside[i]),
                "found_again": round(float(stability.stability[i]), 4),
                "hub_share": _known(stars.hub_share[i]),
                "note": note,
                leading: [_name(asked, network.users[u]) for u in top.tolist()],
            }
        )
    columns = [
        Column("no.", lambda row: str(row["community"]), is_number=True),
        Column("accounts", lambda row: number(row["accounts"]), is_number=True),
        Column("shares inside", lambda row: number(row["shares_inside"]), is_number=True),
        Column("found again", lambda row: f"{row['found_again']:.2f}", is_number=True),
        Column("greatest hub", lambda row: percent(row["hub_share"]), is_number=True),
        Column("note", lambda row: row["note"]),
        Column(leading.replace("_", " "), lambda row: shorten(", ".join(row[leading]), 40)),
    ]
    quality = "–" if found.quality is None else f"{found.quality:.3f}"
    title = (
        f"{asked.topic.describe()} by {algorithm}: {number(network.n_users)} accounts, "
        f"{number(len(network.weight))} links, {number(found.n_communities)} communities, "
        f"{found.quality_name} {quality}\n{runs} runs agree to AMI {stability.mean_ami:.2f} "
        f"(1: all equal), variation of information {stability.mean_vi_bits:.2f} bits"
    )
    show_rows(rows, output, columns, title, "nobody shares anybody in these posts")


def hashtags(
    files: Files = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    traits: Annotated[
        bool, typer.Option("--traits", help="Show which traits of hashtags go with their shares.")
    ] = False,
    limit: Limit = 20,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Show which hashtags stand together; with --traits, whether their form goes with virality."""
    output = output_of(as_json, as_csv)
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        network = hashtag_network_of(asked.spread)
    if traits:
        n_shares = dict.fromkeys(network.tags, 0)
        for share in asked.spread.shares:
            for tag in asked.spread.contents[share.root].hashtags:
                n_shares[tag] += 1
        effects = relate_traits(
            [asked.written.get(tag, tag) for tag in network.tags],
            [n_shares[tag] for tag in network.tags],
        )
        columns = [
            Column("trait", lambda row: row["trait"]),
            Column("with", lambda row: number(row["n_with"]), is_number=True),
            Column("without", lambda row: number(row["n_without"]), is_number=True),
            Column("correlation", lambda row: f"{row['correlation']:+.2f}", is_number=True),
            Column("p", lambda row: f"{row['p_value']:.4f}", is_number=True),
            Column("p adjusted", lambda row: f"{row['p_adjusted']:.4f}", is_number=True),
        ]
        title = f"{asked.topic.describe()}: {len(network.tags):,} hashtags, traits against shares"
        rows = [vars(effect) for effect in effects]
        show_rows(rows, output, columns, title, "fewer than ten hashtags, or all alike")
        return
    order = np.lexsort((network.tag_b, network.tag_a, -network.weight))[:limit]
    rows = [
        {
            "hashtag_a": network.tags[network.tag_a[i]],
            "hashtag_b": network.tags[network.tag_b[i]],
            "posts": int(network.weight[i]),
        }
        for i in order.tolist()
    ]
    columns = [
        Column(
            "hashtag",
            lambda row: shorten("#" + asked.written.get(row["hashtag_a"], row["hashtag_a"]), 30),
        ),
        Column(
            "with",
            lambda row: shorten("#" + asked.written.get(row["hashtag_b"], row["hashtag_b"]), 30),
        ),
        Column("posts", lambda row: number(row["posts"]), is_number=True),
    ]
    title = (
        f"{asked.topic.describe()}: {len(network.tags):,} hashtags, {len(network.weight):,} pairs"
    )
    show_rows(rows, output, columns, title, "no two hashtags stand in the same post")


def coordination(
    files: Files = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    kind: Kind = "retweet",
    images: Images = None,
    window: Window = 60.0,
    draws: Annotated[
        int, typer.Option("--draws", min=1, help="Shuffles that tell the false alarms.")
    ] = 20,
    limit: Limit = 20,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Show groups of accounts that do the same at the same time more than chance explains.

    Chance keeps what every account acts on and when it begins, and draws anew how soon they act. A
    group may be a campaign, a newsroom or fans: look at what they did before you say so.

    Pictures are compared by their perceptual hash. They are looked for in a folder, under the last
    part of their address.
    """
    output = output_of(as_json, as_csv)
    rules = _rules(kind, window)
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        phashes = read_phashes(asked.spread, images) if kind == "image" else None
        actions = actions_of(asked.spread, kind, phashes)  # type: ignore[arg-type]  # by _rules
    network, groups, alarms = find_coordination(actions, rules, seed=asked.seed, n_draws=draws)
    rows = [
        {
            "group": place,
            "n_accounts": len(group.accounts),
            "links": group.n_edges,
            "mean_together": round(group.mean_weight, 2),
            "density": round(group.density, 4),
            "p_value": round(group.p_value, 4),
            "accounts": [_name(asked, user) for user in group.accounts],
        }
        for place, group in enumerate(groups[:limit])
    ]
    columns = [
        Column("no.", lambda row: str(row["group"]), is_number=True),
        Column("accounts", lambda row: number(row["n_accounts"]), is_number=True),
        Column("links", lambda row: number(row["links"]), is_number=True),
        Column("together", lambda row: f"{row['mean_together']:.1f} times", is_number=True),
        Column("density", lambda row: f"{row['density']:.2f}", is_number=True),
        Column("p", lambda row: f"{row['p_value']:.3f}", is_number=True),
        Column("who", lambda row: shorten(", ".join(row["accounts"]), 60)),
    ]
    title = (
        f"{asked.topic.describe()}: {number(len(actions.actor))} actions ({kind}) of "
        f"{number(len(actions.accounts))} accounts, {number(len(network.one))} pairs compared, "
        f"{number(int(network.is_significant.sum()))} significant\n"
        f"false alarms: a group in {percent(alarms.draws_with_alarm)} of {draws} shuffles, "
        f"{percent(alarms.account_rate)} of the accounts accused in each"
    )
    show_rows(rows, output, columns, title, f"{title}\nno group acts together beyond chance")


def _rules(kind: str, window: float) -> CoordinationRules:
    if kind not in _KINDS:
        raise UsageError(f"--kind {kind!r} is unknown; there are {', '.join(_KINDS)}")
    try:
        return CoordinationRules(window_seconds=window)
    except ValueError as error:
        raise UsageError(f"--window {window:g} cannot be: {error}") from None


def layout(
    output: Destination,
    files: Files = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    algorithm: Algorithm = "louvain",
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Draw the user network: a .svg picture, or a .json of nodes with places for sigma.

    Discs are accounts, greater the more they are shared, coloured by community. The same posts and
    seed give the same picture.
    """
    endings = {".svg": draw_table, ".json": None}
    if output.suffix not in endings:
        raise UsageError(f"--output {output} ends with neither .svg nor .json")
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        table = _users_table(asked, algorithm, with_layout=True)
    texts = [draw_table(table)] if output.suffix == ".svg" else FORMATS["json"][".json"](table)
    _write(output, texts)
    notes.print(
        f"wrote {output}: {table.n_nodes:,} accounts, {table.n_edges:,} links",
        markup=False,
        soft_wrap=True,
    )


def _users_table(asked: Asked, algorithm: str, *, with_layout: bool) -> GraphTable:
    network = user_network_of(asked.spread, asked.authors)
    found = _find(network, algorithm, asked.seed)
    places = None
    if with_layout:
        places = layout_network(
            network.source, network.target, network.weight, network.n_users, asked.seed
        )
    return table_of_users(asked.spread, asked.authors, network, asked.profiles, found, places)


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to; the format's ending is added.")
    ],
    files: Files = None,
    format: Annotated[
        str, typer.Option("--format", help="gexf, graphml, gml, json, csv or parquet.")
    ] = "gexf",
    network: Annotated[
        str, typer.Option("--network", help="users, propagation, hashtags or coordination.")
    ] = "users",
    pseudonymous: Annotated[
        bool,
        typer.Option(
            "--pseudonymous/--names", help="Accounts and posts as keyed hashes, or as they are."
        ),
    ] = True,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Key of these hashes, to match exports; default: a new one."),
    ] = None,
    hashtag: Hashtag = None,
    keywords: Keywords = None,
    headline: Headline = None,
    link: Link = None,
    root: Root = None,
    algorithm: Algorithm = "louvain",
    kind: Kind = "retweet",
    images: Images = None,
    window: Window = 60.0,
    with_layout: Annotated[
        bool, typer.Option("--layout/--no-layout", help="Compute where accounts stand.")
    ] = True,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Write a network for Gephi, igraph, networkx, sigma or a spreadsheet, with a manifest.

    Accounts and posts are keyed hashes, so that it can be handed on, unless --names is given. The
    manifest (.manifest.json) says what the network is: nodes, links, first and last date, the
    parameters of communities. GEXF carries times for Gephi's timeline.
    """
    if format not in (*FORMATS, "parquet"):
        raise UsageError(f"--format {format!r} is unknown; there are {', '.join(FORMATS)}, parquet")
    if network not in _NETWORKS:
        raise UsageError(f"--network {network!r} is unknown; there are {', '.join(_NETWORKS)}")
    rules = _rules(kind, window)
    with _asking(
        files, hashtag=hashtag, keywords=keywords, headline=headline, link=link, root=root,
        since=since, until=until, project=project, database=database,
    ) as asked:  # fmt: skip
        if network == "users":
            table = _users_table(asked, algorithm, with_layout=with_layout)
        elif network == "propagation":
            table = table_of_propagation(propagation_of(asked.spread), asked.spread)
        elif network == "hashtags":
            table = table_of_hashtags(hashtag_network_of(asked.spread))
        else:
            phashes = read_phashes(asked.spread, images) if kind == "image" else None
            actions = actions_of(asked.spread, kind, phashes)  # type: ignore[arg-type]  # by _rules
            table = table_of_coordination(find_network(actions, rules), asked.profiles, kind)
    if pseudonymous:
        table = pseudonymise(table, (key or secrets.token_hex(16)).encode()[:64])
    about = {**asked.about, **describe_table(table)}
    if pseudonymous:
        del about["topic"]
    written = _write_table(table, output, format)
    manifest = output.with_name(output.name + ".manifest.json")
    about["files"] = [path.name for path in written]
    _write(manifest, [json.dumps(about, ensure_ascii=False, indent=2, default=str) + "\n"])
    for path in (*written, manifest):
        notes.print(f"wrote {path}", markup=False, soft_wrap=True)


def _write_table(table: GraphTable, stem: Path, format: str) -> list[Path]:
    if format == "parquet":
        return _write_parquet(table, stem)
    written = []
    for ending, render in FORMATS[format].items():
        name = stem.name if stem.name.endswith(ending) else stem.name + ending
        path = stem.with_name(name)
        _write(path, render(table))
        written.append(path)
    return written


def _write_parquet(table: GraphTable, stem: Path) -> list[Path]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError(
            "Parquet needs pyarrow: pip install 'hoaxwatch[arrow]', or take --format csv"
        ) from None
    nodes = {"id": list(table.nodes), **table.node_columns}
    if table.positions is not None:
        nodes |= {"x": table.positions[:, 0].tolist(), "y": table.positions[:, 1].tolist()}
    ends = {
        name: [table.nodes[i] for i in places.tolist()]
        for name, places in (("source", table.source), ("target", table.target))
    }
    written = []
    for ending, columns in (
        (".nodes.parquet", nodes),
        (".edges.parquet", ends | dict(table.edge_columns)),
    ):
        path = stem.with_name(stem.name + ending)
        try:
            pyarrow.parquet.write_table(pyarrow.table(columns), path)
        except OSError as error:
            raise _cannot_write(path, error) from None
        written.append(path)
    return written


def _write(path: Path, texts: Any) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as out:
            out.writelines(texts)
    except OSError as error:
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> UsageError:
    return UsageError(f"cannot write {path}: {error.strerror}; give another place with --output")


def emerging(
    hashtag: Hashtag = None,
    limit: Limit = 20,
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """List clusters that grow and spread what is likely false: what to look at first.

    The score is growth x lower bound of the likely-false share x stability x coordination, each
    between 0 and 1 and shown beside it. It is no verdict on anybody. Where live sources were asked
    for the hashtag, `collected` is the part of the window, and of as much before it, that they gave
    whole: growth over less may be the collection's.
    """
    tag = options.parse_topic(hashtag) if hashtag else None
    settings = settings_of(project, database)
    start, end = parse_span(since, until, settings.timezone)
    with connected(settings) as connection:
        found = reads.read_emerging(connection, limit, tag, start, end)
        leaders = reads.read_leaders(connection, found)
        covered = read_covered(connection, sorted({row.hashtag for row in found}))
    rows = [
        row._asdict() | {"most_shared": who, "collected": _collected(row, covered)}
        for row, who in zip(found, leaders, strict=True)
    ]
    columns = [
        Column("score", lambda row: f"{row['emerging']:.2f}", is_number=True),
        Column("hashtag", lambda row: shorten(show_topic(row["hashtag"]), 20)),
        Column("lineage", lambda row: shorten(row["label"] or row["lineage"], 24)),
        Column("window (UTC)", lambda row: minute(row["window_start"])),
        Column("accounts", lambda row: number(row["n_users"]), is_number=True),
        Column("before", lambda row: number(row["n_before"]), is_number=True),
        Column("growth", lambda row: percent(row["growth"]), is_number=True),
        Column("false from", lambda row: percent(row["expected_low"]), is_number=True),
        Column("found again", lambda row: f"{row['stability']:.2f}", is_number=True),
        Column("coordinated", lambda row: number(row["n_coordinated"]), is_number=True),
        *(
            [Column("collected", lambda row: percent(row["collected"]), is_number=True)]
            if covered
            else []
        ),
        Column("most shared", lambda row: shorten(", ".join(row["most_shared"]), 30)),
    ]
    title = f"Clusters by emerging score (worth a look from {EMERGING_FROM})"
    show_rows(rows, output_of(as_json, as_csv), columns, title, "no cluster has a score yet")


def _collected(row: ClusterRow, covered: Mapping[str, list[Pulled]]) -> float | None:
    """Of a window and as much before it; None if no live source was asked for the hashtag."""
    pulls = covered.get(row.hashtag)
    if pulls is None:
        return None
    begin = row.window_start - (row.window_end - row.window_start)
    return round(collected_share(pulls, begin.timestamp(), row.window_end.timestamp()), 6)


_StoredAlgorithm = Annotated[str, typer.Option("--algorithm", help="louvain or infomap.")]


def events(
    hashtag: Annotated[str, typer.Option("--hashtag", "-t", help="Whose clusters.")],
    algorithm: _StoredAlgorithm = "louvain",
    since: options.Since = None,
    until: options.Until = None,
    project: options.Project = None,
    database: options.Database = None,
    as_json: options.Json = False,
    as_csv: options.Csv = False,
) -> None:
    """Show what happened to the clusters of a hashtag: born, grew, shrank, merged, split, died.

    A cluster keeps its name as long as enough of its accounts stay from window to window.
    """
    if algorithm not in ("louvain", "infomap"):
        raise UsageError(f"--algorithm {algorithm!r} is not stored; there are louvain and infomap")
    tag = options.parse_topic(hashtag)
    settings = settings_of(project, database)
    start, end = parse_span(since, until, settings.timezone)
    with connected(settings) as connection:
        found = reads.read_events(connection, tag, algorithm, start, end)
    columns = [
        Column("window (UTC)", lambda row: minute(row["window_start"])),
        Column("lineage", lambda row: shorten(row["label"] or row["lineage"], 30)),
        Column("what", lambda row: row["kind"]),
        Column("with", lambda row: row["other"] or ""),
        Column("before", lambda row: number(row["n_before"]), is_number=True),
        Column("after", lambda row: number(row["n_after"]), is_number=True),
    ]
    topic = show_topic(tag)
    empty = f"no cluster of {topic} is followed: hoaxwatch clusters -t {tag} shows what there is"
    show_rows(found, output_of(as_json, as_csv), columns, f"{topic} by {algorithm}", empty)


def label(
    lineage: Annotated[str, typer.Argument(help="Name of a lineage, or its beginning.")],
    text: Annotated[str, typer.Argument(help='What to call it; "" takes your label away.')],
    by: options.By = "me",
    project: options.Project = None,
    database: options.Database = None,
) -> None:
    """Give a cluster a name of your own. It stays with the cluster from window to window."""
    with connected(settings_of(project, database)) as connection:
        found = label_lineage(connection, lineage, text, by, datetime.now(UTC))
    if not found:
        raise UsageError(
            f"no lineage begins with {lineage}; posts that come late change names: "
            "hoaxwatch graph events -t HASHTAG lists those of now"
        )
    if len(found) > 1:
        raise UsageError(f"{len(found)} lineages begin with {lineage}: give more of its name")
    hashtag, algorithm, name = found[0]
    notes.print(
        f"{show_topic(hashtag)} {algorithm} {name}: {text or 'no label of yours any more'}",
        markup=False,
        soft_wrap=True,
    )


for _command in (
    *(build, communities, cascades, hashtags, coordination, layout, export),
    *(emerging, events, label),
):
    app.command()(_command)
