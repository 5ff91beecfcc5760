"""Every bench in turn, each in a process of its own.

    python -m benches [NAME [OPTION ...]] ...

What lacks a program or a privilege says so in one line and is passed over.  Options go to the bench before them.  Exit
code 1 when a bench failed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

#: Name -> what it measures.
BENCHES = {
    "read_speed": "captures read and judged, beside tshark and tcptrace",
    "tls_speed": "the TLS engine, beside Python's ssl and tlslite-ng",
    "tls_profile": "where a TLS handshake's time, memory and octets go",
    "tcp_speed": "the TCP endpoint and the simulated network",
    "serve_speed": "synfin serve, beside nginx and asyncio's own TLS",
    "tun_speed": "our TCP behind a TUN device, beside the kernel, nginx and PyTCP",
}
#: How a bench ends that cannot run here and has said why.
NOT_HERE = 2


def main(names: list[str]) -> int:
    """Run the benches in ``names`` with the options behind each, or all; the exit code."""
    wanted: list[list[str]] = []
    for word in names or BENCHES:
        if word in BENCHES:
            wanted.append([word])
        elif wanted:
            wanted[-1].append(word)
        else:
            print(f"no bench {word!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
            return 2
    failed = []
    begin = time.monotonic()
    for name, *options in wanted:
        print(f"== {name}: {BENCHES[name]}", flush=True)
        started = time.monotonic()
        here = Path(__file__).parent.parent
        done = subprocess.run([sys.executable, "-m", f"benches.{name}", *options], cwd=here, check=False)
        if done.returncode not in (0, NOT_HERE):
            failed.append(name)
        print(f"== {name}: {time.monotonic() - started:.0f} s\n", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    print(f"{time.monotonic() - begin:.0f} s in all")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
