"""TLS211: the handshake was ended by an alert that cannot be read.

What it sees.  In TLS 1.3 without secrets: in place of its Finished the client sends one record of exactly an alert's
size and closes; or right after the client's Finished the server's last record has that size, and no answer came.

Why it matters.  One side rejected the other and said why, encrypted.  A client that does so has most probably
rejected the certificate.

How to fix.  Read the client's own message, or capture with its TLS secrets (SSLKEYLOGFILE).

Confused with.  close_notify has the same size: a client that is stopped by its user ends the same way.

References.  RFC 8446 5.2 and 6.
"""

from __future__ import annotations

from synfin.judge.certs_client import refusal
from synfin.judge.chains import judged_chain, verdict
from synfin.judge.engine import Context
from synfin.judge.facts import at, end, finding, server_name
from synfin.judge.model import Actor, Confidence, Finding
from synfin.observe.story import Connection

CODE = "TLS211"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a record of an alert's size where a handshake message or an answer belongs."""
    tls = connection.tls
    if tls is None or tls.server_hello is None or judged_chain(connection) is not None:
        return None
    said = verdict(connection)
    if said.kind == "hidden":
        return finding(
            CODE,
            f"{end(connection, tls.client)} rejected the handshake of {server_name(connection)}, most probably its "
            "certificate",
            f"{said.sentence} It is an encrypted alert in the middle of the handshake. After the "
            "server's flight the certificate is what a client usually rejects.",
            f"Read the client's own message, and look at the certificate (`openssl s_client -connect {connection.b} "
            f"-servername {connection.name or 'NAME'} -showcerts`): dates, names, issuer, intermediates.",
            [said.packet],
            actor=Actor.OPERATOR,
            sure=Confidence.LIKELY,
            reason="only an alert has this size, and it stands where Finished belongs",
            disproof="the decrypted record",
            next_capture="with the client's TLS secrets (SSLKEYLOGFILE)",
        )
    last = refusal(connection)
    if last is None or last.description is not None:
        return None
    closed = connection.tcp.fin_first_by == 1 - tls.client or connection.tcp.rst_first_by == 1 - tls.client
    if not closed:
        return None
    return finding(
        CODE,
        f"{end(connection, 1 - tls.client)} ended TLS right after the handshake with a record of an alert's size",
        f"{at(connection, last.time).capitalize()} the server sent one encrypted record of an alert's size (packet "
        f"{last.packet}) "
        "and nothing else after the client's Finished: it refused the client, or said good-bye without an answer.",
        "Server's operator: read the server's log at this moment.",
        [last.packet],
        actor=Actor.SERVER,
        sure=Confidence.POSSIBLE,
        reason="close_notify has the same size as a fatal alert",
        disproof="the decrypted record",
        next_capture="with TLS secrets (SSLKEYLOGFILE)",
    )
