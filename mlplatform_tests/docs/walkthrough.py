"""A page that is followed to the letter: its files written, its edits made, its commands run, their output compared.

Blocks of a page, by their language:

- with ``title="path"``: a file to write; a ``diff``: an edit of the file, by its unchanged and removed lines
- ``console``: lines that begin with ``$`` are run; what stands under one is what it prints

A comment before a block says what is special: ``<!-- until it says so -->`` (run again until it does),
``<!-- exit code 1 -->``, ``<!-- background until: Ready. -->`` (goes on until the page ends). In expected output ``...`` on a
line is any number of lines, ``…`` any characters, and a number of spaces, or a line drawn under a heading, is as good as any.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
FENCE = re.compile(
    r'(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$',
    re.M | re.S,
)
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    title: str
    text: str
    note: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Commands with the output that is expected under each."""
        parts = re.split(r"^\$ (.*)$", self.text, flags=re.MULTILINE)[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))


def blocks(page: Path) -> list[Block]:
    """The page's blocks, in order."""
    found = FENCE.finditer(page.read_text("utf-8"))
    return [Block(m["language"], m["title"] or "", m["text"], m["note"] or "") for m in found]


def says(expected: str, printed: str) -> bool:
    """Whether `printed` is what the page says."""
    wanted = _lines(expected)
    if not wanted:
        return not _lines(printed)
    pattern = ""
    for line in wanted:
        if line == "...":
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.split("…")) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _lines(printed))) is not None


def _lines(text: str) -> list[str]:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line and not set(line) <= {"─", " "}]


@dataclass
class Walkthrough:
    """A reader's terminal, and what runs in the second one."""

    folder: Path
    env: dict[str, str]
    behind: list[tuple[subprocess.Popen[bytes], Path]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        if block.title and block.language == "diff":
            self._edit(block)
        elif block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "console":
            for command, expected in block.commands:
                self._run(command, expected, block.note)

    def close(self) -> None:
        """End what still runs, as Ctrl-C does."""
        for process, log in self.behind:
            process.send_signal(signal.SIGINT)
            assert process.wait(90) in (0, 130), log.read_text()

    def _edit(self, block: Block) -> None:
        path = self.folder / block.title
        lines = block.text.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        text = path.read_text()
        assert text.count(before) == 1, f"{block.title} has not this once:\n{before}"
        path.write_text(text.replace(before, after))

    def _run(self, command: str, expected: str, note: str) -> None:
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder = self.folder / words[1]
            return
        if note.startswith("background until: "):
            self._run_behind(words, expected, note.removeprefix("background until: "))
            return
        code = int(note.removeprefix("exit code ")) if note.startswith("exit code ") else 0
        deadline = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(
                self._command(words),
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=300,
            )
            right = done.returncode == code and says(expected, done.stdout)
            if right:
                return
            again = note.startswith("until") and time.monotonic() < deadline
            assert again, (
                f"$ {command}\nexpected (exit code {code}):\n{expected}\nfound ({done.returncode}):\n{done.stdout[-6000:]}{self.logs()}"
            )
            time.sleep(1.0)

    def _run_behind(self, words: list[str], expected: str, until: str) -> None:
        log = self.folder.parent / f"{words[0]}-{len(self.behind)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                self._command(words),
                cwd=self.folder,
                env=self.env,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.behind.append((process, log))
        deadline = time.monotonic() + PATIENCE_S
        while not says(expected, log.read_text()):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, f"not until {PATIENCE_S:g} s: {until}\n{log.read_text()}{self.logs()}"
            time.sleep(0.5)

    def _command(self, words: list[str]) -> list[str]:
        own = BIN / words[0]
        return [str(own) if own.exists() else words[0], *words[1:]]

    def logs(self) -> str:
        """The ends of what the programs behind have written."""
        found = sorted((self.folder / ".mlplatform" / "logs").glob("*.log"))
        return "".join(f"\n--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in found)


def reader(folder: Path, ports: dict[str, int]) -> Walkthrough:
    """A reader in an empty folder, with nothing of this platform in the environment but the ports."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLPLATFORM_", "DAGSTER_"))}
    path = f"{BIN}{os.pathsep}{inherited.get('PATH', '')}"
    return Walkthrough(folder, {**inherited, "PATH": path, **{k: str(v) for k, v in ports.items()}})
