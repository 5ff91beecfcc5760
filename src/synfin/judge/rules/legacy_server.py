"""TLS205: the server uses cryptography that the client no longer accepts.

What it sees.  A server that answers with something old, no secure renegotiation, a Diffie-Hellman group of less than
2,048 bits, a SHA-1 or MD5 signature in its key exchange, RC4 or 3DES, and a client that ends the handshake then.

Why it matters.  "unsafe legacy renegotiation disabled", "dh key too small", "wrong signature type", "legacy sigalg
disallowed": "worked before the upgrade".

How to fix.  Update the server.  Lowering the client's security level (OpenSSL SECLEVEL, UnsafeLegacyRenegotiation) is
a stopgap that opens known attacks.

Confused with.  A wrong version alone is TLS201; a weak certificate is CRT401.

References.  RFC 5746, RFC 7919, RFC 9155 (SHA-1), RFC 7465 (RC4).
"""

from __future__ import annotations

from synfin.judge.alerts import alert_name
from synfin.judge.engine import Context
from synfin.judge.facts import deciding_alert, first_close, messages
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import at, end, finding
from synfin.observe.story import Connection
from synfin.observe.story_tls import TlsStory
from synfin.wire.tls.registry import cipher_name, is_tls13, signature_name

CODE = "TLS205"

#: Alerts with which clients turn such a server down.
_ALERTS = (10, 40, 42, 47, 51, 71, 80)


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire when the client left after an old ServerHello or ServerKeyExchange."""
    tls = connection.tls
    if tls is None or tls.server_hello is None or tls.handshake_done or is_tls13(tls.version):
        return None
    alert = deciding_alert(connection, tls.client)
    close = first_close(connection)
    if alert is not None and alert.description not in _ALERTS:
        return None
    if alert is None and (close is None or close.side != tls.client or connection.streams[1 - tls.client].holes):
        return None
    faults = old_fashioned(tls)
    if not faults:
        return None
    said = (
        f"{at(connection, alert.time)} {end(connection, tls.client)} sent the alert {alert_name(alert.description)} "
        f"(packet {alert.packet})"
        if alert is not None
        else f"{at(connection, close.time)} {end(connection, tls.client)} closed (packet {close.packet})"
        if close is not None
        else ""
    )
    last = alert.packet if alert is not None else close.packet if close is not None else None
    return finding(
        CODE,
        f"{end(connection, 1 - tls.client)} is too old for this client: {faults[0]}",
        f"The server answered (packet {tls.server_hello.packets[0] if tls.server_hello.packets else '?'}) and "
        f"{'; '.join(faults)}; {said}.",
        "Server's operator: update the TLS software or its configuration. Client, as a stopgap only: lower its "
        "security level for this server.",
        [*tls.server_hello.packets, last],
        sure=Confidence.LIKELY,
        reason="clients of today refuse this, and the client left right then",
        disproof="the same client finishing a handshake with the same weakness",
    )


def old_fashioned(tls: TlsStory) -> list[str]:
    """What is old in the server's answer, worst first."""
    found = []
    for message in messages(tls, 1 - tls.client, "server_key_exchange"):
        prime = _dh_bits(message.raw, tls.cipher)
        if prime and prime < 2048:
            found.append(f"its Diffie-Hellman group has only {prime} bits")
        scheme = getattr(message.body, "signature_scheme", None)
        if scheme in (0x0101, 0x0201, 0x0202, 0x0203):
            found.append(f"its key exchange is signed with {signature_name(scheme)}")
    hello = tls.server_hello.body if tls.server_hello is not None else None
    asked = tls.client_hello.body if tls.client_hello is not None else None
    if tls.cipher is not None and any(
        word in cipher_name(tls.cipher) for word in ("_RC4_", "_3DES_", "_DES_", "_NULL_", "EXPORT")
    ):
        found.append(f"it chose {cipher_name(tls.cipher)}")
    signalled = asked is not None and (asked.ext(0xFF01) is not None or 0x00FF in asked.cipher_suites)
    if hello is not None and signalled and hello.ext(0xFF01) is None:
        found.append("it does not support secure renegotiation (RFC 5746)")
    return found


def _dh_bits(raw: bytes, cipher: int | None) -> int:
    """Bits of the prime of a DHE ServerKeyExchange (RFC 5246 7.4.3), 0 where it is none."""
    if cipher is None or "_DHE_" not in cipher_name(cipher) or len(raw) < 6:
        return 0
    size = int.from_bytes(raw[4:6], "big")
    return int.from_bytes(raw[6 : 6 + size], "big").bit_length()
