"""A detector that does what a text says: judges like the marker detector, fails, kills, is slow."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from streams.records import Content, Verdict
from tests.marker import MarkerDetector

FAILS, KILLS = "this text makes the detector fail", "this text kills the process"


class FaultDetector(MarkerDetector):
    """`HOAXWATCH_FAIL_FOLDER` holds `slow`, with seconds, if calls are to be slow, and gets a line
    in `scored` for each content that was scored."""

    name = "fault"

    def score(self, contents: Sequence[Content]) -> list[Verdict]:
        """One verdict per content, if it lives."""
        for content in contents:
            if KILLS in content.text:
                os.kill(os.getpid(), signal.SIGKILL)
            if FAILS in content.text:
                raise ValueError("it cannot be read")
        folder = os.environ.get("HOAXWATCH_FAIL_FOLDER")
        if folder:
            slow = Path(folder, "slow")
            if slow.exists():
                time.sleep(float(slow.read_text()))
            with Path(folder, "scored").open("a") as scored:
                scored.writelines(f"{content.root_id}\n" for content in contents)
        return super().score(contents)
