"""How fast captures are read, beside tshark and tcptrace in one run.

    python -m benches.read_speed [--megabytes N] [--rounds N] [CAPTURE]

Every command runs as a whole process over the same file, in turn; CPU time (user + system of the process and its
children) is taken from the operating system, and the median of the rounds is printed with the ratio to tshark.  The
file is then doubled (the same packets once more, later and from other ports) to see whether memory stays flat.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

from benches.doubling import double
from benches.make_capture import make

TSHARK = (
    *("tshark", "-n", "-r", "{}", "-T", "fields", "-e", "tcp.stream", "-e", "ip.src", "-e", "tcp.srcport"),
    *("-e", "ip.dst", "-e", "tcp.dstport", "-e", "tcp.flags", "-e", "tls.handshake.type"),
    *("-e", "tls.handshake.extensions_server_name", "-e", "http.host", "-e", "tls.alert_message.desc"),
)
SYNFIN = (sys.executable, "-m", "synfin.cli.main")


class Run(NamedTuple):
    """What one process took: CPU seconds and its largest resident memory in MiB."""

    cpu: float
    memory: float


def run(command: tuple[str, ...], path: Path) -> Run:
    """Run ``command`` on ``path`` with its output thrown away."""
    argv = [part.replace("{}", str(path)) for part in command]
    child = os.fork()
    if not child:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # modules stay compiled, as they do where it is installed
        try:
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    _, status, used = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"{' '.join(argv)} failed")
    return Run(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", nargs="?", type=Path)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    path = asked.capture or make(asked.megabytes)
    commands: dict[str, tuple[str, ...]] = {
        "synfin read --quick (list with names and outcome)": (*SYNFIN, "read", "--quick", "{}"),
        "synfin check (full stories with findings)": (*SYNFIN, "check", "{}"),
        "tshark -T fields": TSHARK,
        "tcptrace (no TLS)": ("tcptrace", "-n", "{}"),
    }
    commands = {name: argv for name, argv in commands.items() if shutil.which(argv[0])}
    if "tshark -T fields" not in commands:
        print("tshark is not installed: nothing to compare with", file=sys.stderr)
        return 2
    took: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(asked.rounds):
        for name, argv in commands.items():
            took[name].append(run(argv, path))
    peer = statistics.median(one.cpu for one in took["tshark -T fields"])
    print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB, median of {asked.rounds} rounds")
    print(f"{'command':52} {'CPU s':>8} {'x tshark':>9} {'MiB':>7}")
    for name, runs in took.items():
        cpu = statistics.median(one.cpu for one in runs)
        print(f"{name:52} {cpu:8.2f} {peer / cpu:9.1f} {max(one.memory for one in runs):7.0f}")
    twice = double(path)
    print(f"\n{twice.name}: the same packets twice, {twice.stat().st_size / 1e6:.0f} MB")
    for name, argv in commands.items():
        if argv[0] == sys.executable:
            once = run(argv, twice)
            print(f"{name:52} {once.cpu:8.2f} {'':9} {once.memory:7.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
