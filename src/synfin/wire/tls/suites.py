"""TLS cipher suites: every name in IANA's registry, and what a name says (RFC 8446 B.4, RFC 5246 A.5 and many more).

The registry grew in runs: one key exchange after another with the same ciphers.  The table below is written that way,
``first number, key exchanges, ciphers``; the names follow from it, and what the key schedule and the judge need to
know of a suite is parsed from its name.  Numbers that were never registered but are met in captures (export
1024, FIPS, the ChaCha20 drafts, older GOST) are in a second table.  SSL 2.0 suites have three octets and names of
their own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

TLS12, TLS13 = 0x0303, 0x0304

_RSA_DH = "RSA DH_DSS DH_RSA DHE_DSS DHE_RSA DH_anon"
_PSK = "PSK DHE_PSK RSA_PSK"
_EC = "ECDH_ECDSA ECDHE_ECDSA ECDH_RSA ECDHE_RSA ECDH_anon"
_EC_CERT = "ECDHE_ECDSA ECDH_ECDSA ECDHE_RSA ECDH_RSA"
_GCM_ORDER = "RSA DHE_RSA DH_RSA DHE_DSS DH_DSS DH_anon"
_SRP = "SRP_SHA SRP_SHA_RSA SRP_SHA_DSS"

#: first number, key exchanges, ciphers: numbers go up through the ciphers of each key exchange in turn.
_RUNS: tuple[tuple[int, str, str], ...] = (
    (0x0000, "NULL", "NULL_NULL"),
    (0x0001, "RSA", "NULL_MD5 NULL_SHA"),
    (0x0003, "RSA_EXPORT", "RC4_40_MD5"),
    (0x0004, "RSA", "RC4_128_MD5 RC4_128_SHA"),
    (0x0006, "RSA_EXPORT", "RC2_CBC_40_MD5"),
    (0x0007, "RSA", "IDEA_CBC_SHA"),
    (0x0008, "RSA_EXPORT", "DES40_CBC_SHA"),
    (0x0009, "RSA", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x000B, "DH_DSS_EXPORT", "DES40_CBC_SHA"),
    (0x000C, "DH_DSS", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x000E, "DH_RSA_EXPORT", "DES40_CBC_SHA"),
    (0x000F, "DH_RSA", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0011, "DHE_DSS_EXPORT", "DES40_CBC_SHA"),
    (0x0012, "DHE_DSS", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0014, "DHE_RSA_EXPORT", "DES40_CBC_SHA"),
    (0x0015, "DHE_RSA", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x0017, "DH_anon_EXPORT", "RC4_40_MD5"),
    (0x0018, "DH_anon", "RC4_128_MD5"),
    (0x0019, "DH_anon_EXPORT", "DES40_CBC_SHA"),
    (0x001A, "DH_anon", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0x001E, "KRB5", "DES_CBC_SHA 3DES_EDE_CBC_SHA RC4_128_SHA IDEA_CBC_SHA"),
    (0x0022, "KRB5", "DES_CBC_MD5 3DES_EDE_CBC_MD5 RC4_128_MD5 IDEA_CBC_MD5"),
    (0x0026, "KRB5_EXPORT", "DES_CBC_40_SHA RC2_CBC_40_SHA RC4_40_SHA DES_CBC_40_MD5 RC2_CBC_40_MD5 RC4_40_MD5"),
    (0x002C, _PSK, "NULL_SHA"),
    (0x002F, _RSA_DH, "AES_128_CBC_SHA"),
    (0x0035, _RSA_DH, "AES_256_CBC_SHA"),
    (0x003B, "RSA", "NULL_SHA256 AES_128_CBC_SHA256 AES_256_CBC_SHA256"),
    (0x003E, "DH_DSS DH_RSA DHE_DSS", "AES_128_CBC_SHA256"),
    (0x0041, _RSA_DH, "CAMELLIA_128_CBC_SHA"),
    (0x0067, "DHE_RSA", "AES_128_CBC_SHA256"),
    (0x0068, "DH_DSS DH_RSA DHE_DSS DHE_RSA", "AES_256_CBC_SHA256"),
    (0x006C, "DH_anon", "AES_128_CBC_SHA256 AES_256_CBC_SHA256"),
    (0x0084, _RSA_DH, "CAMELLIA_256_CBC_SHA"),
    (0x008A, _PSK, "RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0x0096, _RSA_DH, "SEED_CBC_SHA"),
    (0x009C, f"{_GCM_ORDER} {_PSK}", "AES_128_GCM_SHA256 AES_256_GCM_SHA384"),
    (0x00AE, _PSK, "AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA256 NULL_SHA384"),
    (0x00BA, _RSA_DH, "CAMELLIA_128_CBC_SHA256"),
    (0x00C0, _RSA_DH, "CAMELLIA_256_CBC_SHA256"),
    (0x00C6, "", "SM4_GCM_SM3 SM4_CCM_SM3"),
    (0x1301, "", "AES_128_GCM_SHA256 AES_256_GCM_SHA384 CHACHA20_POLY1305_SHA256 AES_128_CCM_SHA256"),
    (0x1305, "", "AES_128_CCM_8_SHA256 AEGIS_256_SHA512 AEGIS_128L_SHA256"),
    (0xC001, _EC, "NULL_SHA RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0xC01A, _SRP, "3DES_EDE_CBC_SHA"),
    (0xC01D, _SRP, "AES_128_CBC_SHA"),
    (0xC020, _SRP, "AES_256_CBC_SHA"),
    (0xC023, _EC_CERT, "AES_128_CBC_SHA256 AES_256_CBC_SHA384"),
    (0xC02B, _EC_CERT, "AES_128_GCM_SHA256 AES_256_GCM_SHA384"),
    (0xC033, "ECDHE_PSK", "RC4_128_SHA 3DES_EDE_CBC_SHA AES_128_CBC_SHA AES_256_CBC_SHA"),
    (0xC037, "ECDHE_PSK", "AES_128_CBC_SHA256 AES_256_CBC_SHA384 NULL_SHA NULL_SHA256 NULL_SHA384"),
    (0xC03C, f"{_RSA_DH} {_EC_CERT}", "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC050, f"{_GCM_ORDER} {_EC_CERT}", "ARIA_128_GCM_SHA256 ARIA_256_GCM_SHA384"),
    (0xC064, _PSK, "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC06A, _PSK, "ARIA_128_GCM_SHA256 ARIA_256_GCM_SHA384"),
    (0xC070, "ECDHE_PSK", "ARIA_128_CBC_SHA256 ARIA_256_CBC_SHA384"),
    (0xC072, _EC_CERT, "CAMELLIA_128_CBC_SHA256 CAMELLIA_256_CBC_SHA384"),
    (0xC07A, f"{_GCM_ORDER} {_EC_CERT} {_PSK}", "CAMELLIA_128_GCM_SHA256 CAMELLIA_256_GCM_SHA384"),
    (0xC094, f"{_PSK} ECDHE_PSK", "CAMELLIA_128_CBC_SHA256 CAMELLIA_256_CBC_SHA384"),
    (0xC09C, "RSA DHE_RSA", "AES_128_CCM AES_256_CCM"),
    (0xC0A0, "RSA DHE_RSA", "AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0A4, "PSK DHE_PSK", "AES_128_CCM AES_256_CCM"),
    (0xC0A8, "PSK PSK_DHE", "AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0AC, "ECDHE_ECDSA", "AES_128_CCM AES_256_CCM AES_128_CCM_8 AES_256_CCM_8"),
    (0xC0B0, "ECCPWD", "AES_128_GCM_SHA256 AES_256_GCM_SHA384 AES_128_CCM_SHA256 AES_256_CCM_SHA384"),
    (0xC0B4, "", "SHA256_SHA256 SHA384_SHA384"),
    (0xC100, "GOSTR341112_256", "KUZNYECHIK_CTR_OMAC MAGMA_CTR_OMAC 28147_CNT_IMIT KUZNYECHIK_MGM_L MAGMA_MGM_L"),
    (0xC105, "GOSTR341112_256", "KUZNYECHIK_MGM_S MAGMA_MGM_S"),
    (0xCCA8, "ECDHE_RSA ECDHE_ECDSA DHE_RSA PSK ECDHE_PSK DHE_PSK RSA_PSK", "CHACHA20_POLY1305_SHA256"),
    (0xD001, "ECDHE_PSK", "AES_128_GCM_SHA256 AES_256_GCM_SHA384 AES_128_CCM_8_SHA256"),
    (0xD005, "ECDHE_PSK", "AES_128_CCM_SHA256"),
)

#: Met in captures, not registered; ChaCha20 as in draft-agl-tls-chacha20poly1305-04 (another nonce than RFC 7905).
_UNREGISTERED: tuple[tuple[int, str, str], ...] = (
    (0x0060, "RSA_EXPORT1024", "RC4_56_MD5 RC2_CBC_56_MD5 DES_CBC_SHA"),
    (0x0063, "DHE_DSS_EXPORT1024", "DES_CBC_SHA"),
    (0x0064, "RSA_EXPORT1024 DHE_DSS_EXPORT1024", "RC4_56_SHA"),
    (0x0066, "DHE_DSS", "RC4_128_SHA"),
    (0x0080, "GOSTR341094 GOSTR341001", "28147_CNT_IMIT"),
    (0x0082, "GOSTR341094 GOSTR341001", "NULL_GOSTR3411"),
    (0xCC13, "ECDHE_RSA ECDHE_ECDSA DHE_RSA", "CHACHA20_POLY1305_SHA256_DRAFT"),
    (0xFEFE, "RSA_FIPS", "DES_CBC_SHA 3DES_EDE_CBC_SHA"),
    (0xFF85, "GOSTR341112_256", "28147_CNT_IMIT_DRAFT"),
    (0xFF87, "GOSTR341112_256", "NULL_GOSTR3411"),
    (0xFFE0, "RSA_FIPS", "3DES_EDE_CBC_SHA DES_CBC_SHA"),
)

#: Numbers that stand in the list of suites to say something else.
SIGNALS = {0x00FF: "TLS_EMPTY_RENEGOTIATION_INFO_SCSV", 0x5600: "TLS_FALLBACK_SCSV"}

#: SSL 2.0 cipher kinds, three octets (draft-hickman-netscape-ssl-00 D.2; the last four are SSLeay's).
SSL2_SUITES = {
    0x010080: "SSL_CK_RC4_128_WITH_MD5",
    0x020080: "SSL_CK_RC4_128_EXPORT40_WITH_MD5",
    0x030080: "SSL_CK_RC2_128_CBC_WITH_MD5",
    0x040080: "SSL_CK_RC2_128_CBC_EXPORT40_WITH_MD5",
    0x050080: "SSL_CK_IDEA_128_CBC_WITH_MD5",
    0x060040: "SSL_CK_DES_64_CBC_WITH_MD5",
    0x0700C0: "SSL_CK_DES_192_EDE3_CBC_WITH_MD5",
    0x000000: "SSL_CK_NULL_WITH_MD5",
    0x060140: "SSL_CK_DES_64_CBC_WITH_SHA",
    0x0701C0: "SSL_CK_DES_192_EDE3_CBC_WITH_SHA",
    0x080080: "SSL_CK_RC4_64_WITH_MD5",
}


def _spread(runs: tuple[tuple[int, str, str], ...]) -> dict[int, str]:
    names = {}
    for first, exchanges, ciphers in runs:
        code = first
        for exchange in exchanges.split() or [""]:
            for cipher in ciphers.split():
                names[code] = f"TLS_{exchange}_WITH_{cipher}" if exchange else f"TLS_{cipher}"
                code += 1
    return names


#: Every registered cipher suite and signalling value: number -> IANA's name.
REGISTERED = _spread(_RUNS) | SIGNALS
#: The same with the unregistered ones that are met.
SUITES = _spread(_UNREGISTERED) | REGISTERED


class Suite(NamedTuple):
    """What a cipher suite's name says.

    ``kex`` is the key exchange: "RSA", "DHE_RSA", "ECDHE_ECDSA", "DH_anon", "PSK", "RSA_EXPORT", "SRP_SHA" ... or
    "TLS13", where groups and signatures are negotiated apart.  ``authentication`` is "RSA" (RSA_PSK too), "DSS",
    "ECDSA", "PSK", "anon", "SRP", "KRB5", "ECCPWD", "GOST", or "" in TLS 1.3.  ``key_length`` is the cipher's secret
    key in octets.  ``hash`` is the MAC's hash, for an AEAD the one of the PRF or HKDF.  ``min_version`` is the first
    version that may use it.
    """

    code: int
    name: str
    kex: str
    authentication: str
    cipher: str
    key_length: int
    hash: str
    aead: bool
    min_version: int

    @property
    def prf_hash(self) -> str:
        """The hash of HKDF in TLS 1.3, of the PRF in TLS 1.2: SHA256 unless the name says another (RFC 5246 5)."""
        return "SHA256" if self.hash in ("MD5", "SHA", "NULL") else self.hash

    @property
    def mode(self) -> str:
        """How records are protected: "aead", "cbc", "stream" or "null"."""
        if self.aead:
            return "aead"
        if self.cipher == "NULL":
            return "null"
        return "cbc" if "CBC" in self.cipher else "stream"


_HASH = re.compile(r"_(SHA256|SHA384|SHA512|SHA|MD5|SM3|GOSTR3411|NULL)$")
_KEY_LENGTHS = {
    "NULL": 0,
    "IDEA_CBC": 16,
    "DES40_CBC": 5,
    "DES_CBC": 8,
    "3DES_EDE_CBC": 24,
    "SEED_CBC": 16,
    "CHACHA20_POLY1305": 32,
    "SM4_GCM": 16,
    "SM4_CCM": 16,
    "28147_CNT_IMIT": 32,
}
_DRAFT = "_DRAFT"
_AEAD = ("GCM", "CCM", "POLY1305", "AEGIS", "MGM")
_SINCE_TLS10 = ("AES", "CAMELLIA", "SEED", "ARIA")


def _key_length(cipher: str) -> int:
    if cipher in _KEY_LENGTHS:
        return _KEY_LENGTHS[cipher]
    if cipher.startswith(("KUZNYECHIK", "MAGMA")):
        return 32
    bits = re.search(r"_(40|56|128|256)", cipher)
    return (int(bits.group(1)) + 7) // 8 if bits else 0


def _authentication(kex: str) -> str:
    if kex == "TLS13":
        return ""
    for word in ("anon", "KRB5", "ECCPWD", "GOST", "ECDSA", "DSS", "RSA", "PSK", "SRP"):
        if word in kex:
            return word
    return "anon"


def _min_version(kex: str, cipher: str, digest: str, aead: bool) -> int:
    if kex == "TLS13":
        return TLS13
    if aead or digest in ("SHA256", "SHA384") or "112_256" in kex:
        return TLS12
    if kex.startswith(("ECDH", "SRP", "GOST", "KRB5")) or "PSK" in kex or cipher.startswith(_SINCE_TLS10):
        return 0x0301
    return 0x0300


@lru_cache(maxsize=1024)
def suite(code: int) -> Suite | None:
    """What is known of cipher suite ``code``; None for signalling values, GREASE and unknown numbers."""
    name = SUITES.get(code)
    if name is None or code in SIGNALS:
        return None
    exchange, _, cipher = name[4:].removesuffix(_DRAFT).rpartition("_WITH_")
    kex = exchange or "TLS13"
    if "_MGM" in cipher:
        kex = "TLS13"  # RFC 9367: the name keeps the hash where others have the key exchange
    elif kex == "PSK_DHE":
        kex = "DHE_PSK"  # RFC 6655 turns the words round in two names
    digest = "SHA256"  # the PRF of TLS 1.2 where a CCM suite names none
    found = _HASH.search(cipher)
    if found:
        digest, cipher = found.group(1), cipher[: found.start()]
    elif exchange.startswith("GOST"):
        digest = "GOSTR3411"
    if kex == "TLS13" and cipher.startswith("SHA"):
        cipher = "NULL"  # RFC 9150: integrity only
    key_length = _key_length(cipher)
    aead = any(word in cipher for word in _AEAD)
    version = _min_version(kex, cipher, digest, aead)
    if name.endswith(_DRAFT):
        cipher = f"DRAFT_{cipher}"  # same name, another construction
    return Suite(code, name, kex, _authentication(kex), cipher, key_length, digest, aead, version)
