"""``synfin demo``: Alice opens Bob's page in a simulated network, somebody sits between them, and all of it is told.

Nothing here is prepared: the visits are played on our engines (``lab.visits``), what is told comes from their captures
by the observer and the judge that every capture meets, and what the attackers achieved from what Alice got.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synfin.cli import files
from synfin.cli.options import Color, Width
from synfin.errors import UsageError

if TYPE_CHECKING:
    from synfin.judge.model import Finding
    from synfin.lab.visits import Attack, Kind, Scene, Visit
    from synfin.observe.story import Connection
    from synfin.pki.walk import PathWalk
    from synfin.views.paint import Paint


def demo(
    tls12: Annotated[bool, typer.Option("--tls1.2", help="With TLS 1.2 and an ephemeral key exchange.")] = False,
    rsa: Annotated[
        bool, typer.Option("--rsa", help="With TLS 1.2 and the classic PreMasterSecret, encrypted to Bob's RSA key.")
    ] = False,
    http2: Annotated[bool, typer.Option("--http2", help="With HTTP/2 over TLS 1.3.")] = False,
    http: Annotated[bool, typer.Option("--http", help="The plain visit first: HTTP without TLS.")] = False,
    scene: Annotated[
        str, typer.Option("--scene", metavar="NAME", help="A classic lesson about TCP instead; --list has their names.")
    ] = "",
    list_: Annotated[bool, typer.Option("--list", help="The names of the scenes.")] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another run: other keys and numbers.")] = 1,
    write: Annotated[
        Path,
        typer.Option("-w", "--write", metavar="FILE", help="Where the capture goes (pcapng, with its TLS secrets)."),
    ] = Path("demo.pcapng"),
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    width: Width = None,
    no_color: Color = False,
) -> int:
    """Show a connection from SYN to FIN, and what attackers can do.

    Alice opens a page of Bob's in a simulated network: undisturbed, overheard, tampered with, and answered by an
    impostor, over HTTPS and over HTTP.  No privileges, no network; the same seed gives the same octets.
    """
    from synfin.cli import lessons, terminal
    from synfin.views.json import SCHEMA, dumps
    from synfin.views.paint import Paint

    room, paint = terminal.columns(width) or 120, Paint(terminal.colour(no_color) and not json)
    if sum((tls12, rsa, http2, http, bool(scene))) > 1:
        raise UsageError("--tls1.2, --rsa, --http2, --http and --scene are different demos: give one of them")
    if list_:
        names = [{"name": name, "title": words.title} for name, words in lessons.WORDS.items()]
        terminal.write_lines(
            [dumps({"synfin": {"schema": SCHEMA}, "scenes": names})] if json else lessons.listing(room, paint)
        )
    elif scene:
        from synfin.lab.lessons import lesson

        played = lesson(scene, seed)
        _write(write, played.capture)
        shown = lessons.lesson_lines(played, write, room, paint)
        terminal.write_lines([dumps(lessons.lesson_json(played, write))] if json else shown)
    else:
        from synfin.lab.visits import Kind, visits

        kind = Kind.TLS12 if tls12 else Kind.RSA if rsa else Kind.HTTP2 if http2 else Kind.TLS13
        made = visits(seed, kind, secure_first=not http)
        told = Told(made, write, kind, room, paint)
        _write(write, made.capture)
        terminal.write_lines([dumps(told.json())] if json else told.lines(http))
    return 0


def _write(path: Path, data: bytes) -> None:
    if str(path) == "-":
        raise UsageError("-w -: standard output is for the story; give a file")
    files.write(path, data, "-w")


@dataclass(frozen=True, slots=True)
class Seen:
    """One connection of Alice's capture with its findings, and the same as the sniffer has it."""

    connection: Connection
    findings: tuple[Finding, ...]
    overheard: Connection


