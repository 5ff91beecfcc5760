"""Every way a peer can break a protocol, by name: one vocabulary for engines, observers, rules and scenarios.

A row says in one sentence what the peer did, where the law stands, the alert with which a TLS endpoint answers
(RFC 8446 6.2, RFC 5246 7.2.2; None where the fault is below or above TLS) and the judge's rule that reports it, if one
does.  Whether a fault was committed is decided elsewhere; ``PeerError`` carries the name.  Sections of RFC 8446 hold
for RFC 9846 too unless a row says otherwise.  Where the RFC leaves the alert open the row has what the common stacks
send.  The names of certificate faults are those of ``spec.certcheck`` behind ``certificate_``.
"""

from __future__ import annotations

from dataclasses import dataclass

UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW, DECOMPRESSION_FAILURE = 10, 20, 22, 30
HANDSHAKE_FAILURE, BAD_CERTIFICATE, UNSUPPORTED_CERTIFICATE, CERTIFICATE_REVOKED = 40, 42, 43, 44
CERTIFICATE_EXPIRED, CERTIFICATE_UNKNOWN, ILLEGAL_PARAMETER, UNKNOWN_CA = 45, 46, 47, 48
DECODE_ERROR, DECRYPT_ERROR, PROTOCOL_VERSION, INSUFFICIENT_SECURITY = 50, 51, 70, 71
INAPPROPRIATE_FALLBACK, MISSING_EXTENSION, UNSUPPORTED_EXTENSION = 86, 109, 110
UNRECOGNIZED_NAME, BAD_STATUS_RESPONSE, UNKNOWN_PSK_IDENTITY = 112, 113, 115
CERTIFICATE_REQUIRED, NO_APPLICATION_PROTOCOL = 116, 120


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault: ``alert`` is a code point or None, ``rule`` a code of the judge or "" where there is none."""

    name: str
    sentence: str
    rfc: int
    section: str
    alert: int | None = None
    rule: str = ""


V = Violation

#: The faults by area.  Sentences speak of the peer and have no final stop.
AREAS: dict[str, tuple[Violation, ...]] = {
    "record": (
        V("not_tls", "what came is not a TLS record", 8446, "5.1", UNEXPECTED_MESSAGE, "TLS101"),
        V("plain_http_sent", "it sent plain HTTP to a TLS port", 9110, "4.2.2", UNEXPECTED_MESSAGE, "TLS102"),
        V("record_overflow", "a record is longer than the version allows", 8446, "5.2", RECORD_OVERFLOW),
        V("plaintext_overflow", "a record's content is longer than 2^14 octets", 8446, "5.1", RECORD_OVERFLOW),
        V("record_size_limit_exceeded", "a record is longer than the limit it was told", 8449, "4", RECORD_OVERFLOW),
        V("bad_record_mac", "a record does not authenticate", 8446, "5.2", BAD_RECORD_MAC, "TLS501"),
        V("bad_record_padding", "a record's padding is wrong", 5246, "6.2.3.2", BAD_RECORD_MAC, "TLS501"),
        V("record_without_content_type", "a record holds padding only", 8446, "5.4", UNEXPECTED_MESSAGE),
        V("empty_handshake_record", "a handshake or alert record is empty", 8446, "5.1", UNEXPECTED_MESSAGE),
        V("too_many_empty_records", "it sends empty records without end", 8446, "5.1", UNEXPECTED_MESSAGE),
        V("unknown_content_type", "a record has a content type that does not exist", 8446, "5", UNEXPECTED_MESSAGE),
        V("unprotected_record", "a record came in clear after keys were agreed", 8446, "5", UNEXPECTED_MESSAGE),
        V("bad_record_version", "a record has a version that was not agreed", 5246, "6.2.1", PROTOCOL_VERSION),
        V("bad_change_cipher_spec", "ChangeCipherSpec came in the wrong place or form", 8446, "5", UNEXPECTED_MESSAGE),
        V("bad_alert", "an alert has no known form", 8446, "6", DECODE_ERROR),
        V("too_many_warnings", "it sends warning alerts without end", 5246, "7.2", UNEXPECTED_MESSAGE),
        V("mixed_key_change", "data follows a key change in the same record", 8446, "5.1", UNEXPECTED_MESSAGE),
        V("bad_decompression", "compressed content cannot be read", 5246, "6.2.2", DECOMPRESSION_FAILURE),
        V("heartbeat_overread", "a heartbeat claims more payload than it has", 6520, "4"),
        V("aead_limit_exceeded", "it protected too many records with one key", 8446, "5.5"),
        V("closed_without_close_notify", "it closed without close_notify", 8446, "6.1"),
        V("data_after_close_notify", "data came after its close_notify", 8446, "6.1"),
    ),
    "negotiation": (
        V("no_common_version", "no version suits both", 8446, "4.2.1", PROTOCOL_VERSION, "TLS201"),
        V("no_common_cipher", "no cipher suite suits both", 8446, "4.1.1", HANDSHAKE_FAILURE, "TLS202"),
        V("no_common_group", "no group suits both", 8446, "4.2.7", HANDSHAKE_FAILURE, "TLS202"),
        V("no_common_signature", "no signature algorithm suits both", 8446, "4.2.3", HANDSHAKE_FAILURE, "TLS202"),
        V("no_common_compression", "the null compression was not offered", 5246, "7.4.1.2", ILLEGAL_PARAMETER),
        V("no_common_protocol", "no application protocol suits both", 7301, "3.2", NO_APPLICATION_PROTOCOL, "TLS206"),
        V("unrecognized_name", "it asks for a name that is not served", 6066, "3", UNRECOGNIZED_NAME, "TLS203"),
        V("no_common_ffdhe_group", "no finite-field group suits both", 7919, "4", INSUFFICIENT_SECURITY, "TLS202"),
        V("weak_parameters", "what is left of the offer is too weak", 8446, "6.2", INSUFFICIENT_SECURITY, "TLS205"),
        V("inappropriate_fallback", "it fell back though a newer version is there", 7507, "3", INAPPROPRIATE_FALLBACK),
        V("downgrade", "the server random says that a newer version was possible", 8446, "4.1.3", ILLEGAL_PARAMETER),
        V("cipher_not_offered", "it chose a cipher suite that was not offered", 8446, "4.1.3", ILLEGAL_PARAMETER),
        V("version_not_offered", "it chose a version that was not offered", 8446, "4.2.1", ILLEGAL_PARAMETER),
        V("bad_legacy_version", "legacy_version is not 0x0303", 9846, "4.2.3", PROTOCOL_VERSION),
        V("cipher_of_other_version", "the suite does not belong to the version", 8446, "4.1.3", ILLEGAL_PARAMETER),
        V("group_not_offered", "it chose a group that was not offered", 8446, "4.2.8", ILLEGAL_PARAMETER),
        V("protocol_not_offered", "it chose a protocol that was not offered", 7301, "3.2", ILLEGAL_PARAMETER),
        V("signature_not_offered", "it signed with an algorithm not offered", 8446, "4.4.3", ILLEGAL_PARAMETER),
        V("psk_not_offered", "it chose a pre-shared key that was not offered", 8446, "4.2.11", ILLEGAL_PARAMETER),
        V("compression_chosen", "it chose a compression", 8446, "4.1.3", ILLEGAL_PARAMETER),
        V("session_id_not_echoed", "it did not echo the session id", 8446, "4.1.3", ILLEGAL_PARAMETER),
        V("cipher_changed", "it changed the suite after HelloRetryRequest", 8446, "4.1.4", ILLEGAL_PARAMETER),
        V("hello_changed", "the second ClientHello differs too much", 8446, "4.1.2", ILLEGAL_PARAMETER),
        V("useless_retry", "its HelloRetryRequest would change nothing", 8446, "4.1.4", ILLEGAL_PARAMETER),
        V("second_retry", "it sent a second HelloRetryRequest", 8446, "4.1.4", UNEXPECTED_MESSAGE),
        V("share_of_other_group", "its key share is for another group", 8446, "4.2.8", ILLEGAL_PARAMETER),
        V("share_not_listed", "a key share is for a group not listed", 8446, "4.2.8", ILLEGAL_PARAMETER),
        V("bad_key_share", "its key share is no valid public key", 8446, "4.2.8.2", ILLEGAL_PARAMETER),
        V("zero_shared_secret", "its key share makes the shared secret zero", 8446, "7.4.2", ILLEGAL_PARAMETER),
        V("weak_dh_group", "its Diffie-Hellman group is too small", 7919, "3", INSUFFICIENT_SECURITY, "TLS205"),
        V("dh_value_out_of_range", "its Diffie-Hellman value is trivial", 7919, "4", HANDSHAKE_FAILURE),
        V("bad_psk_binder", "a pre-shared key's binder is wrong", 8446, "4.2.11.2", DECRYPT_ERROR),
        V("psk_not_last", "pre_shared_key is not the last extension", 8446, "4.2.11", ILLEGAL_PARAMETER),
        V("psk_without_modes", "it offers keys without psk_key_exchange_modes", 8446, "4.2.9", MISSING_EXTENSION),
        V("psk_without_share", "it takes a key and sends no key share", 8446, "4.2.11", ILLEGAL_PARAMETER),
        V("unknown_psk", "it demands a pre-shared key nobody knows", 8446, "6.2", UNKNOWN_PSK_IDENTITY),
        V("unsafe_renegotiation", "it cannot renegotiate safely", 5746, "4.1", HANDSHAKE_FAILURE, "TLS205"),
        V("bad_renegotiation_info", "renegotiation_info does not fit", 5746, "3.4", HANDSHAKE_FAILURE),
        V("renegotiation_refused", "it goes on asking to renegotiate", 5246, "7.2.2", UNEXPECTED_MESSAGE),
        V("master_secret_not_extended", "it dropped the extended master secret", 7627, "5.3", HANDSHAKE_FAILURE),
        V("etm_without_cbc", "encrypt_then_mac answers a suite without CBC", 7366, "3", ILLEGAL_PARAMETER),
        V("early_data_too_long", "it sends more early data than allowed", 8446, "4.2.10", UNEXPECTED_MESSAGE),
        V("early_data_unasked", "it accepts early data that was not offered", 8446, "4.2.10", UNSUPPORTED_EXTENSION),
    ),
    "handshake": (
        V("unexpected_message", "a message came that has no place here", 8446, "4", UNEXPECTED_MESSAGE),
        V("decode_error", "a message cannot be decoded", 8446, "6.2", DECODE_ERROR),
        V("trailing_bytes", "a message goes on after its last field", 8446, "6.2", DECODE_ERROR),
        V("empty_list", "a list is empty that must not be", 8446, "6.2", DECODE_ERROR),
        V("unknown_message_type", "a handshake message has no known type", 8446, "4", UNEXPECTED_MESSAGE),
        V("message_too_long", "a handshake message is longer than anyone needs", 8446, "4", DECODE_ERROR),
        V("message_across_key_change", "a message stands across a key change", 8446, "5.1", UNEXPECTED_MESSAGE),
        V("illegal_parameter", "a field has a value it must not have", 8446, "6.2", ILLEGAL_PARAMETER),
        V("missing_extension", "a required extension is missing", 8446, "9.2", MISSING_EXTENSION),
        V("unsupported_extension", "an extension answers nothing that was asked", 8446, "4.2", UNSUPPORTED_EXTENSION),
        V("misplaced_extension", "an extension stands in the wrong message", 8446, "4.2", ILLEGAL_PARAMETER),
        V("duplicate_extension", "an extension stands twice", 8446, "4.2", ILLEGAL_PARAMETER),
        V("wrong_finished", "its Finished does not cover what was said", 8446, "4.4.4", DECRYPT_ERROR),
        V("wrong_signature", "its handshake signature does not verify", 8446, "4.4.3", DECRYPT_ERROR),
        V("signature_of_other_key", "its signature does not fit its key", 8446, "4.4.3", ILLEGAL_PARAMETER),
        V("premature_finished", "it finished before it could", 5246, "7.4.9", UNEXPECTED_MESSAGE),
        V("bad_key_update", "KeyUpdate holds neither 0 nor 1", 8446, "4.6.3", ILLEGAL_PARAMETER),
        V("too_many_key_updates", "it updates keys without end", 8446, "4.6.3", UNEXPECTED_MESSAGE),
        V("too_many_tickets", "it sends tickets without end", 8446, "4.6.1", UNEXPECTED_MESSAGE),
        V("too_many_requests", "it asks for certificates without end", 8446, "4.6.2", UNEXPECTED_MESSAGE),
        V("bad_premaster_version", "the premaster secret has another version", 5246, "7.4.7.1", BAD_RECORD_MAC),
        V("silent_end", "it closed in the middle of the handshake without a word", 8446, "6.1", None, "TLS111"),
        V("no_answer", "it never answered the ClientHello", 8446, "2", None, "TLS112"),
        V("handshake_stalled", "it did not finish the handshake in time", 8446, "2"),
        V("large_hello_refused", "it cannot read a ClientHello of two segments", 8446, "5.1", None, "TLS204"),
    ),
    "certificate": (
        V("certificate_missing", "it sent no certificate", 8446, "4.4.2.4", DECODE_ERROR),
        V("certificate_required", "it sent no client certificate", 8446, "4.4.2.4", CERTIFICATE_REQUIRED, "TLS301"),
        V(
            "client_certificate_missing",
            "it sent an empty list of client certificates",
            5246,
            "7.4.6",
            HANDSHAKE_FAILURE,
            "TLS301",
        ),
        V("certificate_refused", "its certificate is not accepted", 8446, "6.2", BAD_CERTIFICATE, "TLS302"),
        V("certificate_unparsable", "a certificate cannot be read", 5280, "4.1", BAD_CERTIFICATE, "CRT401"),
        V("certificate_expired", "a certificate has expired", 5280, "4.1.2.5", CERTIFICATE_EXPIRED, "CRT201"),
        V(
            "certificate_not_yet_valid",
            "a certificate is not valid yet",
            5280,
            "4.1.2.5",
            CERTIFICATE_EXPIRED,
            "CRT202",
        ),
        V("certificate_name_mismatch", "its certificate is for another name", 9525, "6", BAD_CERTIFICATE, "CRT301"),
        V("certificate_common_name_only", "its name stands only as common name", 9525, "6", BAD_CERTIFICATE, "CRT301"),
        V("certificate_wildcard_too_deep", "its wildcard is too high", 9525, "6.3", BAD_CERTIFICATE, "CRT301"),
        V("certificate_self_signed", "its certificate is self-signed", 5280, "6.1", UNKNOWN_CA, "CRT102"),
        V("certificate_unknown_root", "its chain ends in an unknown root", 5280, "6.1", UNKNOWN_CA, "CRT102"),
        V("certificate_unknown_issuer", "its chain ends at an unknown issuer", 5280, "6.1", UNKNOWN_CA, "CRT102"),
        V("certificate_missing_intermediate", "an intermediate is missing", 8446, "4.4.2", UNKNOWN_CA, "CRT101"),
        V("certificate_wrong_order", "its certificates are not in order", 8446, "4.4.2", BAD_CERTIFICATE),
        V("certificate_bad_signature", "a certificate's signature is wrong", 5280, "6.1.3", BAD_CERTIFICATE, "CRT401"),
        V("certificate_not_a_ca", "an issuer is no CA", 5280, "4.2.1.9", UNKNOWN_CA, "CRT401"),
        V("certificate_no_cert_sign", "an issuer may not sign certificates", 5280, "4.2.1.3", UNKNOWN_CA, "CRT401"),
        V("certificate_path_length", "an issuer allows fewer CAs below", 5280, "4.2.1.9", UNKNOWN_CA, "CRT401"),
        V("certificate_name_constraints", "the name is outside", 5280, "4.2.1.10", CERTIFICATE_UNKNOWN, "CRT401"),
        V(
            "certificate_wrong_usage",
            "its certificate is for another use",
            5280,
            "4.2.1.12",
            UNSUPPORTED_CERTIFICATE,
            "CRT401",
        ),
        V(
            "certificate_unknown_critical_extension",
            "its certificate demands what nobody knows",
            5280,
            "4.2",
            BAD_CERTIFICATE,
        ),
        V("certificate_weak_key", "a certificate's key is too short", 8446, "4.4.2.2", BAD_CERTIFICATE, "CRT401"),
        V("certificate_weak_signature", "a certificate's hash is broken", 8446, "4.4.2.4", BAD_CERTIFICATE, "CRT401"),
        V("certificate_must_staple", "no staple though it must", 7633, "4", BAD_STATUS_RESPONSE, "CRT401"),
        V("certificate_too_many", "its chain is longer than any", 8446, "4.4.2", BAD_CERTIFICATE),
        V("certificate_revoked", "its certificate has been revoked", 5280, "3.3", CERTIFICATE_REVOKED, "CRT401"),
        V("certificate_bad_staple", "its OCSP response is not valid", 6066, "8", BAD_STATUS_RESPONSE),
        V("certificate_wrong_key_type", "its key does not suit the suite", 5246, "7.4.2", ILLEGAL_PARAMETER),
        V("certificate_unsupported_key", "its key is of no use in TLS", 8446, "4.4.2.2", UNSUPPORTED_CERTIFICATE),
        V("certificate_bad_compression", "compressed certificates do not open", 8879, "4", BAD_CERTIFICATE),
    ),
    "tcp": (
        V("connection_refused", "it answered the SYN with a reset", 9293, "3.10.7.1", None, "TCP101"),
        V("syn_unanswered", "it never answered the SYN", 9293, "3.5", None, "TCP102"),
        V("reset", "it reset the connection before both were done", 9293, "3.5.2", None, "TCP501"),
        V("reset_in_handshake", "it reset the connection in the TLS handshake", 9293, "3.5.2", None, "TLS110"),
        V("data_outside_window", "it sent outside of the window", 9293, "3.10.7.4"),
        V("acknowledged_unsent", "it acknowledged what was never sent", 9293, "3.10.7.4"),
        V("shrunk_window", "it took back a window it had given", 9293, "3.8.6"),
        V("stopped_reading", "it kept its window closed", 9293, "3.8.6.1", None, "TCP220"),
        V("over_mss", "it sent segments larger than the MSS it was told", 9293, "3.7.1"),
        V("overlap_differs", "it sent the same octets twice with different content", 9293, "3.10.7.4"),
        V("timestamps_dropped", "it dropped the timestamps that were agreed", 7323, "3.2"),
        V("data_after_fin", "it sent data after its FIN", 9293, "3.6"),
        V("bad_tcp_option", "a TCP option has an impossible length", 9293, "3.1"),
    ),
    "http": (
        V("http_bad_start_line", "a message starts with no request or status line", 9112, "2.1", None, "HTP202"),
        V("http_bad_field", "a header line is malformed", 9112, "5", None, "HTP202"),
        V("http_conflicting_lengths", "a message has two lengths", 9112, "6.3", None, "HTP202"),
        V("http_bad_length", "Content-Length is no number", 9112, "6.3", None, "HTP202"),
        V("http_bad_chunk", "a chunk's size or end is wrong", 9112, "7.1", None, "HTP202"),
        V("http_short_body", "a body is shorter than it said", 9112, "8", None, "HTP201"),
        V("http_empty_reply", "it closed without a whole answer", 9112, "9.5", None, "HTP103"),
        V("http_missing_host", "a request has no Host", 9112, "3.2"),
        V("http_answer_unasked", "an answer came to no request", 9112, "9.2"),
        V("h2_bad_preface", "HTTP/2 does not start with its preface", 9113, "3.4", None, "HTP301"),
        V("h2_bad_frame_size", "a frame has a size it must not have", 9113, "4.2", None, "HTP301"),
        V("h2_bad_header_block", "a header block cannot be decoded", 9113, "4.3", None, "HTP301"),
        V("h2_stream_state", "a frame came on a stream that cannot take it", 9113, "5.1", None, "HTP301"),
        V("h2_flow_control", "it sent more than the flow control window", 9113, "5.2", None, "HTP301"),
        V("h2_bad_settings", "a setting has a value it must not have", 9113, "6.5", None, "HTP301"),
        V("h2_rapid_reset", "it opens and resets streams without end", 9113, "10.5", None, "HTP301"),
        V("h2_stream_reset", "it gave up a stream", 9113, "6.4", None, "HTP301"),
        V("h2_goaway", "it closes the connection with an error", 9113, "6.8", None, "HTP301"),
    ),
}

#: Name -> violation.
VIOLATIONS: dict[str, Violation] = {row.name: row for rows in AREAS.values() for row in rows}


def violation(name: str) -> Violation:
    """The violation of that name; KeyError where there is none."""
    return VIOLATIONS[name]
