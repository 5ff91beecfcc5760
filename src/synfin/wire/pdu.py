"""Exported PDUs (link type 252): what a dissector was given, with the addresses and ports it came from as tags.

The format is Wireshark's: tag and length in 16 bits each, tag 0 ends the list, the PDU follows.  A PDU of a stream
protocol becomes kind "pdu"; a whole packet that was exported (IP, Ethernet) is read on as a packet.
"""

from __future__ import annotations

from synfin.wire.layer import Next, Walk

_TAGS = {
    12: "protocol",
    13: "heuristic_protocol",
    14: "dissector_table",
    20: "ipv4_src",
    21: "ipv4_dst",
    22: "ipv6_src",
    23: "ipv6_dst",
    24: "port_type",
    25: "src_port",
    26: "dst_port",
}
_PACKETS: dict[str, Next] = {
    "ip": ("ethertype", 0x0800),
    "ipv6": ("ethertype", 0x86DD),
    "eth": ("link", 1),
    "eth_withoutfcs": ("link", 1),
    "eth_maybefcs": ("link", 1),
}
#: Wireshark's port types -> IP protocol.
_PROTOCOLS = {1: 132, 2: 6, 3: 17, 4: 33}


def exported_pdu(walk: Walk) -> Next:
    """Read the tags, then the PDU."""
    r = walk.enter("exported PDU", "pdu", "LINKTYPE_WIRESHARK_UPPER_PDU")
    found = walk.found
    name = ""
    while True:
        tag, size = r.u16("tag"), r.u16("length")
        if not tag:
            break
        value = r.take(size, _TAGS.get(tag, f"tag[{tag}]"))
        if tag in (12, 13):
            name = value.rstrip(b"\0").decode(errors="replace")
        elif tag in (20, 21, 22, 23):
            if size != (4 if tag < 22 else 16):
                raise r.fail(_TAGS[tag], f"says {size} octets")
            found.version = 4 if tag < 22 else 6
            if tag in (20, 22):
                found.src = value
            else:
                found.dst = value
        elif tag == 24:
            found.proto = _PROTOCOLS.get(int.from_bytes(value, "big"), 0)
        elif tag == 25:
            found.sport = int.from_bytes(value, "big") & 0xFFFF
        elif tag == 26:
            found.dport = int.from_bytes(value, "big") & 0xFFFF
    if name in _PACKETS:
        found.tunnels.append("exported PDU")
        return _PACKETS[name]
    found.kind = "pdu"
    found.layers[-1] = f"exported PDU {name}".rstrip()
    if name:
        found.tunnels.append(name)
    walk.load()
    return None
