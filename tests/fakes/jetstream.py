"""A Jetstream on loopback that misbehaves as told, and a network whose events are known.

Each connection is given one of `moods`, in order; after them the server behaves. The events that a
connection gets are those from its cursor on.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Json = dict[str, Any]
POST, REPOST = "app.bsky.feed.post", "app.bsky.feed.repost"
#: 2026-03-02 12:00 UTC.
START_US = 1_772_452_800_000_000


@dataclass(frozen=True)
class Mood:
    """What a connection does after so many events: `refuse` (at once, with a status), `cut`,
    `half` (half a frame, then silence), `silence`; on the way it repeats and shuffles."""

    end: str = ""
    after: int = 0
    status: int = 429
    retry_after: str | None = None
    repeats: bool = False
    shuffles: bool = False


@dataclass
class Jetstream:
    """What a fake was asked, and what it may still do."""

    events: list[bytes]
    moods: list[Mood]
    cursors: list[int | None] = field(default_factory=list)
    refused: int = 0
    most_at_once: int = 0
    sent_all: Event = field(default_factory=Event)
    server: Server | None = None
    _open: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self.server is not None
        return f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}/subscribe"

    def greet(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuses, if the next mood is to."""
        if self.moods and self.moods[0].end == "refuse":
            mood = self.moods.pop(0)
            self.refused += 1
            response = connection.respond(HTTPStatus(mood.status), "no\n")
            if mood.retry_after is not None:
                response.headers["Retry-After"] = mood.retry_after
            return response
        return None

    def talk(self, connection: ServerConnection) -> None:
        """One connection."""
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            self._talk(connection)
        except (ConnectionClosed, OSError):
            pass
        finally:
            self._open -= 1

    def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        asked = parse_qs(urlsplit(connection.request.path).query)
        assert asked["wantedCollections"] == [POST, REPOST]
        cursor = int(asked["cursor"][0]) if "cursor" in asked else None
        self.cursors.append(cursor)
        mood = self.moods.pop(0) if self.moods else Mood()
        for number, event in enumerate(_in_mood(_since(self.events, cursor), mood)):
            if mood.end and number == mood.after:
                _end(connection, mood, event)
                return
            connection.send(event.decode())
        if not mood.end:
            self.sent_all.set()
        while True:
            connection.recv()  # until the client goes


def _since(events: Sequence[bytes], cursor: int | None) -> list[bytes]:
    return [event for event in events if cursor is None or time_of(event) >= cursor]


def time_of(event: bytes) -> int:
    """Its time_us; of one that cannot be read, far ahead."""
    try:
        found = json.loads(event).get("time_us")
    except ValueError:
        found = None
    return found if isinstance(found, int) else START_US * 2


def _in_mood(events: list[bytes], mood: Mood) -> Iterator[bytes]:
    """The events, some again a little later, those that are near each other in any order."""
    chance = random.Random(mood.after)
    if mood.shuffles:
        events = [e for i in range(0, len(events), 8) for e in _shuffled(events[i : i + 8], chance)]
    for number, event in enumerate(events):
        yield event
        if mood.repeats and chance.random() < 0.3:
            yield events[max(0, number - chance.randrange(5))]


def _shuffled(events: list[bytes], chance: random.Random) -> list[bytes]:
    chance.shuffle(events)
    return events


