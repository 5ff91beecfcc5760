"""What commands do where nothing can be printed: a full disk, no standard streams at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SYNFIN = (sys.executable, "-m", "synfin.cli.main")
COMMANDS = {
    "help": ("--help",),
    "rules": ("rule",),
    "table": ("read", "examples/expired.pcapng"),
    "nowhere": ("trace", "http://127.0.0.1:1/"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line(name: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*SYNFIN, *COMMANDS[name]], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr) == (2, "synfin: standard output: No space left on device\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_standard_streams_may_be_missing(name: str) -> None:
    command = [*SYNFIN, *COMMANDS[name]]
    usual = subprocess.run(command, capture_output=True, timeout=60, check=False)
    done = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], timeout=60, check=False)
    assert done.returncode == usual.returncode
