"""Object identifiers met in certificates, with the names people know (RFC 5280, RFC 4514, RFC 8017, RFC 9881).

Key kinds and curve names are those of the ``cryptography`` package, so that other tools' output can be compared.
"""

from __future__ import annotations

from typing import NamedTuple

#: Attribute type of a name -> its short label (RFC 4514 3 and what OpenSSL prints for the rest).
ATTRIBUTES = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.15": "businessCategory",
    "2.5.4.17": "postalCode",
    "2.5.4.42": "GN",
    "2.5.4.46": "dnQualifier",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

COMMON_NAME = "2.5.4.3"

RSA, RSA_PSS, DSA, EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10040.4.1", "1.2.840.10045.2.1"

#: Public key algorithm -> kind; EC is completed with its curve.  RSA keys restricted to PSS are RSA keys.
KEYS = {
    RSA: "rsa",
    RSA_PSS: "rsa",
    DSA: "dsa",
    EC: "ec",
    "1.2.840.113549.1.3.1": "dh",
    "1.2.840.10046.2.1": "dh",
    "1.3.101.110": "x25519",
    "1.3.101.111": "x448",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "1.2.643.2.2.19": "gost2001",
    "1.2.643.7.1.1.1.1": "gost2012-256",
    "1.2.643.7.1.1.1.2": "gost2012-512",
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}

#: Bits of kinds whose size is fixed.
KEY_BITS = {"x25519": 253, "x448": 448, "ed25519": 256, "ed448": 456, "gost2001": 256, "gost2012-256": 256}

#: Named curve -> (name, bits).
CURVES = {
    "1.2.840.10045.3.1.1": ("secp192r1", 192),
    "1.3.132.0.33": ("secp224r1", 224),
    "1.2.840.10045.3.1.7": ("secp256r1", 256),
    "1.3.132.0.34": ("secp384r1", 384),
    "1.3.132.0.35": ("secp521r1", 521),
    "1.3.132.0.10": ("secp256k1", 256),
    "1.3.132.0.1": ("sect163k1", 163),
    "1.3.132.0.15": ("sect163r2", 163),
    "1.3.132.0.26": ("sect233k1", 233),
    "1.3.132.0.27": ("sect233r1", 233),
    "1.3.132.0.16": ("sect283k1", 283),
    "1.3.132.0.17": ("sect283r1", 283),
    "1.3.132.0.36": ("sect409k1", 409),
    "1.3.132.0.37": ("sect409r1", 409),
    "1.3.132.0.38": ("sect571k1", 571),
    "1.3.132.0.39": ("sect571r1", 571),
    "1.3.36.3.3.2.8.1.1.7": ("brainpoolP256r1", 256),
    "1.3.36.3.3.2.8.1.1.11": ("brainpoolP384r1", 384),
    "1.3.36.3.3.2.8.1.1.13": ("brainpoolP512r1", 512),
    "1.2.156.10197.1.301": ("sm2", 256),
}


class SignatureAlgorithm(NamedTuple):
    """How a certificate is signed: its name, the key's family and the hash ("" where the scheme has its own)."""

    name: str
    family: str
    hash: str


PSS = "1.2.840.113549.1.1.10"

