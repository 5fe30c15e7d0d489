"""SIGTERM within `ending`: what is being done is given up in order, and the process dies of the signal all the same."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
from mlplatform.platform.ending import ending

with ending():
    try:
        print("begun", flush=True)
        {work}
    finally:
        print("given up", flush=True)
"""


def run(work: str, *, end: bool) -> tuple[int, str]:
    """Exit status and what was printed."""
    command = [sys.executable, "-c", PROGRAM.format(work=work)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        if end:
            process.terminate()
        said = process.stdout.read()
    return process.returncode, said


def test_what_is_done_is_given_up_in_order_and_the_process_dies_of_the_signal() -> None:
    assert run("time.sleep(60)", end=True) == (-signal.SIGTERM, "given up\n")


@pytest.mark.parametrize("code", [0, 8])
def test_without_a_signal_nothing_is_otherwise(code: int) -> None:
    assert run(f"sys.exit({code})", end=False) == (code, "given up\n")
