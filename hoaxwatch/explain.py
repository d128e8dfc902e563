"""Why a post was judged as it was: what weighed most for each detector, in words and as a picture.

What weighed is measured in one of three ways, and each explanation says which. Nothing here says
that a post is false: it says what a detector looked at.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from PIL import Image

from detectors.detector import Detector, DetectorUnusable, Explains
from detectors.posts import ReadsPosts, SeenPicture
from hoaxwatch.evidence import detector_of
from hoaxwatch.show import in_xml, percent, shorten
from storage import reads
from storage.database import Connection
from storage.whole_posts import read_content, read_verdicts
from streams.judging import OfPosts, judging_of
from streams.settings import Settings

#: Contributions to the logit by detector; of any other, what leaving it out changes.
METHODS = {"tfidf": "exact: what each word adds to the logit"}
LEFT_OUT = "occlusion: how far the logit falls without it"
STORED = "as stored with the verdict"
#: Features that are shown of each detector.
SHOWN = 12

Json = dict[str, Any]


class Explained(NamedTuple):
    """facts: in plain values, for --json. picture: the one that was looked at. weighed: what did
    for the detector that looked, its places among it."""

    facts: Json
    picture: SeenPicture | None
    weighed: Sequence[Sequence[Any]]


def explain(connection: Connection, settings: Settings, post_id: str) -> list[Explained]:
    """Everything that is known about why this post (of each platform that has the id) was judged
    as it was. Only the very detector and version that judged explains anew: of others, what was
    stored is shown."""
    found = []
    judge: Detector | None = None
    problem = None
    for post in reads.read_trace(connection, post_id):
        key = post["platform"], post["root_id"]
        verdicts = read_verdicts(connection, *key)
        picture = None
        if judge is None and any(v["detector"] == settings.detector for v in verdicts):
            try:
                judge = detector_of(settings)
            except DetectorUnusable as error:
                problem = str(error)
        explained = []
        of_judge: Sequence[Sequence[Any]] = ()
        for verdict in verdicts:
            is_own = judge is not None and (judge.name, judge.version) == (
                verdict["detector"],
                verdict["version"],
            )
            weighed: Sequence[Any] = ()
            if judge is not None and is_own and verdict["score"] is not None:
                weighed, picture = _asked(connection, settings, judge, key)
            method = METHODS.get(verdict["detector"]) or (LEFT_OUT if weighed else STORED)
            weighed = [list(one) for one in weighed or verdict["evidence"] or ()]
            explained.append({**verdict, "method": method, "weighed": weighed})
            if is_own:
                of_judge = weighed
        facts = {
            "platform": post["platform"],
            "post_id": post["post_id"],
            "root_id": post["root_id"],
            "text": post["text"],
            "hashtags": post["hashtags"],
            "verdicts": [_without(one, "evidence") for one in explained],
            "cascade": [_without(one, "seen_until") for one in post["cascade_verdicts"]],
            "combined": post["combined_score"],
            "claims": post["claims"],
            "problem": problem,
        }
        found.append(Explained(facts, picture, of_judge))
    return found


def _without(row: Mapping[str, Any], name: str) -> Json:
    return {key: value for key, value in row.items() if key != name}


def _asked(
    connection: Connection, settings: Settings, judge: Detector, key: tuple[str, str]
) -> tuple[tuple[tuple[str, float], ...], SeenPicture | None]:
    """What weighed most as the detector itself says it now, and the picture that it saw."""
    content = read_content(connection, *key)
    if isinstance(judge, ReadsPosts):
        judging = judging_of(judge, settings)
        assert isinstance(judging, OfPosts)
        post = judging.look(connection, content)
        return judge.explain_post(post), post.picture
    return (judge.explain(content), None) if isinstance(judge, Explains) else ((), None)


def lines_of(facts: Json) -> list[str]:
    """An explanation for a terminal."""
    lines = [f"{facts['platform']}:{facts['post_id']}  {shorten(facts['text'], 100)}"]
    for verdict in facts["verdicts"]:
        lines += _verdict_lines(verdict)
    if not facts["verdicts"]:
        lines.append("  no detector has judged it: hoaxwatch run")
    for verdict in facts["cascade"]:
        said = percent(verdict["score"]) if verdict["score"] is not None else verdict["reason"]
        lines.append(
            f"  how it spreads ({verdict['detector']} {verdict['version']}), "
            f"{verdict['checkpoint']}: {said}"
        )
        lines += _weights(verdict["evidence"] or ())
    if combined := facts["combined"]:
        said = percent(combined["score"]) if combined["reason"] is None else combined["reason"]
        lines.append(f"  combined (fusion {combined['fusion']}): {said}")
        lines += _weights([(part["name"], part["contribution"]) for part in combined["used"]])
    lines += [
        f"  repeats what was checked: {claim['publisher'] or 'unknown'}, "
        f"{claim['rating'] or 'no rating'}, {claim['label']} (likeness {claim['cosine']:.2f})"
        for claim in facts["claims"]
    ]
    if facts["problem"]:
        lines.append(f"  only what was stored is shown: {facts['problem']}")
    return lines


def _verdict_lines(verdict: Json) -> list[str]:
    said = percent(verdict["score"]) if verdict["score"] is not None else verdict["reason"]
    counts = "  [this one counts]" if verdict["counts"] else ""
    lines = [f"  {verdict['detector']} {verdict['version']}: {said}{counts}"]
    if parts := verdict["parts"]:
        lines.append(f"    voices: {', '.join(parts['used']) or 'none'}")
        lines += [f"    no {name}: {why}" for name, why in sorted(parts["missing"].items())]
        if parts.get("attention"):
            weights = ", ".join(f"{name} {100 * w:.0f} %" for name, w in parts["attention"])
            lines.append(f"    attention: {weights}")
    if verdict["weighed"]:
        lines.append(f"    weighed most ({verdict['method']}):")
        lines += _weights(verdict["weighed"][:SHOWN])
    return lines


def _weights(weighed: Sequence[Sequence[Any]]) -> list[str]:
    return [f"      {weight:+.2f}  {feature}" for feature, weight in weighed]


# The picture

_WIDTH, _SIDE, _ROW, _NAME, _MIDDLE, _BAR = 760, 300, 22, 280, 520, 220
_FALSE, _TRUE, _INK, _PALE = "#b3361f", "#2f6fb0", "#1f2933", "#c9d2dc"


def draw(explained: Explained) -> Markup:
    """The explanation as SVG: the picture with its places, and a bar for each thing that weighed.

    Red speaks for likely false, blue against. What strangers wrote is escaped.
    """
    facts = explained.facts
    parts: list[str] = []
    y = 34
    parts.append(_text(16, y, f"{facts['platform']}:{facts['post_id']}", "bold"))
    y += _ROW
    parts.append(_text(16, y, shorten(facts["text"], 95)))
    y += _ROW
    if explained.picture is not None and explained.picture.pixels is not None:
        drawn, height = _picture(explained.picture, explained.weighed)
        parts.append(f'<g transform="translate(16 {y})">{drawn}</g>')
        y += height + _ROW
    for verdict in facts["verdicts"]:
        y += 12
        said = percent(verdict["score"]) if verdict["score"] is not None else verdict["reason"]
        parts.append(_text(16, y, f"{verdict['detector']} {verdict['version']}: {said}", "bold"))
        y += _ROW
        lines = _verdict_lines({**verdict, "weighed": ()})[1:]
        for line in (*lines, f"weighed ({verdict['method']})" if verdict["weighed"] else ""):
            if line.strip():
                parts.append(_text(16, y, shorten(line.strip(), 105)))
                y += _ROW
        strongest = max((abs(w) for _, w in verdict["weighed"]), default=0.0) or 1.0
        for feature, weight in verdict["weighed"][:SHOWN]:
            length = _BAR * abs(weight) / strongest
            left = _MIDDLE if weight >= 0 else _MIDDLE - length
            colour = _FALSE if weight >= 0 else _TRUE
            parts.append(
                f'<rect x="{left:.1f}" y="{y - 13}" width="{length:.1f}" height="15" '
                f'fill="{colour}"/>{_text(16, y, shorten(feature, 36))}'
                f"{_text(_NAME - 55, y, f'{weight:+.2f}')}"
            )
            y += _ROW
    what = f"why {facts['platform']}:{facts['post_id']} was judged as it was"
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" '
        f'height="{y}" role="img" aria-label="{in_xml(what)}" font-family="sans-serif" '
        f'font-size="13" fill="{_INK}"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


#: A place and no pair of words: four shares of the sides.
_PLACE = re.compile(r"place (\d(?:\.\d+)?(?:,\d(?:\.\d+)?){3})")


def _picture(seen: SeenPicture, weighed: Sequence[Sequence[Any]]) -> tuple[str, int]:
    """The picture at a height of its own, with the places that weighed, and that height."""
    assert seen.pixels is not None
    image = Image.fromarray(np.ascontiguousarray(seen.pixels))
    image.thumbnail((2 * _SIDE, _SIDE))
    file = BytesIO()
    image.save(file, "JPEG", quality=80)
    width, height = image.size
    data = b64encode(file.getvalue()).decode()
    places = [(found[1], w) for f, w in weighed if (found := _PLACE.fullmatch(f))]
    strongest = max((abs(w) for _, w in places), default=0.0) or 1.0
    boxes = []
    for place, weight in places:
        left, top, right, bottom = (float(share) for share in place.split(","))
        boxes.append(
            f'<rect x="{left * width:.1f}" y="{top * height:.1f}" '
            f'width="{(right - left) * width:.1f}" height="{(bottom - top) * height:.1f}" '
            f'fill="{_FALSE if weight >= 0 else _TRUE}" '
            f'fill-opacity="{0.15 + 0.4 * abs(weight) / strongest:.2f}" stroke="#fff"/>'
        )
    drawn = (
        f'<image width="{width}" height="{height}" href="data:image/jpeg;base64,{data}"/>'
        f"{''.join(boxes)}"
    )
    return drawn, height


def _text(x: int, y: int, words: str, weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}">{in_xml(words)}</text>'


def page(pictures: Sequence[Markup]) -> Markup:
    """The pictures as one HTML page."""
    return Markup(
        '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>hoaxwatch explain</title>'
        f"<body>{''.join(pictures)}</body></html>\n"
    )
