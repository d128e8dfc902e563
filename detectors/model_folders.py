"""Weights folders as files: found, described, verified. No pickle is ever read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from detectors.detector import DetectorUnusable

SHIPPED = Path(__file__).parent / "weights"
_CONFIG = "config.json"
#: The file of tensors, by which detectors tell their folders apart.
_WEIGHTS = ("adapter.safetensors", "weights.npz", "model.safetensors", "wide.npz")
#: Whose config.json has these keys, where the files do not tell.
_TOLD_BY = {
    "tweet_metadata": {"variant"},
    "three_branch": {"topic_tags"},
    "att_xdsf": {"modalities"},
    "cascade_gcn": {"preparation", "columns"},
}


def model_folders(folder: Path) -> list[Path]:
    """The folder itself if it holds weights, else those in it that do, sorted.

    >>> [path.name for path in model_folders(SHIPPED)]
    ['bert', 'cascade_gcn', 'tfidf']
    """
    if (folder / _CONFIG).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{_CONFIG}"))


def read_json(path: Path) -> dict[str, Any] | None:
    """An object of a folder; None if it is not there or no JSON."""
    try:
        found: dict[str, Any] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    return found


def detector_of(folder: Path) -> str | None:
    """Whose weights a folder holds, by its files; None: nobody's that we know.

    >>> detector_of(SHIPPED / "bert"), detector_of(SHIPPED / "tfidf"), detector_of(SHIPPED)
    ('bert', 'tfidf', None)
    """
    if (folder / "adapter.safetensors").is_file():
        return "bert"
    if (folder / "weights.npz").is_file():
        return "tfidf"
    config = read_json(folder / _CONFIG) or {}
    return next((name for name, keys in _TOLD_BY.items() if keys <= config.keys()), None)


def describe(folder: Path) -> dict[str, Any]:
    """One row about a folder; nothing is loaded."""
    config = read_json(folder / _CONFIG) or {}
    encoder = config.get("encoder")
    return {
        "folder": str(folder),
        "detector": detector_of(folder) or "unknown",
        "encoder": encoder.get("name") if isinstance(encoder, dict) else None,
        "threshold": config.get("threshold"),
        "languages": config.get("languages"),
        "trained_on": config.get("trained_on"),
        "weights_sha256": config.get("weights_sha256"),
        "bytes": sum(path.stat().st_size for path in folder.iterdir() if path.name in _WEIGHTS),
    }


def problem_of(folder: Path) -> str | None:
    """Why a folder cannot be used, or None; loads it as a run would."""
    from detectors.cascade_gcn import CascadeGcnDetector
    from detectors.registry import load_detector

    name = detector_of(folder)
    try:
        if name is None:
            return f"{folder}: no detector here writes such a config.json; train again"
        if name == "cascade_gcn":
            CascadeGcnDetector(folder)
        else:
            load_detector(name, weights=folder)
    except DetectorUnusable as error:
        return str(error)
    return None
