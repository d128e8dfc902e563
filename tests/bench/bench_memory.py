"""Peak memory of `hoaxwatch run`: on real sets, and on invented posts and ten times as many.

    python -m tests.bench.bench_memory [POSTS] [FILE...]

Each input is read by a process of its own into a project of its own; the figure is the greatest
resident memory of that process (the database server has its own, which its settings bound).
Tables are recounted every TRACK_SECONDS, so that also the smaller run does so while it reads: what
a long run does most of the time.
Without files: HOAXWATCH_TEST_DATA's ira_2016 and tweets_v1_jsonl where they are. Bars: each peak is
below 1,536 MB, and ten times the posts take at most 1.1 times the memory.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hoaxwatch.simulate.numbered import Numbered
from storage import embedded
from streams.formats.opening import plain_name
from tests.bench.measure import print_result
from tests.house.repository import ROOT

TRACK_SECONDS = 3


def peak_megabytes(files: Sequence[Path], project: str, home: Path, detector: str) -> float:
    """The peak of one run over the files, in megabytes. Raises CalledProcessError."""
    command = [sys.executable, "-m", "hoaxwatch", "run", *map(str, files), "-p", project]
    environment = os.environ | {
        "HOAXWATCH_HOME": str(home),
        "HOAXWATCH_DETECTOR": detector,
        "HOAXWATCH_TRACK_SECONDS": str(TRACK_SECONDS),
    }
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    if code:
        raise subprocess.CalledProcessError(code, command)
    embedded.stop(home / "projects" / project)
    shutil.rmtree(home / "projects" / project)
    return round(used.ru_maxrss / 1024, 1)  # Linux counts in kB


def write_numbered(path: Path, n_posts: int) -> Path:
    """A file of invented posts."""
    with path.open("wb") as out:
        out.writelines(line + b"\n" for line in Numbered(seed=1).lines(n_posts))
    return path


def real_files() -> dict[str, list[Path]]:
    """The real sets that are here, by name."""
    data = os.environ.get("HOAXWATCH_TEST_DATA")
    sets = {"ira_2016": "*.csv*", "tweets_v1_jsonl": "*.jsonl*"} if data else {}
    found = {name: sorted((Path(data or ".") / name).glob(glob)) for name, glob in sets.items()}
    return {name: files for name, files in found.items() if files}


def main(n_posts: int, names: Sequence[str]) -> None:
    """Measures one input after the other."""
    folder = Path(tempfile.mkdtemp(prefix="hw-bench-", dir="/tmp"))
    folder.chmod(0o755)
    peaks: dict[str, float] = {}
    detector = os.environ.get("HOAXWATCH_DETECTOR", "null")
    try:
        given = {plain_name(name): [Path(name)] for name in names} or real_files()
        for i, (name, files) in enumerate(given.items()):
            peaks[name] = peak_megabytes(files, f"real{i}", folder, detector)
        for n in (n_posts, 10 * n_posts):
            file = write_numbered(folder / "numbered.jsonl", n)
            peaks[f"{n:,} invented"] = peak_megabytes([file], "invented", folder, detector)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_result(
        "memory",
        {
            "detector": detector,
            "peak_megabytes": peaks,
            "ten_times_the_posts": round(
                peaks[f"{10 * n_posts:,} invented"] / peaks[f"{n_posts:,} invented"], 3
            ),
            "bar": "each peak < 1536 MB, ten times the posts <= 1.1",
        },
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000, sys.argv[2:])
