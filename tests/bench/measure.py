"""Timing and reporting for the benchmarks: medians, spreads, and what they were measured on.

A benchmark compares with a baseline in the same run and prints one JSON object. Absolute times say
little on a shared machine; ratios within one run do.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any

PACKAGES = ("hoaxwatch", "psycopg", "numpy", "python-igraph", "infomap", "scikit-network")


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall-clock seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def processor_seconds_of(work: Callable[[], Any]) -> float:
    """Processor seconds of one call, over all threads: what waits for a turn is not counted."""
    began = time.process_time()
    work()
    return time.process_time() - began


def spread(seconds: list[float]) -> dict[str, float]:
    """Median and range of repeated measurements.

    >>> spread([3.0, 1.0, 2.0])
    {'median_seconds': 2.0, 'min_seconds': 1.0, 'max_seconds': 3.0}
    """
    return {
        "median_seconds": round(statistics.median(seconds), 4),
        "min_seconds": round(min(seconds), 4),
        "max_seconds": round(max(seconds), 4),
    }


def print_result(name: str, result: Mapping[str, Any]) -> None:
    """One JSON object on stdout: the result with commit, machine and versions."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    about = {
        "benchmark": name,
        "commit": commit,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": {package: version(package) for package in PACKAGES},
    }
    json.dump(about | dict(result), sys.stdout, indent=2)
    print()
