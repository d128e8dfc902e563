"""The pages as people use them, in a real browser that reaches nothing but this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from hoaxwatch.web.app import build_app
from hoaxwatch.web.guard import Access
from hoaxwatch.web.listening import listen, shown_address
from hoaxwatch.web.site import has_assets
from tests.house.repository import ROOT
from tests.paged import XSS, Project, named, small_project

if TYPE_CHECKING:
    from tests.conftest import Server

#: Software draws the network where there is no graphics card.
OPTIONS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no program chromium (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def built() -> None:
    if not has_assets():
        if shutil.which("npm") is None:
            pytest.skip("no program npm (Debian: apt install nodejs npm) to build the network with")
        subprocess.run(["make", "web"], cwd=ROOT, check=True, timeout=200)


@pytest.fixture(scope="module")
def site(
    one_server: Server, built: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Project]]:
    """Where the page of a small project is, and that project."""
    with (
        small_project(one_server, tmp_path_factory.mktemp("browser")) as project,
        listen("127.0.0.1", 0) as listening,
    ):
        app = build_app(project.settings, project.dsn, Access())
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.05)
            yield shown_address(listening), project
        finally:
            server.should_exit = True
            thread.join(timeout=30)


class Watched:
    """A tab of which everything is noted that must not be."""

    def __init__(self, page: Page, home: str) -> None:
        self.page, self.home = page, home
        self.wrong: list[str] = []
        page.set_default_timeout(15_000)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.wrong.append(f"dialog: {dialog.message}"))
        page.on("request", lambda request: self._check(request.url))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "GPU stall" not in message.text:
            self.wrong.append(f"{message.type}: {message.text}")

    def _check(self, address: str) -> None:
        if not address.startswith((f"{self.home}/", "data:", "blob:")):
            self.wrong.append(f"asks {address}")

    def open(self, path: str) -> Page:
        """Opens an address of the page."""
        answer = self.page.goto(self.home + path)
        assert answer is not None and answer.ok, f"{path}: {answer and answer.status}"
        return self.page

    def keep(self, name: str) -> None:
        """Keeps a picture, for people who want to look."""
        if folder := os.environ.get("HOAXWATCH_TEST_PICTURES"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def tab(browser: Browser, site: tuple[str, Project]) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    watched = Watched(context.new_page(), site[0])
    yield watched
    context.close()
    assert watched.wrong == []


def addresses(names: dict[str, str]) -> dict[str, str]:
    return {
        "overview": "/",
        "hashtag": f"/hashtag?tag={names['tag']}",
        "hashtags": "/hashtags",
        "network": f"/network?tag={names['tag']}",
        "post": f"/post?name={names['post']}",
        "account": f"/account?name={names['account']}",
        "alerts": "/alerts",
        "alert": f"/alert?id={names['alert']}",
        "system": "/system",
        "search": "/search?q=nothing",
        "api": "/about-the-api",
    }


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_opens_and_fits(
    tab: Watched, site: tuple[str, Project], width: int, scheme: str
) -> None:
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for name, path in addresses(named(site[1])).items():
        page = tab.open(path)
        if name == "network":
            page.wait_for_selector("#network[data-ready=yes]")
        tab.keep(f"{name}-{width}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is too wide"
        expect(page.locator("h1")).to_be_visible()


def test_the_network_is_moved_through(tab: Watched, site: tuple[str, Project]) -> None:
    page = tab.open("/network")
    box = page.locator("#network[data-ready=yes]")
    box.wait_for()
    said = page.locator("#said").inner_text().replace(",", "")
    found = re.search(r"Showing (\d+) of \d+ accounts and (\d+) of \d+ links", said)
    assert found is not None, said
    whole = (box.get_attribute("data-accounts"), box.get_attribute("data-links"))
    assert whole == found.groups()

    slider = page.locator("#time")
    slider.focus()
    slider.press("Home")
    assert int(box.get_attribute("data-links") or 0) < int(whole[1] or 0)
    slider.press("End")
    assert box.get_attribute("data-links") == whole[1]

    community = page.locator("#legend button").first
    community.click()
    expect(page.locator("#chosen h2")).to_have_text("Community 0")
    expect(page.locator("#legend button[aria-pressed=true]")).to_have_count(1)
    tab.keep("network-community")

    account = page.locator("#chosen button").first.inner_text()
    page.locator("#find").fill(account)
    page.locator("#find").press("Enter")
    expect(page.locator("#chosen h2")).to_have_text(account)
    tab.keep("network-account")
    page.locator("#colour").select_option("level")
    expect(page.locator("#chosen h2")).to_have_text(account)
    page.locator("#find").fill("nobody at all")
    page.locator("#find").press("Enter")
    expect(page.locator("#chosen")).to_contain_text("No account")

    for colour in ("level", "coordinated", "community"):
        page.locator("#colour").select_option(colour)
    page.locator("#size").select_option("followers")
    for key in ("ArrowLeft", "+", "-", "0"):
        page.locator("#stage").press(key)
    with page.expect_download() as download:
        page.locator("#png").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as download:
        page.locator("#csv").click()
    table = Path(download.value.path()).read_text("utf-8").splitlines()
    assert len(table) == int(whole[0] or 0) + 1


def test_a_click_on_an_account_tells_of_it(tab: Watched, site: tuple[str, Project]) -> None:
    page = tab.open("/network")
    page.wait_for_selector("#network[data-ready=yes]")
    page.locator("#legend button").first.click()
    page.locator("#chosen button").first.click()
    page.wait_for_timeout(600)  # the picture moves to the account, which then is in its middle
    page.mouse.move(5, 5)
    box = page.locator("#stage").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    expect(page.locator("#chosen")).to_contain_text("Community 0")
    page.wait_for_timeout(400)  # sooner it would be a double click
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#chosen a")).to_have_text("Its posts")


def test_a_period_may_have_one_end(tab: Watched, site: tuple[str, Project]) -> None:
    tag = named(site[1])["tag"]
    for path in (f"/hashtag?tag={tag}", "/hashtags", "/network"):
        page = tab.open(path)
        page.get_by_label("From").fill("2026-03-02")
        with page.expect_response(re.compile("since=2026-03-02")) as answer:
            page.get_by_role("button", name="Show", exact=True).click()
        assert answer.value.ok, answer.value.url
        expect(page.get_by_label("From")).to_have_value("2026-03-02")
        expect(page.get_by_label("until")).to_have_value("")


def test_a_post_is_labelled(tab: Watched, site: tuple[str, Project]) -> None:
    page = tab.open(f"/post?name={named(site[1])['post']}")
    page.get_by_label("Your name").fill("ann")
    page.get_by_label("Why").fill("read the report")
    page.get_by_role("button", name="Likely false").click()
    expect(page.locator(".decide")).to_contain_text("read the report")
    expect(page.get_by_text("by people")).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value("ann")
    page.get_by_role("button", name="Take mine back").click()
    expect(page.get_by_text("Nobody has labelled it")).to_be_visible()


def test_an_alert_is_acknowledged_by_keyboard(tab: Watched, site: tuple[str, Project]) -> None:
    page = tab.open(f"/alert?id={named(site[1])['alert']}")
    page.get_by_label("Your name").fill("bob")
    button = page.get_by_role("button", name="Acknowledge")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1 .chip")).to_have_text("acknowledged")
    expect(page.locator(".facts")).to_contain_text("by bob")


def test_words_that_want_to_be_markup_are_words(tab: Watched, site: tuple[str, Project]) -> None:
    page = tab.open("/")
    page.get_by_role("searchbox").fill(XSS)
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(re.compile("/(hashtag|search)"))
    expect(page.locator("main")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("main script, main img").count() == 0


def test_a_picture_is_saved_as_png(tab: Watched, site: tuple[str, Project]) -> None:
    page = tab.open(f"/hashtag?tag={named(site[1])['tag']}")
    with page.expect_download() as download:
        page.locator("button[data-png]").first.click()
    assert download.value.suggested_filename == "hashtag.png"
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")
