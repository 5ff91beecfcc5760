"""IEEE 802.11 data frames and the headers that capture tools put in front of them (radiotap, Prism, AVS, PPI).

Data frames with LLC are read down to IP, of an aggregate (A-MSDU) the first frame only; everything else is named.
Frames whose Protected bit is set are named "802.11 encrypted data": no key is asked for here.
"""

from __future__ import annotations

from synfin.wire.layer import Next, Walk

_FRAMES = {0: "802.11 management", 1: "802.11 control", 3: "802.11 extension"}
_WLAN = ("link", 105)


def wlan(walk: Walk) -> Next:
    """A frame that begins with its 802.11 header."""
    return _frame(walk, padded=False)


def radiotap(walk: Walk) -> Next:
    """A radiotap header, of which only the flags matter: the frame check sequence and padding of the header."""
    r = walk.enter("radiotap", "radiotap", "radiotap.org")
    start = r.pos
    r.u8("version")
    r.u8("pad")
    size = int.from_bytes(r.take(2, "length"), "little")
    words = [int.from_bytes(r.take(4, "present"), "little")]
    while words[-1] >> 31:
        words.append(int.from_bytes(r.take(4, "present"), "little"))
    flags = 0
    if words[0] & 2:
        at = r.pos - start
        if words[0] & 1:  # a 64-bit time stands first, aligned
            at = ((at + 7) & ~7) + 8
        if at < size and start + at < r.end:
            flags = r.data[start + at]
    if size < r.pos - start:
        raise r.fail("length", f"says {size}")
    r.take(size - (r.pos - start), "fields")
    if flags & 0x10:
        walk.limit(max(0, walk.wire_left - 4))
    return _frame(walk, padded=bool(flags & 0x20))


def prism(walk: Walk) -> Next:
    """A Prism monitor header (AVS headers use its link type too)."""
    r = walk.r
    if r.left >= 4 and bytes(r.data[r.pos : r.pos + 2]) == b"\x80\x21":
        return avs(walk)
    r = walk.enter("Prism", "prism", "LINKTYPE_IEEE802_11_PRISM")
    r.take(144, "header")
    return _WLAN


def avs(walk: Walk) -> Next:
    """An AVS header."""
    r = walk.enter("AVS", "avs", "LINKTYPE_IEEE802_11_AVS")
    r.u32("version")
    size = r.u32("length")
    if size < 8:
        raise r.fail("length", f"says {size}")
    r.take(size - 8, "fields")
    return _WLAN


def ppi(walk: Walk) -> Next:
    """A per-packet information header; it names the link type of what follows."""
    r = walk.enter("PPI", "ppi", "LINKTYPE_PPI")
    r.u8("version")
    r.u8("flags")
    size = int.from_bytes(r.take(2, "length"), "little")
    link = int.from_bytes(r.take(4, "link_type"), "little")
    if size < 8:
        raise r.fail("length", f"says {size}")
    r.take(size - 8, "fields")
    return "link", link


def _frame(walk: Walk, padded: bool) -> Next:
    r = walk.enter("802.11", "wlan", "IEEE 802.11 9.2")
    start = r.pos
    control = r.take(2, "frame_control")
    kind, subtype, flags = control[0] >> 2 & 3, control[0] >> 4, control[1]
    if kind != 2:
        walk.found.unread = _FRAMES[kind]
        return None
    r.u16("duration")
    for name in ("address1", "address2", "address3"):
        r.take(6, name)
    r.u16("sequence")
    if flags & 3 == 3:
        r.take(6, "address4")
    aggregate = False
    if subtype & 8:
        aggregate = bool(r.take(2, "qos")[0] & 0x80)
        if flags & 0x80:
            r.u32("ht_control")
    if padded:
        r.take(-(r.pos - start) % 4, "padding")
    if flags & 0x40:
        walk.found.unread = "802.11 encrypted data"
        return None
    if subtype & 4:
        walk.found.unread = "802.11 null data"
        return None
    if aggregate:
        r.path = "amsdu"
        r.take(6, "dst")
        r.take(6, "src")
        walk.limit(r.u16("length"))
    return "llc", 0
