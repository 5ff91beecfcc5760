"""Names and cipher suite facts; OpenSSL as the foreign opinion on suites."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from synfin.wire.tls import registry
from synfin.wire.tls.registry import (
    CIPHER_SUITES,
    alert_name,
    cipher_name,
    extension_name,
    group_name,
    handshake_name,
    is_grease,
    psk_mode_name,
    signature_name,
    ssl2_cipher_name,
    suite,
    version_name,
)
from synfin.wire.tls.suites import SIGNALS, SUITES

GREASE = [n << 12 | 0x0A00 | n << 4 | 0x0A for n in range(16)]


@pytest.mark.parametrize(
    ("told", "name"),
    [
        (version_name(0x0304), "TLS 1.3"),
        (version_name(0x0300), "SSL 3.0"),
        (version_name(0x0002), "SSL 2.0"),
        (version_name(0x7F13), "TLS 1.3 draft 19"),
        (version_name(0x0305), "unknown 0x0305"),
        (cipher_name(0x1301), "TLS_AES_128_GCM_SHA256"),
        (cipher_name(0x00FF), "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
        (cipher_name(0xC0AA), "TLS_PSK_DHE_WITH_AES_128_CCM_8"),
        (cipher_name(0x00C6), "TLS_SM4_GCM_SM3"),
        (cipher_name(0xCCAE), "TLS_RSA_PSK_WITH_CHACHA20_POLY1305_SHA256"),
        (cipher_name(0xD005), "TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256"),
        (cipher_name(0xC103), "TLS_GOSTR341112_256_WITH_KUZNYECHIK_MGM_L"),
        (cipher_name(0x0019), "TLS_DH_anon_EXPORT_WITH_DES40_CBC_SHA"),
        (ssl2_cipher_name(0x0700C0), "SSL_CK_DES_192_EDE3_CBC_WITH_MD5"),
        (ssl2_cipher_name(0x00002F), "TLS_RSA_WITH_AES_128_CBC_SHA"),
        (group_name(4588), "X25519MLKEM768"),
        (group_name(4587), "SecP256r1MLKEM768"),
        (group_name(4589), "SecP384r1MLKEM1024"),
        (group_name(514), "MLKEM1024"),
        (group_name(25497), "X25519Kyber768Draft00"),
        (group_name(29), "x25519"),
        (group_name(260), "ffdhe8192"),
        (group_name(31), "brainpoolP256r1tls13"),
        (group_name(41), "curveSM2"),
        (signature_name(0x0904), "mldsa44"),
        (signature_name(0x0906), "mldsa87"),
        (signature_name(0x0804), "rsa_pss_rsae_sha256"),
        (signature_name(0x0202), "dsa_sha1"),
        (signature_name(0x0101), "rsa_md5"),
        (signature_name(0x0708), "sm2sig_sm3"),
        (signature_name(0x070F), "gostr34102012_512c"),
        (extension_name(65037), "encrypted_client_hello"),
        (extension_name(34), "delegated_credential"),
        (extension_name(57), "quic_transport_parameters"),
        (extension_name(62), "tls_flags"),
        (extension_name(49), "post_handshake_auth"),
        (extension_name(51), "key_share"),
        (extension_name(17513), "application_settings_old"),
        (extension_name(13172), "next_protocol_negotiation"),
        (extension_name(30032), "channel_id"),
        (alert_name(116), "certificate_required"),
        (alert_name(121), "ech_required"),
        (alert_name(250), "unknown 0xfa"),
        (handshake_name(2), "server_hello"),
        (handshake_name(25), "compressed_certificate"),
        (handshake_name(7), "unknown 0x07"),
        (psk_mode_name(1), "psk_dhe_ke"),
        (psk_mode_name(0x2A), "GREASE 0x2a"),
        (registry.hpke_kdf_name(1), "HKDF-SHA256"),
        (registry.ech_type_name(0), "outer"),
        (registry.compression_name(1), "DEFLATE"),
        (registry.certificate_compression_name(2), "brotli"),
        (registry.content_type_name(23), "application_data"),
        (registry.alert_level_name(2), "fatal"),
        (registry.certificate_type_name(2), "RawPublicKey"),
        (registry.client_certificate_type_name(64), "ecdsa_sign"),
        (registry.point_format_name(0), "uncompressed"),
        (registry.hpke_aead_name(3), "ChaCha20Poly1305"),
    ],
)
def test_names(told: str, name: str) -> None:
    assert told == name


def test_grease_is_sixteen_numbers_and_named_everywhere() -> None:
    assert [code for code in range(0x10000) if is_grease(code)] == GREASE
    for name in (cipher_name, group_name, signature_name, extension_name, version_name):
        assert {name(code) for code in GREASE} == {f"GREASE 0x{code:04x}" for code in GREASE}


def test_no_number_has_two_meanings_and_no_name_two_numbers() -> None:
    # 350 suites and 2 signalling values were registered in 2025, GREASE apart.
    assert len(CIPHER_SUITES) == 352
    assert len(set(CIPHER_SUITES.values())) == len(CIPHER_SUITES)
    assert not set(SUITES) & set(GREASE)
    for names in (registry.EXTENSIONS, registry.GROUPS, registry.SIGNATURES, registry.ALERTS, registry.HANDSHAKES):
        assert len(set(names.values())) == len(names)


@pytest.mark.parametrize(
    ("code", "kex", "authentication", "cipher", "length", "digest", "aead", "version"),
    [
        (0x1301, "TLS13", "", "AES_128_GCM", 16, "SHA256", True, 0x0304),
        (0x1303, "TLS13", "", "CHACHA20_POLY1305", 32, "SHA256", True, 0x0304),
        (0x1305, "TLS13", "", "AES_128_CCM_8", 16, "SHA256", True, 0x0304),
        (0xC0B4, "TLS13", "", "NULL", 0, "SHA256", False, 0x0304),
        (0xC02B, "ECDHE_ECDSA", "ECDSA", "AES_128_GCM", 16, "SHA256", True, 0x0303),
        (0xC030, "ECDHE_RSA", "RSA", "AES_256_GCM", 32, "SHA384", True, 0x0303),
        (0xC028, "ECDHE_RSA", "RSA", "AES_256_CBC", 32, "SHA384", False, 0x0303),
        (0xC09C, "RSA", "RSA", "AES_128_CCM", 16, "SHA256", True, 0x0303),
        (0xC0AB, "DHE_PSK", "PSK", "AES_256_CCM_8", 32, "SHA256", True, 0x0303),
        (0x0005, "RSA", "RSA", "RC4_128", 16, "SHA", False, 0x0300),
        (0x0004, "RSA", "RSA", "RC4_128", 16, "MD5", False, 0x0300),
        (0x000A, "RSA", "RSA", "3DES_EDE_CBC", 24, "SHA", False, 0x0300),
        (0x0003, "RSA_EXPORT", "RSA", "RC4_40", 5, "MD5", False, 0x0300),
        (0x0032, "DHE_DSS", "DSS", "AES_128_CBC", 16, "SHA", False, 0x0301),
        (0x0034, "DH_anon", "anon", "AES_128_CBC", 16, "SHA", False, 0x0301),
        (0x0041, "RSA", "RSA", "CAMELLIA_128_CBC", 16, "SHA", False, 0x0301),
        (0xC008, "ECDHE_ECDSA", "ECDSA", "3DES_EDE_CBC", 24, "SHA", False, 0x0301),
        (0xC01E, "SRP_SHA_RSA", "RSA", "AES_128_CBC", 16, "SHA", False, 0x0301),
        (0x003B, "RSA", "RSA", "NULL", 0, "SHA256", False, 0x0303),
        (0xC100, "GOSTR341112_256", "GOST", "KUZNYECHIK_CTR_OMAC", 32, "GOSTR3411", False, 0x0303),
        (0xCC13, "ECDHE_RSA", "RSA", "DRAFT_CHACHA20_POLY1305", 32, "SHA256", True, 0x0303),
    ],
)
def test_suite_facts(
    code: int, kex: str, authentication: str, cipher: str, length: int, digest: str, aead: bool, version: int
) -> None:
    assert suite(code) == (code, cipher_name(code), kex, authentication, cipher, length, digest, aead, version)


def test_every_suite_says_something_and_signals_nothing() -> None:
    for code in SUITES:
        found = suite(code)
        assert (found is None) == (code in SIGNALS)
        if found is not None:
            assert found.key_length or found.cipher == "NULL", found
            assert found.mode in ("aead", "cbc", "stream", "null")
            assert found.hash in ("SHA", "SHA256", "SHA384", "SHA512", "MD5", "SM3", "GOSTR3411", "NULL"), found
    assert suite(0x0A0A) is None
    assert suite(0xFFFF) is None


def test_prf() -> None:
    prf = {0x002F: "SHA256", 0xC030: "SHA384", 0x1302: "SHA384", 0x00C6: "SM3"}
    assert {code: found.prf_hash for code in prf if (found := suite(code))} == prf


_KX = {"RSA": "RSA", "DH": "DHE", "ECDH": "ECDHE", "PSK": "PSK", "RSAPSK": "RSA_PSK", "DHEPSK": "DHE_PSK"}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_agrees() -> None:
    listed = subprocess.run(
        ["openssl", "ciphers", "-V", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = re.findall(r"0x(\w\w),0x(\w\w) - (\S+)\s+- \S+\s+(\S+)\s+Kx=(\S+)\s+Au=(\S+)\s+Enc=(\S+?)\((\d+)\)", listed)
    assert len(rows) > 40
    for high, low, name, version, kx, au, enc, bits in rows:
        code = int(high + low, 16)
        found = suite(code)
        assert found is not None
        assert (cipher_name(code), 8 * found.key_length) == (name, int(bits) or 8 * found.key_length)
        assert found.aead == ("GCM" in enc or "CCM" in enc or "CHACHA" in enc)
        if version == "TLSv1.3":
            assert found.kex == "TLS13"
        elif kx in _KX and au in ("RSA", "PSK", "ECDSA", "DSS"):
            assert found.kex in (_KX[kx], f"{_KX[kx]}_{au}"), found
            assert found.authentication == au, found
