"""The matrix: every peer in its role, every cell in one process of that peer, one capture of them all, read twice.

    python -m tests.interop.matrix --markdown [FILE]

prints the matrix as docs/reference/interop.md has it (``make interop`` writes that file); without the option as text.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from synfin.drive.capture import may_capture
from synfin.errors import PeerError
from tests.interop import (
    agree,
    botan,
    browser,
    clients,
    erlang,
    golang,
    libraries,
    mbed,
    nss,
    ours,
    proxies,
    pyopenssl,
    runtimes,
    rustls,
    s2n,
    wolf,
)
from tests.interop.cells import CELLS, COLUMNS, POSTQUANTUM, Cell, Told, disagreements
from tests.interop.peer import ClientPeer, Peer, ServerPeer

CLIENTS: tuple[ClientPeer, ...] = (
    clients.Curl(),
    clients.OpenSsl(),
    clients.GnuTls(),
    clients.PythonSsl(),
    clients.Requests(),
    pyopenssl.PyOpenSsl(),
    runtimes.Node(),
    runtimes.Node(wheel=True),
    golang.Go(),
    nss.Nss(),
    erlang.Erlang(),
    wolf.Wolf(),
    mbed.Mbed(),
    botan.Botan(),
    s2n.S2n(),
    runtimes.Java(),
    browser.Chromium(),
)
SERVERS: tuple[ServerPeer, ...] = (
    proxies.Nginx(),
    proxies.Haproxy(),
    proxies.OpenSslServer(),
    proxies.GnuTlsServer(),
    libraries.PythonServer(),
    pyopenssl.PyOpenSslServer(),
    libraries.NodeServer(),
    libraries.NodeServer(wheel=True),
    golang.GoServer(),
    nss.NssServer(),
    erlang.ErlangServer(),
    wolf.WolfServer(),
    mbed.MbedServer(),
    rustls.Rustls(),
    libraries.JavaServer(),
    libraries.TlsLite(),
)
#: What they have here ends at TLS 1.2.
OLD = ("Botan", "Mbed TLS")
MARKDOWN = Path(__file__).resolve().parents[2] / "docs" / "reference" / "interop.md"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a cell: nothing wrong, or what; or the reason why it is empty."""

    cell: Cell
    wrong: tuple[str, ...] = ()
    empty: str = ""
    told: Told | None = None


@dataclass(slots=True)
class Batch:
    """One peer in one role: its cells, and what was found in the capture of all of them ("" where there is none)."""

    peer: Peer
    results: list[Result]
    capture: Path | None = None
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def wrong(self) -> list[str]:
        return [f"{result.cell.id}: {what}" for result in self.results for what in result.wrong]

    def misread(self) -> list[str]:
        """Where tshark and ``synfin read`` differ, what ``synfin check`` objects to, and cells without a connection."""
        if self.capture is None:
            return []
        read = agree.by_synfin(self.capture)
        wrong = agree.differences(self.capture, set(self.ports.values()), read) + agree.findings(self.capture)
        for result in self.results:
            if result.empty:
                continue
            found = [one for key, one in read.items() if key[1] == self.ports[result.cell.id]]
            if len(found) < 1 + result.cell.resumed or not any(one.statuses for one in found):
                wrong.append(f"{result.cell.id}: not all of it is in the capture: {found}")
        return wrong


def _possible(peer: Peer) -> tuple[dict[str, Cell], list[Result]]:
    empty = {cell.id: why for cell in CELLS if (why := peer.cannot(cell))}
    cells = {cell.id: cell for cell in CELLS if cell.id not in empty}
    return cells, [Result(cell, empty=empty[cell.id]) for cell in CELLS if cell.id in empty]


def _sorted(results: list[Result]) -> list[Result]:
    return sorted(results, key=lambda result: CELLS.index(result.cell))


def _judged(cell: Cell, seen: dict[str, object], told: Told) -> Result:
    wrong = disagreements(cell, seen, told)
    return Result(cell, tuple(wrong), told=told)


