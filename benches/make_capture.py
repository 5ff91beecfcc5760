"""Make the bench capture: tens of thousands of short HTTPS and HTTP connections and some large transfers.

nginx serves in one network namespace, wrk and curl ask in another, tcpdump records between them with offload switched
off, so that segments have their size on the wire.  The capture is kept in ``.bench/`` and made again only when asked
(``--again``).  Needs root and the programs; without them one line says so.

    python -m benches.make_capture [--again] [--megabytes N]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from examples.record import CLIENT, NAME, SERVER, SERVER_IP, daemon, inside, mint, network, run

PLACE = Path(__file__).resolve().parent.parent / ".bench"
TOOLS = ("ip", "ethtool", "nginx", "wrk", "curl", "tcpdump", "openssl")
BIG = 16 * 1024 * 1024


def configure(folder: Path) -> Path:
    """Nginx with a plain port, a TLS 1.3 port and a TLS 1.2 port; small pages and one large file."""
    site = folder / "site"
    site.mkdir()
    for size in (200, 900, 2000, 6000):
        (site / f"{size}.html").write_bytes(b"<p>page</p>\n" * (size // 12))
    (site / "big.bin").write_bytes(os.urandom(BIG))
    # the server's rate is the bottleneck, as a network is elsewhere: the receiver keeps up
    slow = "location /big.bin { limit_rate 40m; }"
    keys = f"ssl_certificate {folder}/good-chain.pem; ssl_certificate_key {folder}/good.key; ssl_session_tickets on;"
    servers = "".join(
        f"server {{ listen {port} ssl; server_name _; root {site}; {slow} {keys} ssl_protocols {version}; }}\n"
        for port, version in ((443, "TLSv1.3"), (8443, "TLSv1.2"))
    )
    path = folder / "nginx.conf"
    path.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;\nuser root;\n"
        "events { worker_connections 4096; }\nhttp { access_log off; keepalive_timeout 5s; sendfile off;\n"
        f"client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;"
        f"uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n"
        f"server {{ listen 80; server_name _; root {site}; {slow} }}\n{servers}}}\n"
    )
    return path


def traffic(raw: Path, wanted: int) -> None:
    """Load the server until ``raw`` has about ``wanted`` octets."""
    hosts = [f"host{i:02}.synfin.example" for i in range(16)]
    with Path("/etc/netns", CLIENT, "hosts").open("w") as lines:
        lines.writelines(f"{SERVER_IP} {host}\n" for host in [*hosts, NAME])
    plain = f"http://{hosts[0]}/900.html?[1-5000]"
    run(*inside(CLIENT, "curl", "-s", "-H", "Connection: close", "-o", "/dev/null", plain))
    plan = [(443, "200"), (8443, "2000"), (443, "6000")]
    turn = 0
    while raw.stat().st_size < wanted // 5:
        port, page = plan[turn % len(plan)]
        url = f"https://{hosts[turn % len(hosts)]}:{port}/{page}.html"
        run(*inside(CLIENT, "wrk", "-t1", "-c16", "-d1s", "-H", "Connection: close", url))
        turn += 1
    while raw.stat().st_size < wanted:
        scheme, port = ("https", 443) if turn % 2 else ("http", 80)
        url = f"{scheme}://{hosts[turn % len(hosts)]}:{port}/big.bin"
        run(*inside(CLIENT, "curl", "-sk", "-o", "/dev/null", url))
        turn += 1


def make(megabytes: int = 500, *, again: bool = False) -> Path:
    """The capture's path; recorded now unless it is there.  SystemExit(2) with one line when it cannot be made."""
    target = PLACE / f"bench-{megabytes}.pcap"
    if target.exists() and not again:
        return target
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing or os.geteuid():
        why = f"missing: {', '.join(missing)}" if missing else "it makes network namespaces: run it as root"
        print(f"the bench capture cannot be made here ({why})", file=sys.stderr)
        raise SystemExit(2)
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as place, network():
        folder = Path(place)
        folder.chmod(0o755)
        mint(folder)
        config = configure(folder)
        raw = PLACE / "recording.pcap"
        dump = inside(SERVER, "tcpdump", "-i", "wire1", "-B", "262144", "-s", "0", "-w", str(raw), "tcp")
        with daemon(*inside(SERVER, "nginx", "-c", str(config)), wait=0.8), daemon(*dump, wait=1.0):
            traffic(raw, megabytes * 1_000_000)
            time.sleep(2.0)
        raw.rename(target)
    return target


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true", help="record anew")
    parser.add_argument("--megabytes", type=int, default=500)
    asked = parser.parse_args()
    path = make(asked.megabytes, again=asked.again)
    print(path)
    if shutil.which("capinfos"):
        subprocess.run(["capinfos", "-c", "-s", "-u", str(path)], check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
