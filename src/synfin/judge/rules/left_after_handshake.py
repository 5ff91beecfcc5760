"""CRT302: the client finished the TLS handshake, asked for nothing and left.

What it sees.  The client's Finished, then no request, then its close, and nothing plainly wrong with the certificates:
because they are encrypted (TLS 1.3 without secrets), or because only the client knows what it trusts, and it closed
without close_notify, as Node does when it rejects a certificate.

Why it matters.  It looks like success on the wire and is a failure for the user.  curl checks the name after the
handshake, Node (TLS 1.2) everything.

How to fix.  Read the client's own message, or capture again with its TLS secrets.

Confused with.  Health checks and connections opened in advance end just so: it is only a note.

References.  RFC 8446 4.4.2 and 6.
"""

from __future__ import annotations

from synfin.judge.chains import judged_chain, verdict
from synfin.judge.engine import Context
from synfin.judge.model import Confidence, Finding
from synfin.judge.telling import end, finding, server_name
from synfin.observe.story import Connection

CODE = "CRT302"


def check(connection: Connection, context: Context) -> Finding | None:
    """Note a client that left right after the handshake when the certificate could not be read."""
    tls = connection.tls
    if tls is None or tls.resumed is not None:
        return None
    told = verdict(connection)
    form = judged_chain(connection)
    if told.kind != "quit" or (form is not None and tls.close_notify[tls.client] is not None):
        return None
    why = "perhaps the name in the certificate" if form is None else "perhaps it does not trust the issuer"
    seen = "the certificate is encrypted here" if form is None else f"its issuer is {form.leaf.issuer_text}"
    return finding(
        CODE,
        f"{end(connection, tls.client)} left {server_name(connection)} right after the handshake: {why}",
        f"{told.sentence} Clients that check the name after the handshake (curl) or do all checks then (Node) do this "
        f"when they reject the certificate; {seen}.",
        f"Compare the names in the certificate with {connection.name or 'the name asked for'} (`openssl s_client "
        f"-connect {connection.b} -servername {connection.name or 'NAME'}`), and read the client's own message.",
        [told.packet],
        sure=Confidence.POSSIBLE,
        reason="a health check or a connection opened in advance looks the same",
        disproof="a certificate that covers the name and has a known issuer",
        next_capture="with the client's TLS secrets (SSLKEYLOGFILE)",
    )
