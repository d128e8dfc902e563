"""The network page with 20,000 accounts and 100,000 links in a real browser, beside 500 accounts.

    python -m tests.bench.bench_page [N_ACCOUNTS] [N_LINKS]

Planted communities are laid out by the server as the page does it, sent by the real application
and drawn by Chromium. Where there is no graphics card a program draws in its place (SwiftShader),
which is the worst case. Measured: the layout (once; then it is kept), what is sent, from opening
the page to the picture that can be used, one step of the slider, frames while the picture moves.
Processor seconds are those of all processes of the browser: they depend less on what else runs.
Bar: usable within 10 s of the layout being there, a step of the slider in less than a second.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import Page, sync_playwright

from hoaxwatch.show import plain
from hoaxwatch.web import facts
from hoaxwatch.web.app import build_app
from hoaxwatch.web.guard import Access
from hoaxwatch.web.listening import listen, shown_address
from hoaxwatch.web.network import Layouts, network_answer
from storage.database import connect, open_database
from storage.reads import LinkRow
from streams.settings import read_settings
from tests.bench.measure import print_result, seconds_of
from tests.bench.planted import planted_shares

START = datetime(2026, 3, 1, tzinfo=UTC)
N_FEW = 500
OPTIONS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

#: Steps of the slider one after the other, each until it is drawn.
STEPS = """async () => {
  const slider = document.getElementById("time"), took = [];
  for (let i = 0; i < 12; i++) {
    const began = performance.now();
    slider.value = 20 + 15 * i;
    slider.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    took.push(performance.now() - began);
  }
  return took;
}"""
#: Frames a second while the arrow keys move the picture.
FRAMES = """async () => {
  const stage = document.getElementById("stage"), began = performance.now();
  let frames = 0;
  while (performance.now() - began < 3000) {
    const key = frames % 40 < 20 ? "ArrowLeft" : "ArrowRight";
    stage.dispatchEvent(new KeyboardEvent("keydown", { key }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    frames += 1;
  }
  return frames / 3;
}"""


def planted_links(n_accounts: int, n_links: int) -> list[LinkRow]:
    """Different pairs of accounts, the links spread over two weeks."""
    shared, sharers, _, _ = planted_shares(
        int(n_links * 1.5), seed=1, shares_per_user=int(n_links * 1.5) // n_accounts
    )
    pairs = np.unique(np.column_stack([shared, sharers]), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    chance = np.random.default_rng(2)
    pairs = pairs[np.sort(chance.permutation(len(pairs))[:n_links])]
    at = [
        START + timedelta(seconds=s) for s in chance.integers(0, 14 * 86_400, len(pairs)).tolist()
    ]
    flagged = chance.random(len(pairs)) < 0.2
    return [
        LinkRow(f"x:{a}", f"x:{b}", 1, 1, int(flag), when, when)
        for (a, b), flag, when in zip(pairs.tolist(), flagged.tolist(), at, strict=True)
    ]


@contextmanager
def served(answer: dict[str, Any]) -> Iterator[str]:
    """The page of an empty project whose network is this one."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    settings = read_settings(home=folder)
    facts.read_network = lambda *_: answer
    try:
        with open_database(settings) as dsn, listen("127.0.0.1", 0) as listening:
            connect(dsn).close()
            app = build_app(settings, dsn, Access())
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            while not server.started:
                time.sleep(0.05)
            yield shown_address(listening)
            server.should_exit = True
            thread.join()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def browser_seconds() -> float:
    """Processor seconds so far of the programs that this one started, and of theirs."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
            ticks[int(stat.parent.name)] = int(fields[11]) + int(fields[12])
    found = list(children.get(os.getpid(), ()))
    for process in found:  # grows while it is gone through
        found += children.get(process, ())
    return sum(ticks[process] for process in found) / os.sysconf("SC_CLK_TCK")


def look(page: Page, address: str) -> dict[str, float]:
    """Opens the page and uses it."""

    def open_it() -> None:
        page.goto(f"{address}/network?limit=20000")
        page.wait_for_selector("#network[data-ready=yes]", timeout=120_000)

    opened = [seconds_of(open_it) for _ in range(3)]
    before = browser_seconds()
    steps = page.evaluate(STEPS)
    worked = browser_seconds() - before
    return {
        "seconds_to_use": round(statistics.median(opened), 2),
        "slider_ms": round(statistics.median(steps), 1),
        "slider_processor_ms": round(1000 * worked / len(steps)),
        "frames_a_second": round(page.evaluate(FRAMES), 1),
    }


def measure(n_accounts: int, n_links: int) -> dict[str, Any]:
    """One size."""
    links = planted_links(n_accounts, n_links)
    layouts = Layouts()
    layout_seconds = seconds_of(lambda: layouts.plan(links, 20_000, 1))
    kept_seconds = seconds_of(lambda: layouts.plan(links, 20_000, 1))
    answer = network_answer(layouts.plan(links, 20_000, 1), links, {}, ())
    text = json.dumps(answer, default=plain, separators=(",", ":")).encode()
    program = shutil.which("chromium")
    with served(answer) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        found = look(browser.new_page(viewport={"width": 1400, "height": 900}), address)
        browser.close()
    return {
        "n_accounts": answer["n_shown"],
        "n_links": answer["n_links_shown"],
        "layout_seconds": round(layout_seconds, 2),
        "kept_layout_seconds": round(kept_seconds, 2),
        "sent_kb": round(len(gzip.compress(text, 4)) / 1000),
        **found,
    }


def main(n_accounts: int, n_links: int) -> None:
    """Measures both sizes."""
    print_result(
        "page",
        {
            "few": measure(N_FEW, N_FEW * n_links // n_accounts),
            "many": measure(n_accounts, n_links),
            "bar": "many: seconds_to_use <= 10, slider_ms <= 1000",
        },
    )


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["20000", "100000"][len(sys.argv) - 1 :])])
