"""Hypothesis strategies for TLS messages and extension bodies: everything the codecs can hold, odd mixes included."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from synfin.wire.tls import bodies as b
from synfin.wire.tls import sslv2
from synfin.wire.tls.certificate import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateStatus,
    CompressedCertificate,
)
from synfin.wire.tls.exchange import CertificateVerify, ClientKeyExchange, ServerKeyExchange
from synfin.wire.tls.extensions import Extension
from synfin.wire.tls.hello import HRR_RANDOM, ClientHello, HelloRetryRequest, ServerHello
from synfin.wire.tls.messages import (
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    HelloRequest,
    KeyUpdate,
    MessageHash,
    NewSessionTicket,
    NextProtocol,
    ServerHelloDone,
    SupplementalData,
    SupplementalEntry,
    Unknown,
)

u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u24 = st.integers(0, 0xFFFFFF)
u32 = st.integers(0, 0xFFFFFFFF)
short = st.binary(max_size=12)
blob = st.binary(max_size=40)
random32 = st.binary(min_size=32, max_size=32)


def many(of: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=most).map(tuple)


def filled(cls: Any, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(cls, **fields)


codes = {
    1: many(u8),
    2: many(u16),
}

#: Extension number, context, body.
BODIES: list[tuple[int, str, st.SearchStrategy[Any]]] = [
    (0, "client_hello", filled(b.ServerName, names=many(filled(b.HostName, type=u8, name=blob)))),
    (0, "server_hello", st.just(b.Empty())),
    (1, "client_hello", filled(b.MaxFragmentLength, value=u8)),
    (5, "client_hello", filled(b.StatusRequest, status_type=u8, responders=many(short), request_extensions=short)),
    (5, "certificate", filled(b.StatusResponse, status_type=u8, response=blob)),
    (10, "client_hello", filled(b.SupportedGroups, codes=codes[2])),
    (11, "client_hello", filled(b.ECPointFormats, codes=codes[1])),
    (12, "client_hello", filled(b.SrpUser, value=short)),
    (13, "client_hello", filled(b.SignatureAlgorithms, codes=codes[2])),
    (14, "client_hello", filled(b.UseSrtp, profiles=codes[2], mki=short)),
    (15, "client_hello", filled(b.Heartbeat, value=u8)),
    (16, "encrypted_extensions", filled(b.Protocols, values=many(short))),
    (
        17,
        "client_hello",
        filled(b.StatusRequestV2, requests=many(filled(b.TypedRequest, status_type=u8, request=short))),
    ),
    (
        18,
        "server_hello",
        filled(
            b.SctList,
            scts=many(
                st.one_of(
                    filled(
                        b.Sct,
                        version=st.just(0),
                        log_id=random32,
                        timestamp=st.integers(0, 2**64 - 1),
                        extensions=short,
                        scheme=u16,
                        signature=short,
                        rest=short,
                    ),
                    st.builds(b.Sct, st.integers(1, 255), *map(st.just, (b"", 0, b"", 0, b"")), short),
                )
            ),
        ),
    ),
    (19, "client_hello", filled(b.CertificateTypes, codes=codes[1])),
    (20, "server_hello", filled(b.SelectedCertificateType, value=u8)),
    (21, "client_hello", filled(b.Padding, value=blob)),
    (24, "client_hello", filled(b.TokenBinding, major=u8, minor=u8, parameters=codes[1])),
    (27, "client_hello", filled(b.CompressCertificate, codes=codes[2])),
    (28, "client_hello", filled(b.RecordSizeLimit, value=u16)),
    (
        34,
        "certificate",
        filled(
            b.DelegatedCredential, valid_time=u32, expected_scheme=u16, public_key=blob, scheme=u16, signature=short
        ),
    ),
    (35, "client_hello", filled(b.SessionTicket, value=blob)),
    (
        41,
        "client_hello",
        filled(
            b.PreSharedKey,
            identities=many(filled(b.PskIdentity, identity=blob, obfuscated_age=u32)),
            binders=many(blob),
        ),
    ),
    (41, "server_hello", filled(b.SelectedPsk, value=u16)),
    (42, "new_session_ticket", filled(b.MaxEarlyData, value=u32)),
    (43, "client_hello", filled(b.SupportedVersions, codes=codes[2])),
    (43, "server_hello", filled(b.SelectedVersion, value=u16)),
    (44, "hello_retry_request", filled(b.Cookie, value=blob)),
    (45, "client_hello", filled(b.PskModes, codes=codes[1])),
    (47, "certificate_request", filled(b.CertificateAuthorities, values=many(blob))),
    (
        48,
        "certificate_request",
        filled(b.OIDFilters, filters=many(filled(b.OidFilter, oid=short, values=short))),
    ),
    (51, "client_hello", filled(b.KeyShares, entries=many(filled(b.KeyShareEntry, group=u16, key=blob)))),
    (51, "server_hello", filled(b.KeyShare, group=u16, key=blob)),
    (51, "hello_retry_request", filled(b.SelectedGroup, value=u16)),
    (
        57,
        "client_hello",
        filled(
            b.QuicTransportParameters,
            parameters=many(
                st.builds(
                    b.QuicParameter, st.integers(0, 63), short, st.tuples(st.sampled_from((1, 2, 4, 8)), st.just(8))
                )
            ),
        ),
    ),
    (62, "server_hello", filled(b.Flags, value=short)),
    (13172, "server_hello", filled(b.NextProtocols, values=many(short))),
    (17513, "client_hello", filled(b.Protocols, values=many(short))),
    (17613, "encrypted_extensions", filled(b.Settings, value=blob)),
    (0xFD00, "client_hello", filled(b.OuterExtensions, codes=codes[2])),
    (
        0xFE0D,
        "client_hello",
        st.one_of(
            filled(b.EncryptedClientHello, type=st.just(0), kdf=u16, aead=u16, config_id=u8, enc=short, payload=blob),
            filled(b.EncryptedClientHello, type=st.integers(1, 255), rest=short),
        ),
    ),
    (0xFE0D, "encrypted_extensions", filled(b.EchRetryConfigs, value=blob)),
    (0xFE0D, "hello_retry_request", filled(b.EchConfirmation, value=blob)),
    (0xFF01, "client_hello", filled(b.RenegotiationInfo, value=short)),
]

#: Numbers that decoders know, in half of the cases, so that malformed bodies of known extensions turn up.
extension = filled(Extension, type=st.one_of(u16, st.sampled_from(sorted({n for n, _, _ in BODIES}))), body=blob)
block = many(extension)
maybe_block = st.one_of(st.none(), block)

KEX: tuple[str | None, ...] = (
    None,
    "RSA",
    "DHE_RSA",
    "ECDHE_ECDSA",
    "DH_anon",
    "ECDH_anon",
    "PSK",
    "DHE_PSK",
    "RSA_PSK",
    "ECDHE_PSK",
)
KEX += ("RSA_EXPORT", "SRP_SHA", "SRP_SHA_RSA", "ECCPWD", "KRB5")


@st.composite
def with_rest(draw: st.DrawFn, cls: Any, /, **fields: st.SearchStrategy[Any]) -> Any:
    """A hello; octets after it only where there is an extension block, or they would be read as one."""
    made = {name: draw(strategy) for name, strategy in fields.items()}
    if made["extensions"] is not None:
        made["trailing"] = draw(short)
    return cls(**made)


client_hello = with_rest(
    ClientHello,
    legacy_version=u16,
    random=random32,
    session_id=blob,
    cipher_suites=codes[2],
    compression_methods=codes[1],
    extensions=maybe_block,
)
server_hello = st.one_of(
    with_rest(
        ServerHello,
        legacy_version=st.one_of(st.just(0x0303), u16.filter(lambda version: not 0x7F01 <= version <= 0x7F15)),
        random=st.one_of(random32, st.just(HRR_RANDOM)),
        session_id=blob,
        cipher_suite=u16,
        compression_method=u8,
        extensions=maybe_block,
    ),
    with_rest(
        ServerHello,
        legacy_version=st.integers(0x7F01, 0x7F15),
        random=random32,
        session_id=st.just(b""),
        cipher_suite=u16,
        compression_method=st.just(0),
        extensions=maybe_block,
    ),
)

#: (message, version, key exchange): what parse_handshake needs to read the message again.
messages: st.SearchStrategy[tuple[Any, int | None, str | None]] = st.one_of(
    st.tuples(
        st.one_of(
            client_hello,
            server_hello,
            with_rest(
                HelloRetryRequest,
                version=st.integers(0x7F13, 0x7F15),
                cipher_suite=u16,
                extensions=maybe_block,
            ),
            filled(EncryptedExtensions, extensions=block, trailing=short),
            filled(Finished, data=blob),
            filled(HelloRequest, data=short),
            filled(EndOfEarlyData, data=short),
            filled(ServerHelloDone, data=short),
            filled(MessageHash, data=blob),
            filled(KeyUpdate, request_update=u8, trailing=short),
            filled(CompressedCertificate, algorithm=u16, uncompressed_length=u24, data=blob, trailing=short),
            filled(SupplementalData, entries=many(filled(SupplementalEntry, type=u16, data=short)), trailing=short),
            filled(NextProtocol, protocol=short, padding=short, trailing=short),
            filled(Unknown, msg_type=st.sampled_from((3, 7, 9, 21, 26, 203)), data=blob),
            filled(CertificateStatus, status_type=st.just(1), responses=st.tuples(blob), trailing=short),
            filled(CertificateStatus, status_type=st.just(2), responses=many(blob), trailing=short),
            filled(CertificateStatus, status_type=st.integers(3, 255), responses=st.just(()), trailing=short),
        ),
        st.none(),
        st.none(),
    ),
    st.tuples(
        st.one_of(
            filled(
                Certificate,
                entries=many(filled(CertificateEntry, data=blob, extensions=block)),
                context=short,
                trailing=short,
            ),
            filled(CertificateRequest, context=short, extensions=block, trailing=short),
            filled(
                NewSessionTicket,
                lifetime=u32,
                age_add=u32,
                nonce=short,
                ticket=blob,
                extensions=block,
                trailing=short,
            ),
            filled(CertificateVerify, scheme=u16, signature=blob, trailing=short),
        ),
        st.sampled_from((0x0304, 0x7F1C)),
        st.none(),
    ),
    st.tuples(
        st.one_of(
            filled(
                Certificate,
                entries=many(filled(CertificateEntry, data=blob, extensions=st.none())),
                trailing=short,
            ),
            filled(
                CertificateRequest,
                types=codes[1],
                signature_algorithms=codes[2],
                authorities=many(blob),
                trailing=short,
            ),
            filled(CertificateVerify, scheme=u16, signature=blob, trailing=short),
            st.builds(NewSessionTicket, u32, st.none(), st.none(), blob, st.none(), short),
        ),
        st.just(0x0303),
        st.none(),
    ),
    st.tuples(
        st.one_of(
            filled(CertificateRequest, types=codes[1], authorities=many(blob), trailing=short),
            filled(CertificateVerify, scheme=st.none(), signature=blob, trailing=short),
        ),
        st.sampled_from((0x0300, 0x0301, 0x0302)),
        st.none(),
    ),
    st.tuples(
        filled(
            ServerKeyExchange,
            kex=st.sampled_from(("DHE_RSA", "DHE_DSS")),
            parameters=st.tuples(blob, blob),
            public=blob,
            scheme=u16,
            signature=blob,
            rest=short,
        ),
        st.just(0x0303),
        st.sampled_from(("DHE_RSA",)),
    ).map(lambda made: (made[0], made[1], made[0].kex)),
    st.tuples(
        filled(
            ServerKeyExchange,
            kex=st.just("ECDHE_RSA"),
            curve_type=st.just(3),
            group=u16,
            public=blob,
            signature=blob,
            rest=short,
        ),
        st.just(0x0301),
        st.just("ECDHE_RSA"),
    ),
    st.tuples(
        filled(
            ClientKeyExchange,
            kex=st.just("DHE_PSK"),
            identity=blob,
            exchange=blob,
            prefix=st.just(2),
            trailing=short,
        ),
        st.just(0x0303),
        st.just("DHE_PSK"),
    ),
)

v2_messages: st.SearchStrategy[sslv2.Message] = st.one_of(
    filled(sslv2.ClientHello, version=u16, cipher_specs=many(u24), session_id=blob, challenge=blob, trailing=short),
    filled(
        sslv2.ServerHello,
        session_id_hit=u8,
        certificate_type=u8,
        version=u16,
        certificate=blob,
        cipher_specs=many(u24),
        connection_id=blob,
        trailing=short,
    ),
    filled(sslv2.ClientMasterKey, cipher_kind=u24, clear_key=blob, encrypted_key=blob, key_arg=short, trailing=short),
    filled(sslv2.Error, code=u16, trailing=short),
    filled(sslv2.Other, msg_type=st.integers(5, 255), data=blob),
)
