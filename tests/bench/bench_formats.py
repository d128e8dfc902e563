"""Reading files: every format against parsing alone, and memory when the input is ten times longer.

    python -m tests.bench.bench_formats [MEGABYTES] [REPEATS]

The input of a format is its example again and again. The baseline is the bare parser on the same
bytes: `json.loads` line by line, or `csv.reader`. Memory is the peak of a process that reads a JSON
list, or rows, and keeps nothing. Bar: a format takes at most 60 times as long as parsing alone
(where rows are small, what is made of each weighs most), and ten times the input at most 10 % more
memory.
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from functools import partial
from typing import Any

from streams.formats.json_records import begins_with_json
from streams.formats.registry import FORMATS, load_format
from tests.bench.measure import print_result, seconds_of, spread

#: A process that reads so many megabytes in a format, and prints its peak memory in kilobytes.
MEMORY_OF = """
import sys
from pathlib import Path
from streams.formats.registry import load_format
from tests.bench.bench_formats import Repeated
format = load_format(sys.argv[1])
for reading in format.read(Repeated(format.example(), int(sys.argv[2]) << 20), "bench"):
    pass
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


class Repeated(io.BufferedIOBase):
    """The records of an example again and again, as one JSON list or below one header."""

    def __init__(self, example: bytes, n_bytes: int) -> None:
        if begins_with_json(example):
            body = b",".join(example.strip().split(b"\n"))
            self._first, self._again = b"[" + body, b"," + body
        else:
            header, _, rows = example.partition(b"\n")
            self._first, self._again = header + b"\n" + rows, rows
        n_times = max((64 << 10) // len(self._again), 1)
        self._again *= n_times
        self._n_left = n_bytes // len(self._again)

    def readable(self) -> bool:
        return True

    def read1(self, size: int | None = -1, /) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        self._n_left -= 1
        return self._again if self._n_left >= 0 else b""


def repeat(example: bytes, n_bytes: int) -> bytes:
    """About so many bytes of an example's records."""
    if begins_with_json(example):
        return example * max(n_bytes // len(example), 1)
    header, _, rows = example.partition(b"\n")
    return header + b"\n" + rows * max(n_bytes // len(rows), 1)


def parse_only(content: bytes) -> None:
    """The baseline."""
    if begins_with_json(content):
        for line in io.BytesIO(content):
            json.loads(line)
    else:
        for _ in csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")):
            pass


def read_all(name: str, content: bytes) -> int:
    """Reads everything and keeps nothing; returns how many readings there were."""
    return sum(1 for _ in load_format(name).read(io.BytesIO(content), "bench"))


def peak_kilobytes(name: str, n_megabytes: int) -> int:
    """The peak memory of a process that reads so much."""
    command = [sys.executable, "-c", MEMORY_OF, name, str(n_megabytes)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def main(n_megabytes: int, repeats: int) -> None:
    """Measures every format."""
    formats: dict[str, dict[str, Any]] = {}
    for name in FORMATS:
        content = repeat(load_format(name).example(), n_megabytes << 20)
        n_readings = read_all(name, content)
        ours = [seconds_of(partial(read_all, name, content)) for _ in range(repeats)]
        bare = [seconds_of(partial(parse_only, content)) for _ in range(repeats)]
        memory = [peak_kilobytes(name, n) for n in (n_megabytes, 10 * n_megabytes)]
        formats[name] = {
            "readings_per_second": round(n_readings / min(ours)),
            "times_as_long_as_parsing": round(min(ours) / min(bare), 1),
            "memory_times_when_ten_times_longer": round(memory[1] / memory[0], 2),
            "peak_megabytes": round(memory[1] / 1024),
            "reading": spread(ours),
            "parsing": spread(bare),
        }
    growth = [f["memory_times_when_ten_times_longer"] for f in formats.values()]
    print_result(
        "formats",
        {
            "megabytes": n_megabytes,
            "repeats": repeats,
            "formats": formats,
            "slowest_times": max(f["times_as_long_as_parsing"] for f in formats.values()),
            "most_memory_times": max(growth),
            "bar": "slowest_times <= 60, most_memory_times <= 1.1",
        },
    )


if __name__ == "__main__":
    main(*[int(word) for word in (sys.argv[1:] + ["4", "3"][len(sys.argv) - 1 :])])
