"""A trace over a network that refuses or drops: a namespace of its own, in which the kernel's filter plays that."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from synfin.cli.main import main
from synfin.drive import namespace
from synfin.drive.capture import may_capture
from synfin.drive.namespace import Namespace

pytestmark = pytest.mark.skipif(
    not (namespace.may_make_networks() and not may_capture() and shutil.which("iptables") and shutil.which("ip")),
    reason="needs CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_NET_RAW, iptables and ip",
)
SYNFIN = (sys.executable, "-m", "synfin.cli.main")


@dataclass
class Place:
    """A namespace with loopback as narrow as Ethernet and a server of ours in it."""

    space: Namespace
    port: int = 0
    root: str = ""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, preexec_fn=self.space.enter, capture_output=True, text=True, timeout=90, check=False
        )

    def must(self, command: str) -> None:
        done = self.run(*command.split())
        if done.returncode:
            pytest.skip(f"{command}: {done.stderr.strip()[:200]}")


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    space = Namespace.make()
    found = Place(space)
    command = [*SYNFIN, "serve", "--echo", "--json", "-p", "0", "--bind", "127.0.0.1"]
    try:
        found.must("ip link set lo mtu 1500")
        found.must("ip link set lo up")
        found.must("iptables -S")
        with subprocess.Popen(command, preexec_fn=space.enter, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            found.port, found.root = int(said["listening"][0].rpartition(":")[2]), said["root"]
            try:
                yield found
            finally:
                server.send_signal(signal.SIGINT)
                server.communicate(timeout=30)
    finally:
        space.close()


#: What the filter does, and the root that must be named.
CASES = {
    "refused": ("--dport PORT -j REJECT --reject-with tcp-reset", "TCP101"),
    "prohibited": ("--dport PORT -j REJECT --reject-with icmp-admin-prohibited", "TCP105"),
    "black hole": ("--dport PORT -j DROP", "TCP102"),
    "hello dropped": ("--dport PORT -m length --length 100:65535 -j DROP", "TLS113"),
    "large hello dropped": ("--dport PORT -m length --length 1000:65535 -j DROP", "TCP302"),
    "large answer dropped": ("--sport PORT -m length --length 1000:65535 -j DROP", "TCP301"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_root_live_and_judged(
    name: str, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule, code = CASES[name]
    kept = str(tmp_path / "kept.pcapng")
    filtered = f"INPUT -p tcp {rule.replace('PORT', str(place.port))}"
    arguments = ["--cacert", place.root, "--width", "300", "--connect-timeout", "3.5", "-w", kept]
    place.must(f"iptables -A {filtered}")
    try:
        done = place.run(*SYNFIN, "trace", *arguments, f"https://127.0.0.1:{place.port}/")
    finally:
        place.must(f"iptables -D {filtered}")
    assert done.returncode == 1 and done.stderr == ""
    assert "FAILED (t" in done.stdout
    (verdict,) = re.findall(r"^error (\w+: .*)$", done.stdout, re.MULTILINE)
    assert verdict.startswith(f"{code}: ") and "To do (" in done.stdout and "Proof: " in done.stdout
    assert main(["check", "--width", "300", kept]) == 1
    assert re.findall(r"^ *error (\w+: .*)$", capsys.readouterr().out, re.MULTILINE) == [verdict]


def test_and_without_a_filter_all_is_well(place: Place) -> None:
    done = place.run(*SYNFIN, "trace", "--cacert", place.root, f"https://127.0.0.1:{place.port}/")
    assert done.returncode == 0 and "no finding" in done.stdout
