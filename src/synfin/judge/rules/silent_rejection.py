"""TLS211: one side turned the other down, and the reason cannot be read.

What it sees.  After the server's flight the client sends, in place of its Finished, one record of exactly an alert's
size, or just FIN (Node and Java send no alert when they do not like a certificate).  Or, in TLS 1.3 without secrets,
right after the client's Finished the server's last record has an alert's size and no answer came; or a record of that
size is all that follows its ServerHello (Go).

Why it matters.  One side rejected the other, and says why only to its user, or encrypted.  A client that leaves at
this point has most probably rejected the certificate: UNABLE_TO_VERIFY_LEAF_SIGNATURE, CERT_HAS_EXPIRED, "PKIX path
building failed".

How to fix.  Read the client's own message, or capture with its TLS secrets (SSLKEYLOGFILE).

Confused with.  A client that is stopped by its user at this very moment, or that needs no second connection (a note,
when it had just gone on with the same server on another one).  close_notify has the size of an alert.
Where the certificates can be read, the CRT rules speak instead.

References.  RFC 8446 4.4, 5.2 and 6.
"""

from __future__ import annotations

from synfin.judge.certs_client import client_certificate, refusal
from synfin.judge.chains import Verdict, judged_chain, verdict
from synfin.judge.engine import Context
from synfin.judge.facts import missed
from synfin.judge.model import Actor, Confidence, Finding, Severity
from synfin.judge.offers import hello_of
from synfin.judge.records import asked_anything, protected
from synfin.judge.telling import at, end, finding, server_name
from synfin.observe.story import Connection

CODE = "TLS211"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on an alert's size, or a FIN, where Finished or an answer belongs."""
    tls = connection.tls
    if tls is None or tls.server_hello is None or judged_chain(connection) is not None:
        return None
    said = verdict(connection)
    if said.kind in ("hidden", "left") and not tls.sslv2 and not missed(connection):
        return _client(connection, said)
    if (told := _instead_of_flight(connection)) is not None:
        return told
    last = refusal(connection)
    if asked_anything(tls) and not client_certificate(connection).requested:
        return None  # it let the client in and did not answer its request (HTP103)
    if last is None or last.description is not None or missed(connection):
        return None
    server = 1 - tls.client
    if server not in (connection.tcp.fin_first_by, connection.tcp.rst_first_by):
        return None
    return finding(
        CODE,
        f"{end(connection, server)} ended TLS right after the handshake with a record of an alert's size",
        f"{at(connection, last.time).capitalize()} the server sent one encrypted record of an alert's size (packet "
        f"{last.packet}) and nothing else after the client's Finished: it refused the client, or said good-bye without "
        "an answer.",
        "Server's operator: read the server's log at this moment.",
        [last.packet],
        actor=Actor.SERVER,
        severity=Severity.WARNING,
        sure=Confidence.POSSIBLE,
        reason="close_notify has the same size as a fatal alert",
        disproof="the decrypted record",
        next_capture="with TLS secrets (SSLKEYLOGFILE)",
    )


def _instead_of_flight(connection: Connection) -> Finding | None:
    """A server whose ServerHello is followed by one encrypted alert in place of EncryptedExtensions, as Go sends it."""
    tls = connection.tls
    if tls is None or tls.handshake_done or missed(connection):
        return None
    server = 1 - tls.client
    mine = [record for record in protected(tls) if record.sender == server]
    if len(mine) != 1 or mine[0].what != "alert" or not mine[0].guess:
        return None
    hello = hello_of(tls)
    names = ", ".join(hello.alpn) if hello is not None else ""
    return finding(
        CODE,
        f"{server_name(connection)} ended the handshake with an encrypted alert right after its ServerHello",
        f"{at(connection, mine[0].time).capitalize()} the server sent one encrypted record of an alert's size (packet "
        f"{mine[0].packet}) where its EncryptedExtensions and Certificate belong, and closed: it agrees to version and "
        "cipher and not to something else that the client asked for, such as the application protocol"
        + (f" (the client offers {names})" if names else "")
        + " or the server name.",
        "Server's operator: read the server's log at this moment; compare the protocols (ALPN) and names it serves "
        "with what the client asks for.",
        [mine[0].packet],
        actor=Actor.OPERATOR,
        sure=Confidence.LIKELY,
        reason="only an alert has this size, and it stands where the server's flight belongs",
        disproof="the decrypted record",
        next_capture="with TLS secrets (SSLKEYLOGFILE)",
    )


def _client(connection: Connection, said: Verdict) -> Finding:
    hidden = said.kind == "hidden"
    who = end(connection, connection.tls.client if connection.tls is not None else 0)
    return finding(
        CODE,
        f"{who} turned {server_name(connection)} down in the handshake: most probably its certificate",
        f"{said.sentence} "
        + ("It is an encrypted alert" if hidden else "It sent no Finished and no alert")
        + ", after the server's flight had arrived: at this point a client rejects the certificate.",
        f"Read the client's own message, and look at the certificate (`openssl s_client -connect {connection.b} "
        f"-servername {connection.name or 'NAME'} -showcerts`): dates, names, issuer, intermediates.",
        [said.packet],
        actor=Actor.OPERATOR,
        severity=None if hidden else Severity.WARNING,
        sure=Confidence.LIKELY,
        reason="only an alert has this size, and it stands where Finished belongs"
        if hidden
        else "Node and Java leave just so when they reject a certificate; a client stopped by its user could too",
        disproof="the client's own log naming another reason",
        next_capture="with the client's TLS secrets (SSLKEYLOGFILE)",
    )
