"""Names of TLS's numbers, as IANA registers them, with the drafts and private numbers that are met in captures.

Every ``*_name`` function answers for every number: with the registered name, with "GREASE 0x1a1a" for the reserved
numbers that clients send to keep servers tolerant (RFC 8701), or with "unknown 0x1234".  The dicts hold what is
registered.  Cipher suites have a module of their own, whose functions are exported here too.

Handshake types are in lower case as IANA writes them; where a draft used a number that was registered otherwise
later, the present meaning wins.
"""

from __future__ import annotations

from synfin.wire.tls.suites import REGISTERED as CIPHER_SUITES
from synfin.wire.tls.suites import SIGNALS, SSL2_SUITES, SUITES, Suite, suite

__all__ = [
    "ALERTS",
    "CERTIFICATE_TYPES",
    "CIPHER_SUITES",
    "EXTENSIONS",
    "GROUPS",
    "HANDSHAKES",
    "SIGNALS",
    "SIGNATURES",
    "SSL2_SUITES",
    "VERSIONS",
    "Suite",
    "alert_level_name",
    "alert_name",
    "certificate_compression_name",
    "certificate_type_name",
    "cipher_name",
    "client_certificate_type_name",
    "compression_name",
    "content_type_name",
    "ech_type_name",
    "extension_name",
    "group_name",
    "handshake_name",
    "hpke_aead_name",
    "hpke_kdf_name",
    "is_grease",
    "is_tls13",
    "point_format_name",
    "psk_mode_name",
    "signature_name",
    "ssl2_cipher_name",
    "suite",
    "version_name",
]


def _count(first: int, names: str) -> dict[int, str]:
    """Numbers from ``first`` on for ``names``; a dash leaves one out."""
    return {first + index: name for index, name in enumerate(names.split()) if name != "-"}


VERSIONS = {
    0x0002: "SSL 2.0",
    0x0101: "TLCP 1.1",
    0x0300: "SSL 3.0",
    0x0301: "TLS 1.0",
    0x0302: "TLS 1.1",
    0x0303: "TLS 1.2",
    0x0304: "TLS 1.3",
    0x0100: "DTLS 1.0 (early OpenSSL)",
    0xFEFF: "DTLS 1.0",
    0xFEFD: "DTLS 1.2",
    0xFEFC: "DTLS 1.3",
}

CONTENT_TYPES = {
    20: "change_cipher_spec",
    21: "alert",
    22: "handshake",
    23: "application_data",
    24: "heartbeat",
    25: "tls12_cid",
    26: "ACK",
    27: "return_routability_check",
}

HANDSHAKES = {
    0: "hello_request",
    1: "client_hello",
    2: "server_hello",
    3: "hello_verify_request",
    4: "new_session_ticket",
    5: "end_of_early_data",
    6: "hello_retry_request",
    8: "encrypted_extensions",
    9: "request_connection_id",
    10: "new_connection_id",
    11: "certificate",
    12: "server_key_exchange",
    13: "certificate_request",
    14: "server_hello_done",
    15: "certificate_verify",
    16: "client_key_exchange",
    17: "client_certificate_request",
    20: "finished",
    21: "certificate_url",
    22: "certificate_status",
    23: "supplemental_data",
    24: "key_update",
    25: "compressed_certificate",
    26: "ekt_key",
    67: "next_protocol",
    203: "channel_id",
    254: "message_hash",
}

ALERT_LEVELS = {1: "warning", 2: "fatal"}

ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    52: "too_many_cids_requested",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    117: "general_error",
    120: "no_application_protocol",
    121: "ech_required",
}

