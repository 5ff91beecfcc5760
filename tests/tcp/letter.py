"""Scripts of packets for one host: a test is a text, and each text is played with several initial numbers.

A line begins with one of these.  Numbers count from the initial sequence numbers, ours and the peer's.

    < FLAGS SEQ ACK len=9 win=9 urg=9 opt=mss:1460,ws:7   the peer's segment arrives (``ecn=1``: its IP header's bits)
    > FLAGS SEQ ACK len=9 ...    what the host sends; ``in=1.5``: so many seconds later; fields not named are not judged
    +1.5                         seconds pass
    = STATE                      the state is this
    ! reset, readable            these events were told, and no others
    % 3 1 seq=9 mtu=576          an ICMP message comes (type, code) that quotes our segment
    connect | listen | unlisten | accept | send 9 | urgent 9 | recv 9 | take 9 | shutdown | close | abort
    set name=9                   an option changes
    @STATE                       the way into a state
    no send 9                    the call is refused with a UsageError

    send 9 takes 4               a call that takes less

Each octet of a stream is a letter that its place decides, and both directions are held to it.  What is not expected
with ``>`` must not be sent.  ``#`` begins a comment: the sentence that asks for it.
"""

from __future__ import annotations

import re
from ast import literal_eval
from dataclasses import replace
from typing import Any

from synfin.errors import UsageError
from synfin.spec.tcp_states import State
from synfin.tcp import Config, Host, Icmp, Packet, Socket
from synfin.tcp.config import SECOND
from synfin.wire.codec import Buffer
from tests.tcp.dialogue import relative

MASK = 0xFFFFFFFF
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
V4 = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
V6 = bytes.fromhex("20010db8000000000000000000000001"), bytes.fromhex("20010db8000000000000000000000002")
PORT, PEER_PORT = 80, 4000
#: No option, every ACK at once, a window of 4000: the tables are written for this.
BARE = Config(delayed_ack=0, timestamps=False, sack=False, window_scale=None, receive_buffer=4000, mss=1000)
#: Our initial sequence number and the peer's: in the middle, at the end of the circle, and across its half.
NUMBERS = ((1_000_000, 2_000_000), (MASK, MASK - 1), (MASK - 1200, 0x7FFFFFFF), (0x7FFFFFFE, MASK - 1200))
OPTIONS = {"mss": (2, 2), "ws": (3, 1), "sackok": (4, 0), "sack": (5, 4), "ts": (8, 4), "uto": (28, 2)}


class Mismatch(AssertionError):
    """The host did otherwise."""


