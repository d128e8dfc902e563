"""An invented world with known truth: `simulate(folder)` writes it as platforms would give it."""

from hoaxwatch.simulate.writing import Simulated, simulate

__all__ = ["Simulated", "simulate"]
