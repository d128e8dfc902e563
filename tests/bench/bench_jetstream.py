"""Following a Jetstream at a rate: how far the tables lag behind, beside keeping everything.

    python -m tests.bench.bench_jetstream 60 --rate 2000
    python -m tests.bench.bench_jetstream 600 --only tracked     # ten minutes of what is promised

A server on loopback sends posts and reposts at the rate; 2 % carry the tracked hashtag. Lag is how
long ago the newest event whose mark is committed was to be sent, looked at twice a second: at a
rate that is too great it grows. The server runs in a process of its own, as a network would.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from datetime import UTC, datetime
from multiprocessing.connection import Connection as Pipe
from threading import Event, Thread
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from detectors.null import NullDetector
from storage import tracking
from storage.database import connect
from streams import local
from streams.settings import read_settings
from streams.sources.bluesky import Bluesky
from streams.sources.keeping import Keeping
from tests.bench.measure import print_result
from tests.conftest import _embedded18

POST, REPOST = "app.bsky.feed.post", "app.bsky.feed.repost"


def event(number: int, due: float) -> str:
    """Posts of 250 accounts; every third event is a repost of one of the last posts."""
    did = f"did:plc:{number % 250:024}"
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(due))
    tag = "snow" if number % 50 == 0 else f"tag{number % 997}"
    if number % 3 == 1:
        of = number - number % 3 - 3 * (number % 7)
        subject = {"uri": f"at://did:plc:{of % 250:024}/{POST}/3k{of:010}", "cid": "b"}
        path: str = REPOST
        record: dict[str, Any] = {"$type": REPOST, "subject": subject, "createdAt": at}
    else:
        text = f"Number {number} says something of usual length about this and that #{tag}"
        feature = {"$type": "app.bsky.richtext.facet#tag", "tag": tag}
        facets = [{"index": {"byteStart": 60, "byteEnd": 70}, "features": [feature]}]
        path, record = POST, {"$type": POST, "text": text, "createdAt": at, "facets": facets}
    commit = {"operation": "create", "collection": path, "rkey": f"3k{number:010}", "cid": "bafy"}
    told = {"did": did, "time_us": int(due * 1_000_000), "kind": "commit"}
    return json.dumps(told | {"commit": commit | {"record": record}})


def send(pipe: Pipe, rate: float, seconds: float) -> None:
    """The server's process: tells its port, then how many it sent."""

    def talk(connection: ServerConnection) -> None:
        began, number = time.time(), 0
        try:
            while number < rate * seconds:
                due = began + number / rate
                ahead = due - time.time()
                if ahead > 0:
                    time.sleep(min(ahead, 0.01))
                    continue
                # not of when its turn came: a client that is too slow makes the server late
                connection.send(event(number, due))
                number += 1
            pipe.send((number, time.time() - began))
            connection.recv()
        except ConnectionClosed:
            pass

    with serve(talk, "127.0.0.1", 0, compression=None) as server:
        pipe.send(server.socket.getsockname()[1])
        server.serve_forever()


def follow(dsn: str, rate: float, seconds: float, tags: list[str]) -> dict[str, Any]:
    """One run; what lag it had."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=send, args=(there, rate, seconds), daemon=True)
    process.start()
    port = here.recv()
    with connect(dsn) as connection:
        tracking.track(connection, [(tag, tag) for tag in tags], "bench", datetime.now(UTC))
        keeping = Keeping(tracking.read_tracked(connection))
    source = Bluesky(f"ws://127.0.0.1:{port}/subscribe", 30, keeping, print)
    stop, lags = Event(), list[float]()

    def look() -> None:
        with connect(dsn) as connection:
            while not here.poll():
                cursor = tracking.read_cursor(connection, "bluesky")
                if cursor is not None:
                    lags.append(datetime.now(UTC).timestamp() - int(cursor) / 1_000_000)
                time.sleep(0.5)
        time.sleep(5)
        stop.set()

    watcher = Thread(target=look)
    watcher.start()
    settings = read_settings(detector="null")
    result = local.follow(dsn, source, NullDetector(), settings, stop)
    watcher.join()
    n_sent, took = here.recv()
    process.terminate()
    return {
        "sent": n_sent,
        "events_per_second": round(n_sent / took, 1),
        "kept": result.n_records,
        "most_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "lag_seconds": {
            "median": round(statistics.median(lags), 2),
            "p95": round(statistics.quantiles(lags, n=20)[-1], 2),
            "most": round(max(lags), 2),
        },
    }


def main() -> None:
    """Both runs, one JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("seconds", type=float, nargs="?", default=60)
    parser.add_argument("--only", choices=("tracked", "everything"))
    options = parser.parse_args()
    found = {}
    every = ["snow", *(f"tag{number}" for number in range(997))]
    with _embedded18() as server:
        for name, tags in (("tracked", ["snow"]), ("everything", every)):
            if options.only not in (None, name):
                continue
            with server.new_database() as dsn:
                found[name] = follow(dsn, options.rate, options.seconds, tags)
    print_result("bench_jetstream", found)


if __name__ == "__main__":
    main()
