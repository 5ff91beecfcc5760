"""The TLS engine beside Python's ``ssl`` (OpenSSL), both ends in one process over memory, in one run.

    python -m benches.tls_speed [seconds per cell]

Handshakes: an ECDSA P-256 chain of leaf and root, verified with the name by both, one group (X25519 in TLS 1.3, P-256
in 1.2) and AES-128-GCM on both sides.  The engine remembers that a chain was good (see ``tls.verify``), so a cell with
that memory emptied for each handshake stands beside it.  tlslite-ng, where it is installed, verifies no chain and gives
no ticket.  Bulk: records of 16 KiB, sealed by one end and opened by the other, one, seven (as the streams do),
sixteen or 64 a write; then what bounds them: the AEAD calls of ``cryptography`` alone; then the same without what was
compiled (``spec.protection_runs``), as where there is no C compiler.  Ratios above 1 say that the engine is faster.
"""

from __future__ import annotations

import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from benches.tls_peer import lite_pair
from synfin.spec.protection_runs import COMPILED
from synfin.tls import Client, ClientConfig, Data, PathVerifier, Server, ServerConfig, Session, Ticket
from tests.tls.ends import NAME, credential, leaf, load, root, ticket_keys

NOW = 1_800_000_000.0
NOT_BY_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the minted chain has a clock of its own
RECORD = 16384
OPENSSL_CONF = """openssl_conf = main
[main]
ssl_conf = ssl
[ssl]
system_default = suites
[suites]
Ciphersuites = {}
"""
CODES = {"1.3": (ssl.TLSVersion.TLSv1_3, 0x0304), "1.2": (ssl.TLSVersion.TLSv1_2, 0x0303)}


def rates(one: Callable[[], object], other: Callable[[], object], seconds: float) -> tuple[float, float, float]:
    """Actions a CPU second of both and their ratio: medians of 29 turns, so short that a busy machine strikes both."""
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(30):
        for action, speeds in zip((one, other), found, strict=True):
            count, start = 0, time.process_time()
            while (spent := time.process_time() - start) < seconds / 30:
                for _ in range(8):
                    action()
                count += 8
            if turn:
                speeds.append(count / spent)
    ratio = statistics.median(a / b for a, b in zip(*found, strict=True))
    return statistics.median(found[0]), statistics.median(found[1]), ratio


