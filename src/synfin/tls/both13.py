"""What both roles of TLS 1.3 share: what stays of a handshake, Finished, KeyUpdate (RFC 8446 4.4.4, 4.6.3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from hmac import compare_digest

from synfin.errors import PeerError, UsageError
from synfin.spec import keys
from synfin.spec.protection import Aead13
from synfin.spec.transcript import Transcript
from synfin.tls.core import Endpoint
from synfin.tls.schedule import Schedule
from synfin.wire.tls.messages import KeyUpdate


@dataclass(frozen=True, slots=True)
class Keys:
    """What stays of a handshake when it is done: the schedule, and the transcript up to the client's Finished."""

    schedule: Schedule
    transcript: Transcript


def hash_of(name: str, data: bytes) -> bytes:
    """One hash."""
    return hashlib.new(name, data).digest()


def finished(verify_data: bytes) -> bytes:
    """A Finished message."""
    return b"\x14\0\0" + bytes([len(verify_data)]) + verify_data


def check_finished(schedule: Schedule, secret: bytes, raw: bytes, transcript: Transcript) -> None:
    """PeerError decode_error for a wrong length, wrong_finished for wrong octets."""
    data = raw[4:]
    if len(data) != keys.hash_length(schedule.hash):
        raise PeerError("decode_error", f"{keys.hash_length(schedule.hash)} octets", str(len(data)))
    if not compare_digest(data, schedule.verify_data(secret, transcript.digest())):
        raise PeerError("wrong_finished", "the transcript's verify_data", "another")


def key_update(end: Endpoint, raw: bytes) -> None:
    """The peer's KeyUpdate (RFC 8446 4.6.3)."""
    message: KeyUpdate = end.parse(raw)
    if message.request_update not in (0, 1):
        raise PeerError("bad_key_update", "0 or 1", str(message.request_update))
    opener = end._opener
    if not isinstance(opener, Aead13):
        raise PeerError("unexpected_message", "TLS 1.3 keys", "key_update")
    end.read_keys(opener.updated())
    end._update_asked = False
    requested = bool(message.request_update)
    end.updated(requested)
    if requested and not end._mute and not (end._out and end._out[-1] is end._update_answer):
        update_keys(end, False)  # one answer to all that came while we were silent
        end._update_answer = end._out[-1]


def update_keys(end: Endpoint, request: bool) -> None:
    """Send a KeyUpdate and seal with the next keys.  UsageError where there are none.

    While a request of ours waits for its answer no other one goes out (RFC 9846 4.6.3).
    """
    sealer = end._sealer
    if not end.ready or not isinstance(sealer, Aead13):
        raise UsageError("keys are updated on an open TLS 1.3 connection only")
    ask = request and not end._update_asked
    end._update_asked = end._update_asked or ask
    end.say_later(b"\x18\0\0\1" + (b"\1" if ask else b"\0"))
    end.write_keys(sealer.updated())
