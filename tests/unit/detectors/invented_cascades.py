"""Invented cascades in the files of Twitter15."""

from __future__ import annotations

import lzma
import random
from pathlib import Path

from detectors.datasets import twitter15

#: Cascades of each of the four classes.
N_PER_CLASS = 44


def write_cascades(folder: Path) -> Path:
    """Invented cascades: those of `false` are chains, the others bushy; each author posts twice."""
    numbers = random.Random(1)
    sources = ["cascade_id,label,cv_fold,source_text"]
    edges = [
        "cascade_id,parent_user,parent_tweet,parent_minutes,child_user,child_tweet,child_minutes"
    ]
    for i in range(4 * N_PER_CLASS):
        label = twitter15.CLASSES[i % 4]
        words = " ".join("".join(numbers.choices("abdegilmnorstu", k=6)) for _ in range(6))
        sources.append(f"{i},{label},0,{label[:2]} {words}")
        edges.append(f"{i},ROOT,ROOT,0.0,author{i // 8},{i},0.0")
        users = [f"author{i // 8}"] + [f"u{i}_{k}" for k in range(numbers.randint(6, 14))]
        minutes = [0.0]
        for k in range(1, len(users)):
            parent = k - 1 if label == "false" else int(numbers.random() * min(k, 3))
            minutes.append(minutes[parent] + numbers.uniform(1, 40))
            edges.append(
                f"{i},{users[parent]},{i},{minutes[parent]:.2f},{users[k]},{i},{minutes[k]:.2f}"
            )
    (folder / "twitter15").mkdir()
    for name, lines in (("sources", sources), ("edges", edges)):
        packed = lzma.compress(("\n".join(lines) + "\n").encode())
        (folder / "twitter15" / f"{name}.csv.xz").write_bytes(packed)
    return folder