def with_client(peer: ClientPeer, folder: Path, *, pdu: bool = False) -> Batch:
    """Our server and a foreign client."""
    cells, results = _possible(peer)
    configs = {name: ours.server_config(cell) for name, cell in cells.items()}
    with ours.serving(folder / "capture.pcapng", configs, pdu=pdu) as place:
        said = peer.run(cells, place.ports, folder)
    for name, cell in cells.items():
        answer = said[name]
        if isinstance(answer, str):
            results.append(Result(cell, (answer,)))
            continue
        seen, told = answer
        results.append(_judged(cell, {**seen, "client_certificate": bool(seen["client_certificate"])}, told))
    return Batch(peer, _sorted(results), place.capture, place.ports)


def with_server(peer: ServerPeer, folder: Path) -> Batch:
    """Our client and a foreign server."""
    cells, results = _possible(peer)
    path = folder / "capture.pcapng"
    with peer.serving(cells, folder) as ports, ours.capturing(path, list(ports.values())) as capture:
        for name, cell in cells.items():
            log = None if capture is None else capture.key_log
            wants = peer.wants(cell) if hasattr(peer, "wants") else {}  # what our client must do for it
            config = ours.client_config(cell, key_log=log, **wants)
            try:
                session = None
                if cell.resumed:
                    tickets = ours.ask(ports[name], config).tickets
                    session = tickets[-1] if tickets else None
                asked = ours.ask(ports[name], config, session=session)
                results.append(_judged(cell, ours.seen(asked.facts), peer.told(cell, asked)))
            except (PeerError, OSError, ValueError) as error:
                results.append(Result(cell, (f"{type(error).__name__}: {error}",)))
    return Batch(peer, _sorted(results), None if may_capture() else path, ports)


# ---------------------------------------------------------------- the page

FEATURES = """## Single features

`tests/interop/test_features.py`, `test_engines.py` and `test_browser_hellos.py`, `tests/tls/test_programs.py` and
`test_postquantum.py` hold these to what a foreign program says:

| what | who says so |
|---|---|
| certificates chosen by name, ECDSA or RSA by the signature algorithms | `openssl s_client -servername -sigalgs` |
| a key for RSASSA-PSS alone (rsa_pss_pss_sha256) | `openssl s_client -sigalgs` |
| the hellos of fifty versions of Chrome, Edge, Safari, Firefox and Tor | curl-impersonate, tshark |
| stapled OCSP response | `openssl s_client -status`, `tstclnt -T` |
| certificate compressed with brotli, the only way browsers offer | Chromium takes it, tshark shows it |
| ML-DSA in TLS 1.2 refused, whoever says it | pyOpenSSL |
| a certificate after the handshake | `openssl s_client -enable_pha`, `gnutls-cli --post-handshake-auth`, `tstclnt -E` |
| TLS 1.2 renegotiation refused with no_renegotiation | `openssl s_client`, command `R` |
| record_size_limit kept by the peer (GnuTLS keeps none below 512 octets) | `gnutls-serv`, record lengths by tshark |
| KeyUpdate both ways | `openssl s_client`, command `K`; `openssl s_server` answers ours |
| early data, taken where the server may | `openssl` and GnuTLS, both in both roles, `tstclnt -Z` |
| early data that the server refuses goes again | `selfserv -Z` |
| exporters, in both versions | pyOpenSSL in both roles, `tstclnt -x` |
| AES-CCM, ffdhe groups, DHE, CBC with and without encrypt-then-MAC, static RSA, no extended master secret | `openssl` |

"""
QUANTUM = """## ML-KEM and ML-DSA

*ml-kem*: X25519MLKEM768 is the only group the server takes; *retry*: the client sends no share of it at first.
*ml-dsa-44 …*: the server's key. All others of the peers above have neither of the two.
"""
HEAD = """# Interoperability

Made by `make interop`; `tests/interop/` runs the same cells. In each ✓ a foreign program and synfin shook hands and
spoke HTTP, the foreign side said in its own words what was agreed on (version, suite, group, ALPN, resumption, the
client's certificate, as far as it prints them), and that was what our end holds. Each peer's connections were captured
with their secrets; tshark and `synfin read` read the same versions, suites, messages, ALPN, resumption and HTTP status
in all of them, and `synfin check` had no warning.

*full*: P-256 certificate, HTTP/1.1. *resumed*: the second connection, by ticket. *h2*: HTTP/2. *client …*: the client
proves who it is with such a key. *p384 …*: the server's key. *retry*: HelloRetryRequest, as the server takes only
P-384.
"""


