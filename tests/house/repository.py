"""What the checks of the repository look at: its files and its pyproject.toml."""

from __future__ import annotations

import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hoaxwatch", "streams", "detectors", "graph", "storage")
NOT_OURS = {".venv", ".venv.lock", ".git", "demo", "bench", "dist", "__pycache__"}


@cache
def files() -> tuple[Path, ...]:
    """Every file that belongs to the repository, relative to its root.

    As git sees it; where this is no clone, or git does not trust its owner, all but what is made.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        named = [Path(name) for name in done.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        named = [path.relative_to(ROOT) for path in ROOT.rglob("*") if _is_ours(path)]
    return tuple(sorted(path for path in set(named) if (ROOT / path).is_file()))


def _is_ours(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return not any(part in NOT_OURS or part.endswith("_cache") for part in parts)


def modules() -> Iterator[str]:
    """The dotted name of every module of the five packages."""
    for path in files():
        if path.suffix == ".py" and path.parts[0] in PACKAGES:
            name = ".".join(path.with_suffix("").parts)
            yield name.removesuffix(".__init__")


@cache
def pyproject() -> dict[str, Any]:
    """pyproject.toml, read."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
