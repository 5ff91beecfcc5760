"""JA3, JA3S and JA4 against published values, and the corners of their rules."""

from __future__ import annotations

import pytest
from hypothesis import given

from synfin.wire.tls import bodies as b
from synfin.wire.tls.extensions import Extension, encode_extension
from synfin.wire.tls.fingerprint import ja3, ja3s, ja4, ja4_raw
from synfin.wire.tls.hello import ClientHello, ServerHello
from tests.wire.tls_made import client_hello


def hello(
    suites: tuple[int, ...] = (0x1301,), *extensions: Extension, version: int = 0x0303, block: bool = True
) -> ClientHello:
    return ClientHello(version, bytes(32), b"", suites, (0,), extensions if block else None)


def of(number: int, body: b.Body) -> Extension:
    return encode_extension(number, body)


SNI = of(0, b.ServerName((b.HostName(0, b"a.example"),)))


def alpn(*names: bytes) -> Extension:
    return of(16, b.Protocols(names))


def test_ja3_published_example() -> None:
    """The example of Salesforce's description of JA3."""
    suites = (47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4)
    made = hello(suites, SNI, of(10, b.SupportedGroups((23, 24, 25))), of(11, b.ECPointFormats((0,))), version=0x0301)
    full = "769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0"
    assert ja3(made) == ("ada70206e40642a3e4461f35503241d5", full)
    bare = hello((4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99), version=0x0301, block=False)
    assert ja3(bare) == ("de350869b8c85de67a350c8d186f11e6", "769,4-5-10-9-100-98-3-6-19-18-99,,,")


def test_ja3s_of_a_usual_tls13_server() -> None:
    """The best known JA3S: suite 0x1301, key_share before supported_versions."""
    made = ServerHello(0x0303, bytes(32), b"", 0x1301, 0, (Extension(51, b""), Extension(43, b"")))
    assert ja3s(made) == ("eb1d94daa7e0344597e756a1fb6e7054", "771,4865,51-43")


def test_ja4_published_example() -> None:
    """The example of FoxIO's description of JA4, in an order of its own and with GREASE put back."""
    suites = "1301 1302 1303 c02b c02f c02c c030 cca9 cca8 c013 c014 009c 009d 002f 0035"
    others = "001b 0033 4469 0017 002d 000d 0005 0023 0012 002b ff01 000b 000a 0015"
    schemes = (0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
    known = {
        0x000D: of(13, b.SignatureAlgorithms(schemes)),
        0x002B: of(43, b.SupportedVersions((0x2A2A, 0x0304, 0x0303))),
    }
    extensions = [known.get(number, Extension(number, b"")) for number in (int(word, 16) for word in others.split())]
    made = hello(
        (0x4A4A, *(int(word, 16) for word in suites.split())),
        Extension(0x1A1A, b""),
        SNI,
        alpn(b"h2", b"http/1.1"),
        *extensions,
        Extension(0x9A9A, b"\0"),
    )
    assert ja4(made) == "t13d1516h2_8daaf6152771_e5627efa2ab1"
    assert ja4_raw(made) == (
        "t13d1516h2_002f,0035,009c,009d,1301,1302,1303,c013,c014,c02b,c02c,c02f,c030,cca8,cca9"
        "_0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"
        "_0403,0804,0401,0503,0805,0501,0806,0601"
    )
    told = ja4(made, "q")
    assert told is not None
    assert told.startswith("q13d1516h2_")


@pytest.mark.parametrize(
    ("made", "start"),
    [
        (hello(), "t12i010000"),
        (hello((), block=False, version=0x0300), "ts3i000000"),
        (hello((0x1301,), SNI), "t12d010100"),
        (hello(tuple(range(1, 121))), "t12i990000"),
        (hello((1,), alpn(b"h2")), "t12i0101h2"),
        (hello((1,), alpn(b"http/1.1")), "t12i0101h1"),
        (hello((1,), alpn(b"h")), "t12i0101hh"),
        (hello((1,), alpn(b"\xab")), "t12i0101ab"),
        (hello((1,), alpn(b"\xab\xcd")), "t12i0101ad"),
        (hello((1,), alpn(b"0\xab")), "t12i01013b"),
        (hello((1,), alpn(b"h2-")), "t12i01016d"),
        (hello((1,), alpn(b"")), "t12i010100"),
        (hello((1,), Extension(16, b"broken")), "t12i010100"),
        (hello((1,), of(43, b.SupportedVersions((0x0302, 0x0A0A)))), "t11i010100"),
    ],
)
def test_ja4_clear_part(made: ClientHello, start: str) -> None:
    told = ja4(made)
    assert told is not None
    assert told.split("_")[0] == start


def test_ja4_of_nothing_is_zeros_and_without_signatures_ends_early() -> None:
    assert ja4(hello((), SNI, alpn(b"h2"))) == "t12d0002h2_000000000000_000000000000"
    assert ja4_raw(hello((1,), Extension(23, b""), Extension(5, b""))) == "t12i010200_0001_0005,0017"


def test_a_draft_version_has_no_ja4() -> None:
    made = hello((1,), of(43, b.SupportedVersions((0x7F12, 0x0303))))
    assert ja4(made) is None
    assert ja4_raw(made) is None
    assert ja3(made)[1] == "771,1,43,,"


@given(client_hello)
def test_every_hello_has_fingerprints(made: ClientHello) -> None:
    digest, full = ja3(made)
    assert len(digest) == 32
    assert full.count(",") == 4
    told, raw = ja4(made), ja4_raw(made)
    assert (told is None) == (raw is None)
    if told is not None and raw is not None:
        assert len(told) == 36
        assert told[:10] == raw[:10]
