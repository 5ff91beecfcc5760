"""The engine: one root, order of cause, selection, a second look, captures judged as a whole; hostile input."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from synfin.judge import engine
from synfin.judge.baseline import fingerprint, read_baseline, write_baseline
from synfin.judge.codes import CODES, ORDER
from synfin.judge.engine import Context, Judged, judge, judge_all, judge_capture, judge_each, rules_for
from synfin.judge.model import Finding, NotJudged, Severity
from synfin.judge.records import protected
from synfin.judge.signs import Sign, looks_like_tls, signs
from synfin.observe import observe
from synfin.observe.story import Connection, Quality
from tests.judge.support import bad, findings, judged, told
from tests.scenarios.catalogue import HEALTHY, SCENARIOS, healthy, hello, refused, syn, turned_down, unanswered_hello
from tests.scenarios.script import Script, write
from tests.support.tlsbytes import flights


def _connections(scripts: list[Script], folder: Path) -> list[Connection]:
    return list(observe(write(scripts, folder / "many.pcap")))


@pytest.mark.parametrize("code", SCENARIOS)
def test_at_most_one_root_and_symptoms_come_after_it(code: str, tmp_path: Path) -> None:
    for item in judged(SCENARIOS[code].fires, tmp_path):
        roots = item.judgement.findings
        assert len(bad(list(roots))) <= 1, told(list(roots))
        for root in bad(list(roots)):
            assert all(not symptom.symptoms for symptom in root.symptoms)
            assert all(ORDER[s.code] > ORDER[root.code] for s in bad(list(root.symptoms)))


def test_the_cause_carries_the_alert_as_its_symptom(tmp_path: Path) -> None:
    (root,) = findings(turned_down("expired"), tmp_path)
    assert (root.code, [symptom.code for symptom in root.symptoms]) == ("CRT201", ["TLS210"])


def test_a_plainly_healthy_connection_calls_no_rule(tmp_path: Path) -> None:
    script = Script(port=8080).connect().send(0, b"hello there").send(1, b"general").close()
    (connection,) = _connections([script], tmp_path)
    assert signs(connection) == Sign(0)
    assert rules_for(Sign(0)) == ()


def test_select_and_ignore_work_by_beginnings(tmp_path: Path) -> None:
    (connection,) = _connections([refused()], tmp_path)
    assert judge(connection, Context(select=("TCP",))).worst is Severity.ERROR
    assert judge(connection, Context(select=("TLS", "CRT2"))).worst is None
    assert judge(connection, Context(ignore=("TCP101",))).worst is None
    assert judge(connection, Context(ignore=("TCP5",))).worst is Severity.ERROR


def test_other_connections_explain_silence(tmp_path: Path) -> None:
    first, second = healthy(), syn(3)
    second.client_port = 40002
    found = _all([first, second], tmp_path)
    assert "accept queue is most probably full" in found[0].cause
    assert str(found[0].actor) == "server"


def test_a_scan_is_a_note(tmp_path: Path) -> None:
    scripts = []
    for n in range(6):
        script = refused()
        script.port, script.client_port = 1000 + n, 40000 + n
        scripts.append(script)
    assert {(item.code, item.severity) for item in _all(scripts, tmp_path)} == {("TCP101", Severity.NOTICE)}


def test_falling_back_to_the_other_family_is_a_note(tmp_path: Path) -> None:
    six = Script().line("c > d SYN <mss 1440>", 0).line("d > c RST,ACK win=0", 0.02)
    six.lines[:0] = ["c = [2001:db8::1]:40002", "d = [2001:db8::2]:443"]
    four = healthy().pause(0)
    assert [(i.code, i.severity) for i in _all([six, four], tmp_path)] == [("TCP101", Severity.NOTICE)]


def test_names_that_pass_show_that_the_name_is_filtered(tmp_path: Path) -> None:
    good = Script(client_port=40009).connect().play(flights("name", verify=False, name="other.example")).close()
    found = _all([SCENARIOS["TLS113"].fires(), good], tmp_path)  # type: ignore[list-item]
    assert "the name is what is filtered" in found[0].cause


def test_few_wait_for_the_rest_of_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections fail, a bounded number is held back, and none is lost or told twice."""
    monkeypatch.setattr(engine, "KEPT", 3)
    scripts = [
        Script(port=1000 + place).line("a > b SYN <mss 1460>", 0).line("b > a RST,ACK win=0", 0.02)
        for place in range(12)
    ]
    waiting, most, told_ids = 0, 0, []

    def counted() -> Iterator[Connection]:
        nonlocal waiting, most
        for connection in observe(write(scripts, tmp_path / "many.pcap")):
            waiting += 1
            most = max(most, waiting)
            yield connection

    for item in judge_each(counted(), Context()):
        waiting -= 1
        told_ids.append(item.connection.id)
        assert [finding.code for finding in item.judgement.findings] == ["TCP101"]
    assert told_ids == list(range(12)) and most <= 4


def _all(scripts: list[Script], folder: Path) -> list[Finding]:
    total = [0]
    path = write(scripts, folder / "many.pcap")
    items: list[Judged] = list(judge_all(observe(path), Context(), total))
    assert total == [len(scripts)]
    return [finding for item in items for finding in item.judgement.findings]