EXTENSIONS = _count(
    0,
    "server_name max_fragment_length client_certificate_url trusted_ca_keys truncated_hmac status_request "
    "user_mapping client_authz server_authz cert_type supported_groups ec_point_formats srp signature_algorithms "
    "use_srtp heartbeat application_layer_protocol_negotiation status_request_v2 signed_certificate_timestamp "
    "client_certificate_type server_certificate_type padding encrypt_then_mac extended_master_secret token_binding "
    "cached_info tls_lts compress_certificate record_size_limit pwd_protect pwd_clear password_salt "
    "ticket_pinning tls_cert_with_extern_psk delegated_credential session_ticket TLMSP TLMSP_proxying "
    "TLMSP_delegate supported_ekt_ciphers - pre_shared_key early_data supported_versions cookie "
    "psk_key_exchange_modes - certificate_authorities oid_filters post_handshake_auth signature_algorithms_cert "
    "key_share transparency_info connection_id_deprecated connection_id external_id_hash external_session_id "
    "quic_transport_parameters ticket_request dnssec_chain sequence_number_encryption_algorithms rrc tls_flags",
) | {64768: "ech_outer_extensions", 65037: "encrypted_client_hello", 65281: "renegotiation_info"}

# Never registered, or only as reserved.
_EXTENSIONS_MET = {
    40: "key_share_draft",  # TLS 1.3 drafts up to 22
    46: "ticket_early_data_info",  # TLS 1.3 drafts up to 18
    13172: "next_protocol_negotiation",
    17513: "application_settings_old",
    17613: "application_settings",
    30031: "channel_id_old",
    30032: "channel_id",
    65445: "quic_transport_parameters_draft",
    65486: "encrypted_server_name",
    65032: "encrypted_client_hello_draft",
    65033: "encrypted_client_hello_draft",
    65034: "encrypted_client_hello_draft",
    65035: "encrypted_client_hello_draft",
}

GROUPS = (
    _count(
        1,
        "sect163k1 sect163r1 sect163r2 sect193r1 sect193r2 sect233k1 sect233r1 sect239k1 sect283k1 sect283r1 "
        "sect409k1 sect409r1 sect571k1 sect571r1 secp160k1 secp160r1 secp160r2 secp192k1 secp192r1 secp224k1 secp224r1 "
        "secp256k1 secp256r1 secp384r1 secp521r1 brainpoolP256r1 brainpoolP384r1 brainpoolP512r1 x25519 x448 "
        "brainpoolP256r1tls13 brainpoolP384r1tls13 brainpoolP512r1tls13 GC256A GC256B GC256C GC256D GC512A GC512B "
        "GC512C curveSM2",
    )
    | _count(256, "ffdhe2048 ffdhe3072 ffdhe4096 ffdhe6144 ffdhe8192")
    | _count(512, "MLKEM512 MLKEM768 MLKEM1024")
    | _count(4587, "SecP256r1MLKEM768 X25519MLKEM768 SecP384r1MLKEM1024 curveSM2MLKEM768")
    | _count(25497, "X25519Kyber768Draft00 SecP256r1Kyber768Draft00")
    | {65281: "arbitrary_explicit_prime_curves", 65282: "arbitrary_explicit_char2_curves"}
)

_GROUPS_MET = {
    0x4138: "CECPQ2",
    0xFE30: "X25519Kyber512Draft00 (Cloudflare)",
    0xFE31: "X25519Kyber768Draft00 (Cloudflare)",
    0xFE32: "P256Kyber768Draft00 (Cloudflare)",
}

