"""Who may ask the page for what, before any of it is computed.

The page names accounts and lets people decide, so it answers only who is meant: by default the
browser of this machine; elsewhere who knows the token, or whom a proxy has let in.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.errors import UsageError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
#: Fewer characters of a token could be tried out.
LEAST_TOKEN = 16
SESSION, PASS = "hoaxwatch_session", "hoaxwatch_pass"
#: Open without a token: the form that asks for it, and what it looks like.
OPEN_PATHS = ("/signin", "/static/")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # not no-referrer: with that browsers hide where a form comes from, and forms are looked at
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """By which names the page is called, and how people show that they may see it."""

    names: frozenset[str] = LOOPBACK_NAMES
    token: str | None = None
    #: Header in which a proxy says who asks.
    user_header: str | None = None
    #: Of this process: a form from before a restart is not taken.
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def form_token(self, session: str) -> str:
        """What a form of this session must send back."""
        return hmac.new(self.secret, session.encode(), sha256).hexdigest()

    def pass_value(self) -> str:
        """What the cookie of somebody who gave the token says; another token makes it void."""
        return hmac.new((self.token or "").encode(), b"hoaxwatch page", sha256).hexdigest()

    def is_token(self, given: str) -> bool:
        """Whether somebody gave the token."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())


def access_of(
    host: str, token: str | None, names: Iterable[str] = (), user_header: str | None = None
) -> Access:
    """How the page is guarded where it listens on `host`. Raises UsageError if that is not enough.

    >>> sorted(access_of("127.0.0.1", None).names)
    ['127.0.0.1', '::1', 'localhost']
    """
    if token is not None and len(token) < LEAST_TOKEN:
        raise UsageError(
            f"the token has {len(token)} characters; give at least {LEAST_TOKEN} that nobody"
            " guesses, as: openssl rand -hex 24"
        )
    if not is_loopback(host) and token is None and user_header is None:
        raise UsageError(
            f"others could reach the page on {host}: set HOAXWATCH_WEB_TOKEN (or --token), or let a"
            " proxy say who asks (setting web_user_header)"
        )
    own = {host.casefold()} if not _is_any_address(host) else set()
    known = LOOPBACK_NAMES | own | {name.casefold() for name in names}
    return Access(frozenset(known), token, user_header)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("me.org")
    (True, True, False, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def host_name(header: str) -> str | None:
    """The name in a Host header, without its port; None if it is none.

    >>> host_name("LocalHost:8400"), host_name("[::1]:8400"), host_name("a@b"), host_name("")
    ('localhost', '::1', None, None)
    """
    if not header or any(sign in header for sign in "/@?#\\ "):
        return None
    try:
        return urlsplit(f"//{header}").hostname
    except ValueError:
        return None


def is_own_form(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that a form was sent by a page of ours, or says nothing.

    >>> is_own_form({"host": "localhost:8400", "origin": "http://localhost:8400"})
    True
    >>> is_own_form({"host": "localhost:8400", "origin": "http://evil.example"})
    False
    """
    if headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def cookies_of(headers: Mapping[str, str]) -> dict[str, str]:
    """The cookies of a request.

    >>> cookies_of({"cookie": "a=1; b=2"})
    {'a': '1', 'b': '2'}
    """
    try:
        return {name: part.value for name, part in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def own_path(given: str) -> str:
    """Where to go after signing in: a path of ours, whatever was given.

    >>> own_path("/alerts?state=open"), own_path("//evil.example"), own_path("https://evil.example")
    ('/alerts?state=open', '/', '/')
    """
    is_own = given.startswith("/") and not given.startswith(("//", "/\\"))
    return given if is_own and given.isprintable() else "/"


class Guard:
    """Refuses what must not be answered, and adds the headers of every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refusal(scope)
        await (refused or self.app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if host_name(headers.get("host", "")) not in self.access.names:
            return PlainTextResponse(
                "this page is not called so; hoaxwatch serve --name NAME lets it be called NAME\n",
                421,
            )
        if "\0" in path or b"%00" in scope["query_string"]:
            return PlainTextResponse("no name has a null character\n", 400)
        if scope["method"] not in ("GET", "HEAD") and not is_own_form(headers):
            return PlainTextResponse("this form was not sent by a page of hoaxwatch\n", 403)
        if path.startswith(OPEN_PATHS) or self._may_see(headers):
            return None
        if path.startswith("/api/") or self.access.token is None:
            how = "Authorization: Bearer TOKEN" if self.access.token else "the proxy in front"
            return JSONResponse(
                {"detail": f"who asks is not known; wanted: {how}"},
                401,
                {"WWW-Authenticate": "Bearer"},
            )
        query = scope["query_string"].decode("latin-1")
        asked = quote(path + (f"?{query}" if query else ""), safe="")
        return RedirectResponse(f"/signin?next={asked}", 303)

    def _may_see(self, headers: Headers) -> bool:
        if self.access.user_header is not None and headers.get(self.access.user_header):
            return True
        if self.access.token is None:
            return self.access.user_header is None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.casefold() == "bearer" and self.access.is_token(given.strip()):
            return True
        cookie = cookies_of(headers).get(PASS, "")
        return hmac.compare_digest(cookie.encode(), self.access.pass_value().encode())
