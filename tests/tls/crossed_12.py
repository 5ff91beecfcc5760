"""A TLS 1.2 handshake with a client, in any crossing of what can be negotiated, each octet of the client's checked.

What the client must say, and what it must tell of the handshake, is computed here from RFC 5246 and its updates (5077,
5705, 5746, 6066, 6962, 7301, 7366, 7627, 7919, 8422, 8449).
"""

from __future__ import annotations

import os
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding

from synfin.errors import UsageError
from synfin.tls import ClientConfig, Credential, HandshakeDone, Limits, PeerAlert, Session, Ticket
from synfin.tls.ffdhe import PRIMES
from tests.tls.crossed_both import ALERT, DATA, GROUPS, HANDSHAKE, SCHEMES, Case, Crossed, entries, plain
from tests.tls.crossed_keys import (
    ISSUER,
    SCHEMES_12,
    SIGNERS,
    SUITES_12,
    Keys12,
    arguments,
    bare,
    block,
    elliptic,
    hashed,
    meet,
    message,
    prf,
    sign,
    u16,
    vec,
)
from tests.tls.crossed_peer import Hello
from tests.tls.ends import NAME, NOW

#: The 2048-bit group of RFC 3526 3, which a server may choose for itself.
OWN = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6D"
    "F25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3D"
    "C2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08"
    "CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510"
    "15728E5A8AACAA68FFFFFFFFFFFFFFFF",
    16,
)

DIMENSIONS: dict[str, tuple[Any, ...]] = {
    "suite": tuple(SUITES_12),
    "group": (29, 23, 24, 25, 30),
    "field": (256, 257, 258, 0),
    "ecdsa": SIGNERS["ecdsa"],
    "rsa": SIGNERS["rsa"],
    "extended": (True, False),
    "etm": (True, False),
    "session": (None, "ticket", "id", "both", "ticket refused", "id refused", "tls13"),
    "given": (None, "ticket", "empty"),
    "id": (True, False),
    "ask": (None, "fits", "misfits", "none"),
    "more": (False, True),
    "cut": (0, 1, 3, 100),
    "joined": (False, True),
    "step": (-1, 0, 1, 100),
    "pad": (0, 240),
    "limit": (None, 64, 512, 1 << 14),
    "told": (None, 64, (1 << 14) + 1, 65535),
    "staple": (None, "sent", "promised"),
    "alpn": (None, b"h2"),
    "high": (0x0304, 0x0303),
    "grease": (True, False),
    "compatible": (True, False),
    "shuffle": (0, 1, 2),
    "formats": (None, b"\1\0", b"\3\0\1\2"),
    "asks": (None, "cert", "shd", "nst"),
    "tickets": (True, False),
    "after": ("none", "large", "requests", "warnings", "pieces"),
    "close": ("server", "client", "cut", "fatal"),
}


def lawful(case: Case) -> Case:
    """What cannot be together is made so that it can."""
    if not case["tickets"]:
        case["given"] = None
    if case["session"] == "tls13" and case["high"] == 0x0303:
        case["session"] = None
    return case


