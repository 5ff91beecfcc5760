"""h11 as a foreign judge: valid traffic it makes is read as it was meant."""

from __future__ import annotations

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from synfin.observe.httpwatch import watch_http
from tests.support.streams import Said, chopped, talk

METHODS = st.sampled_from(["GET", "POST", "HEAD", "DELETE", "PUT"])
STATUSES = st.sampled_from([200, 201, 204, 301, 304, 404, 500])
BODIES = st.lists(st.binary(min_size=1, max_size=200), max_size=4)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(METHODS, BODIES, STATUSES, BODIES, st.booleans()), min_size=1, max_size=4),
    st.integers(1, 120),
    st.integers(0, 2),
)
def test_what_h11_sends_is_read_back(
    exchanges: list[tuple[str, list[bytes], int, list[bytes], bool]], size: int, interim: int
) -> None:
    said: list[Said] = []
    expected: list[tuple[object, ...]] = []
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    for method, asked, status, answered, chunked in exchanges:
        length = sum(map(len, asked))
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(length))
        request = client.send(h11.Request(method=method, target="/t", headers=[("Host", "h"), framing])) or b""
        for part in asked:
            request += client.send(h11.Data(data=part)) or b""
        request += client.send(h11.EndOfMessage()) or b""
        said.append((0, request))
        expected.append(("request", method, length, "chunked" if chunked else "length"))
        server.receive_data(request)
        while type(server.next_event()) is not h11.EndOfMessage:
            pass
        response = b""
        for _ in range(interim):
            response += server.send(h11.InformationalResponse(status_code=103, headers=[])) or b""
            expected.append(("response", 103, 0, "none"))
        bodiless = status in (204, 304) or method == "HEAD"
        body = [] if bodiless else answered
        length = sum(map(len, body))
        headers = [] if bodiless else [("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(length))]
        response += server.send(h11.Response(status_code=status, headers=headers, reason=b"why")) or b""
        for part in body:
            response += server.send(h11.Data(data=part)) or b""
        response += server.send(h11.EndOfMessage()) or b""
        said.append((1, response))
        expected.append(("response", status, length, "none" if bodiless else "chunked" if chunked else "length"))
        client.receive_data(response)
        while type(client.next_event()) is not h11.EndOfMessage:
            pass
        client.start_next_cycle()
        server.start_next_cycle()
    story = watch_http(talk(*chopped(said, size)), client=0, tls=False)
    assert story is not None and story.problems == []
    assert [(m.kind, m.method or m.status, m.body, m.framing) for m in story.messages] == expected
    assert all(message.complete for message in story.messages)
