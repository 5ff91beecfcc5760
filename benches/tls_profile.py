"""Where the time, the memory and the octets of one TLS connection go, and the limit that the primitives set.

    python -m benches.tls_profile [handshakes]

Time: parts of the engine are wrapped with a stopwatch that stops while a wrapped part runs inside another, so parts add
up; "the rest" is what no part covers (records cut, states changed, messages built) and the stopwatch itself.  The limit
is the same count of bare calls into ``cryptography``.  Client and server together, in this one process, CPU time.
"""

from __future__ import annotations

import gc
import hashlib
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benches.tls_speed import NAME, NOW, Foreign, Ours
from synfin.spec import keys, protection_aead
from synfin.tls import Client, Server, authentication, groups, hello, messages, offer, signing, verify
from synfin.wire.tls import extensions

PARTS: dict[str, list[tuple[Any, str]]] = {
    "key exchange": [(groups, "generate"), (groups, "agree"), (groups, "respond")],
    "signature made": [(signing, "sign")],
    "signature checked": [(signing, "verify")],
    "chain judged": [(verify.PathVerifier, "__call__")],
    "key schedule": [
        (keys, "traffic_keys"),
        (keys, "expand_labels"),
        (keys, "hkdf_expand_label"),
        (keys, "hkdf_extract"),
        (keys, "verify_data_13"),
        (keys, "prf"),
    ],
    "records sealed and opened": [
        (protection_aead.Aead13, "seal_run"),
        (protection_aead.Aead13, "seal_record"),
        (protection_aead.Aead13, "open_run"),
        (protection_aead.Aead13, "open_record"),
        (protection_aead.Aead12, "seal_run"),
        (protection_aead.Aead12, "seal_record"),
        (protection_aead.Aead12, "open_run"),
        (protection_aead.Aead12, "open_record"),
    ],
    "hellos and messages built and read": [
        (offer, "make"),
        (hello, "read_hello"),
        (messages, "parse_message"),
        (extensions, "decode_body"),
        (extensions, "split_extensions"),
        (authentication, "server_chain"),
    ],
}


