"""The pages: one function per address. Each asks, shows, and knows no more."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from markupsafe import Markup
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from graph.followed import find_key
from hoaxwatch.commands.alerts import parse_length
from hoaxwatch.commands.ask import claim_line, cluster_note
from hoaxwatch.commands.options import parse_name, parse_span
from hoaxwatch.pictures import draw_tags, draw_users
from hoaxwatch.show import printable
from hoaxwatch.web import facts
from hoaxwatch.web.charts import standalone
from hoaxwatch.web.guard import PASS, own_path
from hoaxwatch.web.network import MOST_SHOWN, N_SHOWN
from hoaxwatch.web.site import WHO, Site, has_assets, link, page, read_form, site_of
from storage import alerts, labels, reads
from storage.labels import LABELS, Label
from streams import local
from streams.errors import UsageError

router = APIRouter(include_in_schema=False)

Tag = Annotated[str, Query(min_length=1, max_length=300)]
Name = Annotated[str, Query(min_length=3, max_length=600)]
# a browser sends every field of a form, also those that nobody filled in
_Filled = AfterValidator(lambda given: given or None)
Since = Annotated[str | None, Query(max_length=40), _Filled]
Until = Annotated[str | None, Query(max_length=40), _Filled]
Days = Annotated[int | None, Query(ge=1, le=3660)]
Grain = Annotated[Literal["hour", "day"] | None, Query()]
Algorithm = Annotated[Literal["louvain", "infomap"], Query()]
Id = Annotated[int, Query(ge=1, lt=2**63)]
Limit = Annotated[int, Query(ge=10, le=MOST_SHOWN)]

LONGEST_NOTE, LONGEST_WHO = 2000, 80
#: The latest so many alerts are on one page.
N_ALERTS = 200
#: A picture without scripts has room for so many accounts.
N_STATIC = 600


@router.get("/")
def overview(request: Request, days: Days = None) -> Response:
    """What is going on."""
    site = site_of(request)
    totals = site.counted(("totals", days), lambda c: facts.read_totals(c, days))
    with site.reading() as connection:
        shown = facts.read_overview(connection, days)
    told = totals.answer if totals else {}
    return page(
        request,
        "overview.html.jinja",
        note=cluster_note,
        days=days,
        totals=totals,
        **told,
        **shown,
    )


@router.get("/hashtag")
def hashtag(
    request: Request,
    tag: Tag,
    by: Grain = None,
    since: Since = None,
    until: Until = None,
    algorithm: Algorithm = "louvain",
) -> Response:
    """How a hashtag is used, by whom, and what of it is likely false."""
    site = site_of(request)
    shown = _hashtag(site, tag, by, since, until, algorithm)
    key, span = shown["hashtag"], shown.pop("span")
    counted = site.counted(
        ("hashtag", key, *span), lambda c: facts.read_hashtag_posts(c, key, *span)
    )
    told = counted.answer if counted else {"spread": None, "posts": ()}
    return page(
        request,
        "hashtag.html.jinja",
        since=since,
        until=until,
        note=cluster_note,
        counted=counted,
        **told,
        **shown,
    )


@router.get("/hashtag.svg")
def hashtag_curve(
    request: Request, tag: Tag, by: Grain = None, since: Since = None, until: Until = None
) -> Response:
    """Its curve as a file."""
    shown = _hashtag(site_of(request), tag, by, since, until, "louvain")
    return _svg(shown["curve"], f"{shown['hashtag']} by {shown['grain']}")


@router.get("/lineages.svg")
def lineages(
    request: Request,
    tag: Tag,
    since: Since = None,
    until: Until = None,
    algorithm: Algorithm = "louvain",
) -> Response:
    """Its clusters over time as a file."""
    shown = _hashtag(site_of(request), tag, None, since, until, algorithm)
    return _svg(shown["lineages"], f"{shown['hashtag']} clusters")


@router.get("/network")
def network(
    request: Request,
    tag: Annotated[str | None, Query(max_length=300)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = N_SHOWN,
) -> Response:
    """Who shares whom: drawn by the browser, or as a still picture where nothing was built."""
    site = site_of(request)
    key = find_key(tag) if tag else None
    start, end = span_of(site, since, until)
    counted = None
    if not has_assets():
        counted = site.counted(
            ("still", key, start, end),
            lambda c: site.layouts.plan(
                reads.read_links(c, key, start, end), N_STATIC, site.settings.seed
            ),
        )
    with site.reading() as connection:
        written = reads.read_display_forms(connection, [key]).get(key, key) if key else None
    return page(
        request,
        "network.html.jinja",
        hashtag=key,
        written=written,
        since=since,
        until=until,
        limit=limit,
        counted=counted,
        users=counted and counted.answer,
        still=counted and draw_users(counted.answer, "community"),
    )


@router.get("/hashtags")
def hashtags(request: Request, since: Since = None, until: Until = None) -> Response:
    """Which hashtags stand together."""
    site = site_of(request)
    start, end = span_of(site, since, until)
    with site.reading() as connection:
        shown = facts.read_tag_network(connection, site.layouts, start, end, site.settings.seed)
    drawn = draw_tags(shown["tags"])
    return page(request, "hashtags.html.jinja", since=since, until=until, drawn=drawn, **shown)


@router.get("/hashtags.svg")
def hashtags_picture(request: Request, since: Since = None, until: Until = None) -> Response:
    """The same as a file."""
    site = site_of(request)
    start, end = span_of(site, since, until)
    with site.reading() as connection:
        shown = facts.read_tag_network(connection, site.layouts, start, end, site.settings.seed)
    return _svg(draw_tags(shown["tags"]), "hashtags")


@router.get("/post")
def post(request: Request, name: Name) -> Response:
    """The evidence card of a post."""
    site = site_of(request)
    platform, post_id = parse_name(name)
    with site.reading() as connection:
        found = facts.read_post(connection, platform, post_id)
    found["evidence"] = site.explain(found)
    return page(
        request, "post.html.jinja", name=name, post=found, claim_line=claim_line, choices=LABELS
    )


@router.post("/post")
async def label_post(request: Request, name: Name) -> Response:
    """What somebody says of it: stored, and counted before the page is shown again."""
    site = site_of(request)
    platform, post_id = parse_name(name)
    form = await read_form(request)
    label, who = form.get("label", ""), _who(request, form)
    if label not in (*LABELS, "none"):
        raise UsageError(f"a label is one of {', '.join(LABELS)}")
    note = form.get("note", "").strip()[:LONGEST_NOTE] or None

    def store() -> None:
        with site.writing() as connection:
            if label == "none":
                changed = labels.remove_label(connection, platform, post_id, who)
            else:
                given = [Label(platform, post_id, label, note)]
                stored = labels.add_labels(connection, given, who, facts.utc_now())
                if stored.unknown:
                    raise facts.NotThere(f"no post {name} is stored in this project")
                changed = bool(stored.n_changed)
        if changed:
            local.count_again(site.dsn, site.settings)
            site.count_anew()

    await run_in_threadpool(store)
    return _back(request, link("/post", name=name) + "#labels", who)


@router.get("/account")
def account(request: Request, name: Name) -> Response:
    """An account and what it posted."""
    platform, author_id = parse_name(name)
    with site_of(request).reading() as connection:
        found = facts.read_account(connection, platform, author_id)
    return page(request, "account.html.jinja", name=name, account=found)


@router.get("/alerts")
def alert_inbox(
    request: Request, state: Annotated[str | None, Query(max_length=20)] = None
) -> Response:
    """What people are told: what goes on, or all of one state."""
    if state not in (None, "all", *facts.ALERT_STATES):
        raise UsageError(f"there are alerts that are {', '.join(facts.ALERT_STATES)}")
    wanted = facts.GOING_ON if state is None else None if state == "all" else (state,)
    with site_of(request).reading() as connection:
        rows = alerts.read_alerts(connection, wanted, None, N_ALERTS + 1)
    return page(
        request,
        "alerts.html.jinja",
        rows=rows[:N_ALERTS],
        n_most=N_ALERTS if len(rows) > N_ALERTS else None,
        state=state,
        wanted=wanted,
        states=(*facts.ALERT_STATES, "all"),
    )


@router.get("/alert")
def alert(request: Request, id: Id) -> Response:
    """One alert with its evidence."""
    with site_of(request).reading() as connection:
        found = facts.read_alert(connection, id)
    return page(request, "alert.html.jinja", alert=found)


@router.post("/alert")
async def decide(request: Request, id: Id) -> Response:
    """What somebody decides about it."""
    site = site_of(request)
    form = await read_form(request)
    who, now, what = _who(request, form), facts.utc_now(), form.get("what")
    length = parse_length(form.get("for") or "12h") if what == "mute" else timedelta(0)

    def store() -> bool:
        with site.writing() as connection:
            if what == "acknowledge":
                return alerts.acknowledge(connection, id, who, now)
            if what == "resolve":
                return alerts.resolve(connection, id, who, now)
            if what == "mute":
                return alerts.mute(connection, id, who, now + length)
            raise UsageError("an alert is acknowledged, muted or resolved")

    if not await run_in_threadpool(store):
        raise facts.NotThere(f"there is no alert {id}")
    return _back(request, own_path(form.get("next", link("/alert", id=id))), who)


@router.get("/system")
def system(request: Request) -> Response:
    """How the pipeline does."""
    site = site_of(request)
    with site.reading() as connection:
        shown = facts.read_system(connection, facts.utc_now())
    stored = site.counted("stored", facts.read_stored)
    return page(request, "system.html.jinja", stored=stored, **shown)


@router.get("/search")
def search(request: Request, q: Annotated[str, Query(max_length=600)] = "") -> Response:
    """Goes to what a text names; a choice if that is several things."""
    text = q.strip()
    with site_of(request).reading() as connection:
        found = reads.find_names(connection, text) if text else []
    places = [(kind, name, _address(kind, name)) for kind, name in found]
    if len(places) == 1:
        return RedirectResponse(places[0][2], 303)
    return page(request, "search.html.jinja", asked=text, places=places)


@router.get("/about-the-api")
def about_the_api(request: Request) -> Response:
    """What programs can ask, as the OpenAPI says it."""
    return page(request, "api.html.jinja", paths=request.app.openapi()["paths"])


@router.get("/signin")
def sign_in_form(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    """Asks for the token."""
    return page(request, "signin.html.jinja", next=own_path(next), is_wrong=False)


@router.post("/signin")
async def sign_in(request: Request) -> Response:
    """Takes the token, and lets the browser keep what shows that it was right."""
    site = site_of(request)
    form = await read_form(request)
    to = own_path(form.get("next", "/"))
    if not site.access.is_token(form.get("token", "")):
        return page(request, "signin.html.jinja", 401, next=to, is_wrong=True)
    answer = RedirectResponse(to, 303)
    answer.set_cookie(
        PASS,
        site.access.pass_value(),
        httponly=True,
        samesite="lax",
        max_age=30 * 24 * 3600,
        secure=request.url.scheme == "https",
    )
    return answer


def span_of(site: Site, since: str | None, until: str | None) -> reads.Period:
    """The period that is asked for, in the hours by which tables count: so what is counted from
    posts and what stands in tables is of the same time."""
    return reads.whole_hours(*parse_span(since, until, site.settings.timezone))


def _hashtag(
    site: Site, tag: str, by: str | None, since: str | None, until: str | None, algorithm: str
) -> dict[str, Any]:
    key, zone = find_key(tag), site.settings.timezone
    asked = parse_span(since, until, zone)
    with site.reading() as connection:
        return facts.read_hashtag(connection, key, by, zone, *asked, algorithm) | {
            "span": reads.whole_hours(*asked)
        }


def _address(kind: str, name: str) -> str:
    return link(f"/{kind}", tag=name) if kind == "hashtag" else link(f"/{kind}", name=name)


def _svg(drawn: Markup, name: str) -> Response:
    kept = "".join(c if c.isascii() and (c.isalnum() or c in " -_") else "_" for c in name)
    headers = {
        "Content-Disposition": f'inline; filename="{kept}.svg"',
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }
    return Response(standalone(drawn), media_type="image/svg+xml", headers=headers)


def _who(request: Request, form: dict[str, str]) -> str:
    """Who decides: whom the proxy names, else what is written in the form."""
    header = site_of(request).access.user_header
    who = (header and request.headers.get(header)) or form.get("who", "")
    who = who.strip()
    is_line = printable(who) == who and not {"\t", "\n"} & set(who)
    if not 0 < len(who) <= LONGEST_WHO or not is_line:
        raise HTTPException(400, f"say who you are, in at most {LONGEST_WHO} characters")
    return who


def _back(request: Request, to: str, who: str) -> Response:
    """The page after a form, so that reloading it sends nothing twice."""
    answer = RedirectResponse(to, 303)
    if who.isascii() and ";" not in who:  # what a cookie can hold
        answer.set_cookie(WHO, who, httponly=True, samesite="lax", max_age=365 * 24 * 3600)
    return answer