class Foreign:
    """A pair of Python's ``ssl`` objects."""

    def __init__(self, version: str, ciphers: str = "") -> None:
        wanted = CODES[version][0]
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.load_verify_locations(cadata=root().der)
        self.client.verify_flags |= NOT_BY_TIME
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load(self.server, leaf())
        for context in (self.client, self.server):
            context.minimum_version = context.maximum_version = wanted
            context.set_ciphers(ciphers or "ECDHE-ECDSA-AES128-GCM-SHA256")
            context.set_ecdh_curve("X25519" if version == "1.3" else "prime256v1")
        self.server.num_tickets = 1
        self.session: ssl.SSLSession | None = None

    def octets(self) -> tuple[int, int]:
        """What client and server send in a full handshake, one ticket too."""
        bios = [ssl.MemoryBIO() for _ in range(4)]
        client = self.client.wrap_bio(bios[0], bios[1], server_hostname=NAME)
        server = self.server.wrap_bio(bios[2], bios[3], server_side=True)
        sums = [0, 0]
        for _ in range(4):
            for index, end in enumerate((client, server)):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    pass
                data = bios[2 * index + 1].read()
                sums[index] += len(data)
                bios[2 - 2 * index].write(data)
        return sums[0], sums[1]

    def pair(self, session: ssl.SSLSession | None = None) -> tuple[ssl.SSLObject, ssl.SSLObject, list[ssl.MemoryBIO]]:
        """A finished handshake."""
        bios = [ssl.MemoryBIO() for _ in range(4)]
        client = self.client.wrap_bio(bios[0], bios[1], server_hostname=NAME, session=session)
        server = self.server.wrap_bio(bios[2], bios[3], server_side=True)
        waiting = [client, server]
        while waiting:
            for end in tuple(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    pass
            bios[2].write(bios[1].read())
            bios[0].write(bios[3].read())
        try:
            client.read(1)  # takes the ticket
        except ssl.SSLWantReadError:
            pass
        return client, server, bios


class Ours:
    """A pair of this engine."""

    def __init__(self, version: str, suites: tuple[int, ...] = (0x1301, 0xC02B)) -> None:
        code = CODES[version][1]
        self.verifier = PathVerifier([root().der])
        groups = (29,) if version == "1.3" else (23,)
        self.client = ClientConfig(
            verify=self.verifier,
            min_version=code,
            max_version=code,
            groups=groups,
            shares=1,
            suites=suites,
            grease=False,
        )
        self.server = ServerConfig(
            credentials=(credential(),),
            ticket_keys=ticket_keys(),
            tickets=1,
            min_version=code,
            max_version=code,
            groups=groups,
            suites=suites,
        )

    def pair(self, session: Session | None = None) -> tuple[Client, Server]:
        """A finished handshake; the ticket is taken."""
        client = Client(self.client, NAME, now=NOW, entropy=os.urandom, session=session)
        server = Server(self.server, now=NOW, entropy=os.urandom)
        while data := client.take_output(NOW):
            server.receive(data, NOW)
            client.receive(server.take_output(NOW), NOW)
        if client.facts is None or server.facts is None:
            raise RuntimeError(f"no handshake: {client.next_event()} {server.next_event()}")
        return client, server

    def fresh(self) -> None:
        """A handshake with the memory of good chains emptied."""
        self.verifier.forget()
        self.pair()

    def ticket(self) -> Session:
        """A session to resume."""
        client, _ = self.pair()
        while (event := client.next_event()) is not None:
            if isinstance(event, Ticket):
                return event.session
        raise RuntimeError("no ticket came")


def handshakes(version: str, seconds: float) -> None:
    """One line for each kind of handshake."""
    ours, foreign = Ours(version), Foreign(version)
    show(f"TLS {version} full", *rates(ours.pair, foreign.pair, seconds))
    show(f"TLS {version} full, chain judged anew", *rates(ours.fresh, foreign.pair, seconds))
    if (lite := lite_pair(version)) is None:
        print("tlslite-ng is not installed (pip install synfin[bench])")
    else:
        show(f"TLS {version} full, tlslite-ng", *rates(ours.pair, lite, seconds), peer="tls")
    session, old = ours.ticket(), foreign.pair()[0].session
    client, _ = ours.pair(session)
    reused = foreign.pair(old)[0].session_reused
    if client.facts is None or not client.facts.resumed or not reused:
        raise RuntimeError("a session was not resumed")
    show(f"TLS {version} resumed", *rates(lambda: ours.pair(session), lambda: foreign.pair(old), seconds))


def bulk(version: str, name: str, ours: Ours, foreign: Foreign, seconds: float) -> None:
    """16 KiB records through both ends, in GB/s of application data."""
    client, server = ours.pair()
    while client.next_event() or server.next_event():
        pass

    one, two, bios = foreign.pair()
    chosen = one.cipher()
    if chosen is None or name.split("-")[0].upper() not in chosen[0].upper() or "256_GCM" in chosen[0]:
        raise RuntimeError(f"ssl chose {chosen}")

    def compare(records: int) -> None:
        data = os.urandom(RECORD * records)

        def our_records() -> None:
            client.send(data)
            server.receive(client.take_output(NOW), NOW)
            got = 0
            while isinstance(event := server.next_event(), Data):
                got += len(event.data)
            if got != len(data):
                raise RuntimeError("a record was lost")

        def their_records() -> None:
            one.write(data)
            bios[2].write(bios[1].read())
            if sum(len(two.read(RECORD)) for _ in range(records)) != len(data):
                raise RuntimeError("a record was lost")

        fast, slow, ratio = rates(our_records, their_records, seconds)
        scale = RECORD * records / 1e9
        how = "" if COMPILED else ", in Python"
        show(f"TLS {version} bulk {name}, {records} a write{how}", fast * scale, slow * scale, ratio, "GB/s")

    for records in (1, 7, 16, 64):
        compare(records)
    if not COMPILED:
        return
    data, nonce, header = os.urandom(RECORD), bytes(12), bytes(5)
    aead = AESGCM(bytes(16)) if name.startswith("AES") else ChaCha20Poly1305(bytes(32))

    def alone() -> None:
        aead.decrypt(nonce, aead.encrypt(nonce, data, header), header)

    def their_record() -> None:
        one.write(data)
        bios[2].write(bios[1].read())
        two.read(RECORD)

    fast, slow, ratio = rates(alone, their_record, seconds)
    show(f"  {name} alone, 1 a write", fast * RECORD / 1e9, slow * RECORD / 1e9, ratio, "GB/s")


def show(name: str, ours: float, theirs: float, ratio: float, unit: str = "/s", peer: str = "ssl") -> None:
    """A line."""
    digits = 2 if unit == "GB/s" else 0
    print(
        f"{name:44} ours {ours:9.{digits}f} {unit:5} {peer} {theirs:9.{digits}f} {unit:5} ratio {ratio:5.2f}",
        flush=True,
    )


#: For each bulk cell: ours in TLS 1.3 and 1.2, OpenSSL's names for both.
CIPHERS = {
    "AES-128-GCM": (0x1301, 0xC02B, "TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    "ChaCha20-Poly1305": (0x1303, 0xCCA9, "TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
}
WITHOUT = "import sys; sys.modules['synfin.spec._runs'] = None; from benches.tls_speed import main; main()"


def cell(name: str, seconds: float) -> None:
    """The cells of one process."""
    for version in CODES:
        if name == "handshakes":
            handshakes(version, seconds)
        else:
            one, two, _, foreign = CIPHERS[name]
            bulk(version, name, Ours(version, (one, two)), Foreign(version, foreign), seconds)


def main() -> None:
    """All cells.  Python cannot choose OpenSSL's TLS 1.3 suites, its configuration file can: one process for each."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.5
    if len(sys.argv) > 2:
        cell(sys.argv[2], seconds)
        return
    if not COMPILED:
        print("synfin.spec._runs is not compiled (no C compiler at set-up): records go the slower way")
    whole = ["-m", "benches.tls_speed"]
    turns = [("handshakes", whole)] + [(name, way) for way in (whole, ["-c", WITHOUT]) for name in CIPHERS]
    for name, way in turns[: None if COMPILED else 3]:
        with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:
            file.write(OPENSSL_CONF.format(CIPHERS.get(name, CIPHERS["AES-128-GCM"])[2]))
            file.flush()
            command = [sys.executable, *way, str(seconds), name]
            subprocess.run(command, env={**os.environ, "OPENSSL_CONF": file.name}, check=True)


if __name__ == "__main__":
    main()