class Stopwatch:
    """Exclusive CPU seconds and calls of each part."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._inside: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        now = time.process_time()
        if self._inside:
            part = self._inside[-1]
            self.spent[part] = self.spent.get(part, 0.0) + now - self._since
        self._since = now

    def wrap(self, part: str, action: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            self._turn()
            self._inside.append(part)
            try:
                return action(*given, **named)
            finally:
                self._turn()
                self._inside.pop()
                self.calls[part] = self.calls.get(part, 0) + 1

        return timed

    def install(self) -> Callable[[], None]:
        """Wrap all parts, wherever they were imported to; returns what undoes it."""
        undo: list[tuple[Any, str, Any]] = []
        for part, places in PARTS.items():
            for owner, name in places:
                old = getattr(owner, name)
                new = self.wrap(part, old)
                homes = [owner] if isinstance(owner, type) else list(sys.modules.values())
                for home in homes:
                    known = home is owner or getattr(home, "__name__", "").startswith("synfin")
                    here = home.__dict__.get(name)
                    if known and (here is old or isinstance(home, type)):  # a class may have it from another
                        undo.append((home, name, here))
                        setattr(home, name, new)

        def restore() -> None:
            for home, name, here in undo:
                if here is None:
                    delattr(home, name)
                else:
                    setattr(home, name, here)

        return restore


def micro(action: Callable[[], object], count: int = 400) -> float:
    """Microseconds of CPU a call, the median of nine."""
    found = []
    for _ in range(9):
        start = time.process_time()
        for _ in range(count):
            action()
        found.append((time.process_time() - start) / count * 1e6)
    return statistics.median(found)


def spent(name: str, action: Callable[[], object], count: int) -> None:
    """The parts of one kind of handshake."""
    for _ in range(20):
        action()
    whole = micro(action, max(1, count // 9))
    watch = Stopwatch()
    restore = watch.install()
    try:
        start = time.process_time()
        for _ in range(count):
            action()
        watched = (time.process_time() - start) / count * 1e6
    finally:
        restore()
    print(f"\n{name}: {whole:.0f} us a handshake, both ends ({watched:.0f} with the stopwatch)")
    rest = watched
    for part in PARTS:
        if part in watch.spent:
            each = watch.spent[part] / count * 1e6
            rest -= each
            print(f"  {part:36} {each:7.1f} us  {watch.calls[part] / count:5.1f} calls")
    print(f"  {'the rest':36} {rest:7.1f} us")


def limits() -> None:
    """The primitives alone."""
    sha256 = ec.ECDSA(hashes.SHA256())
    signer, digest = ec.generate_private_key(ec.SECP256R1()), os.urandom(130)
    public, signature = signer.public_key(), signer.sign(digest, sha256)
    point = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    seed, nonce = os.urandom(32), bytes(12)
    mine = x25519.X25519PrivateKey.generate()
    share = mine.public_key().public_bytes_raw()
    aead, pad = AESGCM(bytes(16)), bytes(64)
    make = x25519.X25519PrivateKey.from_private_bytes
    bare = {
        "X25519 key made": micro(lambda: make(seed).public_key().public_bytes_raw()),
        "X25519 agreed": micro(lambda: mine.exchange(x25519.X25519PublicKey.from_public_bytes(share))),
        "P-256 key made": micro(lambda: ec.derive_private_key(1 << 200 | 1, ec.SECP256R1()).public_key()),
        "P-256 agreed": micro(
            lambda: signer.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))
        ),
        "ECDSA P-256 signed": micro(lambda: signer.sign(digest, sha256)),
        "ECDSA P-256 verified": micro(lambda: public.verify(signature, digest, sha256)),
        "SHA-256 of 64 octets": micro(lambda: hashlib.sha256(pad).digest()),
        "AES-128-GCM object": micro(lambda: AESGCM(seed[:16])),
        "AES-128-GCM of 64 octets": micro(lambda: aead.encrypt(nonce, pad, b"")),
    }
    print("\nPrimitives alone, us a call (cryptography; hashlib)")
    for name, each in bare.items():
        print(f"  {name:36} {each:7.2f}")
    signed = bare["ECDSA P-256 signed"] + bare["ECDSA P-256 verified"]
    hashed, sealed = bare["SHA-256 of 64 octets"], bare["AES-128-GCM of 64 octets"]
    new = 2 * (bare["X25519 key made"] + bare["X25519 agreed"]) + signed
    new += 84 * hashed + 8 * bare["AES-128-GCM object"] + 8 * sealed
    old = 2 * (bare["P-256 key made"] + bare["P-256 agreed"]) + signed + 48 * hashed + 6 * sealed
    print(f"  limit of a full TLS 1.3 handshake {new:.0f} us, of TLS 1.2 {old:.0f} us; the chain adds one verification")


def octets() -> None:
    """What a handshake puts on the wire, tickets too."""
    print("\nOctets on the wire, client + server")
    for version in ("1.3", "1.2"):
        ours, foreign = Ours(version), Foreign(version)
        client = Client(ours.client, NAME, now=NOW, entropy=os.urandom)
        server = Server(ours.server, now=NOW, entropy=os.urandom)
        sums = [0, 0]
        while data := client.take_output(NOW):
            sums[0] += len(data)
            server.receive(data, NOW)
            back = server.take_output(NOW)
            sums[1] += len(back)
            client.receive(back, NOW)
        counts = foreign.octets()
        print(f"  TLS {version} full   ours {sums[0]} + {sums[1]}   ssl {counts[0]} + {counts[1]}")


def memory() -> None:
    """Blocks and octets that a connection allocates, and what one keeps when it idles."""
    print("\nMemory (tracemalloc: Python's objects, without what OpenSSL holds for keys)")
    for version in ("1.3", "1.2"):
        ours = Ours(version)
        for _ in range(20):
            ours.pair()
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        ours.pair()
        _, peak = tracemalloc.get_traced_memory()
        blocks = len(tracemalloc.take_snapshot().traces)
        kept = [ours.pair() for _ in range(200)]
        for pair in kept:
            for end in pair:
                while end.next_event() is not None:
                    pass
        gc.collect()
        now, _ = tracemalloc.get_traced_memory()
        more = len(tracemalloc.take_snapshot().traces) - blocks
        tracemalloc.stop()
        each = (now - before) / len(kept)
        print(
            f"  TLS {version}: peak of a handshake {peak - before} octets; idle pair {each:.0f} octets "
            f"in {more / len(kept):.0f} blocks, so {each / 2:.0f} octets an end"
        )
        del kept


def main() -> None:
    """Everything, some ten seconds."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    for version in ("1.3", "1.2"):
        ours = Ours(version)
        spent(f"TLS {version} full", ours.pair, count)
        spent(f"TLS {version} full, chain judged anew", ours.fresh, count)
        session = ours.ticket()
        spent(f"TLS {version} resumed", lambda ours=ours, session=session: ours.pair(session), count)  # type: ignore[misc]
    limits()
    octets()
    memory()


if __name__ == "__main__":
    main()
