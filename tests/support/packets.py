r"""Packets as text: the notation that scenarios and tests are written in.

One packet a line; ``#`` starts a comment; a line ``name = address:port`` says where a name lives::

    a = 192.0.2.7:50123            # names not given: a is 10.0.0.1:40001, b is 10.0.0.2:443, c is 10.0.0.3:40003 ...
    b = [2001:db8::2]:443          # IPv6 (both ends of a packet must be of one version)

    0.000  a > b  SYN win=64240 <mss 1460, sackOK, TS 1 0, wscale 7>
    0.020  b > a  SYN,ACK <mss 1460>
    0.021  a > b  ACK
    0.022  a > b  PSH,ACK len=100
    0.023  b > a  PSH,ACK data="HTTP/1.1 200 OK\r\n\r\n"
    0.024  b > a  PSH,ACK hex=160303 seq=+1460     # 1460 octets were skipped: a hole
    0.030  a > b  ACK seq=-1                        # one octet before where it should be: a keep-alive
    0.040  c > b  icmp type=3 code=4 mtu=1400 quote=5
    0.041  a > b  udp data="question"

The time is seconds from ``START``; ``+0.1`` counts from the packet before.  ``-`` instead of flags means none set.
Fields (all optional): ``seq`` and ``ack`` (a signed number counts from the default, a bare one is absolute); the
defaults follow the stream: the first segment of an end is 1000 for the end that sends first and 5000 for its peer,
later ones go on after the highest octet the end has sent; the default acknowledgment is the highest octet its peer
has sent.  ``win=`` (default 64240), ``len=N`` (that many ``x``), ``data="text with \r\n \x00"``, ``hex=``,
``ttl=`` (64), ``id=`` (counts up), ``urg=``, ``cut=N`` (only N octets of the frame were captured), ``vlan=N``,
``ecn=N``, and for icmp ``type``, ``code``, ``mtu`` and ``quote=N`` (the Nth packet of the text, IP header and 8
octets; ``quoted=`` octets instead of 8).
Options: ``mss N``, ``sackOK``, ``TS value echo``, ``wscale N``, ``sack L-R L-R``, ``tfo [hex]``, ``nop``,
``kind N hex`` (written as it stands, so unknown and broken options can be said).

``frames(text)`` gives ``[(time_ns, frame bytes as captured)]``, ``wire_lengths(text)`` what each frame had on the wire,
``pcap(text, path)`` writes a capture, and ``batch(text)`` is the packet table itself, made without any decoder.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import numpy as np

from synfin.capture.table import ROW, Batch, Kind, Link, Wrap

#: Time of second 0, nanoseconds since 1970 (2023-11-14 22:13:20 UTC).
START = 1_700_000_000 * 10**9

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128, "AE": 256}
MASK = 0xFFFFFFFF

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)')
_PLACE = re.compile(r"^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d+)$")


@dataclass(slots=True)
class Packet:
    """One packet of the notation, resolved: what ``frames`` writes and ``batch`` tabulates."""

    time: int
    kind: Kind
    src: tuple[str, int]
    dst: tuple[str, int]
    flags: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 64240
    urgent: int = 0
    options: bytes = b""
    payload: bytes = b""
    ttl: int = 64
    ip_id: int = 0
    ecn: int = 0
    vlan: int | None = None
    cut: int | None = None
    link: bytes = field(default=b"", repr=False)
    ip: bytes = field(default=b"", repr=False)

    @property
    def frame(self) -> bytes:
        """The frame as it was on the wire."""
        return self.link + self.ip


def packets(text: str) -> list[Packet]:
    """Read the notation; ValueError names the line that cannot be read."""
    reader = _Reader()
    for count, line in enumerate(text.splitlines(), 1):
        line = _strip_comment(line).strip()
        if not line:
            continue
        try:
            reader.line(line)
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"line {count}: {line!r}: {error}") from error
    return reader.packets


def frames(text: str) -> list[tuple[int, bytes]]:
    """``[(time in ns, captured frame)]`` of the notation."""
    return [(p.time, p.frame if p.cut is None else p.frame[: p.cut]) for p in packets(text)]


def wire_lengths(text: str) -> list[int]:
    """Octets each frame had on the wire."""
    return [len(p.frame) for p in packets(text)]


def pcap(text: str, path: Path) -> Path:
    """Write the packets as a nanosecond pcap with link type Ethernet."""
    return write_pcap(packets(text), path)


def write_pcap(many: list[Packet], path: Path) -> Path:
    """Write packets as a nanosecond pcap with link type Ethernet."""
    out = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
    for p in many:
        frame = p.frame
        kept = frame if p.cut is None else frame[: p.cut]
        out.append(struct.pack("<IIII", p.time // 10**9, p.time % 10**9, len(kept), len(frame)))
        out.append(kept)
    path.write_bytes(b"".join(out))
    return path


def batch(text: str) -> Batch:
    """The packet table of the notation (TCP, UDP and ICMP rows), made directly from what was said."""
    return tabulate(packets(text))


def tabulate(many: list[Packet], start: int = 1) -> Batch:
    """The packet table of packets, numbered from ``start``."""
    rows = np.zeros(len(many), ROW)
    data = bytearray()
    wraps = [Wrap()]
    for i, p in enumerate(many):
        row = rows[i]
        frame = p.frame
        kept = len(frame) if p.cut is None else min(p.cut, len(frame))
        at = len(data)
        data += frame[:kept]
        row["number"], row["time"], row["frame_at"] = start + i, p.time, at
        row["caplen"], row["wirelen"] = kept, len(frame)
        row["kind"], row["ttl"], row["ip_id"], row["ecn"] = p.kind, p.ttl, p.ip_id, p.ecn
        src, dst = ip_address(p.src[0]), ip_address(p.dst[0])
        row["version"] = src.version
        row["src_hi"], row["src_lo"] = int(src) >> 64, int(src) & (1 << 64) - 1
        row["dst_hi"], row["dst_lo"] = int(dst) >> 64, int(dst) & (1 << 64) - 1
        if p.vlan is not None:
            wrap = Wrap(vlans=(p.vlan,))
            if wrap not in wraps:
                wraps.append(wrap)
            row["wrap"] = wraps.index(wrap)
        row["load_len"] = len(p.payload)
        row["load_cap"] = max(0, len(p.payload) - (len(frame) - kept))
        row["load_at"] = at + len(frame) - len(p.payload)
        if p.kind == Kind.ICMP:
            row["proto"] = 1 if src.version == 4 else 58
            continue
        row["sport"], row["dport"] = p.src[1], p.dst[1]
        row["proto"] = 17 if p.kind == Kind.UDP else 6
        if p.kind != Kind.UDP:
            row["flags"], row["seq"], row["ack"] = p.flags, p.seq, p.ack
            row["window"], row["urgent"] = p.window, p.urgent
            row["opt_len"] = len(p.options)
            row["opt_at"] = at + len(frame) - len(p.payload) - len(p.options)
            if kept < len(frame) - len(p.payload):
                row["kind"] = Kind.CUT
    return Batch(rows, bytes(data), bytearray(), [Link(1)], wraps, [""])


def make(**fields: object) -> Packet:
    """A TCP packet from its fields (those of ``Packet``), built into a frame."""
    fields.setdefault("kind", Kind.TCP)
    packet = Packet(**fields)  # type: ignore[arg-type]
    _build(packet)
    return packet


def _strip_comment(line: str) -> str:
    quoted = False
    for i, c in enumerate(line):
        if c == '"' and (i == 0 or line[i - 1] != "\\"):
            quoted = not quoted
        elif c == "#" and not quoted:
            return line[:i]
    return line


class _Reader:
    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.names: dict[str, tuple[str, int]] = {}
        self.next: dict[tuple[tuple[str, int], tuple[str, int]], int] = {}
        self.now = 0
        self.ids = 0

    def line(self, line: str) -> None:
        if re.match(r"^\w+\s*=", line):
            name, _, place = line.partition("=")
            self.names[name.strip()] = _place(place.strip())
            return
        time, src, arrow, dst, what, *_ = line.split(None, 5)
        rest = line.split(None, 5)[5] if len(line.split(None, 5)) > 5 else ""
        if arrow != ">":
            raise ValueError("want: time source > destination flags")
        if time.startswith("+"):
            self.now += _ns(time[1:])
        else:
            self.now = _ns(time)
        options = b""
        fields: dict[str, str] = dict(_FIELD.findall(rest))
        left = _FIELD.sub("", rest).strip()
        if left.startswith("<") and left.endswith(">"):
            options = _options(left[1:-1])
        elif left:
            raise ValueError(f"not understood: {left}")
        self.ids += 1
        packet = Packet(
            START + self.now,
            Kind.TCP,
            self.where(src),
            self.where(dst),
            options=options,
            ttl=int(fields.pop("ttl", "64"), 0),
            ip_id=int(fields.pop("id", str(self.ids)), 0),
            ecn=int(fields.pop("ecn", "0"), 0),
            payload=_payload(fields),
        )
        if "vlan" in fields:
            packet.vlan = int(fields.pop("vlan"))
        if "cut" in fields:
            packet.cut = int(fields.pop("cut"))
        if what == "icmp":
            self.icmp(packet, fields)
        elif what == "udp":
            packet.kind = Kind.UDP
        else:
            self.tcp(packet, what, fields)
        if fields:
            raise ValueError(f"unknown fields: {', '.join(fields)}")
        _build(packet)
        self.packets.append(packet)

    def where(self, name: str) -> tuple[str, int]:
        if name in self.names:
            return self.names[name]
        if _PLACE.match(name):
            return _place(name)
        word, _, port = name.partition(":")
        if port:
            return (self.where(word)[0], int(port))
        number = 1 + "abcdefghijklmnopqrstuvwxyz".index(word)
        return (f"10.0.0.{number}", 443 if word == "b" else 40000 + number)

    def tcp(self, packet: Packet, what: str, fields: dict[str, str]) -> None:
        if what != "-":
            for word in what.split(","):
                packet.flags |= FLAGS[word]
        forth, back = (packet.src, packet.dst), (packet.dst, packet.src)
        usual = self.next.get(forth)
        if usual is None or (packet.flags & 18 == 2 and "seq" not in fields):
            usual = 1000 if self.next.get(back) is None else 5000
            if forth in self.next:
                usual = 1000
        if packet.flags & 18 == 18 and forth in self.next and "seq" not in fields:
            usual = (self.next[forth] - 1) & MASK
        packet.seq = _number(fields.pop("seq", ""), usual)
        packet.ack = _number(fields.pop("ack", ""), self.next.get(back, 5000 if packet.seq < 5000 else 1000))
        if not packet.flags & 16:
            packet.ack = 0
        packet.window = int(fields.pop("win", "64240"), 0)
        packet.urgent = int(fields.pop("urg", "0"), 0)
        size = len(packet.payload) + (packet.flags & 1) + (packet.flags >> 1 & 1)
        after = (packet.seq + size) & MASK
        known = self.next.get(forth)
        if known is None or packet.flags & 2 or (after - known) & MASK < 1 << 31:
            self.next[forth] = after

    def icmp(self, packet: Packet, fields: dict[str, str]) -> None:
        packet.kind = Kind.ICMP
        kind, code = int(fields.pop("type", "3")), int(fields.pop("code", "1"))
        mtu, quoted = int(fields.pop("mtu", "0")), int(fields.pop("quoted", "8"))
        body = packet.payload
        if "quote" in fields:
            quote = self.packets[int(fields.pop("quote")) - 1].ip
            head: int = (quote[0] & 15) * 4 if quote[0] >> 4 == 4 else 40
            body = quote[: head + quoted]
        packet.payload = struct.pack(">BBHI", kind, code, 0, mtu) + body


def _ns(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole) * 10**9 + int((part + "0" * 9)[:9])


def _number(text: str, usual: int) -> int:
    if not text:
        return usual
    if text[0] in "+-":
        return (usual + int(text)) & MASK
    return int(text, 0) & MASK


def _payload(fields: dict[str, str]) -> bytes:
    if "data" in fields:
        return fields.pop("data")[1:-1].encode("latin-1").decode("unicode_escape").encode("latin-1")
    if "hex" in fields:
        return bytes.fromhex(fields.pop("hex"))
    return b"x" * int(fields.pop("len", "0"))


def _place(text: str) -> tuple[str, int]:
    found = _PLACE.match(text)
    if not found:
        raise ValueError(f"not an address and port: {text}")
    return (str(ip_address(found[1] or found[2])), int(found[3]))


def _options(text: str) -> bytes:
    out = bytearray()
    for part in text.split(","):
        word, *args = part.split()
        if word == "mss":
            out += struct.pack(">BBH", 2, 4, int(args[0]))
        elif word == "sackOK":
            out += b"\x04\x02"
        elif word == "TS":
            out += struct.pack(">BBII", 8, 10, int(args[0]) & MASK, int(args[1]) & MASK)
        elif word == "wscale":
            out += struct.pack(">BBB", 3, 3, int(args[0]))
        elif word == "sack":
            out += struct.pack(">BB", 5, 2 + 8 * len(args))
            for edges in args:
                left, _, right = edges.partition("-")
                out += struct.pack(">II", int(left) & MASK, int(right) & MASK)
        elif word == "tfo":
            cookie = bytes.fromhex(args[0]) if args else b""
            out += struct.pack(">BB", 34, 2 + len(cookie)) + cookie
        elif word == "nop":
            out += b"\x01"
        elif word == "kind":
            body = bytes.fromhex(args[1]) if len(args) > 1 else b""
            out += struct.pack(">BB", int(args[0]), 2 + len(body)) + body
        else:
            raise ValueError(f"unknown option {word}")
    return bytes(out) + b"\x01" * (-len(out) % 4)


def _checksum(data: bytes) -> int:
    data += b"\x00" * (len(data) & 1)
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _build(p: Packet) -> None:
    """Fill ``p.link`` and ``p.ip``: Ethernet (and VLAN tag), IP, transport with right checksums."""
    src, dst = ip_address(p.src[0]), ip_address(p.dst[0])
    proto = {Kind.TCP: 6, Kind.UDP: 17}.get(p.kind, 1 if src.version == 4 else 58)
    if p.kind == Kind.TCP:
        offset = 5 + len(p.options) // 4
        head = struct.pack(">HHIIHHHH", p.src[1], p.dst[1], p.seq, p.ack, offset << 12 | p.flags, p.window, 0, p.urgent)
        body, check_at = head + p.options + p.payload, 16
    elif p.kind == Kind.UDP:
        body, check_at = struct.pack(">HHHH", p.src[1], p.dst[1], 8 + len(p.payload), 0) + p.payload, 6
    else:
        body, check_at = p.payload, 2
    pseudo = src.packed + dst.packed + struct.pack(">II", len(body), proto)
    check = _checksum(body if proto == 1 else pseudo + body)
    body = body[:check_at] + struct.pack(">H", check) + body[check_at + 2 :]
    if p.kind == Kind.ICMP:
        p.payload = body
    if src.version == 4:
        head = struct.pack(">BBHHHBBH", 0x45, p.ecn, 20 + len(body), p.ip_id & 0xFFFF, 0x4000, p.ttl, proto, 0)
        head += src.packed + dst.packed
        head = head[:10] + struct.pack(">H", _checksum(head)) + head[12:]
        ether = 0x0800
    else:
        head = struct.pack(">IHBB", 6 << 28 | p.ecn << 20, len(body), proto, p.ttl) + src.packed + dst.packed
        ether = 0x86DD
    tag = b"" if p.vlan is None else struct.pack(">HH", 0x8100, p.vlan)
    p.link = bytes.fromhex("020000000002020000000001") + tag + struct.pack(">H", ether)
    p.ip = head + body
