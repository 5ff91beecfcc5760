"""PRX101: the proxy refused or could not make the tunnel.

 What it sees.  A CONNECT request (or a SOCKS request) and the proxy's refusal: 403, 407, 502, 503, 504 ...

Why it matters.  "CONNECT tunnel failed, response 403", ERR_TUNNEL_CONNECTION_FAILED, "Proxy Authentication
Required".  The target site never saw the connection.

How to fix.  By the status: 407 give credentials; 403 the proxy's policy forbids this target or port; 502, 503, 504
the proxy cannot reach the target.  A forgotten `https_proxy` is a usual reason: unset it or add the name to
`no_proxy`.

Confused with.  A first 407 followed by the same CONNECT with credentials and success is the normal course.

References.  RFC 9110 9.3.6 and 15.5.8, RFC 1928 6.
"""

from __future__ import annotations

from synfin.judge.engine import Context
from synfin.judge.facts import first_close
from synfin.judge.model import Actor, Confidence, Finding
from synfin.judge.telling import at, finding
from synfin.observe.story import Connection
from synfin.observe.story_http import HttpMessage

CODE = "PRX101"


def check(connection: Connection, context: Context) -> Finding | None:
    """Fire on a proxy dialogue that ended without a tunnel."""
    refused = [
        p for p in connection.preambles if p.accepted is False and p.protocol in ("http-connect", "socks4", "socks5")
    ]
    if refused and not any(p.accepted for p in connection.preambles):
        last = refused[-1]
        target = f"{last.target}" if last.target is not None else "the target"
        return _tell(connection, target, last.status, last.end, list(last.packets))
    http = connection.http
    if http is None or connection.preambles:
        return None
    asked: HttpMessage | None = None
    bad: tuple[HttpMessage, HttpMessage] | None = None
    for message in http.messages:
        if message.kind == "request":
            asked = message
        elif asked is not None and asked.method == "CONNECT" and message.status is not None and message.status >= 200:
            bad = None if message.status < 300 else (asked, message)
    if bad is None:
        return None
    request, answer = bad
    return _tell(
        connection,
        request.target or "the target",
        f"{answer.status} {answer.reason}".strip(),
        answer.start,
        [*request.packets, *answer.packets],
    )


def _tell(connection: Connection, target: str, status: str, time: int, packets: list[int]) -> Finding | None:
    number = status[:3]
    if number == "407" and first_close(connection) is None:
        return None  # the client may still answer with credentials
    if number == "407":
        todo, actor = "Client's operator: give the proxy its credentials.", Actor.CLIENT
    elif number in ("502", "503", "504"):
        todo, actor = f"Proxy's operator: it cannot reach {target}: name, route, or the target itself.", Actor.OPERATOR
    else:
        todo, actor = (
            f"Proxy's operator: allow {target}. Client: bypass the proxy (no_proxy) if it is not meant.",
            Actor.OPERATOR,
        )
    return finding(
        CODE,
        f"the proxy {connection.b} refused the tunnel to {target}: {status}",
        f"The client {connection.a} asked the proxy {connection.b} for a tunnel to {target}; {at(connection, time)} it "
        f"answered {status}. The target was not reached.",
        todo,
        packets,
        actor=actor,
        sure=Confidence.CERTAIN,
        reason="the proxy's answer can be read",
        disproof="a later success on the same connection",
    )
