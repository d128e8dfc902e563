"""One worker process with the tests' detector: python -m tests.faults.worker ROLE."""

from __future__ import annotations

import sys

from detectors.registry import DETECTORS
from hoaxwatch.cli import run

DETECTORS["fault"] = "tests.faults.detector:FaultDetector"

if __name__ == "__main__":
    sys.exit(run(["worker", sys.argv[1], "--no-restart"]))