def _note(result: Result) -> str:
    if result.empty:
        return result.empty
    if result.cell.resumed and result.told is not None and result.told.resumed is None:
        return "resumed by our end's account; the peer does not say so"
    if result.told is not None and not result.told.version:
        return "it says nothing of TLS itself"
    return ""


def _table(batches: Iterable[Batch], notes: list[str], columns: Sequence[str] = COLUMNS) -> list[str]:
    """With the columns of the post-quantum cells those who have anything of it."""
    lines = ["| peer | TLS | " + " | ".join(columns) + " |", "|---|---|" + "---|" * len(columns)]
    for batch in batches:
        found = {result.cell.id: result for result in batch.results}
        if all(result.empty for result in batch.results if result.cell.what in columns):
            continue
        for version in ("1.2", "1.3") if columns is COLUMNS else ("1.3",):
            row = []
            for what in columns:
                result = found.get(f"{version} {what}")
                if result is None:
                    row.append("")
                    continue
                note = _note(result)
                if note and note not in notes:
                    notes.append(note)
                mark = "✗" if result.wrong else "–" if result.empty else "✓"
                row.append(mark + (f" {notes.index(note) + 1}" if note else ""))
            lines.append(f"| {batch.peer.name} | {version} | " + " | ".join(row) + " |")
    return lines


def markdown(by_clients: list[Batch], by_servers: list[Batch], missing: list[str], more: str) -> str:
    """The page."""
    notes: list[str] = []
    lines = [HEAD, "## Our server, foreign clients", "", *_table(by_clients, notes)]
    lines += ["", "## Our client, foreign servers", "", *_table(by_servers, notes), "", QUANTUM]
    lines += ["Our server:", "", *_table(by_clients, notes, POSTQUANTUM), ""]
    lines += ["Our client:", "", *_table(by_servers, notes, POSTQUANTUM), ""]
    lines += [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    versions = dict.fromkeys(batch.peer.version() for batch in by_clients + by_servers)
    lines += ["", "Run with " + "; ".join(versions) + "."]
    if missing:
        lines += ["", "Not run: " + "; ".join(missing) + "."]
    return "\n".join(lines) + "\n\n" + more


def run_all(only: str = "") -> tuple[list[Batch], list[Batch], list[str]]:
    """Every peer that is here, or those with a name, and what is missing."""
    found: tuple[list[Batch], list[Batch]] = ([], [])
    missing = []
    for role, peers in enumerate((CLIENTS, SERVERS)):
        for peer in peers:
            if only not in ("", peer.name):
                continue
            if why := peer.missing():
                missing.append(f"{peer.name} as {('client', 'server')[role]} ({why})")
                continue
            print(f"{peer.name} ...", file=sys.stderr)
            with tempfile.TemporaryDirectory(prefix="synfin-interop-") as folder:
                place = Path(folder)
                batch = with_client(peer, place) if peer in CLIENTS else with_server(peer, place)  # type: ignore[arg-type]
                for line in batch.wrong + ([] if agree.missing() else batch.misread()):
                    print(f"  {line}", file=sys.stderr)
                found[role].append(batch)
    return *found, missing


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", nargs="?", type=Path, const=MARKDOWN, help="write the page of the documentation")
    parser.add_argument("--only", default="", metavar="PEER", help="one peer, as text")
    asked = parser.parse_args()
    by_clients, by_servers, missing = run_all(asked.only)
    if asked.markdown is not None and not asked.only:
        from tests.interop.scanners import page

        asked.markdown.write_text(markdown(by_clients, by_servers, missing, FEATURES + page()))
    else:
        for batches in (by_clients, by_servers):
            tables = _table(batches, []), _table(batches, [], POSTQUANTUM)
            print("\n\n".join("\n".join(table) for table in tables if len(table) > 2) + "\n")
    return int(any(batch.wrong for batch in by_clients + by_servers))


if __name__ == "__main__":
    sys.exit(main())
