"""What programs can ask: the same answers as JSON, CSV or Parquet, described by an OpenAPI."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping, Sequence
from email.utils import format_datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from graph.followed import find_key
from hoaxwatch.api import Rows
from hoaxwatch.commands.options import parse_name, parse_span
from hoaxwatch.show import as_mapping, plain, write_csv
from hoaxwatch.web import facts
from hoaxwatch.web.network import N_SHOWN
from hoaxwatch.web.pages import Algorithm, Id, Limit, Name, Since, Tag, Until, span_of
from hoaxwatch.web.site import site_of
from storage import alerts, labels, reads
from storage.database import Connection

router = APIRouter(prefix="/api")

Format = Annotated[
    Literal["json", "csv", "parquet"], Query(description="Parquet needs pyarrow on the server.")
]
Most = Annotated[int, Query(ge=1, le=10_000, description="Rows.")]
AnyTag = Annotated[str | None, Query(max_length=300, description="One hashtag; none: of all.")]
_SHAPES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Rows, in order; times are UTC, unknown is null.",
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    },
    400: {"description": "What was asked for cannot be; detail says why."},
    404: {"description": "It is not stored."},
}
_ONE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}},
    400: _SHAPES[400],
    404: _SHAPES[404],
}
_COUNTED: dict[int | str, dict[str, Any]] = {
    **_ONE,
    202: {
        "description": "It goes through many posts and is being counted: ask again after"
        " Retry-After. The answer's Last-Modified says when it was counted.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
}
#: Whoever asks for what is being counted asks again after so long.
RETRY_SECONDS = 1


def _answer(rows: Sequence[Any], format: str, name: str) -> Response:
    found = [as_mapping(row) for row in rows]
    if format == "json":
        return _json(found)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{format}"'}
    if format == "csv":
        text = io.StringIO()
        write_csv(found, text)
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)
    table = Rows([_flat(row) for row in found]).to_arrow()
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(table, file)
    return Response(file.getvalue(), media_type="application/vnd.apache.parquet", headers=headers)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values as JSON text: their shape differs from row to row."""
    return {
        name: json.dumps(value, default=plain) if isinstance(value, list | dict | tuple) else value
        for name, value in row.items()
    }