class Crossed12(Crossed):
    """See the module."""

    new = False

    def configure(self) -> None:
        """See ``Crossed``."""
        case, rng = self.case, self.rng
        self.exchange, self.auth, cipher, _, self.hash = SUITES_12[case["suite"]]
        self.cbc = cipher.startswith("cbc")
        self.kind = "rsa2048" if self.exchange == "rsa" else case[self.auth]
        if case["ask"] in ("fits", "misfits"):
            self.kinds = rng.sample(list(SCHEMES_12), 3)
        made = [bare(kind, 2, 9) for kind in self.kinds]
        self.credentials = tuple(Credential((der,), key) for der, key in made)
        groups, suites = list(GROUPS), list(SUITES_12)
        rng.shuffle(groups)
        rng.shuffle(suites)
        if case["session"]:
            self.session = self._kept()
        self.resumed = case["session"] in ("ticket", "id", "both")
        self.config = ClientConfig(
            verify=self.verify,
            max_version=case["high"],
            suites=(0x1301, 0x1302, *suites) if case["high"] == 0x0304 else tuple(suites),
            groups=tuple(groups),
            schemes=SCHEMES,
            sign_with=tuple(self.own_schemes),
            alpn=(b"x", case["alpn"]) if case["alpn"] else (),
            record_size_limit=case["limit"],
            middlebox_compatibility=case["compatible"],
            key_log=self.lines.append,
            credentials=self.credentials,
            grease=case["grease"],
            ask_tickets=case["tickets"],
            limits=Limits(warnings=100),
        )

    def _kept(self) -> Session:
        case, rng = self.case, self.rng
        if case["session"] == "tls13":
            return Session(0x0304, 0x1301, os.urandom(32), b"another", NOW - 100, 7200, NAME)
        kind, *refused = case["session"].split()
        return Session(
            0x0303,
            rng.choice([case["suite"], 0xC02B]) if refused else case["suite"],
            os.urandom(48),
            os.urandom(rng.choice([1, 200])) if kind != "id" else b"",
            NOW - 100,
            7200,
            NAME,
            session_id=os.urandom(rng.choice([1, 32])) if kind != "ticket" else b"",
            extended_master_secret=case["extended"],
            peer_chain=(b"kept",),
        )

    def check_hello(self, hello: Hello) -> None:
        """RFC 5246 7.4.1.2, and that nothing of TLS 1.3 is in it where only TLS 1.2 is offered."""
        case, found, session = self.case, hello.extensions, self.session
        both = case["high"] == 0x0304
        assert plain(hello.suites) == list(self.config.suites)
        assert plain(hello.list16(10)) == [g for g in self.config.groups if both or g in (29, 23, 24, 25, 30, 256, 257)]
        assert hello.list16(13) == [s for s in SCHEMES if both or s >> 8 != 9]
        want = {
            0: vec(b"\0" + vec(NAME.encode())),
            5: b"\1\0\0\0\0",
            18: b"",
            22: b"",
            23: b"",
            0xFF01: b"\0",
            11: b"\1\0",
        }
        numbers = {10, 13} | ({43, 51, 27} if both else set()) | ({45} if both and case["tickets"] else set())
        if session is not None and session.version == 0x0304:
            numbers |= {41, 45}
            session = None
        if case["tickets"] or (session is not None and session.ticket):
            want[35] = session.ticket if session is not None else b""
        if case["alpn"]:
            want[16] = vec(entries((b"x", case["alpn"]), 1))
        if case["limit"]:
            want[28] = u16(case["limit"] + both)
        assert set(plain(found)) == want.keys() | numbers
        assert all(found[number] == body for number, body in want.items())
        if session is None:
            assert len(hello.session_id) == 32 * (both and case["compatible"])
        elif session.session_id:
            assert hello.session_id == session.session_id
        else:
            assert len(hello.session_id) == 32

    # ------------------------------------------------------------ the handshake

    def add(self, label: str, kind: int, body: bytes) -> None:
        """A message of the flight, with a HelloRequest before it where the case has one (RFC 5246 7.4.1.1)."""
        raw = self.made(label, kind, body)
        self.peer.said += raw
        if label == self.case["asks"]:
            self.send()
            self.peer.say(b"\0\0\0\0", later=True)
        self._batch.append(raw)

    def send(self) -> None:
        self.peer.say(*self._batch, later=True)
        self._batch.clear()

    def shake(self) -> dict[str, Any]:
        """The handshake; what the client's facts must be."""
        case, peer = self.case, self.peer
        self._batch: list[bytes] = []
        self.hello = hello = Hello(peer.hear(1))
        assert peer.records[0][:2] == (HANDSHAKE, b"\3\1")
        self.check_hello(hello)
        peer.said = hello.raw
        self.id = hello.session_id if self.resumed else os.urandom(32) if case["id"] else b""
        self.server_random = os.urandom(32)
        scts = self._server_hello()
        facts: dict[str, Any] = {"group": None, "signature": None, "own_signature": None, "stapled": None}
        facts["authorities"] = None
        self.keys = b""
        if self.resumed and self.session is not None:
            self.master = self.session.secret
            self.send()
            self._server_finished()
            self._client_finished()
            facts["peer_chain"] = self.session.peer_chain
        else:
            self._full(facts)
            self._client_finished()
            self._server_finished()
        assert all(version == b"\3\3" for _, version, _ in peer.records[1:])
        assert self.lines == [f"CLIENT_RANDOM {hello.random.hex()} {self.master.hex()}"]
        return facts | {
            "version": 0x0303,
            "suite": case["suite"],
            "resumed": self.resumed,
            "alpn": case["alpn"],
            "extended_master_secret": case["extended"],
            "encrypt_then_mac": case["etm"] and self.cbc,
            "scts": scts,
            "server_name": NAME,
        }

    def _server_hello(self) -> bytes:
        case = self.case
        scts = vec(vec(b"\0not one that can be read") + vec(b"\1of another kind"))
        extensions = [(0xFF01, b"\0"), (0, b""), (10, vec(u16(29))), (18, scts)]
        extensions += [(23, b"")] if case["extended"] else []
        extensions += [(22, b"")] if case["etm"] and self.cbc else []
        extensions += [(35, b"")] if case["given"] else []
        extensions += [(16, vec(vec(case["alpn"], 1)))] if case["alpn"] else []
        extensions += [(11, case["formats"])] if case["formats"] else []
        extensions += [(5, b"")] if case["staple"] and not self.resumed else []
        if case["limit"] and case["told"]:
            extensions.append((28, u16(case["told"])))
            self.limit = min(case["told"], 1 << 14)
        head = b"\3\3" + self.server_random + vec(self.id, 1) + u16(case["suite"]) + b"\0"
        self.add("sh", 2, head + self.mixed(extensions))
        return scts

    def _full(self, facts: dict[str, Any]) -> None:
        case, peer, rng, randoms = self.case, self.peer, self.rng, self.hello.random + self.server_random
        der, key = bare(self.kind)
        facts["peer_chain"] = (der, bare("p256", 5, 5)[0])
        self.add("cert", 11, vec(entries(facts["peer_chain"], 3), 3))
        if case["staple"] == "sent":
            facts["stapled"] = os.urandom(200)
            self.add("status", 22, b"\1" + vec(facts["stapled"], 3))
        if self.exchange != "rsa":
            facts["group"], private, parameters = self.parameters()
            scheme = facts["signature"] = rng.choice(SCHEMES_12[self.kind])
            self.add("ske", 12, parameters + u16(scheme) + vec(sign(key, scheme, randoms + parameters)))
        if case["ask"]:
            self.add("cr", 13, self._request())
            facts["authorities"] = self.authorities
        self.add("shd", 14, b"")
        self.send()
        own = self._certificate() if case["ask"] else None
        raw = peer.hear(16)
        peer.said += raw
        if self.exchange == "rsa":
            assert raw == message(16, vec(raw[6:]))
            secret = key.decrypt(raw[6:], padding.PKCS1v15())
            assert (len(secret), secret[:2]) == (48, b"\3\3")
        else:
            secret = self.shared(facts["group"], private, raw[4:])
        if case["extended"]:
            self.master = prf(self.hash, secret, b"extended master secret", hashed(self.hash, peer.said), 48)
        else:
            self.master = prf(self.hash, secret, b"master secret", randoms, 48)
        if own is not None:
            private, facts["own_signature"] = own
            raw = peer.hear(15)
            assert raw == message(15, u16(own[1]) + vec(raw[8:]))
            private.public_key().verify(raw[8:], peer.said, *arguments(own[1]))
            peer.said += raw

    def parameters(self) -> tuple[int | None, Any, bytes]:
        """Group, private key, and the parameters of a ServerKeyExchange."""
        if self.exchange == "ecdhe":
            group = self.case["group"]
            private, public = elliptic(group)
            return group, private, b"\3" + u16(group) + vec(public, 1)
        p = PRIMES[self.case["field"]] if self.case["field"] else OWN
        x, size = int.from_bytes(os.urandom(8), "big"), (p.bit_length() + 7) // 8
        public = pow(2, x, p).to_bytes(size, "big")
        self.prime = p
        return self.case["field"] or None, x, entries((p.to_bytes(size, "big"), b"\2", public), 2)

    def shared(self, group: int | None, private: Any, body: bytes) -> bytes:
        """The premaster secret (RFC 8422 5.10, RFC 5246 8.1.2)."""
        if self.exchange == "ecdhe":
            assert body == vec(body[1:], 1)
            return meet(group or 0, private, body[1:])
        size = (self.prime.bit_length() + 7) // 8
        assert body == vec(body[2:])
        assert len(body) == 2 + size
        y = int.from_bytes(body[2:], "big")
        assert 1 < y < self.prime - 1
        return pow(y, private, self.prime).to_bytes(size, "big").lstrip(b"\0")

    def _keys(self, client: bool) -> Keys12:
        keys = prf(self.hash, self.master, b"key expansion", self.server_random + self.hello.random, 200)
        return Keys12(self.case["suite"], keys, client, self.case["etm"])

    def _finished(self, who: bytes) -> bytes:
        return prf(self.hash, self.master, who + b" finished", hashed(self.hash, self.peer.said), 12)

    def _client_finished(self) -> None:
        peer = self.peer
        peer.hear_change()
        peer.into = self._keys(True)
        want = message(20, self._finished(b"client"))
        assert peer.hear(20) == want
        peer.said += want

    def _server_finished(self) -> None:
        case, peer = self.case, self.peer
        self.ticket, self.lifetime = b"", 0
        if case["given"]:
            self.ticket = os.urandom(100) if case["given"] == "ticket" else b""
            self.lifetime = self.rng.choice([0, 1, 700_000])
            self.add("nst", 4, self.lifetime.to_bytes(4, "big") + vec(self.ticket))
            self.send()
        peer.change()
        peer.out = self._keys(False)
        if case["limit"] and case["told"]:  # counts TLS 1.3's content type where that was offered
            peer.limit = min(case["limit"] + (case["high"] == 0x0304), 1 << 14)
        self.add("fin", 20, self._finished(b"server"))
        self.send()

    # ------------------------------------------------------------ client authentication

    authorities: tuple[bytes, ...] = ()

    def _request(self) -> bytes:
        rng = self.rng
        schemes = [*SCHEMES, 0x0201]
        if self.case["ask"] == "misfits":
            schemes = [s for s in schemes if not any(s in SCHEMES_12[kind] for kind in self.kinds)] + [0x0203]
        rng.shuffle(schemes)
        self.asked = schemes[: rng.randrange(1, len(schemes) + 1)]
        self.types = rng.choice([b"\1\x40", b"\1", b"\x40", b"\2\x4d"])
        if self.case["more"]:
            self.authorities = (bytes.fromhex("300d310b3009060355040613024445"), ISSUER)
        return vec(self.types, 1) + vec(u16(*self.asked)) + vec(entries(self.authorities, 2))

    def _certificate(self) -> tuple[Any, int] | None:
        """The client's Certificate: of one that has a type and a scheme asked for (RFC 5246 7.4.4, 7.4.6)."""
        raw = self.peer.hear(11)
        self.peer.said += raw
        fitting: dict[bytes, tuple[Any, int]] = {}
        for credential, kind in zip(self.credentials, self.kinds, strict=True):
            schemes = [s for s in self.own_schemes if s in self.asked and s in SCHEMES_12[kind]]
            if schemes and (64 if kind in SIGNERS["ecdsa"] else 1) in self.types:
                fitting[credential.chain[0]] = credential.key, schemes[0]
        if not fitting:
            assert raw == message(11, b"\0\0\0")
            return None
        der = next(der for der in fitting if der in raw)
        assert raw == message(11, vec(vec(der, 3), 3))
        return fitting[der]

    # ------------------------------------------------------------ what the client tells, and what comes after

    def told(self, facts: dict[str, Any]) -> None:
        """The client's facts, the chain it had verified, the session it hands over, and its exporters."""
        found = [{name: getattr(one.facts, name) for name in facts} for one in self.taken(HandshakeDone)]
        assert found == [facts]
        shown = [(p.chain, p.name, p.purpose, p.now, p.stapled) for p in self.presented]
        assert shown == ([] if self.resumed else [(facts["peer_chain"], NAME, "server", NOW, facts["stapled"])])
        want = {
            "version": 0x0303,
            "suite": self.case["suite"],
            "secret": self.master,
            "ticket": self.ticket,
            "lifetime": (self.lifetime if self.ticket else 0) or 7200,
            "session_id": b"" if self.ticket else self.id,
            "extended_master_secret": self.case["extended"],
            "peer_chain": facts["peer_chain"],
        }
        found = [{name: getattr(one.session, name) for name in want} for one in self.taken(Ticket)]
        assert found == ([want] if self.ticket or (self.id and not self.resumed) else [])
        randoms = self.hello.random + self.server_random
        for context in (None, b"", b"abc"):
            seed = randoms + (b"" if context is None else vec(context))
            try:
                value = self.client.export("EXPORTER-x", context, 40)
            except UsageError:
                assert not self.case["extended"]
            else:
                assert self.case["extended"]
                assert value == prf(self.hash, self.master, b"EXPORTER-x", seed, 40)
        self.nothing_else()

    def _refused(self) -> None:
        assert self.peer.next_record() == (ALERT, b"\1\x64")

    def after_requests(self) -> None:
        """HelloRequest is answered with a warning (RFC 5246 7.2.2)."""
        for _ in range(3):
            self.peer.pour(HANDSHAKE, b"\0\0\0\0")
            self._refused()

    def after_pieces(self) -> None:
        """Data may come between the pieces of a message (RFC 5246 6.2.1)."""
        self.peer.put(HANDSHAKE, b"\0\0")
        self.down()
        self.peer.put(HANDSHAKE, b"\0\0\0\0\0\0")
        self._refused()
        self._refused()

    def after_warnings(self) -> None:
        """Alerts may be cut and joined, too (RFC 5246 6.2.1)."""
        self.peer.put(ALERT, b"\1\x5a\1")
        self.peer.put(DATA, b"x")
        self.peer.put(ALERT, b"\x70")
        assert self.taken(PeerAlert) == [PeerAlert(90, fatal=False), PeerAlert(112, fatal=False)]
        assert self.got() == b"x"


__all__ = ["DIMENSIONS", "Crossed12", "block", "lawful"]
