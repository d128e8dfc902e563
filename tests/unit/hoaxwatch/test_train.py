from __future__ import annotations

import io

import pytest
from rich.console import Console

from detectors.checkpoints import Step
from hoaxwatch.commands.train import Watched

STEPS = [
    Step("", 1, 2, 1, 4, 0.7, None),
    Step("", 2, 2, 3, 4, 0.51234, 0.6),
    Step("fold 1, text", 1, 3, 1, 30, 0.4, None),
]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_one_who_looks_sees_epoch_step_losses_and_time_left(is_terminal: bool) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=is_terminal, width=120, color_system=None)
    seen = []
    with Watched(console) as watched:
        for step in STEPS:
            watched.at(step)
            watched._bar.refresh()
            seen.append(written.getvalue())
    if not is_terminal:
        assert seen == ["", "", "  training fold 1, text\n"]
        return
    first, second, third = seen[0], seen[1][len(seen[0]) :], seen[2][len(seen[1]) :]
    assert "training: epoch 1 of 2" in first and "step 1 of 4 loss 0.7000" in first
    assert "epoch 2 of 2" in second and "step 3 of 4 loss 0.5123, validation 0.6000" in second
    assert "fold 1, text: epoch 1 of 3" in third and "step 1 of 30 loss 0.4000" in third
    assert "0:00:0" in second or "-:--:--" in second