def _as_json(value: Any) -> bytes:
    text = json.dumps(value, default=plain, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(_as_json(value), status, headers, media_type="application/json")


@router.get("/hashtags", responses=_SHAPES)
def hashtags(
    request: Request,
    limit: Most = 100,
    since: Since = None,
    until: Until = None,
    rising: bool = False,
    format: Format = "json",
) -> Response:
    """Hashtags with most posts, or with the greatest rise: `hoaxwatch trends`."""
    site = site_of(request)
    start, end = span_of(site, since, until)
    with site.reading() as connection:
        rows = reads.read_hashtags(connection, limit, start, end, rising=rising)
    return _answer(rows, format, "hashtags")


@router.get("/trends", responses=_SHAPES)
def trends(
    request: Request,
    tag: Tag,
    by: Literal["hour", "day"] = "day",
    since: Since = None,
    until: Until = None,
    format: Format = "json",
) -> Response:
    """One hashtag by hour or day: `hoaxwatch trends --hashtag`."""
    site = site_of(request)
    zone = site.settings.timezone
    start, end = parse_span(since, until, zone)
    with site.reading() as connection:
        rows = facts.read_buckets(connection, find_key(tag), by, zone, start, end)
    return _answer(rows, format, "trends")


@router.get("/pairs", responses=_SHAPES)
def pairs(
    request: Request,
    tag: AnyTag = None,
    since: Since = None,
    until: Until = None,
    limit: Most = 1000,
    format: Format = "json",
) -> Response:
    """Hashtags that stand in the same posts, over the whole days (UTC) that the period touches."""
    site = site_of(request)
    start, end = span_of(site, since, until)
    with site.reading() as connection:
        key = find_key(tag) if tag else None
        rows = reads.read_pairs(connection, key, start, end, limit)
    return _answer(rows, format, "pairs")


@router.get("/posts", responses=_SHAPES)
def posts(
    request: Request,
    tag: AnyTag = None,
    since: Since = None,
    until: Until = None,
    limit: Most = 100,
    format: Format = "json",
) -> Response:
    """The most shared contents with their verdicts."""
    site = site_of(request)
    start, end = span_of(site, since, until)
    with site.reading() as connection:
        rows = reads.read_top_posts(
            connection, limit, hashtag=find_key(tag) if tag else None, since=start, until=end
        )
    return _answer(rows, format, "posts")


@router.get("/clusters", responses=_SHAPES)
def clusters(
    request: Request,
    tag: Tag,
    algorithm: Algorithm = "louvain",
    since: Since = None,
    until: Until = None,
    format: Format = "json",
) -> Response:
    """Clusters of accounts, in each window that the period touches: `hoaxwatch clusters`."""
    site = site_of(request)
    period = span_of(site, since, until)
    with site.reading() as connection:
        rows = facts.read_clusters(connection, find_key(tag), algorithm, period)
    return _answer(rows, format, "clusters")


@router.get("/events", responses=_SHAPES)
def events(
    request: Request, tag: Tag, algorithm: Algorithm = "louvain", format: Format = "json"
) -> Response:
    """What happened to clusters: born, grew, shrank, merged, split, died."""
    with site_of(request).reading() as connection:
        rows = reads.read_events(connection, find_key(tag), algorithm)
    return _answer(rows, format, "events")


@router.get("/emerging", responses=_SHAPES)
def emerging(
    request: Request,
    tag: AnyTag = None,
    since: Since = None,
    until: Until = None,
    limit: Most = 100,
    format: Format = "json",
) -> Response:
    """Clusters to look at first, of windows that begin in the period: `graph emerging`."""
    site = site_of(request)
    period = span_of(site, since, until)
    with site.reading() as connection:
        rows = reads.read_emerging(connection, limit, find_key(tag) if tag else None, *period)
    return _answer(rows, format, "emerging")


@router.get("/alerts", responses=_SHAPES)
def alert_list(
    request: Request,
    state: Annotated[
        list[Literal["open", "acknowledged", "muted", "resolved", "withdrawn"]] | None,
        Query(description="One or several; none: all."),
    ] = None,
    limit: Most = 200,
    format: Format = "json",
) -> Response:
    """Alerts, the latest first: `hoaxwatch alerts list --all`."""
    with site_of(request).reading() as connection:
        rows = alerts.read_alerts(connection, state, None, limit)
    return _answer(rows, format, "alerts")


@router.get("/labels", responses=_SHAPES)
def label_list(request: Request, format: Format = "json") -> Response:
    """What people said of posts: `hoaxwatch labels list`."""
    with site_of(request).reading() as connection:
        rows = labels.read_labels(connection)
    return _answer(rows, format, "labels")


@router.get("/account-posts", responses=_SHAPES)
def account_posts(
    request: Request, name: Name, limit: Most = 100, format: Format = "json"
) -> Response:
    """The latest posts of an account, named platform:id."""
    platform, author_id = parse_name(name)
    with site_of(request).reading() as connection:
        rows = reads.read_account_posts(connection, platform, author_id, limit)
    return _answer(rows, format, "account-posts")


@router.get("/runs", responses=_SHAPES)
def runs(request: Request, limit: Most = 20, format: Format = "json") -> Response:
    """The latest runs with their manifests."""
    with site_of(request).reading() as connection:
        rows = reads.read_runs(connection, limit)
    return _answer(rows, format, "runs")


@router.get("/quarantine", responses=_SHAPES)
def quarantine(request: Request, limit: Most = 100, format: Format = "json") -> Response:
    """Why records were put aside, and how many."""
    with site_of(request).reading() as connection:
        rows = reads.read_quarantine(connection, limit)
    return _answer(rows, format, "quarantine")


@router.get("/post", responses=_ONE)
def post(request: Request, name: Name) -> Response:
    """The path of a post, named platform:id: `hoaxwatch trace`."""
    site = site_of(request)
    platform, post_id = parse_name(name)
    with site.reading() as connection:
        found = facts.read_post(connection, platform, post_id)
    return _json(found | {"evidence": site.explain(found)})


@router.get("/alert", responses=_ONE)
def alert(request: Request, id: Id) -> Response:
    """One alert with its evidence, and where it was sent: `hoaxwatch alerts show`."""
    with site_of(request).reading() as connection:
        return _json(facts.read_alert(connection, id))


@router.get("/network", responses=_COUNTED)
def network(
    request: Request,
    tag: AnyTag = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = N_SHOWN,
) -> Response:
    """Who shares whom, laid out in [-1, 1] x [-1, 1], as columns: the accounts that take part in
    most shares, their communities, likely-false shares and coordination, and when links began."""
    site = site_of(request)
    key = find_key(tag) if tag else None
    start, end = span_of(site, since, until)

    def ask(connection: Connection) -> bytes:
        seed = site.settings.seed
        found = facts.read_network(connection, site.layouts, key, start, end, limit, seed)
        return gzip.compress(_as_json(found), 4)

    counted = site.counted(("network", key, start, end, limit), ask)
    if counted is None:
        waits = {"detail": "being counted from the posts: ask again"}
        return _json(waits, status=202, headers={"Retry-After": str(RETRY_SECONDS)})
    body, headers = counted.answer, {"Last-Modified": format_datetime(counted.at, usegmt=True)}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
    else:
        body = gzip.decompress(body)
    return Response(body, media_type="application/json", headers=headers)
