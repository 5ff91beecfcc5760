"""HTP202: the HTTP framing is broken.

 What it sees.  A chunk size that is no number, a header that cannot be read, two lengths that disagree, or other
octets where a message should begin.

Why it matters.  "Illegal or missing hexadecimal sequence in chunked-encoding" (curl 56), HPE_INVALID_CHUNK_SIZE,
ERR_INVALID_CHUNKED_ENCODING.  What two programs read differently is also a way in for request smuggling.

How to fix.  Repair the program that writes the message: usually a hand-made response, or a proxy that changes
bodies without changing their framing.

Confused with.  Octets that the capture missed: nothing is said when the stream has holes.  Other protocols on an
HTTP port are not judged.

References.  RFC 9112 6.3 and 7.1, RFC 9110 8.6.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import at, end, finding, missed
from synfin.judge.model import Confidence, Finding
from synfin.judge.rules.short_body import ended_early
from synfin.observe.story import Connection

CODE = "HTP202"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a response whose framing cannot be read."""
    http = connection.http
    if http is None or http.protocol == "h2" or missed(connection):
        return None
    for message in http.messages:
        if message.problem and not message.complete and message.kind == "response" and not ended_early(message):
            return finding(
                CODE,
                f"{end(connection, message.sender)} sends broken HTTP: {message.problem}",
                f"In the response {message.status} that begins {at(connection, message.start)} (packet "
                f"{message.packets[0]}) the framing cannot be read: {message.problem}, after {message.body} octets of "
                "body.",
                "Server's operator: repair the program or proxy that writes this response.",
                list(message.packets),
                sure=Confidence.CERTAIN,
                reason="the octets are here and break RFC 9112",
                disproof="missing octets in the capture",
            )
    return None