def test_one_direction_alone_never_warns(tmp_path: Path) -> None:
    for name, make in HEALTHY.items():
        made = make()
        assert isinstance(made, Script)
        for side in ("a > b", "b > a"):
            half = Script(port=made.port, client_port=made.client_port, lines=[x for x in made.lines if side in x])
            if not half.lines or name in ("SYN repeated",):
                continue
            found = bad(_all([half], tmp_path))
            assert not found, f"{name}, {side}: {told(found)}"


def test_starting_late_never_warns(tmp_path: Path) -> None:
    for name, make in HEALTHY.items():
        made = make()
        assert isinstance(made, Script)
        for skip in (1, 2, 3, 5, 8):
            late = Script(port=made.port, client_port=made.client_port, lines=made.lines[skip:])
            if late.lines:
                found = bad(_all([late], tmp_path))
                assert not found, f"{name} from packet {skip}: {told(found)}"


def test_ending_early_never_warns(tmp_path: Path) -> None:
    for name, make in HEALTHY.items():
        made = make()
        assert isinstance(made, Script)
        for keep in range(1, len(made.lines)):
            early = Script(port=made.port, client_port=made.client_port, lines=made.lines[:keep])
            found = bad(_all([early], tmp_path))
            assert not found, f"{name} up to packet {keep}: {told(found)}"


def test_missing_packets_never_warn(tmp_path: Path) -> None:
    for name in ("TLS 1.3", "TLS 1.2", "plain", "reset after all", "reset by the client after all"):
        made = HEALTHY[name]()
        assert isinstance(made, Script)
        packets = _numbered(made)
        for gone in range(3, len(packets)):
            script = Script(port=made.port, lines=packets[:gone] + packets[gone + 1 :])
            found = bad(_all([script], tmp_path))
            assert not found, f"{name} without packet {gone + 1}: {told(found)}"


def _numbered(script: Script) -> list[str]:
    """The lines with absolute sequence and acknowledgment numbers, so that one can be taken out."""
    from tests.support.packets import packets

    return [
        f"{line} seq={p.seq} ack={p.ack}" if " seq=" not in line else line
        for line, p in zip(script.lines, packets(script.text), strict=True)
    ]


def test_shuffled_and_damaged_captures_do_no_harm(tmp_path: Path) -> None:
    chance = random.Random(7)
    for code in ("CRT201", "TLS301", "TCP301", "TCP501", "HTP202", "HTP301", "TCP220"):
        made = SCENARIOS[code].fires()
        assert isinstance(made, Script)
        data = bytearray(write([made], tmp_path / "x.pcap").read_bytes())
        for _ in range(40):
            broken = bytearray(data)
            for _ in range(chance.randrange(1, 12)):
                broken[chance.randrange(24, len(broken))] = chance.randrange(256)
            path = tmp_path / "broken.pcap"
            path.write_bytes(broken)
            for item in judge_all(observe(path), Context()):
                assert all(isinstance(x, NotJudged) for x in item.judgement.not_judged)
                assert all(x.code in CODES for x in item.judgement.findings)


def test_capture_notes_never_warn() -> None:
    quality = Quality(9, 1, 2, 3, 4, (("ARP", 5),), ("packet 3 at 99: cut",), quic=6)
    codes = [finding.code for finding in judge_capture(quality)]
    assert codes == [code for code in CODES if code.startswith("CAP")]
    assert all(finding.severity < Severity.WARNING for finding in judge_capture(quality))
    assert judge_capture(Quality(9, 0, 0, 0, 0, (), ())) == ()


def test_fingerprints_know_neither_times_nor_client_ports(tmp_path: Path) -> None:
    marks = set()
    for port, wait in ((40001, 0.0), (40777, 5.0)):
        script = Script(client_port=port).pause(wait).line("a > b SYN").line("b > a RST,ACK")
        (item,) = judge_all(observe(write([script], tmp_path / "x.pcap")), Context())
        marks.add(fingerprint(item.connection, item.judgement.findings[0]))
    assert len(marks) == 1
    assert read_baseline(write_baseline([(next(iter(marks)), "known")])) == marks


def test_records_without_secrets_are_told_by_their_shape(tmp_path: Path) -> None:
    talk = flights(demand=True)
    (connection,) = _connections([Script().connect().play(talk).close(1)], tmp_path)
    assert connection.tls is not None
    assert [p.what for p in protected(connection.tls) if p.sender == 0][:2] == ["handshake", "handshake"]


def test_what_begins_like_tls() -> None:
    assert looks_like_tls(hello())
    assert looks_like_tls(bytes.fromhex("802e0100020015"))
    assert not looks_like_tls(b"HTTP/1.1")
    assert not looks_like_tls(b"")


def test_an_answer_is_waited_for(tmp_path: Path) -> None:
    assert [f.code for f in findings(unanswered_hello, tmp_path)] == ["TLS112"]
    assert findings(lambda: unanswered_hello(0.1), tmp_path) == []
