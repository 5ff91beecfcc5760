"""What Python's ``ssl`` cannot do: KeyUpdate, early data accepted and rejected, renegotiation, CCM.

``openssl s_server`` and ``s_client`` speak through a proxy that records both directions in order.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from synfin.capture.keylog import read_keylog
from synfin.observe.story_tls import Opened, TlsStory
from synfin.observe.tlswatch import watch_tls
from tests.support.tlspeers import CLIENT, SERVER, identity, rsa_key, streams

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl program")
PATIENCE = 10.0


@dataclass
class Recorder:
    """Stands between a client and the server at ``target`` and keeps what passes, in order."""

    target: int
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _threads: list[threading.Thread] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def join_ends(self) -> None:
        self.listener.settimeout(PATIENCE)
        inner, _ = self.listener.accept()
        outer = socket.create_connection(("127.0.0.1", self.target), timeout=PATIENCE)
        inner.settimeout(PATIENCE)
        self._sockets += [inner, outer, self.listener]
        for side, source, sink in ((CLIENT, inner, outer), (SERVER, outer, inner)):
            self._threads.append(threading.Thread(target=self._copy, args=(side, source, sink), daemon=True))
            self._threads[-1].start()

    def _copy(self, side: int, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.chunks.append((side, data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def quiet(self, more_than: int) -> None:
        """Wait until more than so many chunks passed and nothing is under way."""
        until = time.monotonic() + PATIENCE
        last, still = -1, 0
        while time.monotonic() < until:
            now = len(self.chunks)
            still = still + 1 if now == last else 0
            last = now
            if now > more_than and still >= 3:
                return
            time.sleep(0.02)
        raise TimeoutError("the peers do not get on")

    def close(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
        for one in self._sockets:
            one.close()


@dataclass
class Server:
    """``openssl s_server`` and what it is told to type."""

    arguments: tuple[str, ...]
    process: subprocess.Popen[str] = field(init=False)
    port: int = 0

    def __enter__(self) -> Server:
        assert OPENSSL is not None
        pem = str(identity().pem)
        self.process = subprocess.Popen(
            [OPENSSL, "s_server", "-accept", "127.0.0.1:0", "-cert", pem, "-key", pem, *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for line in self.process.stdout or ():
            if line.startswith("ACCEPT"):
                self.port = int(line.rsplit(":", 1)[1])
                break
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()


def session(server: Server, client: list[str], typed: list[tuple[int, str]], keys: Path) -> list[tuple[int, bytes]]:
    """One connection; each line of ``typed`` is written when the one before went over the wire."""
    assert OPENSSL is not None
    recorder = Recorder(server.port)
    process = subprocess.Popen(
        [OPENSSL, "s_client", "-connect", f"127.0.0.1:{recorder.port}", "-keylogfile", str(keys), *client],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        recorder.join_ends()
        recorder.quiet(2)
        for side, text in typed:
            before = len(recorder.chunks)
            if side == SERVER:
                server.type(text)
            else:
                assert process.stdin is not None
                process.stdin.write(text)
                process.stdin.flush()
            recorder.quiet(before)
    finally:
        process.communicate()
    recorder.close()
    return recorder.chunks


def told(chunks: list[tuple[int, bytes]], keys: Path) -> TlsStory:
    story = watch_tls(streams(chunks), keylog=read_keylog(keys)).tls
    assert story is not None
    assert [one.opened for one in story.decryption] == [Opened.ALL, Opened.ALL], story.decryption
    assert not story.problems and story.close_notify[CLIENT]
    return story


def said(story: TlsStory, side: int) -> bytes:
    assert story.data is not None and not story.data[side].holes
    return b"".join(piece.data for piece in story.data[side].pieces)


def test_key_update(tmp_path: Path) -> None:
    typed = [
        (CLIENT, "one\n"),
        (CLIENT, "K\n"),
        (CLIENT, "two\n"),
        (CLIENT, "k\n"),
        (CLIENT, "three\n"),
        (SERVER, "four\n"),
        (SERVER, "K\n"),
        (SERVER, "five\n"),
    ]
    with Server(("-tls1_3",)) as server:
        chunks = session(server, ["-tls1_3"], typed, tmp_path / "keys")
    story = told(chunks, tmp_path / "keys")
    assert said(story, CLIENT) == b"one\ntwo\nthree\n" and said(story, SERVER) == b"four\nfive\n"
    assert [message.name for message in story.messages].count("key_update") >= 4


def test_early_data(tmp_path: Path) -> None:
    (tmp_path / "early").write_text("EARLY\n")
    early = ["-sess_in", str(tmp_path / "session"), "-early_data", str(tmp_path / "early")]
    keys = tmp_path / "keys"
    with Server(("-tls1_3", "-early_data")) as server:
        session(server, ["-tls1_3", "-sess_out", str(tmp_path / "session")], [(CLIENT, "one\n")], keys)
        accepted = told(session(server, ["-tls1_3", *early], [(CLIENT, "two\n")], keys), keys)
        rejected = told(session(server, ["-tls1_3", *early], [(CLIENT, "three\n")], keys), keys)
    assert (accepted.early_data, accepted.resumed) == ("accepted", "psk")
    assert said(accepted, CLIENT) == b"EARLY\ntwo\n"
    assert "end_of_early_data" in [message.name for message in accepted.messages]
    assert rejected.early_data == "rejected"  # the ticket was used up by the connection before
    assert said(rejected, CLIENT) == b"three\n"


def test_early_data_lost_by_a_retry(tmp_path: Path) -> None:
    (tmp_path / "early").write_text("EARLY\n")
    keys = tmp_path / "keys"
    early = ["-sess_in", str(tmp_path / "session"), "-early_data", str(tmp_path / "early")]
    with Server(("-tls1_3", "-early_data", "-groups", "P-521")) as server:
        session(server, ["-tls1_3", "-sess_out", str(tmp_path / "session")], [(CLIENT, "one\n")], keys)
        story = told(session(server, ["-tls1_3", *early], [(CLIENT, "two\n")], keys), keys)
    assert story.hello_retry is not None and story.client_hello_2 is not None
    assert story.early_data == "rejected" and said(story, CLIENT) == b"two\n"


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"])
def test_renegotiation(cipher: str, tmp_path: Path) -> None:
    options = ["-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"]
    with Server((*options, "-client_renegotiation")) as server:
        chunks = session(server, options, [(CLIENT, "one\n"), (CLIENT, "R\n"), (CLIENT, "two\n")], tmp_path / "keys")
    story = told(chunks, tmp_path / "keys")
    assert said(story, CLIENT) == b"one\ntwo\n"
    names = [(message.name, message.decrypted) for message in story.messages]
    assert names.count(("client_hello", False)) == names.count(("client_hello", True)) == 1
    if cipher == "AES128-SHA":
        by_key = watch_tls(streams(chunks), rsa_keys=[rsa_key()]).tls
        assert by_key is not None and said(by_key, CLIENT) == b"one\ntwo\n"


@pytest.mark.parametrize(
    "cipher", ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256", "TLS_CHACHA20_POLY1305_SHA256"]
)
def test_other_tls13_suites(cipher: str, tmp_path: Path) -> None:
    options = ["-tls1_3", "-ciphersuites", cipher]
    with Server(tuple(options)) as server:
        chunks = session(server, options, [(CLIENT, "one\n"), (SERVER, "two\n")], tmp_path / "keys")
    story = told(chunks, tmp_path / "keys")
    assert said(story, CLIENT) == b"one\n" and said(story, SERVER) == b"two\n"
    blind = watch_tls(streams(chunks)).tls
    assert blind is not None and blind.close_notify[CLIENT] == story.close_notify[CLIENT]
