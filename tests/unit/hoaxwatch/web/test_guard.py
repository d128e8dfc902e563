"""Who may see the page, decided without a server."""

from __future__ import annotations

import pytest

from hoaxwatch.web.guard import Access, access_of, host_name, is_own_form, own_path
from streams.errors import UsageError

TOKEN = "a-token-of-24-characters"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.5", "page.example"])
def test_others_reach_it_only_with_a_token_or_behind_a_proxy(host: str) -> None:
    with pytest.raises(UsageError, match="HOAXWATCH_WEB_TOKEN"):
        access_of(host, None)
    assert access_of(host, TOKEN).token == TOKEN
    assert access_of(host, None, user_header="X-Forwarded-User").user_header


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    assert access_of(host, None).token is None


def test_a_short_token_is_refused() -> None:
    with pytest.raises(UsageError, match="at least 16"):
        access_of("127.0.0.1", "short")


def test_names() -> None:
    assert "page.example" in access_of("0.0.0.0", TOKEN, ["Page.Example"]).names
    assert "0.0.0.0" not in access_of("0.0.0.0", TOKEN).names
    assert "10.0.0.5" in access_of("10.0.0.5", TOKEN).names


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:8400", "127.0.0.1"),
        ("LOCALHOST", "localhost"),
        ("[::1]:80", "::1"),
        ("evil.example", "evil.example"),
        ("localhost@evil.example", None),
        ("localhost/evil", None),
        ("[::1", None),
        ("", None),
    ],
)
def test_host_names(header: str, name: str | None) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://localhost:8400"}, True),
        ({"origin": "http://localhost:9999"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_where_a_form_comes_from(headers: dict[str, str], is_ours: bool) -> None:
    assert is_own_form({"host": "localhost:8400"} | headers) == is_ours


@pytest.mark.parametrize(
    "given",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "evil",
        "/a\nb",
        "/\t/evil.example",
        "",
    ],
)
def test_after_signing_in_one_stays_here(given: str) -> None:
    assert own_path(given) == "/"


def test_a_word_of_a_form_is_of_one_session_and_process() -> None:
    access = Access()
    assert access.form_token("a") == access.form_token("a")
    assert len({access.form_token("a"), access.form_token("b"), Access().form_token("a")}) == 3


def test_the_pass_is_not_the_token_and_ends_with_it() -> None:
    assert TOKEN not in Access(token=TOKEN).pass_value()
    assert Access(token=TOKEN).pass_value() == Access(token=TOKEN).pass_value()
    assert Access(token=TOKEN).pass_value() != Access(token=TOKEN + "x").pass_value()
