"""A TLS 1.3 handshake with a client, in any crossing of what can be negotiated, each octet of the client's checked.

What the client must say, and what it must tell of the handshake, is computed here from RFC 8446 (and 7301, 8449, 8879).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import zstandard

from synfin.tls import ClientConfig, Credential, Session
from tests.tls.crossed_both import GROUPS, HANDSHAKE, SCHEMES, Case, Crossed, entries, plain
from tests.tls.crossed_keys import (
    ISSUER,
    MLKEM,
    SCHEMES_13,
    SUITES_13,
    Keys13,
    agree,
    arguments,
    bare,
    derive,
    expand_label,
    hashed,
    hkdf_extract,
    message,
    sign,
    u16,
    vec,
)
from tests.tls.crossed_peer import CCS, DATA, HRR, Hello
from tests.tls.ends import NAME, NOW

DIMENSIONS: dict[str, tuple[Any, ...]] = {
    "suite": tuple(SUITES_13),
    "group": GROUPS,
    "retry": (None, "group", "cookie", "both"),
    "kind": tuple(SCHEMES_13),
    "psk": (None, "taken", "ignored", "external", "hash", "suite"),
    "early": ("no", "taken", "refused"),
    "ask": (None, "fits", "misfits", "none"),
    "more": (False, True),
    "late": (False, True),
    "cut": (0, 1, 3, 100),
    "joined": (False, True),
    "step": (-1, 0, 1, 100),
    "pad": (0, 1, 1 << 14),
    "ccs": ((), ("sh",), ("before", "sh", "sh", "ee", "cv", "fin")),
    "limit": (None, 64, 512, 1 << 14),
    "told": (None, 64, (1 << 14) + 1, 65535),
    "staple": (False, True),
    "compress": (0, 1, 2, 3),
    "alpn": (None, b"h2"),
    "low": (0x0303, 0x0304),
    "grease": (True, False),
    "compatible": (True, False),
    "padding": (None, 7, 1 << 14),
    "shuffle": (0, 1, 2),
    "tickets": (True, False),
    "after": ("none", "keys", "asked_keys", "ticket", "split", "ask_late", "large"),
    "close": ("server", "client", "cut", "fatal"),
}  # fmt: skip


def lawful(case: Case) -> Case:
    """What cannot be together is made so that it can."""
    psk = case["psk"]
    if psk in (None, "external"):
        case["early"] = "no"
    elif case["early"] == "taken" and (case["retry"] or psk != "taken"):
        case["early"] = "refused"
    if psk == "external":
        case["suite"] = 0x1301
    if psk in ("taken", "external"):
        case["ask"] = None
    if case["after"] == "ask_late":
        case["late"] = True
    if case["pad"] > 1 and (case["step"] in (1, 100) or case["cut"] in (1, 3)):
        case["pad"] = 1  # else a test of patience
    return case


_COMPRESSORS: dict[int, Callable[[bytes], bytes]] = {
    1: zlib.compress,
    2: lambda body: bytes(brotli.compress(body, quality=1)),
    3: zstandard.ZstdCompressor(level=1).compress,
}
_OPENERS: dict[int, Callable[[bytes], bytes]] = {1: zlib.decompress, 2: brotli.decompress}


class Handshake13(Crossed):
    """See the module."""

    again: Hello | None = None
    cookie = b""

    def configure(self) -> None:
        """See ``Crossed``."""
        case, rng = self.case, self.rng
        self.hash = SUITES_13[case["suite"]][2]
        self.size = hashlib.new(self.hash).digest_size
        groups = list(GROUPS)
        rng.shuffle(groups)
        others = rng.sample([g for g in groups if g != case["group"]], rng.randrange(2))
        wanted = others if case["retry"] in ("group", "both") else [case["group"], *others]
        if case["late"] or case["ask"] in ("fits", "misfits"):
            self.kinds = rng.sample(list(SCHEMES_13), 3)
        made = [bare(kind, 2, 9) for kind in self.kinds]
        self.credentials = tuple(Credential((der,), key) for der, key in made)
        if case["psk"]:
            self.session = self._kept()
        self.config = ClientConfig(
            verify=self.verify,
            min_version=case["low"],
            suites=(*rng.sample(tuple(SUITES_13), 5), 0xC02B),
            groups=tuple(groups),
            shares=tuple(g for g in groups if g in wanted),
            schemes=SCHEMES,
            sign_with=tuple(self.own_schemes),
            alpn=(b"x", case["alpn"]) if case["alpn"] else (),
            record_size_limit=case["limit"],
            padding=None if case["padding"] is None else lambda size: int(case["padding"]),
            middlebox_compatibility=case["compatible"],
            key_log=self.lines.append,
            credentials=self.credentials,
            early_data=case["early"] != "no",
            grease=case["grease"],
            ask_tickets=case["tickets"],
            post_handshake_auth=case["late"],
            certificate_compression=(2, 1, 3) if case["compress"] else (),
        )

    def _kept(self) -> Session:
        case, rng = self.case, self.rng
        if case["psk"] == "external":
            return Session.from_key(b"identity", os.urandom(32), 0x1301)
        suite = case["suite"]
        if case["psk"] == "hash":
            suite = 0x1301 if self.hash == "sha384" else 0x1302
        elif case["psk"] == "suite":
            suite = rng.choice([code for code in SUITES_13 if SUITES_13[code][2] == self.hash])
        return Session(
            0x0304,
            suite,
            os.urandom(hashlib.new(SUITES_13[suite][2]).digest_size),
            os.urandom(rng.choice([1, 32, 300])),
            NOW - rng.choice([0, 1, 100.5, 7000]),
            7200,
            NAME,
            case["alpn"],
            rng.randrange(1 << 32),
            0 if case["early"] == "no" else 500,
            peer_chain=(b"kept",),
            record_limit=rng.choice([64, 1 << 14]),
        )

    # ------------------------------------------------------------ what the client says first

    def check_hello(self, hello: Hello, first: Hello | None, before: bytes) -> None:
        """RFC 8446 4.1.2, 4.2.11; ``before`` is the transcript before it, ``first`` the hello before a retry."""
        case, config, found = self.case, self.config, hello.extensions
        assert plain(hello.suites) == list(config.suites)[: None if case["low"] == 0x0303 else 5]
        assert plain(hello.list16(10)) == list(config.groups)
        assert hello.list16(13) == list(SCHEMES)
        assert plain(hello.list16(43, 1)) == [0x0304, 0x0303][: 0x0305 - case["low"]]
        assert len(hello.session_id) == 32 * case["compatible"]
        want = {0: vec(b"\0" + vec(NAME.encode())), 5: b"\1\0\0\0\0", 18: b""}
        if case["low"] == 0x0303:
            want |= {23: b"", 0xFF01: b"\0", 11: b"\1\0", **({35: b""} if case["tickets"] else {})}
        if case["tickets"] or self.session is not None:
            want[45] = b"\1\1"
        if case["alpn"]:
            want[16] = vec(entries((b"x", case["alpn"]), 1))
        if case["compress"]:
            want[27] = b"\6\0\2\0\1\0\3"
        if case["late"]:
            want[49] = b""
        if case["limit"]:
            want[28] = u16(case["limit"] + 1)
        if case["early"] != "no" and first is None:
            want[42] = b""
        if self.cookie:
            want[44] = vec(self.cookie)
        psk = self.session
        if first is not None and psk is not None and SUITES_13[psk.suite][2] != self.hash:
            psk = None
        assert set(plain(found)) == want.keys() | {10, 13, 43, 51} | ({41} if psk is not None else set())
        assert all(found[number] == body for number, body in want.items())
        assert (len(plain(found)) < len(found)) == case["grease"]
        if first is None:
            assert tuple(plain(hello.shares)) == config.shares
        elif case["retry"] == "cookie":
            assert found[51] == first.extensions[51]
        else:
            assert list(hello.shares) == [case["group"]]
        if first is not None:
            for name in ("random", "session_id", "suites"):
                assert getattr(hello, name) == getattr(first, name)
            same = [n for n in first.order if n not in (51, 42, 41)]
            assert [n for n in hello.order if n not in (51, 44, 41)] == same
            assert all(found[n] == first.extensions[n] for n in same)
        if psk is not None:
            self._check_binder(hello, psk, before)

    def _check_binder(self, hello: Hello, psk: Session, before: bytes) -> None:
        identities, binders, size = hello.keys
        now = NOW if self.again is None else self.peer.now
        age = 0 if psk.external else (int((now - psk.issued) * 1000) + psk.age_add) & 0xFFFFFFFF
        assert identities == [(psk.ticket, age)]
        name = SUITES_13[psk.suite][2]
        secret = derive(name, hkdf_extract(name, b"", psk.secret), "ext binder" if psk.external else "res binder", b"")
        key = expand_label(name, secret, "finished", b"", hashlib.new(name).digest_size)
        assert binders == [hmac.digest(key, hashed(name, before + hello.raw[:-size]), name)]

    # ------------------------------------------------------------ the handshake

    def changes(self, where: str) -> None:
        """ChangeCipherSpec, as often as the case has it here."""
        for _ in range(self.case["ccs"].count(where)):
            self.peer.change()

    def hello_message(self, label: str, random: bytes, extensions: list[tuple[int, bytes]]) -> bytes:
        """A ServerHello or HelloRetryRequest."""
        head = b"\3\3" + random + vec(self.hello.session_id, 1) + u16(self.case["suite"]) + b"\0"
        return self.made(label, 2, head + self.mixed(extensions))

    def shake(self) -> dict[str, Any]:
        """The handshake; what the client's facts must be."""
        case, peer, rng = self.case, self.peer, self.rng
        self.early = os.urandom(rng.choice([0, 1, 65, 500])) if case["early"] != "no" else b""
        if self.early:
            self.client.send_early(self.early)
        self.hello = hello = Hello(peer.hear(1))
        assert peer.records[0][:2] == (HANDSHAKE, b"\3\1")
        self.check_hello(hello, None, b"")
        peer.said = hello.raw
        early = self._early_keys(hello.raw)
        peer.into, peer.skips = (early, False) if case["early"] == "taken" else (None, case["early"] == "refused")
        self.changes("before")
        if case["retry"]:
            hello = self._retry(hello)
        self._server_hello(hello)
        scheme, chain, stapled, scts = self._flight()
        if rng.random() < 0.3:
            peer.put(DATA, b"before it is asked")
            self.half = b"before it is asked"
        own, authorities = self._answer()
        self._log(hello)
        taken = self.psk is not None
        return {
            "version": 0x0304,
            "suite": case["suite"],
            "group": case["group"],
            "signature": scheme,
            "own_signature": own,
            "resumed": taken,
            "retried": bool(case["retry"]),
            "alpn": case["alpn"],
            "server_name": NAME,
            "early_data": case["early"] == "taken",
            "peer_chain": self.psk.peer_chain if self.psk is not None else chain,
            "stapled": stapled,
            "scts": scts,
            "authorities": authorities,
        }

    half = b""
    psk: Session | None = None

    def _early_keys(self, raw: bytes) -> Keys13 | None:
        if self.session is None or self.case["early"] == "no":
            return None
        name = SUITES_13[self.session.suite][2]
        return Keys13(
            self.session.suite, derive(name, hkdf_extract(name, b"", self.session.secret), "c e traffic", raw)
        )

    def _retry(self, first: Hello) -> Hello:
        case, peer = self.case, self.peer
        extensions = [(43, b"\3\4")]
        if case["retry"] != "cookie":
            extensions.append((51, u16(case["group"])))
        if case["retry"] != "group":
            self.cookie = os.urandom(self.rng.choice([1, 8, 500]))
            extensions.append((44, vec(self.cookie)))
        peer.now += self.pause
        peer.said = message(254, hashed(self.hash, first.raw))
        peer.say(self.hello_message("hrr", HRR, extensions))
        self.again = Hello(peer.hear(1))
        self.check_hello(self.again, first, peer.said)
        peer.said += self.again.raw
        peer.skips = False
        return self.again

    def _server_hello(self, hello: Hello) -> None:
        case, peer, name = self.case, self.peer, self.hash
        public, shared = agree(case["group"], hello.shares[case["group"]])
        extensions = [(43, b"\3\4"), (51, u16(case["group"]) + vec(public))]
        if case["psk"] in ("taken", "external"):
            self.psk = self.session
            extensions.append((41, b"\0\0"))
        peer.say(self.hello_message("sh", os.urandom(32), extensions))
        secret = hkdf_extract(name, b"", self.psk.secret if self.psk is not None else bytes(self.size))
        secret = hkdf_extract(name, derive(name, secret, "derived", b""), shared)
        self.secrets = {side: derive(name, secret, f"{side} hs traffic", peer.said) for side in "cs"}
        self.main = hkdf_extract(name, derive(name, secret, "derived", b""), bytes(self.size))
        peer.out = Keys13(case["suite"], self.secrets["s"])
        self.changes("sh")

    def finished(self, secret: bytes, said: bytes) -> bytes:
        """verify_data (RFC 8446 4.4.4)."""
        return hmac.digest(
            expand_label(self.hash, secret, "finished", b"", self.size), hashed(self.hash, said), self.hash
        )

    def _flight(self) -> tuple[int | None, tuple[bytes, ...], bytes | None, bytes | None]:
        """EncryptedExtensions to Finished; scheme, chain, staple and timestamps."""
        case, peer, rng = self.case, self.peer, self.rng
        batch: list[bytes] = []

        def add(label: str, kind: int, body: bytes) -> None:
            if label in case["ccs"]:
                peer.say(*batch, later=True)
                batch.clear()
                self.changes(label)
            raw = self.made(label, kind, body)
            batch.append(raw)
            peer.said += raw

        extensions = [(0, b""), (10, vec(u16(29, MLKEM)))]
        if case["alpn"]:
            extensions.append((16, vec(vec(case["alpn"], 1))))
        if case["limit"] and case["told"]:
            extensions.append((28, u16(case["told"])))
            peer.limit, self.limit = case["limit"], min(case["told"] - 1, 1 << 14)
        if case["early"] == "taken":
            extensions.append((42, b""))
        add("ee", 8, self.mixed(extensions))
        scheme, chain, stapled, scts = None, tuple[bytes, ...](), None, None
        if self.psk is None:
            if case["ask"]:
                add("cr", 13, self.request(b"", misfit=case["ask"] == "misfits"))
            der, key = bare(case["kind"])
            chain = (der, bare("p256", 5, 5)[0])
            more: list[tuple[int, bytes]] = []
            if case["staple"]:
                stapled, scts = os.urandom(200), vec(vec(os.urandom(60)) + vec(b"\0"))
                more = [(5, b"\1" + vec(stapled, 3)), (18, scts)]
            body = b"\0" + vec(vec(chain[0], 3) + self.mixed(more) + vec(chain[1], 3) + b"\0\0", 3)
            if case["compress"]:
                packed = _COMPRESSORS[case["compress"]](body)
                add("cc", 25, u16(case["compress"]) + len(body).to_bytes(3, "big") + vec(packed, 3))
            else:
                add("cert", 11, body)
            scheme = rng.choice(SCHEMES_13[case["kind"]])
            words = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + hashed(self.hash, peer.said)
            add("cv", 15, u16(scheme) + vec(sign(key, scheme, words)))
        add("fin", 20, self.finished(self.secrets["s"], peer.said))
        peer.say(*batch, later=True)
        self.traffic = {side: derive(self.hash, self.main, f"{side} ap traffic", peer.said) for side in "cs"}
        self.exporter = derive(self.hash, self.main, "exp master", peer.said)
        peer.out = Keys13(case["suite"], self.traffic["s"])
        return scheme, chain, stapled, scts

    def _answer(self) -> tuple[int | None, tuple[bytes, ...] | None]:
        """The client's flight; its scheme, and the authorities it was told."""
        case, peer = self.case, self.peer
        own = authorities = None
        if case["early"] == "taken":
            assert peer.hear(5) == b"\5\0\0\0"
            assert peer.data == self.early
            assert self.session is not None
            assert all(len(c) <= self.session.record_limit for kind, _, c in peer.records if kind == DATA)
            peer.data = b""
            peer.said += b"\5\0\0\0"
        peer.into = Keys13(case["suite"], self.secrets["c"])
        if self.psk is None and case["ask"]:
            own, authorities = self.authentication(b""), self.authorities
        assert peer.hear(20) == message(20, self.finished(self.secrets["c"], peer.said))
        peer.said += message(20, self.finished(self.secrets["c"], peer.said))
        peer.between()
        self.whole = peer.said
        self.resumption = derive(self.hash, self.main, "res master", peer.said)
        peer.into = Keys13(case["suite"], self.traffic["c"])
        kinds = [kind for kind, _, _ in peer.records]
        assert [i for i, kind in enumerate(kinds) if kind == CCS] == ([1] if case["compatible"] else [])
        assert all(version == b"\3\3" for _, version, _ in peer.records[1:])
        flight = [content for kind, _, content in peer.records if kind == HANDSHAKE][2 if case["retry"] else 1 :]
        assert max(map(len, flight)) <= self.limit
        return own, authorities

    def _log(self, hello: Hello) -> None:
        log = {
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET": self.secrets["c"],
            "SERVER_HANDSHAKE_TRAFFIC_SECRET": self.secrets["s"],
            "CLIENT_TRAFFIC_SECRET_0": self.traffic["c"],
            "SERVER_TRAFFIC_SECRET_0": self.traffic["s"],
            "EXPORTER_SECRET": self.exporter,
        }
        early = self._early_keys(self.hello.raw)
        if early is not None:
            log["CLIENT_EARLY_TRAFFIC_SECRET"] = early.secret
        assert sorted(self.lines) == sorted(f"{k} {hello.random.hex()} {v.hex()}" for k, v in log.items())

    # ------------------------------------------------------------ client authentication

    authorities: tuple[bytes, ...] = ()
    asked: tuple[int, ...] = ()

    def request(self, context: bytes, *, misfit: bool) -> bytes:
        """The body of a CertificateRequest."""
        schemes = [*SCHEMES, 0x0201, 0x1234]
        if misfit:
            schemes = [s for s in schemes if not any(s in SCHEMES_13[kind] for kind in self.kinds)]
        self.rng.shuffle(schemes)
        self.asked = tuple(schemes[: self.rng.randrange(1, len(schemes))])
        extensions = [(13, vec(u16(*self.asked)))]
        self.authorities = ()
        if self.case["more"]:
            self.authorities = (bytes.fromhex("300d310b3009060355040613024445"), ISSUER)
            extensions += [(47, vec(entries(self.authorities, 2))), (50, vec(u16(0x0403))), (5, b""), (18, b"")]
            extensions += [(27, vec(u16(1, 2, 77), 1)), (48, vec(b"\5\6\3\x55\x1d\x63\0\0")), (0x1A1A, b"whatever")]
        return vec(context, 1) + self.mixed(extensions)

    def authentication(self, context: bytes) -> int | None:
        """The client's Certificate and CertificateVerify, of the first credential that has a scheme asked for."""
        peer = self.peer
        fitting: dict[bytes, tuple[Any, int]] = {}
        for credential, kind in zip(self.credentials, self.kinds, strict=True):
            schemes = [s for s in self.own_schemes if s in self.asked and s in SCHEMES_13[kind]]
            if schemes:
                fitting[credential.chain[0]] = credential.key, schemes[0]
        raw = peer.hear(11, 25)
        peer.said += raw
        body = raw[4:]
        if raw[0] == 25:
            assert self.case["more"]
            assert len(body) == 8 + int.from_bytes(body[5:8], "big")
            size, body = int.from_bytes(body[2:5], "big"), _OPENERS[body[1]](body[8:])
            assert len(body) == size
        if not fitting:
            assert body == vec(context, 1) + b"\0\0\0"
            return None
        der = next(der for der in fitting if der in body)
        assert body == vec(context, 1) + vec(vec(der, 3) + b"\0\0", 3)
        key, scheme = fitting[der]
        raw = peer.hear(15)
        assert raw == message(15, u16(scheme) + vec(raw[8:]))
        words = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + hashed(self.hash, peer.said)
        key.public_key().verify(raw[8:], words, *arguments(scheme))
        peer.said += raw
        return scheme
