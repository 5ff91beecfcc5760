"""What other RFCs require of TLS 1.2: each requirement with the tests that hold it, or why there is none.

RFC 5077, 5288, 5746, 6066, 6655, 7251, 7301, 7366, 7507, 7627, 7685, 7905, 7919, 8422, 8446 (1.3, D), 8449, 9155 and
9325; ``tests.support.requirements`` says what a row has.
"""

from __future__ import annotations

import pytest

from tests.support.requirements import LEFT, Row, faults
from tests.tls.test_must12_list import FILES

RENEGOTIATION = LEFT + "there is no renegotiation in either role, which RFC 5746 5 and RFC 9325 3.5 allow"
NOT_SPOKEN = LEFT + "the extension is not implemented: a server ignores it, and a client does not offer it"
CCM = "interop::TestSuites12.test_server + records::test_aead_records"

RFC5746: list[Row] = [
    ("5746 3.3", "the signalling suite is never chosen", "letter::test_server_hello[suite SCSV]"),
    ("5746 3.4", "extension or suite in each hello", "client::test_the_hello"),
    ("5746 3.4", "an answer must be empty, else handshake_failure", "letter::test_server_hello[renegotiation filled]"),
    ("5746 3.4", "in resumption too", "letter::test_resumption[renegotiation missing]"),
    ("5746 3.5", "a client's verify data", RENEGOTIATION),
    ("5746 3.6", "suite or extension are looked for", "hello::test_client_hello[5746 3.6 the suite instead]"),
    ("5746 3.6", "the extension must be empty", "hello::test_client_hello[5746 3.6 verify data of nobody]"),
    ("5746 3.6", "in resumption too", "sessions::test_offers[5746 3.6 verify data]"),
    ("5746 3.6", "an empty one answers", "hello::test_only_what_was_asked_for_is_answered"),
    ("5746 3.6", "unknown extensions are ignored", "hello::test_client_hello[5746 3.6 an unknown one]"),
    ("5746 3.6", "versions above ours get ours", "hello::test_client_hello[E.1 version 0xffff]"),
    ("5746 3.7", "a server's verify data", RENEGOTIATION),
    ("5746 4.1", "a server that does not know it", "letter::test_server_hello[renegotiation missing]"),
    ("5746 4.4", "legacy renegotiation is refused", "records::test_renegotiation_is_refused_and_life_goes_on"),
]
RFC7627: list[Row] = [
    (
        "7627 4",
        "the secret from the session hash",
        "interop::TestSuites12.test_server + interop::TestSuites12.test_client",
    ),
    ("7627 5.1", "the extension is empty", "hello::test_client_hello[7627 5.1 content]"),
    ("7627 5.1", "for a client too", "letter::test_server_hello[extended master secret body]"),
    ("7627 5.2", "it is in each hello", "client::test_the_hello"),
    ("7627 5.2", "and answered", "hello::test_only_what_was_asked_for_is_answered"),
    ("7627 5.2", "not without having been asked", "hello::test_answers_by_their_letter"),
    ("7627 5.2", "without it the old secret", "hello::test_client_hello[7627 5.2 without it]"),
    ("7627 5.3", "it is in each hello that resumes", "client::test_what_is_offered_again"),
    ("7627 5.3", "not before, now: a full handshake", "sessions::test_offers[7627 5.3 it was not, now it is]"),
    (
        "7627 5.3",
        "before, not now: handshake_failure",
        "sessions::test_offers[7627 5.3 it was extended, now it is not]",
    ),
    ("7627 5.3", "neither: resumed (abort is a SHOULD)", "sessions::test_offers[7627 5.3 neither]"),
    ("7627 5.3", "and answered", "sessions::test_answers_to_an_offer"),
    ("7627 5.3", "a client holds its server to the session", "client::test_the_extended_master_secret_of_a_session"),
    ("7627 5.4", "no exporter without it", "sessions::test_no_exporter_without_the_extended_master_secret"),
    (
        "7627 5.4",
        "verify_data and tls-unique are not used",
        LEFT + "the engine has no interface that tells them to anybody",
    ),
    ("7627 6.2", "no renegotiation of other sessions", RENEGOTIATION),
]
RFC7366: list[Row] = [
    ("7366 2", "only where both said so", "hello::test_answers_by_their_letter"),
    ("7366 2", "the extension is empty", "hello::test_client_hello[7366 2 content]"),
    ("7366 2", "for a client too", "letter::test_server_hello[encrypt then mac body]"),
    ("7366 3", "no answer beside AEAD", "hello::test_answers_by_their_letter"),
    ("7366 3", "nor is one taken", "letter::test_server_hello[encrypt then mac with AEAD]"),
    ("7366 3", "the MAC comes first, else bad_record_mac", "cbc::test_cbc_macs_and_lengths"),
    ("7366 3.1", "no way back in a renegotiation", RENEGOTIATION),
]
RFC5077: list[Row] = [
    ("5077 3.2", "an empty extension asks for a ticket", "client::test_the_hello + sessions::test_a_ticket_of_nobody"),
    (
        "5077 3.2",
        "an empty one promises it",
        "hello::test_answers_by_their_letter + letter::test_server_hello[ticket body]",
    ),
    ("5077 3.2", "to who asked only", "hello::test_answers_by_their_letter"),
    ("5077 3.3", "what is promised comes", "letter::test_new_session_ticket[gone]"),
    (
        "5077 3.3",
        "empty at least",
        "sessions::test_an_empty_ticket_where_none_can_be_made + letter::test_new_session_ticket[empty]",
    ),
    ("5077 3.3", "what is not promised does not", "letter::test_a_ticket_not_announced"),
    ("5077 3.3", "before ChangeCipherSpec", "sessions::test_answers_to_an_offer + letter::test_change_cipher_spec"),
    ("5077 3.3", "after the client's Finished", "sessions::test_tickets_come_after_finished_and_renew"),
    ("5077 3.3", "valid after the server's", "letter::test_the_last_flights[Finished corrupt]"),
    ("5077 3.4", "with a ticket the session id is echoed", "sessions::test_ticket_or_id_which_counts"),
    ("5077 3.4", "and means nothing else", "sessions::test_ticket_or_id_which_counts"),
    ("5077 3.4", "a ticket that does not open: a full handshake", "sessions::test_a_ticket_changed"),
    ("5077 3.4", "a ticket replaces the session id", "features::TestResumption.test_session_ids"),
    ("5077 5.6", "tickets grow old", "sessions::test_too_old"),
]
RFC8422: list[Row] = [
    ("8422 4", "extensions for curves may be missing", "hello::test_client_hello[8422 4 without groups]"),
    ("8422 5.1", "one ECDHE suite needs a shared curve", "hello::test_client_hello[8422 5.1 unknown groups, ECDHE]"),
    ("8422 5.1", "without: another key exchange", "hello::test_client_hello[8422 5.1 unknown groups, DHE too]"),
    ("8422 5.1.1", "the list has a form", "hello::test_client_hello[8422 5.1.1 odd]"),
    ("8422 5.1.2", "uncompressed is listed", "client::test_the_hello"),
    ("8422 5.1.2", "else illegal_parameter", "hello::test_client_hello[8422 5.1.2 compressed alone]"),
    (
        "8422 5.2",
        "by the server too",
        "hello::test_answers_by_their_letter + letter::test_server_hello[points compressed alone]",
    ),
    (
        "8422 5.3",
        "the key is for ECDSA or EdDSA, and signs",
        "client::test_key_usage_at_the_client[8422 5.3 ECDHE_ECDSA, agrees]",
    ),
    ("8422 5.4", "named curves only", "letter::test_server_key_exchange[explicit prime]"),
    ("8422 5.4", "that were offered", "letter::test_server_key_exchange[curve not offered]"),
    ("8422 5.4.1", "uncompressed points only", "letter::test_server_key_exchange[point compressed]"),
    ("8422 5.4.1", "of the client too", "flight::test_elliptic_points[8422 5.4.1 compressed]"),
    ("8422 5.7", "ClientKeyExchange has one point", "flight::test_elliptic_points[8422 5.7 trailing]"),
    ("8422 5.10", "points are on the curve", "flight::test_elliptic_points[8422 5.10 off the curve]"),
    ("8422 5.10", "for a client", "letter::test_server_key_exchange[point off the curve]"),
    ("8422 5.11", "X25519: no secret of zeros", "flight::test_elliptic_points[8422 5.11 zero]"),
    ("8422 5.11", "for a client", "letter::test_server_key_exchange[point zero]"),
    (
        "8422 5.10",
        "EdDSA by its own scheme",
        "flight::test_client_certificates[8422 3 Ed25519] + interop::TestKeyTypes.test_server",
    ),
]
RFC7919: list[Row] = [
    ("7919 3", "all groups in one extension", "client::test_the_hello"),
    ("7919 3", "the signature is checked first", "client::test_the_signature_is_checked_before_the_numbers"),
    ("7919 3", "1 < Ys < p - 1, else handshake_failure", "letter::test_finite_fields[Ys p-1]"),
    ("7919 3.1", "groups too small are refused", "letter::test_finite_fields[p of 1024]"),
    ("7919 3", "others are a matter of policy", "client::test_groups_of_a_servers_own"),
    ("7919 4", "none of the fields known: no FFDHE", "hello::test_client_hello[7919 4 unknown fields, ECDHE too]"),
    ("7919 4", "nothing else either: insufficient_security", "hello::test_client_hello[7919 4 unknown fields]"),
    ("7919 4", "one that was offered", "interop::TestGroups.test_server"),
    ("7919 4", "any where none is listed", "hello::test_client_hello[7919 4 no fields listed]"),
    ("7919 4", "no FFDHE suite that was not offered", "hello::test_client_hello[8422 5.1 unknown groups, ECDHE]"),
    ("7919 4", "1 < Yc < p - 1, else handshake_failure", "flight::test_finite_fields[7919 4 p-1]"),
]
RFC6066: list[Row] = [
    ("6066 3", "one name of a type", "hello::test_client_hello[6066 3 two names]"),
    ("6066 3", "no addresses", "client::test_addresses_are_no_server_names"),
    ("6066 3", "answered by nothing inside", "hello::test_only_what_was_asked_for_is_answered"),
    ("6066 3", "for a client too", "letter::test_server_hello[name with a body]"),
    ("6066 3", "no session of another name", "sessions::test_offers[6066 3 another name]"),
    ("6066 3", "no answer when resuming", "sessions::test_answers_to_an_offer"),
    ("6066 3", "a name unknown: on, or fatal unrecognized_name", "features::test_strict_names"),
    ("6066 4", "other values are illegal_parameter", "hello::test_client_hello[6066 4 a value unknown]"),
    ("6066 4", "the same value answers", "hello::test_answers_by_their_letter"),
    ("6066 4", "messages are cut at once", "records::test_max_fragment_length_is_kept"),
    ("6066 4", "it holds when resuming", "sessions::test_offers[6066 4 another length]"),
    ("6066 4", "longer is record_overflow", "records::test_max_fragment_length_is_held_against_the_client"),
    ("6066 4", "a client offers none", "letter::test_server_hello[fragment length]"),
    ("6066 5", "client_certificate_url, trusted_ca_keys, truncated_hmac", NOT_SPOKEN),
    ("6066 8", "CertificateStatus only where promised", "letter::test_certificate[status after, not promised]"),
    ("6066 8", "promised by nothing inside", "letter::test_server_hello[status body]"),
    ("6066 8", "right after Certificate", "features::test_stapled_response_and_timestamps_are_carried"),
    ("6066 8", "it may be left out", "letter::test_certificate_status[left out]"),
    ("6066 8", "a bad one is bad_certificate_status_response", "revocation::test_in_the_handshake"),
    ("6961 2.2", "status_request_v2", NOT_SPOKEN),
]
OTHERS: list[Row] = [
    ("7301 3.1", "names are not empty", "hello::test_client_hello[7301 3.1 empty name]"),
    ("7301 3.1", "one is chosen", "letter::test_server_hello[alpn two names]"),
    ("7301 3.1", "of those offered", "letter::test_server_hello[alpn of another name]"),
    ("7301 3.1", "anew when resuming", "sessions::test_offers[7301 3.1 a protocol now]"),
    ("7301 3.2", "none shared is no_application_protocol", "hello::test_client_hello[7301 3.2 another protocol]"),
    ("7507 3", "below our best is inappropriate_fallback", "hello::test_client_hello[7507 3 fallback below our best]"),
    ("7507 3", "else it means nothing", "hello::test_client_hello[7507 3 fallback to our best]"),
    ("7507 4", "a client says it when it falls back", LEFT + "our client never tries again with a lower version"),
    (
        "8449 4",
        "below 64 is illegal_parameter",
        "hello::test_client_hello[8449 4 63] + letter::test_server_hello[record limit 63]",
    ),
    ("8449 4", "it is kept", "records::test_record_size_limit_both_ways"),
    ("8449 4", "and held against the other", "wrong_records::test_record_size_limit_is_held_against_the_server"),
    ("8449 5", "it overrides max_fragment_length", "hello::test_answers_by_their_letter"),
    ("7685 3", "padding is read past", "hello::test_client_hello[7685 3 padding]"),
    ("5288 3", "GCM: no nonce twice", "client::test_explicit_nonces_and_vectors"),
    ("5288 6.1", "nor after all have been used", LEFT + "the nonce is the record's number, of which there are 2^64"),
    ("6655 3", "CCM", CCM),
    ("7251 2", "CCM_8 with ECDSA: P-256 is there", CCM),
    ("7905 2", "ChaCha20-Poly1305", CCM),
    ("9155 2", "a client offers neither MD5 nor SHA-1", "client::test_the_hello"),
    ("9155 4", "a server signs with neither", "hello::test_client_hello[9155 4 SHA-1]"),
    ("9155 4", "and who does gets illegal_parameter", "letter::test_server_key_exchange[scheme SHA-1]"),
    ("9155 5", "a client signs with neither", "client::test_requests[9155 5 SHA-1 alone]"),
    ("9155 5", "and who does gets illegal_parameter", "flight::test_client_certificates[9155 5 SHA-1]"),
    ("8446 4.1.3", "the sentinel is said", "hello::test_sentinel"),
    (
        "8446 4.1.3",
        "and looked for",
        "letter::test_server_hello[sentinel of 1.2] + letter::test_server_hello[sentinel of 1.1]",
    ),
    ("8446 4.2.1", "supported_versions decides", "hello::test_extensions_listed_are_no_promise"),
    (
        "8446 4.2.3",
        "who offers PSS takes it in TLS 1.2",
        "letter::test_a_scheme_not_offered + hello::test_client_hello[8446 4.2.3 PSS]",
    ),
    ("8446 4.2.3", "signature_algorithms_cert", "credentials::test_chains_the_client_can_check_come_first"),
    (
        "8446 4.2.10",
        "early data is nothing to TLS 1.2",
        "hello::test_client_hello[8446 4.2.10 early data, which is nothing to TLS 1.2]",
    ),
    (
        "8446 D.5",
        "no RC4, no SSL, nothing below",
        "hello::test_client_hello[E.1 version 0x0300] + hello::test_weak_suites_are_asked_for",
    ),
    ("9325 3.1.1", "TLS 1.2 is there, below is not", "hello::test_client_hello[E.1 version 0x0302]"),
    ("9325 3.3", "no compression", "client::test_the_hello"),
    (
        "9325 3.4",
        "tickets are sealed, keys rotate",
        "sessions::test_a_ticket_changed + sessions::test_a_ticket_of_other_keys_or_cut",
    ),
    ("9325 3.5", "renegotiation is indicated and refused", "records::test_renegotiation_is_refused_and_life_goes_on"),
    ("9325 4.1", "no NULL, RC4, export, below 112 bits", "hello::test_weak_suites_are_asked_for"),
    ("9325 4.1", "static RSA and CBC only when asked for", "hello::test_weak_suites_are_asked_for"),
    ("9325 4.5", "Diffie-Hellman of 2048 bits", "letter::test_finite_fields[p of 1024]"),
]


@pytest.mark.parametrize(
    "rows",
    [RFC5746, RFC7627, RFC7366, RFC5077, RFC8422, RFC7919, RFC6066, OTHERS],
    ids=["5746", "7627", "7366", "5077", "8422", "7919", "6066", "others"],
)
def test_no_requirement_is_without_a_test(rows: list[Row]) -> None:
    assert faults(rows, "tls", FILES) == []
