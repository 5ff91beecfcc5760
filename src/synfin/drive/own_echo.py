"""Answering ping (RFC 792, RFC 4443 4.2), the first thing people try at an address."""

from __future__ import annotations

from collections.abc import Sequence

from synfin.wire.checksum import checksum, pseudo_header


def echo(data: bytes, addresses: Sequence[bytes]) -> bytes | None:
    """The answer to a ping (RFC 792, RFC 4443 4.2) at one of ``addresses``; None for everything else."""
    if len(data) >= 28 and data[0] == 0x45 and data[9] == 1 and data[20:22] == b"\x08\0" and data[16:20] in addresses:
        if int.from_bytes(data[6:8], "big") & 0x3FFF:
            return None  # a fragment
        body = b"\0\0\0\0" + data[24:]
        head = data[:8] + b"\x40\x01\0\0" + data[16:20] + data[12:16]
        head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
        return head + body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    if (
        len(data) >= 48
        and data[0] >> 4 == 6
        and data[6] == 58
        and data[40:42] == b"\x80\0"
        and data[24:40] in addresses
    ):
        body = b"\x81\0\0\0" + data[44:]
        src, dst = data[24:40], data[8:24]
        check = checksum(pseudo_header(src, dst, 58, len(body)) + body)
        return data[:7] + b"\x40" + src + dst + body[:2] + check.to_bytes(2, "big") + body[4:]
    return None
