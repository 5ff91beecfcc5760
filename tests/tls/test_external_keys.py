"""Keys that both ends were given beforehand (RFC 8446 2.2, 4.2.11): ours with ours, and with ``openssl``."""

from __future__ import annotations

import socket

import pytest

from synfin.tls import Failed, HandshakeDone, Session
from tests.tls.ends import NAME, client, client_config, events, of, pump, said, server, server_config
from tests.tls.test_programs import OPENSSL, done, needs_openssl, openssl_server, program, run

KEY = bytes(range(16, 48))
SESSION = Session.from_key(b"Client_identity", KEY)


@pytest.mark.parametrize("groups", [(29, 23), (24,)], ids=["at once", "after a retry"])
def test_ours(groups: tuple[int, ...]) -> None:
    one = client(client_config(groups=(29, 24), shares=1), SESSION, NAME)
    two = server(server_config(groups=groups, shared_keys=((b"somebody", bytes(32)), (b"Client_identity", KEY))))
    pump(one, two)
    assert of(events(one), HandshakeDone)[0].facts.resumed
    assert of(events(two), HandshakeDone)[0].facts.resumed
    assert one.export("EXPORTER-x", b"", 16) == two.export("EXPORTER-x", b"", 16)


def test_another_key() -> None:
    one, two = client(None, SESSION), server(server_config(shared_keys=((b"Client_identity", bytes(32)),)))
    pump(one, two)
    assert of(events(two), Failed)[0].violation == "bad_psk_binder"


def test_a_stranger_gets_a_full_handshake() -> None:
    one, two = client(None, SESSION), server(server_config(shared_keys=((b"somebody", KEY),)))
    pump(one, two)
    assert not of(events(one), HandshakeDone)[0].facts.resumed


@needs_openssl
def test_our_client_with_openssl() -> None:
    command = ["-nocert", "-psk", KEY.hex(), "-psk_identity", "Client_identity", "-tls1_3", "-rev"]
    with openssl_server(*command) as address, socket.create_connection(address, timeout=10) as peer:
        end = client(None, SESSION)
        found = run(end, peer, done)
        assert of(found, HandshakeDone), found
        assert found[0].facts.resumed
        end.send(b"synfin\n")
        assert said(run(end, peer, lambda found: said(found) == b"nifnys\n")) == b"nifnys\n"


@needs_openssl
def test_our_server_with_openssl() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        port = listener.getsockname()[1]
        command = ["s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3", "-psk", KEY.hex(), "-quiet"]
        with program(OPENSSL, *command):
            peer, _ = listener.accept()
            with peer:
                end = server(server_config(groups=(29, 23), shared_keys=((b"Client_identity", KEY),)))
                found = run(end, peer, done)
                assert of(found, HandshakeDone), found
                assert found[0].facts.resumed
