"""DNS messages as far as a look-up's story needs them: header, questions, answers (RFC 1035 section 4, RFC 3596).

Read only.  Authority and additional sections are left alone.  Compression pointers must point backwards to where no
name of this chain has been read, so that no message can make the reader loop.
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.wire.codec import Reader

#: Resource record types (IANA, DNS parameters) that are met in look-ups before a connection.
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR",
    39: "DNAME", 43: "DS", 46: "RRSIG", 48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 255: "ANY", 257: "CAA",
}  # fmt: skip

#: Response codes (RFC 1035 4.1.1, RFC 2136).
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN", 7: "YXRRSET",
    8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE",
}  # fmt: skip

_MOST_RECORDS = 256
_LONGEST_NAME = 255  # RFC 1035 2.3.4


class Question(NamedTuple):
    """A name asked for, as text without the last dot, and the type of record wanted."""

    name: str
    type: int


class Record(NamedTuple):
    """One resource record of the answer section; ``data`` is RDATA as it stood."""

    name: str
    type: int
    ttl: int
    data: bytes


class Message(NamedTuple):
    """What a DNS message asks and answers; ``cut`` tells that its sections did not fit the octets there were."""

    id: int
    response: bool
    opcode: int
    rcode: int
    truncated: bool
    questions: tuple[Question, ...]
    answers: tuple[Record, ...]
    cut: bool


def read_message(data: bytes) -> Message:
    """Read a message; raises WireError when header or questions cannot be read, what is wrong later only cuts it."""
    r = Reader(data, "dns")
    ident = r.u16("id")
    flags = r.u16("flags")
    asked, answered = r.u16("qdcount"), r.u16("ancount")
    r.u32("nscount_arcount")
    if asked > 16:
        raise r.fail("qdcount", f"says {asked} questions")
    questions = []
    for _ in range(asked):
        name = _name(r)
        questions.append(Question(name, r.u16("qtype")))
        r.u16("qclass")
    answers: list[Record] = []
    cut = False
    for _ in range(min(answered, _MOST_RECORDS)):
        try:
            name = _name(r)
            kind, _class, ttl = r.u16("type"), r.u16("class"), r.u32("ttl")
            answers.append(Record(name, kind, ttl, r.vec(2, "rdata")))
        except ValueError:
            cut = True
            break
    return Message(
        ident,
        bool(flags & 0x8000),
        flags >> 11 & 15,
        flags & 15,
        bool(flags & 0x0200),
        tuple(questions),
        tuple(answers),
        cut or answered > _MOST_RECORDS,
    )


def _name(r: Reader) -> str:
    """A name, following compression pointers (RFC 1035 4.1.4); the reader moves past what stands here."""
    labels: list[str] = []
    size = 0
    lowest = r.pos
    back = -1
    while True:
        length = r.u8("label")
        if length == 0:
            break
        if length >= 0xC0:
            target = (length & 0x3F) << 8 | r.u8("pointer")
            if target >= lowest:
                raise r.fail("pointer", f"points forward to {target}")
            if back < 0:
                back = r.pos
            r.pos = lowest = target
            continue
        if length > 63:
            raise r.fail("label", f"unknown label type {length:#04x}")
        size += length + 1
        if size > _LONGEST_NAME:
            raise r.fail("name", "longer than 255 octets")
        labels.append(_label(r.take(length, "label")))
    if back >= 0:
        r.pos = back
    return ".".join(labels)


def _label(data: bytes) -> str:
    """A label as text; dots, backslashes and octets that are no printable ASCII are escaped (RFC 1035 5.1)."""
    return "".join(chr(octet) if 0x21 <= octet < 0x7F and octet not in b".\\" else f"\\{octet:03d}" for octet in data)