SIGNATURES = (
    {
        0x0201: "rsa_pkcs1_sha1",
        0x0203: "ecdsa_sha1",
        0x0401: "rsa_pkcs1_sha256",
        0x0403: "ecdsa_secp256r1_sha256",
        0x0420: "rsa_pkcs1_sha256_legacy",
        0x0501: "rsa_pkcs1_sha384",
        0x0503: "ecdsa_secp384r1_sha384",
        0x0520: "rsa_pkcs1_sha384_legacy",
        0x0601: "rsa_pkcs1_sha512",
        0x0603: "ecdsa_secp521r1_sha512",
        0x0620: "rsa_pkcs1_sha512_legacy",
    }
    | _count(0x0704, "eccsi_sha256 iso_ibs1 iso_ibs2 iso_chinese_ibs sm2sig_sm3")
    | _count(0x0709, "gostr34102012_256a gostr34102012_256b gostr34102012_256c gostr34102012_256d")
    | _count(0x070D, "gostr34102012_512a gostr34102012_512b gostr34102012_512c")
    | _count(0x0804, "rsa_pss_rsae_sha256 rsa_pss_rsae_sha384 rsa_pss_rsae_sha512 ed25519 ed448")
    | _count(0x0809, "rsa_pss_pss_sha256 rsa_pss_pss_sha384 rsa_pss_pss_sha512")
    | _count(
        0x081A, "ecdsa_brainpoolP256r1tls13_sha256 ecdsa_brainpoolP384r1tls13_sha384 ecdsa_brainpoolP512r1tls13_sha512"
    )
    | _count(0x0904, "mldsa44 mldsa65 mldsa87")
    | _count(0x0911, "slhdsa_sha2_128s slhdsa_sha2_128f slhdsa_sha2_192s slhdsa_sha2_192f slhdsa_sha2_256s")
    | _count(0x0916, "slhdsa_sha2_256f slhdsa_shake_128s slhdsa_shake_128f slhdsa_shake_192s slhdsa_shake_192f")
    | _count(0x091B, "slhdsa_shake_256s slhdsa_shake_256f")
)

_HASHES = _count(0, "none md5 sha1 sha224 sha256 sha384 sha512")
_SIGNERS = _count(0, "anonymous rsa dsa ecdsa")

COMPRESSIONS = {0: "null", 1: "DEFLATE", 64: "LZS"}
CERTIFICATE_COMPRESSIONS = {1: "zlib", 2: "brotli", 3: "zstd"}
PSK_MODES = {0: "psk_ke", 1: "psk_dhe_ke"}
POINT_FORMATS = {0: "uncompressed", 1: "ansiX962_compressed_prime", 2: "ansiX962_compressed_char2"}
CERTIFICATE_TYPES = {0: "X509", 1: "OpenPGP", 2: "RawPublicKey", 3: "1609Dot2"}
#: What a CertificateRequest of TLS 1.2 and before asks for.
CLIENT_CERTIFICATE_TYPES = {
    1: "rsa_sign",
    2: "dss_sign",
    3: "rsa_fixed_dh",
    4: "dss_fixed_dh",
    5: "rsa_ephemeral_dh",
    6: "dss_ephemeral_dh",
    20: "fortezza_dms",
    64: "ecdsa_sign",
    65: "rsa_fixed_ecdh",
    66: "ecdsa_fixed_ecdh",
    67: "gost_sign256",
    68: "gost_sign512",
}
ECH_TYPES = {0: "outer", 1: "inner"}
HPKE_KDFS = {1: "HKDF-SHA256", 2: "HKDF-SHA384", 3: "HKDF-SHA512"}
HPKE_AEADS = {1: "AES-128-GCM", 2: "AES-256-GCM", 3: "ChaCha20Poly1305", 0xFFFF: "export-only"}


def is_grease(code: int) -> bool:
    """Whether a two-octet number is reserved for GREASE: 0x0a0a, 0x1a1a ... 0xfafa (RFC 8701 2)."""
    return code & 0x0F0F == 0x0A0A and code >> 8 == code & 0xFF


def is_tls13(version: int | None) -> bool:
    """Whether ``version`` is TLS 1.3 or one of its drafts (0x7fNN; 0xfbNN were Facebook's)."""
    return version is not None and (version == 0x0304 or version >> 8 in (0x7F, 0xFB))


# PSK modes are one octet: 0x0b, 0x2a, 0x49 ... 0xe4 (RFC 8701 2).
_GREASE_MODES = frozenset(range(0x0B, 0x100, 0x1F))


