"""SSL 2.0 in the story: records and messages of another form, met in old captures and as the hello of old clients.

The client's first message may be an SSL 2.0 hello though TLS follows (RFC 5246 E.2).  What comes after the client's
master key is encrypted, and nobody here opens it.
"""

from __future__ import annotations

from synfin.errors import WireError
from synfin.observe.story_tls import ChainFact, MessageFact
from synfin.observe.tlswatch_messages import Messages
from synfin.observe.tlswatch_records import Record, fragment
from synfin.spec.certificates import certificate_facts
from synfin.wire.tls import sslv2


class Sslv2Messages(Messages):
    """``Messages`` that reads those of SSL 2.0 as well."""

    def _sslv2_record(self, sender: int, record: Record) -> bool:
        """A record in SSL 2.0's framing; whether it is encrypted: all are after the client's master key."""
        story = self.story
        story.sslv2 = True
        kind = record.type
        if kind == 1:
            clear = story.client_hello is None
        elif kind == 4:
            clear = story.server_hello is None
        else:
            clear = kind in (0, 2) and not self._sides[story.client].encrypted
        if not clear or not record.complete:
            return not clear
        stream = self._streams[sender]
        raw = fragment(stream, record)
        packets = stream.packets(record.offset, record.header + record.length)
        body: sslv2.Message | None
        problem = ""
        try:
            body = sslv2.parse_message(raw)
        except WireError as error:
            body, problem = None, str(error)
        name = sslv2.message_name(kind)
        fact = MessageFact(sender, kind, name, record.offset, len(raw), packets, record.time, False, body, raw, problem)
        story.messages.append(fact)
        if kind == 1:
            story.client, story.client_hello = sender, fact
        elif kind == 2:
            self._sides[sender].encrypted = True
        elif isinstance(body, sslv2.ServerHello):
            story.server_hello = fact
            story.version = self._version = body.version
            if body.certificate:
                chain = (certificate_facts(body.certificate),)
                story.chains.append(ChainFact(sender, packets, fact.time, (body.certificate,), chain, len(packets)))
        return False