class Player:
    """One host and the peer of a script."""

    def __init__(self, config: Config, iss: int, irs: int, places: tuple[bytes, bytes] = V4) -> None:
        self.here, self.there = places
        self.iss, self.irs = iss, irs
        self.known = self.active = False
        self.answered = -1
        self.sent = self.read = 0
        self.config = config
        self.now = self.start = self._when(iss)
        self.host = Host([self.here], b"letters in packets", config)
        self.socket = Socket(self.host)
        self.socket.bind(PORT)
        self.listener: Socket | None = None
        self.queue: list[tuple[int, Packet]] = []
        self.sent_again: list[tuple[int, int]] = []

    def _when(self, iss: int) -> int:
        """A time at which the host will choose this initial number: RFC 9293 3.4.1, a clock of 4 microseconds."""
        host = Host([self.here], b"letters in packets", self.config)
        first = host.connect(self.there, PEER_PORT, 0, local_port=PORT).iss
        return (iss - first & MASK) * 4000

    # the script

    def play(self, script: str) -> Player:
        for number, line in enumerate(script.splitlines(), 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                if text.startswith("@"):
                    self.play(WAY[text[1:]])
                else:
                    self.step(text)
            except Mismatch as wrong:
                raise Mismatch(
                    f"line {number}: {line.strip()}\n{wrong} (iss {self.iss:#x}, irs {self.irs:#x})"
                ) from None
        self._quiet()
        return self

    def step(self, text: str) -> None:
        verb, _, rest = text.partition(" ")
        if verb == ">":
            self._expect(rest)
            return
        if verb == "=":
            self._same(rest, str(self.state))
            return
        if verb == "!":
            self._same(rest, ", ".join(self.events()))
            return
        self._quiet()
        if verb == "<":
            self.host.receive(self.segment(rest), self.now)
        elif verb == "%":
            self.host.receive(self.icmp(rest), self.now)
        elif verb.startswith("+"):
            self._pass(float(verb))
        else:
            self._call(verb, rest)
        self._collect()

    def _call(self, verb: str, rest: str) -> None:
        connection, now = self.socket, self.now
        if verb == "listen":
            self.listener = self.socket
            self.listener.listen(int(rest or 128))
        elif verb == "connect":
            connection.connect(self.there, PEER_PORT, now)
            self.known = self.active = True
        elif verb == "accept":
            assert self.listener is not None
            made = self.listener.accept()
            if made is None:
                raise Mismatch("nothing to accept")
            self.socket = made
        elif verb == "set":
            name, _, value = rest.partition("=")
            connection.set(**{name: int(value)})
        elif verb == "no":
            name, _, more = rest.partition(" ")
            try:
                self._call(name, more)
            except UsageError:
                return
            raise Mismatch("was not refused")
        elif verb in ("send", "urgent"):
            size, _, takes = rest.partition(" takes ")
            taken = connection.send(letters(self.sent, int(size)), now, urgent=verb == "urgent")
            self._same(takes or size, str(taken))
            self.sent += taken
        elif verb in ("recv", "take"):
            data = connection.recv(now, int(rest) if verb == "take" else None)
            self._same(rest, str(len(data)))
            if data != letters(self.read, len(data)):
                raise Mismatch(f"the stream is wrong: {data!r}")
            self.read += len(data)
        elif verb in ("shutdown", "close", "abort"):
            getattr(connection, verb)(now)
        elif verb == "unlisten":
            assert self.listener is not None
            self.listener.close(now)
        else:
            raise UsageError(f"no such verb: {verb}")

    # what the host did

    @property
    def state(self) -> State:
        if self.socket.connection is not None:
            return self.socket.state
        found = self.host.connections.get((self.here, PORT, self.there, PEER_PORT))
        if found is not None:
            return found.state
        return self.socket.state

    def events(self) -> list[str]:
        out = []
        while (event := self.host.next_event()) is not None:
            out.append(str(event.kind))
        return out or ["-"]

    def _collect(self) -> None:
        for packet in self.host.take_output(self.now):
            if packet.flags & 18 == 18 and not self.active and packet.ack != self.answered:
                self.iss, self.known, self.answered = packet.seq, True, packet.ack
            self.queue.append((self.now, packet))

    def _pass(self, seconds: float, *, stop: bool = False) -> None:
        end = self.now + round(seconds * SECOND)
        while (when := self.host.next_timer()) is not None and when <= end and not (stop and self.queue):
            self.now = max(when, self.now)
            self.host.timer_fired(self.now)
            self._collect()
        if not (stop and self.queue):
            self.now = end

    def step_quietly(self, seconds: float) -> None:
        """Time passes, and what is sent is kept in ``sent_again`` where it was sent before."""
        self._pass(seconds)
        self.sent_again += [(relative(p.seq, self.iss), len(p.payload)) for _, p in self.queue if p.again]
        self.queue.clear()

    def _quiet(self) -> None:
        if self.queue:
            raise Mismatch("not expected before this: " + "; ".join(self.show(p) for _, p in self.queue))

    def _same(self, wanted: str, found: str) -> None:
        if wanted != found:
            raise Mismatch(f"wanted {wanted}, found {found}")

    def _expect(self, text: str) -> None:
        words = text.split()
        start = self.now
        if words[0].startswith("in="):
            seconds = float(words.pop(0)[3:])
            self._quiet()
            self._pass(seconds * 3 + 1, stop=True)
        else:
            seconds = 0.0
        if not self.queue:
            raise Mismatch("nothing was sent")
        when, packet = self.queue.pop(0)
        if seconds and abs(when - start - seconds * SECOND) > SECOND / 100:
            raise Mismatch(f"came after {(when - start) / SECOND} s")
        found = self.show(packet).split()
        fields = dict(word.split("=", 1) for word in found if "=" in word)
        plain = [word for word in words if "=" not in word]
        asked = dict(word.split("=", 1) for word in words if "=" in word)
        if plain != [word for word in found if "=" not in word] or ("len" in fields and "len" not in asked):
            raise Mismatch("found " + " ".join(found))
        for name, value in asked.items():
            if sorted(fields.get(name, "0").split(",")) != sorted((value or "0").split(",")):
                raise Mismatch("found " + " ".join(found))
        if self.known and bytes(packet.payload) != letters(relative(packet.seq, self.iss) - 1, len(packet.payload)):
            raise Mismatch("the octets sent are not those of the stream")

    def show(self, packet: Packet) -> str:
        flags = ",".join(name for name, bit in FLAGS.items() if packet.flags & bit and name != "PSH") or "-"
        ours = self.iss if self.known else 0
        out = f"{flags} {relative(packet.seq, ours)}"
        if packet.flags & 16:
            out += f" {relative(packet.ack, self.irs)}"
        if len(packet.payload):
            out += f" len={len(packet.payload)}"
        out += f" win={packet.window} ecn={packet.ecn}"
        if packet.flags & 32:
            out += f" urg={packet.urgent}"
        if packet.options:
            out += " opt=" + self._show_options(packet.options)
        return out

    def _show_options(self, raw: bytes) -> str:
        out, at = [], 0
        while at < len(raw) and raw[at]:
            if raw[at] == 1:
                at += 1
                continue
            kind, size = raw[at], raw[at + 1]
            value = raw[at + 2 : at + size]
            at += size
            name = next((name for name, (number, _) in OPTIONS.items() if number == kind), str(kind))
            step = OPTIONS.get(name, (0, 1))[1]
            parts = [int.from_bytes(value[i : i + step], "big") for i in range(0, len(value), step or 1)]
            if name == "sack":
                parts = [relative(part, self.irs) for part in parts]
            if name == "ts":
                parts = parts[1:]
            out.append(":".join([name, *map(str, parts)]))
        return ",".join(out)

    # what the peer does

    def segment(self, text: str) -> Packet:
        words = text.split()
        plain = [word for word in words if "=" not in word]
        fields = dict(word.split("=", 1) for word in words if "=" in word)
        flags = sum(FLAGS[name] for name in plain[0].split(",") if name != "-")
        seq = int(plain[1]) + self.irs & MASK
        ack = (int(plain[2]) + (self.iss if self.known else 0)) & MASK if len(plain) > 2 else 0
        payload = letters(int(plain[1]) - 1 + (flags >> 1 & 1), int(fields.get("len", 0)))
        return Packet(
            self.there, self.here, PEER_PORT, PORT, seq, ack, flags, int(fields.get("win", 65535)),
            self._options(fields.get("opt", "")), payload, int(fields.get("urg", 0)), int(fields.get("ecn", 0)),
        )  # fmt: skip

    def _options(self, text: str) -> bytes:
        """``mss:1460,ws:7,ts:5:0,sack:3:4`` or octets in hex (``x0204``)."""
        out = b""
        for word in filter(None, text.split(",")):
            if word.startswith("x"):
                out += bytes.fromhex(word[1:])
                continue
            name, *parts = word.split(":")
            kind, size = OPTIONS[name]
            if name == "sack":
                parts = [str(int(part) + self.iss & MASK) for part in parts]
            value = b"".join((int(part) & (1 << 8 * size) - 1).to_bytes(size, "big") for part in parts)
            out += bytes((kind, 2 + len(value))) + value
        return out

    def icmp(self, text: str) -> Icmp | Buffer:
        words = text.split()
        kind, code = int(words[0]), int(words[1])
        fields = dict(word.split("=", 1) for word in words[2:])
        seq = int(fields.get("seq", 0)) + self.iss & MASK
        return icmp(kind, code, self.here, self.there, seq, mtu=int(fields.get("mtu", 0)))


def icmp(kind: int, code: int, src: bytes, dst: bytes, seq: int, *, mtu: int = 0) -> bytes:
    """The octets of an ICMP message from a router about a segment from ``src``."""
    from synfin.wire.checksum import checksum, pseudo_header

    quoted = Packet(src, dst, PORT, PEER_PORT, seq, 0, 2, 4000).write()
    if len(src) == 4:
        rest = mtu.to_bytes(4, "big") + quoted[:28]
        body = bytes((kind, code, 0, 0)) + rest
        body = body[:2] + checksum(body).to_bytes(2, "big") + rest
        router = bytes((192, 0, 2, 254))
        head = bytes((0x45, 0)) + (20 + len(body)).to_bytes(2, "big") + bytes((0, 1, 0, 0, 64, 1, 0, 0)) + router + src
        return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + body
    rest = mtu.to_bytes(4, "big") + quoted
    router = dst[:15] + b"\xfe"
    total = checksum(pseudo_header(router, src, 58, 4 + len(rest)) + bytes((kind, code, 0, 0)) + rest)
    body = bytes((kind, code)) + total.to_bytes(2, "big") + rest
    return bytes((0x60, 0, 0, 0)) + len(body).to_bytes(2, "big") + bytes((58, 64)) + router + src + body


def letters(start: int, size: int) -> bytes:
    """The octets of a stream from ``start``."""
    return bytes(97 + (start + i) % 26 for i in range(size))


def play(
    script: str,
    config: Config = BARE,
    *,
    numbers: tuple[tuple[int, int], ...] = NUMBERS,
    v6: bool = False,
    **choices: Any,
) -> Player:
    """Play a script with each pair of initial numbers; the last player."""
    chosen = replace(config, **choices) if choices else config
    for iss, irs in numbers:
        player = Player(chosen, iss, irs, V6 if v6 else V4)
        player.play(script)
    return player


def scripts(text: str) -> list[tuple[str, dict[str, Any], str]]:
    """Name, choices and script of each part of a text; a part begins with ``-- name | choice=value choice=value``."""
    out = []
    for part in re.split(r"^\s*-- ", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        name, _, choices = head.partition("|")
        pairs = (word.split("=", 1) for word in choices.split())
        out.append((name.strip(), {key: literal_eval(value) for key, value in pairs}, body))
    return out


#: The ways into each state.
WAY = {
    "CLOSED": "",
    "LISTEN": "listen",
    "SYN_SENT": "connect\n> SYN 0",
    "SYN_RECEIVED": "listen\n< SYN 0\n> SYN,ACK 0 1",
    "SYN_RECEIVED active": "connect\n> SYN 0\n< SYN 0\n> SYN,ACK 0 1",
}
WAY["ESTABLISHED"] = WAY["SYN_SENT"] + "\n< SYN,ACK 0 1\n> ACK 1 1"
WAY["ESTABLISHED passive"] = WAY["SYN_RECEIVED"] + "\n< ACK 1 1\naccept"
WAY["FIN_WAIT_1"] = WAY["ESTABLISHED"] + "\nshutdown\n> FIN,ACK 1 1"
WAY["FIN_WAIT_2"] = WAY["FIN_WAIT_1"] + "\n< ACK 1 2"
WAY["CLOSING"] = WAY["FIN_WAIT_1"] + "\n< FIN,ACK 1 1\n> ACK 2 2"
WAY["TIME_WAIT"] = WAY["FIN_WAIT_2"] + "\n< FIN,ACK 1 2\n> ACK 2 2"
WAY["CLOSE_WAIT"] = WAY["ESTABLISHED"] + "\n< FIN,ACK 1 1\n> ACK 1 2"
WAY["LAST_ACK"] = WAY["CLOSE_WAIT"] + "\nshutdown\n> FIN,ACK 1 2"