def _name(names: dict[int, str], code: int, width: int = 2) -> str:
    found = names.get(code)
    if found is not None:
        return found
    if width == 2 and is_grease(code):
        return f"GREASE 0x{code:04x}"
    return f"unknown 0x{code:0{2 * width}x}"


def version_name(code: int) -> str:
    """ "TLS 1.3" for 0x0304; drafts are "TLS 1.3 draft 19" for 0x7f13."""
    if code >> 8 == 0x7F:
        return f"TLS 1.3 draft {code & 0xFF}"
    if code >> 8 == 0xFB:
        return f"TLS 1.3 draft {code & 0xFF} (Facebook)"
    return _name(VERSIONS, code)


def cipher_name(code: int) -> str:
    """The name of a two-octet cipher suite or signalling value."""
    return _name(SUITES, code)


def ssl2_cipher_name(code: int) -> str:
    """The name of a three-octet SSL 2.0 cipher kind; a TLS suite behind a zero octet has its TLS name."""
    if code in SSL2_SUITES:
        return SSL2_SUITES[code]
    return cipher_name(code) if code < 0x10000 else _name({}, code, 3)


def group_name(code: int) -> str:
    """The name of a group (RFC 8446 4.2.7)."""
    return GROUPS.get(code) or _name(_GROUPS_MET, code)


def signature_name(code: int) -> str:
    """The name of a signature scheme; TLS 1.2 pairs of hash and signature are "dsa_sha1" (RFC 5246 7.4.1.4.1)."""
    known = SIGNATURES.get(code)
    if known is not None:
        return known
    digest, signer = _HASHES.get(code >> 8), _SIGNERS.get(code & 0xFF)
    return _name({}, code) if digest is None or signer is None else f"{signer}_{digest}"


def extension_name(code: int) -> str:
    """The name of an extension."""
    return EXTENSIONS.get(code) or _name(_EXTENSIONS_MET, code)


def alert_name(code: int) -> str:
    """The name of an alert description."""
    return _name(ALERTS, code, 1)


def alert_level_name(code: int) -> str:
    """ "warning" or "fatal"."""
    return _name(ALERT_LEVELS, code, 1)


def handshake_name(code: int) -> str:
    """The name of a handshake type, in lower case."""
    return _name(HANDSHAKES, code, 1)


def content_type_name(code: int) -> str:
    """The name of a record's content type."""
    return _name(CONTENT_TYPES, code, 1)


def compression_name(code: int) -> str:
    """The name of a compression method."""
    return _name(COMPRESSIONS, code, 1)


def certificate_compression_name(code: int) -> str:
    """The name of a certificate compression algorithm."""
    return _name(CERTIFICATE_COMPRESSIONS, code)


def psk_mode_name(code: int) -> str:
    """The name of a PSK key exchange mode."""
    return f"GREASE 0x{code:02x}" if code in _GREASE_MODES else _name(PSK_MODES, code, 1)


def point_format_name(code: int) -> str:
    """The name of an EC point format."""
    return _name(POINT_FORMATS, code, 1)


def certificate_type_name(code: int) -> str:
    """The name of a certificate type (RFC 7250)."""
    return _name(CERTIFICATE_TYPES, code, 1)


def client_certificate_type_name(code: int) -> str:
    """The name of a certificate type in a CertificateRequest of TLS 1.2 and before."""
    return _name(CLIENT_CERTIFICATE_TYPES, code, 1)


def ech_type_name(code: int) -> str:
    """ "outer" or "inner"."""
    return _name(ECH_TYPES, code, 1)


def hpke_kdf_name(code: int) -> str:
    """The name of an HPKE key derivation function (RFC 9180 7.2)."""
    return _name(HPKE_KDFS, code)


def hpke_aead_name(code: int) -> str:
    """The name of an HPKE AEAD (RFC 9180 7.3)."""
    return _name(HPKE_AEADS, code)