def _end(connection: ServerConnection, mood: Mood, event: bytes) -> None:
    if mood.end == "cut":
        connection.socket.close()
        return
    if mood.end == "half":
        head = bytes([0x81, 126]) + len(event).to_bytes(2, "big")
        connection.socket.sendall(head + event[: len(event) // 2])
    while True:  # silence, until the client goes
        connection.recv()


@contextmanager
def running(events: Sequence[bytes], moods: Sequence[Mood] = ()) -> Iterator[Jetstream]:
    """A fake that listens until the end of the block."""
    fake = Jetstream(list(events), list(moods))
    server = serve(
        fake.talk, "127.0.0.1", 0, process_request=fake.greet, compression=None, close_timeout=1
    )
    fake.server = server
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()


@dataclass
class Network:
    """Events in order of time, and those of them that concern the tracked hashtags."""

    events: list[bytes] = field(default_factory=list)
    concerned: list[bytes] = field(default_factory=list)
    _number: int = 0

    def add(self, did: str, told: Json, *, concerns: bool) -> None:
        """One event, half a second after the one before."""
        self._number += 1
        time_us = START_US + self._number * 500_000
        event = json.dumps({"did": did, "time_us": time_us, **told}).encode()
        self.events.append(event)
        if concerns:
            self.concerned.append(event)

    def commit(
        self, did: str, path: str, record: Json | None, *, concerns: bool, operation: str = ""
    ) -> str:
        """A record that is made, changed or deleted; returns its address."""
        collection, rkey = path.split("/")
        what: Json = {"operation": operation or ("create" if record else "delete")}
        what |= {"collection": collection, "rkey": rkey}
        what |= {"record": record, "cid": "bafy"} if record else {}
        self.add(did, {"kind": "commit", "commit": what}, concerns=concerns)
        return f"at://{did}/{path}"

    def post(self, did: str, text: str, *, concerns: bool, rkey: str = "", **more: Any) -> str:
        """A post with the hashtags that its text has."""
        facets = []
        for word in text.split():
            if word.startswith("#"):
                start = len(text[: text.index(word)].encode())
                tag = {"$type": "app.bsky.richtext.facet#tag", "tag": word[1:]}
                index = {"byteStart": start, "byteEnd": start + len(word.encode())}
                facets.append({"index": index, "features": [tag]})
        record = {"$type": POST, "text": text, "createdAt": self.now(), "facets": facets, **more}
        operation = "update" if rkey else "create"
        path = f"{POST}/{rkey or f'3k{self._number:09}'}"
        return self.commit(did, path, record, concerns=concerns, operation=operation)

    def repost(self, did: str, uri: str, *, concerns: bool) -> str:
        """A share."""
        record = {"$type": REPOST, "subject": {"uri": uri, "cid": "b"}, "createdAt": self.now()}
        return self.commit(did, f"{REPOST}/3r{self._number:09}", record, concerns=concerns)

    def delete(self, uri: str, *, concerns: bool) -> None:
        """What was posted or shared is taken back."""
        did, collection, rkey = uri.removeprefix("at://").split("/")
        self.commit(did, f"{collection}/{rkey}", None, concerns=concerns)

    def now(self) -> str:
        """The time of the next event."""
        seconds = START_US // 1_000_000 + self._number // 2
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


def make_network(n_rounds: int = 40, seed: int = 1) -> Network:
    """People who post about #Snow and about other things, share, change, delete, leave; and a
    format that drifts."""
    chance = random.Random(seed)
    net = Network()
    ours: list[str] = []
    others: list[str] = []
    shares: list[str] = []
    for number in range(n_rounds):
        did = f"did:plc:{'abcdefgh'[number % 8] * 24}"
        other = f"did:plc:{'stuvwxyz'[number % 8] * 24}"
        ours.append(net.post(did, f"Round {number} of #Snow and #ice", concerns=True))
        others.append(net.post(other, f"Round {number} of #tea without ☃", concerns=False))
        shares.append(net.repost(other, ours[-1], concerns=True))
        net.repost(did, others[-1], concerns=False)
        net.repost(other, chance.choice(ours), concerns=True)
        if number % 5 == 1:
            rkey = ours[-1].rpartition("/")[2]
            net.post(did, f"Round {number}, said otherwise", concerns=True, rkey=rkey)
        if number % 7 == 2:
            net.delete(others[-1], concerns=False)
            net.delete(shares[-1], concerns=True)
        if number % 9 == 3:
            net.delete(ours[-1], concerns=True)
        if number % 10 == 4:  # the format drifts: a field is renamed, retyped, missing
            path = {"operation": "create", "collection": POST, "rkey": f"3d{number:09}"}
            lost: Json = {"$type": POST, "body": "about #snow", "createdAt": net.now()}
            net.add(did, {"kind": "commit", "commit": {**path, "record": lost}}, concerns=True)
            wrong = {"$type": POST, "text": ["#tea"], "createdAt": net.now()}
            told = {**path, "rkey": f"3e{number:09}", "record": wrong}
            net.add("did:plc:nobody", {"kind": "commit", "commit": told}, concerns=False)
            net.add(did, {"kind": "commit", "commit": {"operation": "create"}}, concerns=True)
        net.add(other, {"kind": "identity", "identity": {"did": other}}, concerns=False)
    gone = {"active": False, "did": "did:plc:" + "a" * 24, "status": "takendown"}
    net.add("did:plc:" + "a" * 24, {"kind": "account", "account": gone}, concerns=True)
    gone = {"active": False, "did": "did:plc:" + "s" * 24, "status": "deleted"}
    net.add("did:plc:" + "s" * 24, {"kind": "account", "account": gone}, concerns=True)
    net.post("did:plc:last", "The end of it", concerns=False)
    return net
