"""An application that answers with what it was asked.

A request with a body gets that body back, octet for octet, under its own media type; one without gets the request as
JSON: method, target, path, query, version, headers.  ``/json`` gives the JSON in both cases, the body in it (base64
where it is not UTF-8).  Every method is answered but CONNECT and TRACE.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from synfin.http.app import Answer, Request, json_answer, not_allowed, options

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def request_seen(request: Request) -> dict[str, Any]:
    """The request as JSON."""
    found: dict[str, Any] = {
        "method": request.method,
        "target": request.target,
        "path": request.path.encode("latin-1").decode("utf-8", "replace"),
        "query": request.query,
        "version": f"HTTP/{request.version}",
        "headers": [list(pair) for pair in request.headers],
    }
    if request.body:
        try:
            found["body"] = request.body.decode()
        except UnicodeDecodeError:
            found["body_base64"] = b64encode(request.body).decode()
    return found


def echo(request: Request) -> Answer:
    """See the module."""
    if request.method == "OPTIONS":
        return options(METHODS)
    if request.method in ("CONNECT", "TRACE"):
        return not_allowed(request, METHODS)
    if request.body and request.path != "/json":
        kind = request.header("content-type") or "application/octet-stream"
        return Answer(200, (("content-type", kind), ("x-content-type-options", "nosniff")), request.body)
    return json_answer(request_seen(request))
