"""RFC 5246's requirements, section by section: each with the tests that hold it, or why there is none.

What other RFCs ask of TLS 1.2 is in ``test_must12_list_more``; ``tests.support.requirements`` says what a row has.
"""

from __future__ import annotations

import pytest

from tests.support.requirements import LEFT, Row, faults

#: Short names of files.
FILES = {
    "hello": "must12_server",
    "flight": "must12_server_flight",
    "records": "must12_server_records",
    "cbc": "must12_cbc",
    "sessions": "must12_sessions",
    "client": "must12_client",
    "letter": "letter_client12",
    "plain": "letter",
    "wrong_records": "letter_client_records",
}

COMPRESSION = LEFT + "no compression but null is ever agreed (RFC 9325 3.3 forbids it), so nothing is decompressed"
STATIC_DH = LEFT + "fixed Diffie-Hellman suites and certificates are not implemented (RFC 9325 4.1 forbids them)"
DSA = LEFT + "DSA is neither offered nor taken (RFC 8446 1.3 and 4.2.3: it is no scheme any more)"

RECORDS: list[Row] = [
    ("4.3", "vectors of a wrong length are decode_error", "hello::test_client_hello + letter::test_server_hello"),
    (
        "4.7",
        "DigestInfo without parameters is taken",
        LEFT + "the library takes NULL only, as all stacks do: forgeries",
    ),
    (
        "4.7",
        "an RSA signature is as long as its modulus",
        "proofs::test_an_rsa_signature_without_its_leading_zero_is_none",
    ),
    ("6", "unexpected types are unexpected_message", "records::test_records_after_the_handshake[6 a type unknown]"),
    (
        "6",
        "and in clear",
        "records::test_before_the_key_exchange[6 type 24] + wrong_records::test_wrong_records_at_each_step",
    ),
    ("6", "no type of its own without an extension", "records::test_records_after_the_handshake[6520 3 heartbeat]"),
    ("6.1", "sequence numbers begin at 0 with each state", "interop::TestSuites12.test_server"),
    ("6.1", "and are covered", "records::test_records_cannot_be_lost_repeated_or_swapped"),
    ("6.1", "and do not wrap", LEFT + "2^64 records take longer than anybody lives, at any speed"),
    ("6.2.1", "content is 2^14 at most", "records::test_records_after_the_handshake[6.2.1 data of 2^14 + 1]"),
    ("6.2.1", "ours too", "client::test_records_of_the_second_flight + features::TestRecords.test_record_size_limit"),
    ("6.2.1", "nothing is sent in fragments of nothing", "client::test_records_of_the_second_flight"),
    ("6.2.1", "nor taken", "records::test_before_the_key_exchange[6.2.1 message of nothing]"),
    ("6.2.1", "data of nothing may be", "records::test_records_after_the_handshake[6.2.1 data of nothing]"),
    ("6.2.1", "messages may be cut and joined", "flight::test_places[6.2.1 messages octet by octet]"),
    ("6.2.1", "at a client too", "wrong_records::test_messages_in_pieces"),
    ("6.2.1", "data may come between", "records::test_data_between_the_pieces_of_a_message"),
    ("6.2.1", "alerts too", "records::test_a_warning_within_a_message"),
    ("6.2.1", "records go out in the order they are protected", "interop::TestSuites12.test_client"),
    ("6.2.1", "data during later handshakes is taken", "records::test_data_between_the_pieces_of_a_message"),
    ("6.2.2", "decompression_failure", COMPRESSION),
    (
        "6.2.3",
        "a record is 2^14 + 2048 at most",
        "records::test_records_after_the_handshake[6.2.3 record of 2^14 + 2049]",
    ),
    ("6.2.3.2", "vectors cannot be foretold", "client::test_explicit_nonces_and_vectors"),
    ("6.2.3.2", "padding of up to 255 is taken", "cbc::test_cbc_padding[of 255]"),
    ("6.2.3.2", "each octet of it is checked", "cbc::test_cbc_padding[first octet of 255 wrong]"),
    ("6.2.3.2", "and wrong is bad_record_mac", "cbc::test_cbc_padding + wrong_records::test_damaged_cbc_records"),
    (
        "6.2.3.2",
        "in the same time",
        LEFT + "as many octets are hashed, but no clock is trusted to judge Python (protection_mac)",
    ),
    ("6.2.3.3", "what does not open is bad_record_mac", "records::test_aead_records + refusals::test_damaged_records"),
    ("6.2.3.3", "type, version, length and number are authentic", "records::test_aead_records"),
    ("6.3", "keys from the master secret", "interop::TestSuites12.test_server + interop::TestSuites12.test_client"),
]
ALERTS: list[Row] = [
    ("7.1", "ChangeCipherSpec is one octet 1", "flight::test_change_cipher_spec[7.1 of 2]"),
    ("7.1", "at a client too", "letter::test_change_cipher_spec"),
    ("7.1", "keys change at once after it", "flight::test_places[7.4.9 Finished in clear]"),
    ("7.1", "it comes in its place only", "flight::test_places[7.1 before the key exchange]"),
    ("7.1", "and is protected as any record", "flight::test_change_cipher_spec[7.1 twice]"),
    (
        "7.2",
        "a fatal alert ends the connection",
        "records::test_fatal_alerts_end_it + wrong_records::test_ends_at_each_step",
    ),
    ("7.2", "and its session", "sessions::test_an_alert_later_takes_it_too"),
    ("7.2.1", "what comes after close_notify is ignored", "records::test_close_notify_and_what_follows"),
    ("7.2.1", "close_notify is sent before closing", "features::TestClosing.test_truncation_is_told_from_an_end"),
    ("7.2.1", "and answered", "plain::test_close_notify_is_answered_in_the_handshake"),
    ("7.2.2", "an error is told before closing", "hello::test_client_hello + letter::test_server_hello"),
    ("7.2.2", "at the fatal level", "hello::test_client_hello + letter::test_server_hello"),
    ("7.2.2", "once", "flight::test_order + wrong_records::test_wrong_records_at_each_step"),
    (
        "7.2.2",
        "failed sessions are forgotten by a server",
        "sessions::test_a_failed_connection_takes_its_session_with_it",
    ),
    (
        "7.2.2",
        "and by a client",
        LEFT + "it keeps none: sessions are handed to the caller as events before anything can fail",
    ),
    ("7.2.2", "tickets are not", LEFT + "no state of theirs is kept; RFC 5077 5.1 leaves it open, keys rotate instead"),
    (
        "7.2.2",
        "decryption_failed, no_certificate, export_restriction never",
        "records::test_alerts_that_must_not_be_sent",
    ),
    ("7.2.2", "unexpected_message", "flight::test_order + refusals::test_unexpected_messages"),
    ("7.2.2", "bad_record_mac for lengths and padding", "cbc::test_cbc_macs_and_lengths"),
    ("7.2.2", "record_overflow", "records::test_records_after_the_handshake[7.2.2 data of 2^14 + 1025]"),
    ("7.2.2", "handshake_failure", "hello::test_client_hello[7.4.1.2 unknown suites]"),
    (
        "7.2.2",
        "bad_certificate",
        "flight::test_client_certificates[7.4.2 no DER] + letter::test_certificate[broken DER]",
    ),
    (
        "7.2.2",
        "unsupported_certificate",
        "flight::test_client_certificates[7.2.2 for a server] + letter::test_strange_keys[DSA]",
    ),
    (
        "7.2.2",
        "expired, revoked, unknown_ca",
        "proofs::test_bad_certificates + proofs::test_strangers + revocation::test_crls",
    ),
    ("7.2.2", "illegal_parameter", "letter::test_server_key_exchange[explicit prime]"),
    ("7.2.2", "decode_error", "hello::test_each_truncation_of_a_hello + letter::test_server_hello[cut]"),
    (
        "7.2.2",
        "decrypt_error",
        "flight::test_each_octet_of_finished + letter::test_server_key_exchange[signature corrupt]",
    ),
    (
        "7.2.2",
        "protocol_version",
        "hello::test_client_hello[E.1 version 0x0302] + letter::test_server_hello[version 0x0302]",
    ),
    ("7.2.2", "no_renegotiation is a warning", "records::test_renegotiation_is_refused_and_life_goes_on"),
    ("7.2.2", "to HelloRequest too", "letter::test_hello_requests_after_the_handshake"),
    ("7.2.2", "unsupported_extension", "letter::test_server_hello[unknown]"),
]
HANDSHAKE: list[Row] = [
    ("7.3", "no data before both have finished", "client::test_records_of_the_second_flight"),
    (
        "7.3",
        "nor is any taken",
        "flight::test_places[7.3 data before Finished] + refusals::test_application_data_in_the_handshake",
    ),
    ("7.4", "messages in their order", "flight::test_order + refusals::test_unexpected_messages"),
    (
        "7.4",
        "for a client too",
        "letter::test_certificate[twice] + wrong_records::test_gone_messages_leave_the_next_one_out_of_place",
    ),
    ("7.4.1.1", "HelloRequest is ignored in a handshake", "letter::test_certificate[HelloRequest before]"),
    ("7.4.1.1", "and in no transcript", "letter::test_the_last_flights[done, HelloRequest before]"),
    ("7.4.1.1", "a server is sent none", "flight::test_order[7.4.1.1 HelloRequest]"),
    ("7.4.1.2", "random is new", "client::test_randoms_and_secrets_are_new"),
    ("7.4.1.2", "session ids are not secret, forged ones harmless", "sessions::test_ticket_or_id_which_counts"),
    ("7.4.1.2", "unknown suites are ignored", "hello::test_client_hello[7.4.1.2 unknown suites before ours]"),
    ("7.4.1.2", "the session's suite is offered", "client::test_what_is_offered_again"),
    ("7.4.1.2", "or the server refuses", "sessions::test_offers[5246 7.4.1.2 its suite is not offered]"),
    ("7.4.1.2", "null compression is offered", "client::test_the_hello"),
    ("7.4.1.2", "and demanded", "hello::test_client_hello[7.4.1.2 compression without null]"),
    ("7.4.1.2", "hellos without extensions are read", "hello::test_only_what_was_asked_for_is_answered"),
    ("7.4.1.2", "the data matches one form, or decode_error", "hello::test_each_truncation_of_a_hello"),
    (
        "7.4.1.2",
        "exactly",
        "hello::test_client_hello[7.4.1.2 trailing] + hello::test_client_hello[7.4.1.4 length of extensions too long]",
    ),
    (
        "7.4.1.2",
        "anything but a ServerHello is fatal",
        "refusals::test_unexpected_messages + letter::test_server_hello[gone]",
    ),
    ("7.4.1.3", "the server's random is its own", "hello::test_sentinel"),
    (
        "7.4.1.3",
        "a resumed session keeps its suite",
        "sessions::test_answers_to_an_offer + letter::test_resumption[suite of another kind]",
    ),
    ("7.4.1.3", "a full handshake may come instead", "letter::test_resumption[another session id]"),
    (
        "7.4.1.3",
        "suite and compression were offered",
        "letter::test_server_hello[suite not offered] + letter::test_server_hello[compression]",
    ),
    ("7.4.1.4", "answers only to what was asked", "hello::test_only_what_was_asked_for_is_answered"),
    ("7.4.1.4", "else unsupported_extension", "letter::test_server_hello[encrypt then mac not offered]"),
    ("7.4.1.4", "none twice, said", "client::test_the_hello"),
    (
        "7.4.1.4",
        "none twice, heard",
        "hello::test_client_hello[7.4.1.4 one twice] + letter::test_server_hello[renegotiation doubled]",
    ),
    ("7.4.1.4", "the same when resuming", "client::test_what_is_offered_again"),
    ("7.4.1.4.1", "schemes are sent, never anonymous", "client::test_the_hello"),
    (
        "7.4.1.4.1",
        "and read",
        "hello::test_client_hello[7.4.1.4.1 odd] + hello::test_client_hello[7.4.1.4.1 unknown before ours]",
    ),
    (
        "7.4.1.4.1",
        "without them SHA-1 is meant",
        "hello::test_client_hello[7.4.1.4.1 none, ECDHE]",
    ),  # which RFC 9155 4 forbids
    ("7.4.1.4.1", "a server sends none", "hello::test_answers_by_their_letter"),
    (
        "7.4.1.4.1",
        "nor looks at them when it resumes",
        "sessions::test_offers[5246 7.4.1.4.1 signature algorithms are not looked at]",
    ),
]
FLIGHTS: list[Row] = [
    (
        "7.4.2",
        "a certificate comes at once, but for none",
        "letter::test_certificate[gone] + letter::test_certificate[no certificate]",
    ),
    ("7.4.2", "the sender's first, each next certifies the one before", "proofs::test_strangers"),
    (
        "7.4.2",
        "it is of X.509v3",
        "letter::test_certificate[broken DER] + proofs::test_damaged_certificates_are_refused_by_name",
    ),
    (
        "7.4.2",
        "its key suits the key exchange",
        "letter::test_certificate[key of another kind] + plain::test_a_certificate_of_another_kind",
    ),
    ("7.4.2", "RSA: keyEncipherment", "client::test_key_usage_at_the_client[5246 7.4.2 RSA, signs]"),
    (
        "7.4.2",
        "DHE_RSA, ECDHE: digitalSignature",
        "client::test_key_usage_at_the_client[5246 7.4.2 ECDHE_RSA, encrypts]",
    ),
    ("7.4.2", "at the server too", "client::test_key_usage_at_the_server"),
    ("7.4.2", "ECDHE_ECDSA: its curve was listed", "hello::test_client_hello[8422 5.3 not the certificate's curve]"),
    ("7.4.2", "at the client too", "client::test_the_curve_of_a_certificate"),
    ("7.4.2", "DH_DSS, DH_RSA: keyAgreement", STATIC_DH),
    ("7.4.2", "DHE_DSS", DSA),
    (
        "7.4.2",
        "signed by what the client lists",
        "credentials::test_chains_the_client_can_check_come_first",
    ),  # 8446 4.4.2.2
    ("7.4.3", "no ServerKeyExchange with RSA", "letter::test_static_rsa[key exchange]"),
    (
        "7.4.3",
        "its scheme was offered",
        "letter::test_a_scheme_not_offered + hello::test_client_hello[7.4.3 of another kind of key]",
    ),
    ("7.4.3", "and fits the key", "letter::test_server_key_exchange[scheme of RSA]"),
    ("7.4.3", "it signs both randoms", "letter::test_signed_with_randoms_of_another_connection"),
    ("7.4.4", "a client's certificate fits types and schemes", "client::test_requests"),
    ("7.4.4", "the request has a form", "letter::test_certificate_request"),
    (
        "7.4.4",
        "none from an anonymous server",
        LEFT + "anonymous suites are not implemented, so there is no such server",
    ),
    ("7.4.5", "ServerHelloDone is empty", "letter::test_the_last_flights[done with a body]"),
    ("7.4.6", "none that fits: an empty Certificate", "client::test_no_certificate_that_fits"),
    ("7.4.6", "handshake_failure, or on without", "flight::test_no_client_certificate"),
    ("7.4.6", "the message itself must come", "flight::test_client_certificates[7.4.6 left out]"),
    ("7.4.6", "a client's key must be for signing", "flight::test_a_clients_key_is_for_signing"),
    (
        "7.4.7",
        "ClientKeyExchange always comes, at once",
        "flight::test_order[7.4.7 left out] + client::test_its_certificate",
    ),
    ("7.4.7", "empty for a fixed key", STATIC_DH),
    ("7.4.7.1", "the version in the secret is the hello's", "client::test_randoms_and_secrets_are_new"),
    ("7.4.7.1", "and is checked", "flight::test_the_version_in_a_secret_is_the_hellos"),
    ("7.4.7.1", "no alert tells what was wrong", "flight::test_static_rsa_tells_nothing"),
    ("7.4.7.1", "the handshake goes on with chance", "flight::test_static_rsa_tells_nothing"),
    ("7.4.7.1", "the length is there", "flight::test_static_rsa_has_a_length"),
    ("7.4.7.1", "blinding", LEFT + "OpenSSL blinds, inside the library; nothing of it can be seen from outside"),
    ("7.4.7.2", "dh_Yc is there", "flight::test_finite_fields[5246 7.4.7.2 no value]"),
    ("7.4.8", "the proof follows the key exchange", "flight::test_client_certificates[7.4.8 left out]"),
    ("7.4.8", "at once", "flight::test_change_cipher_spec_before_the_proof + client::test_its_certificate"),
    (
        "7.4.8",
        "by a scheme that was asked for",
        "flight::test_client_certificates[7.4.8 unknown] + client::test_its_certificate",
    ),
    ("7.4.8", "that fits the key", "flight::test_client_certificates[7.4.8 of RSA]"),
    ("7.4.8", "and holds", "flight::test_client_certificates[7.4.8 last octet]"),
    ("7.4.8", "for a certificate only", "flight::test_proof_of_no_certificate"),
    (
        "7.4.9",
        "Finished is checked",
        "flight::test_each_octet_of_finished + letter::test_the_last_flights[Finished corrupt]",
    ),
    ("7.4.9", "and its length", "flight::test_order[7.4.9 longer] + letter::test_the_last_flights[Finished short]"),
    ("7.4.9", "ChangeCipherSpec comes before it", "flight::test_change_cipher_spec[7.4.9 left out]"),
    ("7.4.9", "the hash is the PRF's", "interop::TestSuites12.test_server"),
    ("8.1.2", "leading zeros of the secret go", "flight::test_finite_fields[5246 8.1.2 leading zeros]"),
    ("9", "TLS_RSA_WITH_AES_128_CBC_SHA", "interop::TestSuites12.test_server"),  # off by default: RFC 9325 4.1
    (
        "A.5",
        "the null suite is never agreed",
        "hello::test_client_hello[A.5 the null suite] + letter::test_server_hello[suite null]",
    ),
    ("A.5", "nor anonymous ones", "hello::test_client_hello[A.5 anonymous suites]"),
    ("E.1", "a lower version than ours is protocol_version", "hello::test_client_hello[E.1 version 0x0301]"),
    ("E.1", "a higher one gets ours", "hello::test_client_hello[E.1 version 0x03ff]"),
    ("E.1", "{03,XX} around a ClientHello", "hello::test_any_record_version_before_the_choice"),
    (
        "E.2",
        "hellos of SSL 2.0",
        "records::test_first_of_all[E.2 a hello of SSL 2.0]",
    ),  # MAY be taken; none is (RFC 6176 3)
    ("F.1.4", "sessions grow old", "sessions::test_too_old"),
    ("F.1.4", "though they are used", "sessions::test_a_new_ticket_is_not_a_new_life"),
]


@pytest.mark.parametrize(
    "rows", [RECORDS, ALERTS, HANDSHAKE, FLIGHTS], ids=["records", "alerts", "handshake", "flights"]
)
def test_no_requirement_is_without_a_test(rows: list[Row]) -> None:
    assert faults(rows, "tls", FILES) == []
