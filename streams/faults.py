"""Points at which tests have this process die, each once. Without the variables they do nothing."""

from __future__ import annotations

import os
import signal

from streams.settings import fail_points

#: Where a worker can be made to die: each once, named by HOAXWATCH_FAIL_POINTS.
FAIL_POINTS = (
    "classify.before_model",
    "classify.after_model",
    "classify.before_commit",
    "classify.after_commit",
    "classify.before_ack",
    "track.before_commit",
    "track.after_commit",
    "track.before_ack",
    "alert.before_telling",
    "alert.after_telling",
    "alert.before_send",
    "alert.before_commit",
    "ingest.before_ack",
    "claims.after_batch",
    "claims.after_page",
    "live.before_commit",
    "live.after_commit",
    "reprocess.after_page",
    "media.before_rename",
    "media.after_file",
)

_WANTED, _FOLDER = fail_points()


def fail_point(name: str) -> None:
    """Kills this process as SIGKILL does, if a test asked for it here and it has not yet."""
    if name not in _WANTED or _FOLDER is None:
        return
    try:
        (_FOLDER / name).touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