class Told:
    """A scene, observed and judged, as lines or as JSON."""

    def __init__(self, scene: Scene, file: Path, kind: Kind, width: int, paint: Paint) -> None:
        self.scene, self.file, self.kind = scene, file, kind
        self.width, self.paint = width, paint
        self.seen = _observe(scene)

    # ------------------------------------------------------------ for people

    def lines(self, plain: bool) -> Iterator[str]:
        """The whole demo; ``plain``: the story told is that of the visit over HTTP."""
        from synfin.lab.visits import Attack

        main = self.scene.visit(Attack.NONE, secure=not plain)
        yield from self._opening(main)
        yield from self._story(main)
        if main.secure:
            yield from self._path(main)
        yield from self._time(main)
        yield from self._sniffer(main)
        yield from self._tamperer(main)
        yield from self._impostor(main)
        yield from self._next(main)

    def _title(self, text: str, more: str) -> Iterator[str]:
        from synfin.views.lesson import headline

        yield ""
        yield from headline(text, more, self.width, self.paint)

    def _wrapped(self, text: str, indent: int = 2) -> Iterator[str]:
        from synfin.views.words import wrap

        yield from wrap(" " * indent + text, self.width, 0)

    def _opening(self, main: Visit) -> Iterator[str]:
        from synfin.lab.visits import ALICE, BOB, CAFE

        yield self.paint("title", f"Alice opens {main.url}")
        yield ""
        yield f"  {'Alice':<13} ──2 ms──  {'cafe router':<13} ──18 ms──  Bob"
        yield self.paint("dim", f"  {ALICE:<13}           {CAFE:<13}            {BOB}")
        yield from self._wrapped(
            f"A simulated network: nothing leaves this machine. TCP, TLS and the CA are synfin's own; "
            f"the clock says {self.scene.day:%Y-%m-%d %H:%M} UTC; seed {self.scene.seed}."
        )

    def _story(self, main: Visit) -> Iterator[str]:
        from synfin.views.connection import heading
        from synfin.views.lesson import packet_ladder

        connection = self.seen[main.connection].connection
        yield ""
        yield from heading(connection, self.width, self.paint, brief=True)
        yield ""
        yield from packet_ladder(connection, self.width, self.paint)

    def _path(self, main: Visit) -> Iterator[str]:
        from synfin.views.lesson import covered, path_tree

        walk = self._walk()
        root = walk.links[-1].signer
        names = [root, *(link.subject for link in reversed(walk.links))]
        why = ["Alice has it and trusts it; nothing else speaks for it"]
        why += [covered(link.covered_octets, link.algorithm, link.signer) for link in reversed(walk.links)]
        yield from self._title("Whose key is it? The path of certificates", "each signature checked by Alice")
        yield from path_tree(names, why, self.width, self.paint)
        yield from self._wrapped(f"{self._proof(main)} A signature covers {', '.join(walk.links[0].covers)}.")

    def _walk(self) -> PathWalk:
        from synfin.lab.visits import NAME
        from synfin.pki.walk import walk_path

        return walk_path(self.scene.chain, NAME, self.scene.day, [self.scene.root])

    def _proof(self, main: Visit) -> str:
        """How Bob shows that he holds the leaf's key."""
        from synfin.lab.visits import Kind

        new = ("certificate_verify", "Bob's signature over the handshake (CertificateVerify, packet {})")
        message = {
            Kind.TLS13: new,
            Kind.HTTP2: new,
            Kind.TLS12: ("server_key_exchange", "Bob's signature over his key share (ServerKeyExchange, packet {})"),
            Kind.RSA: ("client_key_exchange", "Reading the PreMasterSecret (ClientKeyExchange, packet {})"),
        }[self.kind]
        tls = self.seen[main.connection].connection.tls
        found = next((m.packets[-1] for m in tls.messages if m.name == message[0]), 0) if tls is not None else 0
        return f"{message[1].format(found)} takes the leaf's private key, which no certificate holds."

    def _time(self, main: Visit) -> Iterator[str]:
        from synfin.views.budget import budget

        yield ""
        yield from budget(self.seen[main.connection].connection, self.width, self.paint)

    def _pair(self, attack: Attack, main: Visit) -> tuple[Visit, Visit]:
        """The visits over HTTP and HTTPS, that of the kind asked for last: it is what the reader came for."""
        return self.scene.visit(attack, secure=not main.secure), self.scene.visit(attack, secure=main.secure)

    def _how(self, visit: Visit) -> str:
        return self.paint("bold", f"Over HTTP{'S' if visit.secure else ''}") + self.paint(
            "dim", f" (connection {visit.connection})"
        )

    def _sniffer(self, main: Visit) -> Iterator[str]:
        from synfin.lab.visits import Attack
        from synfin.views.sniffer import sniffer_lines

        yield from self._title("What a sniffer in the cafe saw", "the router's own capture, without any key")
        for visit in reversed(self._pair(Attack.NONE, main)):
            yield f"  {self._how(visit)}"
            for line in sniffer_lines(self.seen[visit.connection].overheard, self.width - 4, self.paint):
                yield f"    {line}"
            if visit.secure:
                opened = self._stolen()
                told = f"opens it all: {opened}; no" if opened else "opens nothing of it, its keys were agreed anew:"
                yield from self._wrapped(f"Bob's private key, stolen later, {told} forward secrecy.", 4)

    def _stolen(self) -> str:
        """What Bob's RSA key opens of the sniffer's capture: its first request; nothing without static RSA."""
        from synfin.lab.captures import observe_octets
        from synfin.views.exchange import headline

        key = self.scene.rsa_key
        if key is None:
            return ""
        for connection in observe_octets(self.scene.overheard, secrets=False, rsa_keys=[key]):
            if connection.http is not None and connection.http.tls:
                return headline(connection.http.messages[0])
        return ""

    def _tamperer(self, main: Visit) -> Iterator[str]:
        from synfin.lab.visits import Attack
        from synfin.views.words import count

        yield from self._title("What a tamperer in the cafe achieved", "changes packets and their checksums")
        for visit in self._pair(Attack.TAMPERER, main):
            changed = f"{count(visit.changed, 'packet')} changed"
            yield f"  {self._how(visit)}: {changed}, {self._verdict(visit)}"
            yield from self._consequence(visit)

    def _impostor(self, main: Visit) -> Iterator[str]:
        from synfin.lab.visits import Attack

        yield from self._title("What an impostor achieved", "the router sends Alice's packets to Mallory, not to Bob")
        thief = self.scene.visit(Attack.THIEF, secure=True)
        for visit in (*self._pair(Attack.IMPOSTOR, main), thief):
            with_ = ""
            if visit.secure:
                with_ = ", Bob's certificate without his key" if visit is thief else ", certificate of Mallory's own CA"
            yield f"  {self._how(visit)}{with_}: {self._verdict(visit)}"
            yield from self._consequence(visit)

    def _verdict(self, visit: Visit) -> str:
        if visit.believed:
            return self.paint("bad", "believed")
        return self.paint("good", "refused")

    def _consequence(self, visit: Visit) -> Iterator[str]:
        """What Alice got, or how it ended, and what the judge says."""
        from synfin.lab.visits import FALSE
        from synfin.views.lesson import quoted

        if visit.believed:
            yield f"    Alice reads {quoted(visit.client.got.decode(), FALSE.decode(), self.paint)}"
        else:
            yield from self._wrapped(self._refusal(visit), 4)
        yield from self._wrapped(f"synfin check: {self._judged(visit)}", 4)

    def _refusal(self, visit: Visit) -> str:
        from synfin.wire.tls.registry import alert_name

        client, server = visit.client, visit.server
        who = client if client.alert_sent is not None else server
        if who.alert_sent is None:
            return "the connection ended without a page"
        tls = self.seen[visit.connection].connection.tls
        packet = next((f", packet {alert.packet}" for alert in tls.alerts if alert.level == 2), "") if tls else ""
        said = f"{who.name} ends it with the alert {alert_name(who.alert_sent)} ({who.alert_sent}{packet})"
        why = _why(who.fault, who.why)
        if who is server:
            why += ", since the keys come from a PreMasterSecret that only Bob can read"
        page = "not one octet of the page is used" if client.facts is not None else "nothing was asked"
        return f"{said}: {why}; {page}."

    def _judged(self, visit: Visit) -> str:
        from synfin.judge.codes import CODES
        from synfin.judge.model import Severity

        findings = [f for f in self.seen[visit.connection].findings if f.severity >= Severity.WARNING]
        if not findings:
            return "nothing; without TLS a lie looks like the truth, in a capture too"
        return ", ".join(f"{finding.code} {CODES[finding.code].title}" for finding in findings)

    def _next(self, main: Visit) -> Iterator[str]:
        from synfin.views.lesson import commands
        from synfin.views.words import clean, count

        packets = sum(len(seen.connection.rows) for seen in self.seen)
        file = clean(str(self.file))
        told = f"{count(len(self.seen), 'connection')}, {count(packets, 'packet')} at Alice's host"
        yield from self._title(f"Wrote {file}", f"{told}, with the TLS secrets in it")
        others = [name for name in ("--tls1.2", "--rsa", "--http2", "--http") if name != self._option(main)]
        pairs = (
            (f"synfin read {file}", "all connections in a table"),
            (f"synfin read {file} -c {main.connection}", "every field of this one; --bytes 4 explains packet 4"),
            (f"synfin check {file}", "who must act, and the proof"),
            (f"wireshark {file}", "opens decrypted: the secrets stand in the file"),
            (f"synfin demo {' | '.join(others)} | --seed 2", "the same, spoken otherwise; other numbers"),
            ("synfin demo --list", "TCP's classic lessons: a stale SYN, a lost last ACK ..."),
        )
        yield from commands(pairs, self.width, self.paint)

    def _option(self, main: Visit) -> str:
        from synfin.lab.visits import Kind

        options = {Kind.TLS13: "", Kind.HTTP2: "--http2", Kind.TLS12: "--tls1.2", Kind.RSA: "--rsa"}
        return options[self.kind] if main.secure else "--http"

    # ------------------------------------------------------------ for programs

    def json(self) -> dict[str, Any]:
        """Everything that ``lines`` says, and each connection as in docs/reference/json.md."""
        from synfin.views.json import SCHEMA

        return {
            "synfin": {"schema": SCHEMA},
            "file": str(self.file),
            "seed": self.scene.seed,
            "handshake": str(self.kind),
            "day": self.scene.day.isoformat(),
            "path": [
                {
                    "subject": link.subject,
                    "signer": link.signer,
                    "algorithm": link.algorithm,
                    "covers": list(link.covers),
                    "covered_octets": link.covered_octets,
                    "digest": {"name": link.digest_name, "hex": link.digest.hex()},
                    "holds": link.holds,
                }
                for link in self._walk().links
            ],
            "stolen_key_opens": self._stolen(),
            "visits": [self._visit_json(visit) for visit in self.scene.visits],
        }

    def _visit_json(self, visit: Visit) -> dict[str, Any]:
        from synfin.views.json import connection_json
        from synfin.views.sniffer import sniffer_json

        seen = self.seen[visit.connection]
        return {
            "url": visit.url,
            "attack": str(visit.attack),
            "packets_changed": visit.changed,
            "believed": visit.believed,
            "parties": [
                {
                    "name": party.name,
                    "got": party.got.decode(),
                    "complete": party.complete,
                    "fault": party.fault,
                    "why": party.why,
                    "alert_sent": party.alert_sent,
                    "alert_received": party.alert_received,
                }
                for party in (visit.client, visit.server)
            ],
            "sniffer": sniffer_json(seen.overheard),
            "connection": connection_json(seen.connection, seen.findings, (), str(self.file)),
        }


def _observe(scene: Scene) -> list[Seen]:
    """Every connection of the scene, as any capture is observed: Alice's with her secrets, the sniffer's without."""
    from synfin.judge.engine import Context, judge_each
    from synfin.lab.captures import observe_octets

    overheard = {connection.id: connection for connection in observe_octets(scene.overheard, secrets=False)}
    judged = sorted(judge_each(observe_octets(scene.capture), Context()), key=lambda item: item.connection.id)
    return [Seen(item.connection, item.judgement.findings, overheard[item.connection.id]) for item in judged]


def _why(fault: str, why: str) -> str:
    """A fault in the words of ``spec.violations``, with what was seen where that tells more."""
    from synfin.spec.violations import VIOLATIONS

    sentence = VIOLATIONS[fault].sentence if fault in VIOLATIONS else fault
    return why[0].lower() + why[1:] if fault.startswith("certificate_") and why else sentence
