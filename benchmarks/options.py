"""How a run is to be: sizes, rounds, and where its files go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """One run.

    Attributes:
        quick: small sizes and few rounds, to see that a benchmark works; its rows prove nothing.
        full: also what takes long (half an hour of freshness, 100 million rows, minute-long jobs).
        workers: server processes of ours and of each peer.
        scratch: an empty folder for this run, on the disk to be measured.
    """

    scratch: Path
    quick: bool = False
    full: bool = False
    workers: int = 1

    def rounds(self, usual: int = 5) -> int:
        """How many rounds of something that usually takes `usual`."""
        return min(usual, 2) if self.quick else usual

    def size(self, real: int, small: int) -> int:
        """`real`, or `small` to try out."""
        return small if self.quick else real

    def folder(self, name: str) -> Path:
        """A folder of this run."""
        path = self.scratch / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def say(self, text: str) -> None:
        """Progress."""
        print(f"  {text}", flush=True)
