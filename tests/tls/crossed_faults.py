"""Faults of a server for any crossed handshake: what is wrong in which message, and the alerts RFCs name for it.

Each function takes the handshake, the message's body and chance, and returns the body that goes out instead with the
alerts that are right; None where the crossing has no place for the fault.  The alert None means that nothing is wrong.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

from tests.tls.crossed_both import GROUPS, SCHEMES, plain
from tests.tls.crossed_keys import SCHEMES_12, SCHEMES_13, SIGNERS, SUITES_13, bare, block, hashed, sign, u16, vec
from tests.tls.crossed_peer import HRR

UNEXPECTED, HANDSHAKE, BAD_CERTIFICATE, UNSUPPORTED_CERTIFICATE, ILLEGAL, DECODE = 10, 40, 42, 43, 47, 50
DECRYPT, VERSION, WEAK, MISSING, UNSUPPORTED = 51, 70, 71, 109, 110

Extensions = list[tuple[int, bytes]]
Fault = tuple[bytes, set[int | None], str] | None

#: Bodies of extensions that are of the form in some message.
SAMPLES = {
    0: b"", 1: b"\1", 5: b"\1\0\0\0\0", 10: vec(u16(29)), 11: b"\1\0", 13: vec(u16(0x0403)), 14: b"\0\2\0\1\0",
    15: b"\1", 16: vec(vec(b"h2", 1)), 18: vec(vec(b"x")), 19: b"\0", 20: b"\0", 21: b"\0", 22: b"", 23: b"",
    27: b"\2\0\1", 28: b"\x40\0", 35: b"", 41: b"\0\0", 42: b"", 43: b"\3\4", 44: vec(b"c"), 45: b"\1\1",
    47: vec(vec(b"\x30\0")), 48: b"\0\0", 49: b"", 50: vec(u16(0x0403)), 51: b"\0\x1d" + vec(bytes(32)), 0xFF01: b"\0",
}  # fmt: skip
UNKNOWN = {17: b"", 57: b"", 0x3374: b"", 0xABCE: b"zz"}
#: RFC 8446 4.2's table, for what this engine speaks.
PLACES = {
    "sh": {43, 51, 41}, "hrr": {43, 51, 44}, "ee": {0, 1, 10, 14, 15, 16, 19, 20, 28, 42}, "cert": {5, 18},
    "cr": {5, 13, 18, 27, 47, 48, 50}, "late": {5, 13, 18, 27, 47, 48, 50}, "nst": {42},
}  # fmt: skip


def extensions(data: bytes) -> Extensions:
    """Those of a block with its length."""
    found, at = [], 2
    while at < len(data):
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((int.from_bytes(data[at : at + 2], "big"), data[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def offered(run: Any) -> set[int]:
    return set((getattr(run, "again", None) or run.hello).extensions)


def put(found: Extensions, number: int, body: bytes) -> Extensions:
    """With this body, where it stands or at the end."""
    if number in dict(found):
        return [(n, body if n == number else b) for n, b in found]
    return [*found, (number, body)]


def strange(run: Any, place: str, found: Extensions, rng: Random) -> tuple[Extensions, set[int | None], str] | None:
    """An extension that has no place: of no RFC, of another message, not asked for, twice, or of GREASE."""
    asked, at = offered(run), rng.randrange(len(found) + 1)
    tolerant = place in ("cr", "late", "nst")
    kind = rng.choice(["unknown", "known", "known", "twice", "grease"])
    if kind == "twice" and found:
        number, body = rng.choice(found)
        return [*found[:at], (number, body), *found[at:]], {ILLEGAL}, f"{number} twice"
    if kind == "grease":
        drawn = sorted(asked - set(plain(asked)))
        if tolerant or not drawn:
            return None
        return [*found[:at], (drawn[0], b""), *found[at:]], {ILLEGAL, UNSUPPORTED}, "GREASE of ours"
    if kind == "unknown":
        number, body = rng.choice(list(UNKNOWN.items()))
        return [*found[:at], (number, body), *found[at:]], {None} if tolerant else {UNSUPPORTED}, f"unknown {number}"
    number = rng.choice([n for n in SAMPLES if n not in dict(found)])
    if number in PLACES[place]:
        if tolerant or number in asked or number == 44:
            return None
        alerts: set[int | None] = {UNSUPPORTED}
    elif tolerant or number in asked or (place == "ee" and number not in (11, 22, 23, 27, 35, 0xFF01)):
        alerts = {ILLEGAL}
    else:
        alerts = {ILLEGAL, UNSUPPORTED}
    return [*found[:at], (number, SAMPLES[number]), *found[at:]], alerts, f"{number} in the wrong place"


def hello(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """ServerHello and HelloRetryRequest of TLS 1.3 (RFC 8446 4.1.3, 4.1.4)."""
    size, case = body[34], run.case
    first, session_id, suite, compression = body[:34], body[35 : 35 + size], body[35 + size : 37 + size], b"\0"
    found, ours = extensions(body[38 + size :]), run.again or run.hello
    alerts: set[int | None]
    has = dict(found)
    kind = rng.choice(
        ["strange", "strange", "version", "id", "suite", "compression", "versions", "share", "psk", "gone"]
    )
    if kind == "strange":
        odd = strange(run, label, found, rng)
        if odd is None:
            return None
        found, alerts, kind = odd
    elif kind == "version":
        first, alerts = u16(rng.choice([0, 0x0300, 0x0301, 0x0302, 0x0304, 0x7F1C, 0xFFFF])) + first[2:], {VERSION}
    elif kind == "id":
        changed = rng.choice([b"", bytes(32), session_id[:-1], session_id + b"\0", bytes(255)])
        if changed == session_id:
            return None
        session_id, alerts = changed, {DECODE if len(changed) > 32 else ILLEGAL}
    elif kind == "suite":
        codes = [0, 0xFF, 0x5600, 0x1306, 0xC02B, 0xC02F, *(n for n in ours.suites if n & 0x0F0F == 0x0A0A)]
        if run.again is not None:
            codes += [code for code in SUITES_13 if code != case["suite"]]
        suite, alerts = u16(rng.choice(codes)), {ILLEGAL}
    elif kind == "compression":
        compression, alerts = b"\1", {ILLEGAL}
    elif kind == "versions":
        value = rng.choice([u16(0x0303), u16(0x0305), u16(0x7F1C), u16(0x0A0A), b"", b"\3", b"\2\3\4"])
        found, alerts = put(found, 43, value), {ILLEGAL if len(value) == 2 else DECODE}
    elif kind == "share" and label == "hrr":
        value, alert = rng.choice([*((u16(g), ILLEGAL) for g in (0, 29999, *ours.shares)), (b"\0", DECODE)])
        found, alerts = put(found, 51, value), {alert}
    elif kind == "share":
        key, group = has[51][4:], has[51][:2]
        rows = [(u16(29999) + vec(key), ILLEGAL), (group + b"\0\0", DECODE), (group + vec(key[:-1]), ILLEGAL)]
        rows += [(group + vec(key + b"\0"), ILLEGAL), (group + vec(bytes(len(key))), ILLEGAL), (group, DECODE)]
        rows += [(u16(g) + vec(key), ILLEGAL) for g in GROUPS if g not in ours.shares]
        rows += [(u16(g) + vec(b"\0"), ILLEGAL) for g in ours.shares if g & 0x0F0F == 0x0A0A]
        value, alert = rng.choice(rows)
        found, alerts = put(found, 51, value), {alert}
    elif kind == "psk":
        if label == "hrr":
            return None
        value = rng.choice([b"\0\1", b"\xff\xff", b"", b"\0\0\0"])
        alerts = {UNSUPPORTED} if 41 not in ours.extensions else {ILLEGAL} if len(value) == 2 else {DECODE}
        found = put(found, 41, value)
    else:
        number = rng.choice(list(has))
        found = [one for one in found if one[0] != number]
        if number == 43:
            missing = ILLEGAL if run.again is not None or case["low"] == 0x0303 else VERSION
            alerts = {MISSING if label == "hrr" else missing}
        elif number == 51 and label == "sh":
            alerts = {ILLEGAL if 41 in has else MISSING}
        elif len(found) == 1 and label == "hrr":
            alerts = {ILLEGAL}
        else:
            return None
    return first + vec(session_id, 1) + suite + compression + block(found), alerts, kind


def again(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """A second HelloRetryRequest; or a sentinel, which means nothing in TLS 1.3."""
    if run.again is None or rng.random() < 0.5:
        return body[:26] + rng.choice([b"DOWNGRD\0", b"DOWNGRD\1"]) + body[34:], {None}, "sentinel"
    size = body[34]
    return body[:2] + HRR + body[34 : 38 + size] + block([(43, b"\3\4"), (44, vec(b"c"))]), {UNEXPECTED}, "retry again"


def encrypted(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """EncryptedExtensions (RFC 8446 4.3.1, RFC 7301 3.1, RFC 8449 4)."""
    found, asked = extensions(body), offered(run)
    if rng.random() < 0.5:
        odd = strange(run, "ee", found, rng)
        return (block(odd[0]), odd[1], odd[2]) if odd is not None else None
    rows = [(16, b, DECODE) for b in (b"", b"\0\0", b"\0\1\0", vec(b"\2h2\1x"), vec(b"\2h2") + b"\0", vec(b"\3h2"))]
    rows += [(16, vec(b"\2H2"), ILLEGAL), (16, vec(b"\1q"), ILLEGAL)]
    rows += [(28, u16(n), ILLEGAL) for n in (0, 1, 63)] + [(28, b, DECODE) for b in (b"", b"\x40", b"\0\x40\0")]
    rows += [(0, b, DECODE) for b in (b"\0", vec(b"\0" + vec(b"a")))]
    rows += [(10, b, DECODE) for b in (b"", b"\0", b"\0\0", b"\0\1\0", vec(u16(29)) + b"\0")] + [(42, b"", ILLEGAL)]
    number, value, alert = rng.choice(rows)
    if number == 42 and run.case["psk"] == "taken":
        number, value, alert = 42, b"\0", DECODE
    return (
        block(put(found, number, value)),
        {alert if number in asked or number == 0 else UNSUPPORTED},
        f"{number} {value!r}",
    )


def request(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """CertificateRequest, in the handshake and after it (RFC 8446 4.3.2)."""
    size = body[0]
    context, found = body[1 : 1 + size], extensions(body[1 + size :])
    kind = rng.choice(["strange", "strange", "context", "gone", "form", "form"])
    alerts: set[int | None] = {DECODE}
    if kind == "strange":
        odd = strange(run, label, found, rng)
        if odd is None:
            return None
        found, alerts, kind = odd
    elif kind == "context":
        context, alerts = b"" if context else b"x", {ILLEGAL}
    elif kind == "gone":
        found, alerts = [one for one in found if one[0] != 13], {MISSING}
    else:
        rows = [
            (13, b""),
            (13, b"\0\0"),
            (13, b"\0\1\4"),
            (13, vec(u16(0x0403)) + b"\0"),
            (47, b"\0\0"),
            (47, b"\0\2\0\0"),
        ]
        rows += [
            (47, b"\0\3\0\1"),
            (48, b""),
            (48, b"\0\1\0"),
            (48, vec(b"\0\0\0")),
            (50, b"\0\0"),
            (5, b"\1"),
            (18, b"\0"),
        ]
        number, value = rng.choice([*rows, (27, b""), (27, b"\0"), (27, b"\1\0"), (27, b"\2\0\1\0")])
        found, kind = put(found, number, value), f"{number} {value!r}"
    return vec(context, 1) + block(found), alerts, kind


def certificate(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """Certificate of TLS 1.3 (RFC 8446 4.4.2)."""
    entries, at, context = [], 4, b""
    while at < len(body):
        size = int.from_bytes(body[at : at + 3], "big")
        der, at = body[at + 3 : at + 3 + size], at + 3 + size
        size = 2 + int.from_bytes(body[at : at + 2], "big")
        entries.append((der, extensions(body[at : at + size])))
        at += size
    kind = rng.choice(["strange", "strange", "context", "none", "hollow", "junk", "form"])
    which = rng.randrange(len(entries))
    der, found = entries[which]
    alerts: set[int | None] = {DECODE}
    if kind == "strange":
        odd = strange(run, "cert", found, rng)
        if odd is None:
            return None
        found, alerts, kind = odd
    elif kind == "context":
        context, alerts = b"x", {ILLEGAL}
    elif kind == "none":
        return b"\0\0\0\0", alerts, kind
    elif kind == "hollow":
        der = b""
    elif kind == "junk":
        which, alerts = 0, {BAD_CERTIFICATE}
        der = rng.choice([b"\0", b"\x30\0", entries[0][0][:-1], entries[0][0] + b"\0"])
        found = entries[0][1]
    else:
        rows = [(5, b) for b in (b"", b"\1", b"\1\0\0\0", b"\2\0\0\1a", b"\1\0\0\2a", b"\1\0\0\1ab")]
        number, value = rng.choice(
            [*rows, *((18, b) for b in (b"", b"\0\0", b"\0\2\0\0", b"\0\3\0\2a", b"\0\3\0\1aa"))]
        )
        found, kind = put(found, number, value), f"{number} {value!r}"
    entries[which] = der, found
    return vec(context, 1) + vec(b"".join(vec(d, 3) + block(e) for d, e in entries), 3), alerts, kind


def compressed(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """CompressedCertificate (RFC 8879 4)."""
    size = int.from_bytes(body[2:5], "big")
    rows: list[Fault] = [
        (u16(rng.choice([0, 4, 0xFFFF])) + body[2:], {ILLEGAL}, "algorithm"),
        (body[:2] + rng.choice([0, size - 1, size + 1]).to_bytes(3, "big") + body[5:], {BAD_CERTIFICATE}, "size"),
        (body[:5] + vec(rng.choice([b"\0", body[8:-1], b"\xff" * 20]), 3), {BAD_CERTIFICATE}, "data"),
        (body[:5] + b"\0\0\0", {DECODE}, "nothing"),
    ]
    return rng.choice(rows)


def verify(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """CertificateVerify (RFC 8446 4.4.3)."""
    kind, signature = run.case["kind"], body[4:]
    which = rng.randrange(4)
    if which == 0:
        schemes = [s for s in (*SCHEMES, 0x0201, 0x0203, 0, 0x0A0A) if s not in SCHEMES_13[kind]]
        return u16(rng.choice(schemes)) + vec(signature), {ILLEGAL}, "scheme"
    if which == 1 and kind == "rsa2048":
        words = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + hashed(run.hash, run.peer.said)
        return u16(0x0401) + vec(sign(bare(kind)[1], 0x0401, words)), {ILLEGAL}, "PKCS#1"
    if which == 2:
        return body[:2] + b"\0\0", {DECRYPT}, "nothing"
    at = rng.randrange(len(signature))
    return body[: 4 + at] + bytes([signature[at] ^ 1]) + signature[at + 1 :], {DECRYPT}, "turned"


def finished(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """Finished of either version."""
    at = rng.randrange(len(body))
    rows = [(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], DECRYPT), (body[:-1], DECODE), (body + b"\0", DECODE)]
    changed, alert = rng.choice(rows)
    return changed, {alert}, "finished"


def update(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """KeyUpdate (RFC 8446 4.6.3)."""
    changed, alert = rng.choice([(b"\2", ILLEGAL), (b"\xff", ILLEGAL), (b"", DECODE), (b"\0\0", DECODE)])
    return changed, {alert}, "update"


def ticket(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """NewSessionTicket of TLS 1.3 (RFC 8446 4.6.1)."""
    size = body[8]
    at = 11 + size + int.from_bytes(body[9 + size : 11 + size], "big")
    found = extensions(body[at:])
    if rng.random() < 0.2:
        return body[: 9 + size] + b"\0\0" + body[at:], {DECODE}, "no ticket"
    if rng.random() < 0.3:
        return body[:at] + block(put(found, 42, rng.choice([b"", bytes(3), bytes(5)]))), {DECODE}, "early data"
    odd = strange(run, "nst", found, rng)
    return (body[:at] + block(odd[0]), odd[1], odd[2]) if odd is not None and odd[1] != {None} else None


# ---------------------------------------------------------------- TLS 1.2


def old_hello(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """ServerHello of TLS 1.2 (RFC 5246 7.4.1.3, RFC 5746 3.4, RFC 7627 5.3, RFC 7366 3, RFC 8422 5.2)."""
    size, case, asked = body[34], run.case, offered(run)
    first, session_id, suite, compression = body[:34], body[35 : 35 + size], body[35 + size : 37 + size], b"\0"
    found, both = extensions(body[38 + size :]), case["high"] == 0x0304
    has, alerts = dict(found), set[int | None]()
    kinds = ["twice", "known", "known", "form", "form", "form", "version", "suite", "compression", "id", "downgrade"]
    kind = rng.choice([*kinds, "extended", "etm", "versions", "unsafe", "bare"])
    if kind == "twice":
        found, alerts = [*found, rng.choice(found)], {ILLEGAL}
    elif kind == "known":
        old = {0, 5, 10, 11, 16, 18, 22, 23, 28, 35, 43, 0xFF01}
        number = rng.choice([n for n in (*SAMPLES, *UNKNOWN) if n not in old and n not in has])
        found = [(number, (SAMPLES | UNKNOWN)[number]), *found]
        alerts = {ILLEGAL, UNSUPPORTED} if number in asked else {UNSUPPORTED}
    elif kind == "form":
        rows = [(n, b"\0", DECODE) for n in (0, 5, 22, 23, 35)] + [(16, vec(b"\1q"), ILLEGAL), (28, u16(63), ILLEGAL)]
        rows += [(n, b"\0\0", DECODE) for n in (10, 16, 18)] + [(11, b"\1\1", ILLEGAL), (11, b"\0", DECODE)]
        number, value, alert = rng.choice([*rows, (16, vec(b"\2h2\1x"), DECODE), (18, b"\0\2\0\0", DECODE)])
        found, alerts = put(found, number, value), {alert if number in asked else UNSUPPORTED}
        kind = f"{number} {value!r}"
    elif kind == "version":
        first, alerts = u16(rng.choice([0, 0x0300, 0x0301, 0x0302, 0x0304, 0xFEFD])) + first[2:], {VERSION}
    elif kind == "suite":
        codes = [0, 0xFF, 0x5600, 0x1301, 0x000A, *(n for n in run.hello.suites if n & 0x0F0F == 0x0A0A)]
        suite, alerts = u16(rng.choice(codes)), {ILLEGAL}
    elif kind == "compression":
        compression, alerts = b"\1", {ILLEGAL}
    elif kind == "id" and run.hello.session_id and (run.session is None or run.session.version == 0x0304):
        session_id, alerts = run.hello.session_id, {ILLEGAL}
    elif kind == "downgrade" and both:
        first, alerts = first[:26] + rng.choice([b"DOWNGRD\0", b"DOWNGRD\1"]), {ILLEGAL}
    elif kind == "extended" and run.resumed:
        found, alerts = [one for one in found if one[0] != 23] if 23 in has else [*found, (23, b"")], {HANDSHAKE}
    elif kind == "etm" and not run.cbc:
        found, alerts = [*found, (22, b"")], {ILLEGAL}
    elif kind == "versions":
        found, alerts = [(43, u16(0x0303)), *found], {ILLEGAL if both else UNSUPPORTED}
    elif kind == "unsafe":
        value, alert = rng.choice([(b"\1a", HANDSHAKE), (b"\1", DECODE), (b"", DECODE), (b"\0\0", DECODE)])
        found, alerts = put(found, 0xFF01, value), {alert}
    elif kind == "bare":
        return body[: 38 + size], {HANDSHAKE}, "no extensions"
    else:
        return None
    return first + vec(session_id, 1) + suite + compression + block(found), alerts, kind


def old_certificate(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """Certificate of TLS 1.2 (RFC 5246 7.4.2)."""
    der = bare(run.kind)[0]
    other = bare(rng.choice(["ml-dsa-44", *SIGNERS["ecdsa" if run.auth == "rsa" else "rsa"]]))[0]
    chain, alerts = rng.choice([
        ((), {DECODE}),
        ((b"",), {DECODE}),
        ((der, b""), {DECODE}),
        ((der[:-1],), {BAD_CERTIFICATE}),
        ((der + b"\0",), {BAD_CERTIFICATE}),
        ((other,), {ILLEGAL, UNSUPPORTED_CERTIFICATE}),
    ])  # fmt: skip
    return vec(b"".join(vec(one, 3) for one in chain), 3), set(alerts), f"chain of {len(chain)}"


def old_exchange(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """ServerKeyExchange (RFC 5246 7.4.3, RFC 8422 5.4, RFC 7919 3)."""
    at = 4 + body[3] if run.exchange == "ecdhe" else 0
    for _ in "pgy" if run.exchange != "ecdhe" else "":
        at += 2 + int.from_bytes(body[at : at + 2], "big")
    parameters, scheme, signature = body[:at], int.from_bytes(body[at : at + 2], "big"), body[at + 4 :]
    which = rng.randrange(5)
    if which == 0:
        other = rng.choice([s for s in (*SCHEMES, 0x0201, 0x0203, 0x0A0A) if s not in SCHEMES_12[run.kind]])
        return parameters + u16(other) + vec(signature), {ILLEGAL}, "scheme"
    if which == 1:
        turned = signature[:-1] + bytes([signature[-1] ^ 1])
        return parameters + u16(scheme) + vec(turned), {DECRYPT}, "turned"
    if run.exchange == "ecdhe":
        groups = [0, 1, 22, 256, 0x11EC, *(g for g in run.hello.list16(10) if g & 0x0F0F == 0x0A0A)]
        key, head = parameters[4:], parameters[:3]
        rows = [(b"\1" + parameters[1:], {ILLEGAL, DECODE}), (b"\3" + u16(rng.choice(groups)) + vec(key, 1), {ILLEGAL})]
        rows += [(head + vec(k, 1), {ILLEGAL}) for k in (key[:-1], key + b"\0", bytes(len(key)))] + [
            (head + b"\0", {DECODE})
        ]
    else:
        p = run.prime
        octets = [n.to_bytes((p.bit_length() + 7) // 8, "big") for n in (p, p - 1, p + 2)]
        values = [(octets[0], b"\2", y, {HANDSHAKE}) for y in (b"\0", b"\1", octets[1], octets[0])]
        values += [(octets[0], g, b"\5", {ILLEGAL}) for g in (b"\0", b"\1")] + [(octets[0], b"\2", b"", {DECODE})]
        values += [(octets[1], b"\2", b"\5", {ILLEGAL}), (octets[2], b"\2", b"\5", {ILLEGAL})]
        values += [(((1 << 1023) + 1155).to_bytes(128, "big"), b"\2", b"\5", {WEAK})]
        rows = [(vec(a) + vec(b) + vec(c), alerts) for a, b, c, alerts in values]
    changed, alerts = rng.choice(rows)
    proof = sign(bare(run.kind)[1], scheme, run.hello.random + run.server_random + changed)
    return changed + u16(scheme) + vec(proof), set(alerts), "parameters"


def old_status(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """CertificateStatus (RFC 6066 8)."""
    return rng.choice([b"", b"\1", b"\1\0\0\0", b"\2\0\0\1a", b"\1\0\0\1ab", b"\1\0\0\2a"]), {DECODE}, "status"


def old_request(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """CertificateRequest of TLS 1.2 (RFC 5246 7.4.4)."""
    good = b"\1\1" + vec(u16(0x0403))
    rows = [
        b"\0" + vec(u16(0x0403)) + b"\0\0",
        b"\1\1\0\0\0\0",
        b"\1\1\0\1\4\0\0",
        good,
        good + b"\0\2\0\0",
        good + bytes(3),
    ]
    return rng.choice(rows), {DECODE}, "request"


def old_done(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """ServerHelloDone has nothing in it."""
    return os.urandom(1), {DECODE}, "done"


def old_ticket(run: Any, label: str, body: bytes, rng: Random) -> Fault:
    """NewSessionTicket (RFC 5077 3.3)."""
    return rng.choice([b"", bytes(5), bytes(4) + b"\0\1", bytes(4) + b"\0\1ab"]), {DECODE}, "ticket"


NEW = {
    "sh": (hello, hello, again), "hrr": (hello,), "ee": (encrypted,), "cr": (request,), "late": (request,),
    "cert": (certificate,), "cc": (compressed,), "cv": (verify,), "fin": (finished,), "ku": (update,), "nst": (ticket,),
}  # fmt: skip
OLD = {
    "sh": (old_hello,), "cert": (old_certificate,), "ske": (old_exchange,), "status": (old_status,),
    "cr": (old_request,), "shd": (old_done,), "nst": (old_ticket,), "fin": (finished,),
}  # fmt: skip
