"""Every TLS alert in plain words: what its sender complains about and who usually has to act.

Numbers and names are IANA's (RFC 8446 6.2, RFC 5246 7.2.2 and older, RFC 6066, RFC 7301, RFC 9849).
"""

from __future__ import annotations

from typing import NamedTuple

from synfin.judge.model import Actor


class Alert(NamedTuple):
    """One alert: its registered name, what the sender says with it, and what the other side can do."""

    name: str
    says: str
    do: str


ALERTS: dict[int, Alert] = {
    0: Alert("close_notify", "it will send nothing more", "nothing: this is the orderly end"),
    10: Alert("unexpected_message", "a message came that has no place here", "look for a broken TLS implementation"),
    20: Alert("bad_record_mac", "a record failed its integrity check", "look for damage on the path"),
    21: Alert("decryption_failed", "a record could not be decrypted", "look for damage on the path"),
    22: Alert("record_overflow", "a record was longer than allowed", "look for a broken TLS implementation"),
    30: Alert("decompression_failure", "compressed data could not be read", "switch TLS compression off"),
    40: Alert("handshake_failure", "nothing that both sides accept was left", "compare what both sides offer"),
    41: Alert("no_certificate", "it has no certificate to show", "give the client a certificate"),
    42: Alert("bad_certificate", "the certificate is corrupt or fails a check", "replace the certificate"),
    43: Alert("unsupported_certificate", "the certificate is of a kind or for a use it does not accept", "replace it"),
    44: Alert("certificate_revoked", "the certificate has been revoked", "replace the certificate"),
    45: Alert("certificate_expired", "a certificate is past its end date", "renew the certificate"),
    46: Alert("certificate_unknown", "it does not accept the certificate for some other reason", "check the chain"),
    47: Alert("illegal_parameter", "a field has a value that is not allowed", "look for a broken implementation"),
    48: Alert(
        "unknown_ca", "it cannot build a chain to an authority it trusts", "send the whole chain, or trust its root"
    ),
    49: Alert("access_denied", "the certificate is valid but access is not allowed", "grant access"),
    50: Alert("decode_error", "a message could not be decoded", "look for a broken TLS implementation"),
    51: Alert("decrypt_error", "a signature or a Finished check failed", "look for a wrong key or a changed handshake"),
    60: Alert("export_restriction", "export rules were broken", "update the old side"),
    70: Alert("protocol_version", "it does not speak any version that was offered", "enable a common TLS version"),
    71: Alert("insufficient_security", "every offered cipher is too weak for it", "offer stronger ciphers"),
    80: Alert("internal_error", "something failed inside it", "read its log"),
    86: Alert(
        "inappropriate_fallback", "the client tried again with an older version", "find why the first try failed"
    ),
    90: Alert("user_canceled", "its user stopped the handshake", "nothing"),
    100: Alert("no_renegotiation", "it will not renegotiate", "do not renegotiate"),
    109: Alert("missing_extension", "a mandatory extension is missing", "update the other side"),
    110: Alert("unsupported_extension", "an extension came that was not offered", "look for a broken server"),
    111: Alert("certificate_unobtainable", "the certificate could not be fetched", "send the certificate itself"),
    112: Alert("unrecognized_name", "it serves no host of that name", "check the name and the server's host list"),
    113: Alert("bad_certificate_status_response", "the stapled OCSP response is invalid", "repair OCSP stapling"),
    114: Alert("bad_certificate_hash_value", "a certificate hash does not match", "replace the certificate"),
    115: Alert("unknown_psk_identity", "it does not know the pre-shared key", "check the pre-shared keys"),
    116: Alert("certificate_required", "it demands a client certificate", "give the client a certificate"),
    117: Alert("general_error", "something failed", "read its log"),
    120: Alert("no_application_protocol", "it speaks none of the offered protocols", "offer a protocol it speaks"),
    121: Alert("ech_required", "Encrypted ClientHello was not accepted", "update the ECH configuration in DNS"),
}

#: Alerts about a certificate (RFC 8446 6.2); with ``certificate_unknown`` many stacks mean any of them.
CERTIFICATE_ALERTS = frozenset({42, 43, 44, 45, 46, 48, 49, 113})


def alert_name(description: int | None) -> str:
    """``certificate_expired (45)``."""
    if description is None:
        return "an alert that could not be read"
    known = ALERTS.get(description)
    return f"{known.name} ({description})" if known else f"alert {description}"


def usual_actor(description: int, from_client: bool) -> Actor:
    """Who has to act when one side rejects with this alert."""
    if description in (20, 21):
        return Actor.NETWORK
    if description in (80, 117):
        return Actor.CLIENT if from_client else Actor.SERVER
    if description in CERTIFICATE_ALERTS or description in (10, 47, 50, 51, 109, 110):
        return Actor.SERVER if from_client else Actor.CLIENT
    return Actor.OPERATOR
