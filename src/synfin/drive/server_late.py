"""A client's certificate, asked for when somebody wants ``/client-certificate`` (RFC 8446 4.6.2).

That goes in HTTP/1 over TLS 1.3 with clients that offered it (post_handshake_auth), and nowhere else: HTTP/2 forbids it
(RFC 8740), as one request cannot hold up the others of its connection.  Who cannot be asked hears why, by 403; a
certificate that is not good ends the connection with its alert, as in a handshake.
"""

from __future__ import annotations

from synfin.drive.server_seen import certificate_seen, scheme_name
from synfin.drive.streams import TlsStream
from synfin.errors import UsageError
from synfin.http.app import Answer, json_answer, told
from synfin.tls.config import TLS13

PATH = "/client-certificate"


def not_by_http2() -> Answer:
    """The answer to who came by HTTP/2."""
    return told(403, "HTTP/2 forbids asking after the handshake (RFC 8740): come by HTTP/1.1.")


async def ask(stream: TlsStream) -> Answer:
    """Ask, unless the client has answered already, and tell what came of it.  The errors of ``TlsStream.read``."""
    if stream.endpoint.version != TLS13:
        return told(403, "TLS 1.2 has no asking after the handshake: come by TLS 1.3.")
    if stream.authenticated is None:
        try:
            await stream.authenticate()
        except UsageError:
            return told(403, "The client did not offer post_handshake_auth: openssl s_client does so by -enable_pha.")
    found = stream.authenticated
    if found is None:
        return told(403, "The client said other things instead of answering.", close=True)
    if not found.chain:
        return told(403, "The client has no certificate to show.")
    return json_answer({"certificate": certificate_seen(found.chain), "signature": scheme_name(found.signature)})