#: Signature algorithm -> facts.  The hash of RSASSA-PSS stands in its parameters.
SIGNATURES = {
    "1.2.840.113549.1.1.2": SignatureAlgorithm("md2WithRSAEncryption", "rsa", "md2"),
    "1.2.840.113549.1.1.3": SignatureAlgorithm("md4WithRSAEncryption", "rsa", "md4"),
    "1.2.840.113549.1.1.4": SignatureAlgorithm("md5WithRSAEncryption", "rsa", "md5"),
    "1.2.840.113549.1.1.5": SignatureAlgorithm("sha1WithRSAEncryption", "rsa", "sha1"),
    "1.3.14.3.2.29": SignatureAlgorithm("sha1WithRSA", "rsa", "sha1"),
    "1.2.840.113549.1.1.14": SignatureAlgorithm("sha224WithRSAEncryption", "rsa", "sha224"),
    "1.2.840.113549.1.1.11": SignatureAlgorithm("sha256WithRSAEncryption", "rsa", "sha256"),
    "1.2.840.113549.1.1.12": SignatureAlgorithm("sha384WithRSAEncryption", "rsa", "sha384"),
    "1.2.840.113549.1.1.13": SignatureAlgorithm("sha512WithRSAEncryption", "rsa", "sha512"),
    PSS: SignatureAlgorithm("rsassaPss", "rsa-pss", "sha1"),
    "1.2.840.10045.4.1": SignatureAlgorithm("ecdsa-with-SHA1", "ecdsa", "sha1"),
    "1.2.840.10045.4.3.1": SignatureAlgorithm("ecdsa-with-SHA224", "ecdsa", "sha224"),
    "1.2.840.10045.4.3.2": SignatureAlgorithm("ecdsa-with-SHA256", "ecdsa", "sha256"),
    "1.2.840.10045.4.3.3": SignatureAlgorithm("ecdsa-with-SHA384", "ecdsa", "sha384"),
    "1.2.840.10045.4.3.4": SignatureAlgorithm("ecdsa-with-SHA512", "ecdsa", "sha512"),
    "1.2.840.10040.4.3": SignatureAlgorithm("dsa-with-sha1", "dsa", "sha1"),
    "2.16.840.1.101.3.4.3.1": SignatureAlgorithm("dsa-with-sha224", "dsa", "sha224"),
    "2.16.840.1.101.3.4.3.2": SignatureAlgorithm("dsa-with-sha256", "dsa", "sha256"),
    "1.3.101.112": SignatureAlgorithm("Ed25519", "ed25519", ""),
    "1.3.101.113": SignatureAlgorithm("Ed448", "ed448", ""),
    "2.16.840.1.101.3.4.3.17": SignatureAlgorithm("ML-DSA-44", "ml-dsa", ""),
    "2.16.840.1.101.3.4.3.18": SignatureAlgorithm("ML-DSA-65", "ml-dsa", ""),
    "2.16.840.1.101.3.4.3.19": SignatureAlgorithm("ML-DSA-87", "ml-dsa", ""),
    "1.2.156.10197.1.501": SignatureAlgorithm("SM2-with-SM3", "sm2", "sm3"),
}

#: Hash algorithm -> name, for the parameters of RSASSA-PSS.
HASHES = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}

#: Bits of KeyUsage in order (RFC 5280 4.2.1.3).
KEY_USAGES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)

SERVER_AUTH, CLIENT_AUTH, ANY_USAGE = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"

#: Extended key usages (RFC 5280 4.2.1.12) by the names OpenSSL prints.
EXTENDED_KEY_USAGES = {
    SERVER_AUTH: "serverAuth",
    CLIENT_AUTH: "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.4.1.311.10.3.3": "msSGC",
    "2.16.840.1.113730.4.1": "nsSGC",
    ANY_USAGE: "anyExtendedKeyUsage",
}

#: Extensions by name (RFC 5280 4.2 and the few others that public certificates carry).
EXTENSIONS = {
    "2.5.29.9": "subjectDirectoryAttributes",
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.18": "issuerAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.30": "nameConstraints",
    "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.33": "policyMappings",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.36": "policyConstraints",
    "2.5.29.37": "extendedKeyUsage",
    "2.5.29.46": "freshestCRL",
    "2.5.29.54": "inhibitAnyPolicy",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
    "1.3.6.1.5.5.7.1.11": "subjectInfoAccess",
    "1.3.6.1.5.5.7.1.24": "tlsFeature",
    "1.3.6.1.4.1.11129.2.4.2": "signedCertificateTimestamps",
    "1.3.6.1.4.1.11129.2.4.3": "precertificatePoison",
    "1.3.6.1.5.5.7.48.1.5": "ocspNoCheck",
    "1.3.6.1.4.1.44363.44": "delegationUsage",
    "2.16.840.1.113730.1.1": "netscapeCertType",
    "2.16.840.1.113730.1.13": "netscapeComment",
}
