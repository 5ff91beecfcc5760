"""RFC 8446's requirements of a client, or of both ends: each with the tests that hold it, or why there is none.

Sections are RFC 8446's; where RFC 9846 says more, its section stands in the words.  A row names tests as
``file::function``, several with blanks between.  One that does not exist, or a row without words, fails.  Requirements
of servers alone are not here.
"""

from __future__ import annotations

import importlib
import re

import pytest

LEFT = "left out: "
#: Short names of files.
FILES = {
    "letter": "letter_client13",
    "plain_letter": "letter",
    "wrong_records": "letter_client_records",
    "must": "must13_client",
    "late": "must13_late",
    "hello": "must13_hello",
    "keys": "must13_keys",
}
Row = tuple[str, str, str]

HELLO: list[Row] = [
    ("3.4", "vectors of a wrong length are decode_error", "letter::test_encrypted_extensions"),
    (
        "4",
        "a message out of its order is unexpected_message",
        "refusals::test_unexpected_messages must13_order::test_every_order_of_the_servers_flight",
    ),
    ("4.1.2", "the second hello is the first but for what the retry asks", "hello::test_second_hello"),
    ("4.1.2", "legacy_version is 0x0303", "hello::test_first_hello"),
    ("4.1.2", "the session id is 32 octets in compatibility mode, else none", "hello::test_first_hello"),
    ("4.1.2", "compression is one octet 0", "hello::test_first_hello"),
    ("4.1.2", "random is new each time", "hello::test_each_share_is_new"),
    ("4.1.3", "another legacy_version is protocol_version (9846 4.2.3)", "letter::test_server_hello"),
    ("4.1.3", "another session id is illegal_parameter", "letter::test_server_hello"),
    ("4.1.3", "a suite not offered is illegal_parameter", "letter::test_server_hello"),
    ("4.1.3", "compression is illegal_parameter", "letter::test_server_hello"),
    ("4.1.3", "random is looked at first", "letter::test_hello_retry_request"),
    ("4.1.3", "a sentinel is illegal_parameter", "must::test_a_server_of_tls12_that_could_do_more"),
    ("4.1.3", "no TLS 1.3 in a renegotiation", LEFT + "there is no renegotiation (RFC 8446 4.1.2 has none either)"),
    ("4.1.4", "the fields of a retry are checked as a ServerHello's", "letter::test_hello_retry_request"),
    ("4.1.4", "only what was offered and a cookie stand in it", "letter::test_hello_retry_request"),
    ("4.1.4", "one that changes nothing is illegal_parameter", "letter::test_hello_retry_request"),
    ("4.1.4", "a second one is unexpected_message", "letter::test_server_hello_after_a_retry"),
    ("4.1.4", "the suite stays", "letter::test_server_hello_after_a_retry"),
    ("4.1.4", "the version stays", "must::test_no_other_version_after_a_retry"),
    ("4.1.4", "keys of another hash go", "hello::test_second_hello_without_a_key_of_another_hash"),
]
EXTENSIONS: list[Row] = [
    ("4.2", "octets after an extension's structure are decode_error", "letter::test_encrypted_extensions"),
    (
        "4.2",
        "an answer to nothing is unsupported_extension",
        "letter::test_server_hello letter::test_encrypted_extensions "
        "letter::test_certificate letter::test_hello_retry_request",
    ),
    (
        "4.2",
        "one in the wrong message is illegal_parameter",
        "must13_extensions::test_extensions_in_their_places_and_out_of_them letter::test_server_hello "
        "letter::test_encrypted_extensions "
        "letter::test_certificate_request letter::test_after_the_handshake",
    ),
    ("4.2", "none twice, sent", "hello::test_first_hello"),
    (
        "4.2",
        "none twice, received",
        "letter::test_server_hello letter::test_encrypted_extensions "
        "letter::test_certificate letter::test_certificate_request",
    ),
    ("4.2", "pre_shared_key is the last", "hello::test_first_hello hello::test_with_a_session"),
    ("4.2", "we answer what was asked only", "keys::test_extensions_of_a_clients_certificate_were_asked_for"),
    ("4.2.1", "supported_versions has all versions", "hello::test_first_hello"),
    ("4.2.1", "it decides, not legacy_version", "letter::test_server_hello"),
    ("4.2.1", "one not offered, or older, is illegal_parameter", "letter::test_server_hello"),
    ("4.2.2", "the cookie is given back", "hello::test_second_hello"),
    ("4.2.2", "and in no other connection", "hello::test_no_cookie_is_kept_for_another_connection"),
    ("4.2.3", "signature_algorithms is sent", "hello::test_first_hello"),
    ("4.2.3", "keys fit their algorithms", "letter::test_certificate_verify"),
    ("4.2.3", "the salt of PSS is as long as the hash", "must::test_the_salt_is_as_long_as_the_hash"),
    ("4.2.3", "its mask is of the same hash", "must::test_the_mask_is_of_the_same_hash"),
    (
        "4.2.3",
        "rsae and pss go with their OIDs",
        "letter::test_certificate_verify pss_keys::test_a_key_signs_with_its_own_hash",
    ),
    ("4.2.3", "SHA-1 comes last", LEFT + "this engine has no scheme with SHA-1 (RFC 9155), nor MD5, SHA-224 or DSA"),
    (
        "4.2.3",
        "TLS 1.2: ECDSA of any curve, and PSS",
        "letter_client12::test_server_key_exchange",
    ),
    (
        "4.2.5",
        "a certificate has the extensions asked for",
        "credentials::test_a_filter_in_a_request credentials::test_what_a_request_admits",
    ),
    ("4.2.5", "unknown ones are passed over", "credentials::test_what_a_request_admits"),
    ("4.2.6", "post_handshake_auth is empty", "hello::test_first_hello"),
    ("4.2.7", "no group twice (9846 4.3.7)", "hello::test_configurations_that_no_hello_says"),
    ("4.2.7", "a server's groups change nothing", "late::test_groups_of_the_server_are_not_acted_on"),
    ("4.2.8", "shares are of groups listed, in their order, once", "hello::test_first_hello"),
    ("4.2.8", "made independently", "hello::test_each_share_is_new"),
    ("4.2.8", "never used again (9846 4.3.8)", "hello::test_each_share_is_new"),
    ("4.2.8", "a retry names a group listed and without a share", "letter::test_hello_retry_request"),
    ("4.2.8", "it is answered with one new share", "hello::test_second_hello"),
    ("4.2.8", "the server's share is of a group with a share of ours", "letter::test_server_hello"),
    ("4.2.8", "and of the retry's group", "letter::test_server_hello_after_a_retry"),
    (
        "4.2.8",
        "a peer may use its share again (9846 4.3.8)",
        LEFT + "nobody compares shares of two connections (RFC 9846)",
    ),
    ("4.2.8.1", "1 < Y < p - 1", "keys::test_shares_that_are_no_keys"),
    ("4.2.8.1", "Y keeps its zeros", "keys::test_public_values_of_finite_fields_keep_their_zeros"),
    ("4.2.8.2", "points are on the curve", "keys::test_shares_that_are_no_keys"),
    (
        "4.2.9",
        "psk_key_exchange_modes with every key",
        "hello::test_first_hello hello::test_with_a_session",
    ),
    ("4.2.9", "psk_dhe_ke has a key_share", "letter::test_resumption"),
    (
        "4.2.10",
        "early_data with pre_shared_key, of the first key",
        "hello::test_first_hello hello::test_with_a_session",
    ),
    ("4.2.10", "by the parameters of the session", "hello::test_when_a_session_is_offered"),
    ("4.2.10", "not after a retry", "hello::test_second_hello must::test_no_early_data_after_a_retry"),
    (
        "4.2.10",
        "not sent again by itself",
        LEFT + "the engine keeps no early data; RFC 8446 leaves that to applications",
    ),
    ("4.2.11", "the key chosen is one offered", "letter::test_resumption"),
    ("4.2.11", "its hash is the suite's", "letter::test_resumption"),
    ("4.2.11", "early_data goes with identity 0", "letter::test_early_data letter::test_resumption"),
    (
        "4.2.11.1",
        "no ticket beyond its lifetime",
        "late::test_how_long_a_ticket_is_offered hello::test_a_session_of_another_name_or_time_is_not_offered",
    ),
    ("4.2.11.1", "the age in milliseconds, obfuscated", "hello::test_the_age_of_a_ticket"),
    ("4.2.11.2", "binders", "rfc8448::test_client features::TestResumption"),
]
HANDSHAKE: list[Row] = [
    ("4.3.1", "EncryptedExtensions follow the ServerHello", "refusals::test_unexpected_messages"),
    ("4.3.1", "what is forbidden there is illegal_parameter", "letter::test_encrypted_extensions"),
    ("4.3.2", "the context is empty in the handshake", "letter::test_certificate_request"),
    ("4.3.2", "and unique in the connection", "late::test_a_context_is_asked_once"),
    ("4.3.2", "signature_algorithms must be there", "letter::test_certificate_request"),
    ("4.3.2", "unknown extensions are ignored", "letter::test_certificate_request"),
    ("4.3.2", "no request beside a key", "letter::test_resumption"),
    (
        "4.4.2",
        "a certificate is sent when asked only",
        "keys::test_a_client_sends_a_certificate_only_when_asked",
    ),
    (
        "4.4.2",
        "an empty one where none fits; Finished always",
        "keys::test_a_client_sends_a_certificate_only_when_asked",
    ),
    ("4.4.2", "a server's context is empty", "letter::test_certificate"),
    ("4.4.2", "extensions of entries were asked for", "letter::test_certificate"),
    ("4.4.2", "raw public keys, OpenPGP", LEFT + "neither is offered (RFC 7250, RFC 6091), so neither may come"),
    (
        "4.4.2.1",
        "an OCSP answer is a CertificateStatus",
        "letter::test_certificate revocation::test_in_the_handshake",
    ),
    (
        "4.4.2.2",
        "X.509v3",
        LEFT + "what is no X.509v3 is the verifier's to refuse (RFC 5280 4.1.2.1), and the default one does",
    ),
    ("4.4.2.2", "the key may sign", "must::test_the_key_must_be_for_signing"),
    (
        "4.4.2.2",
        "a client's chain suits the request",
        "credentials::test_schemes_of_a_chain credentials::test_chains_the_client_can_check_come_first",
    ),
    ("4.4.2.2", "a refusal is a certificate's alert", "proofs::test_bad_certificates proofs::test_strangers"),
    ("4.4.2.4", "an empty list is decode_error", "letter::test_certificate"),
    ("4.4.2.4", "MD5 and SHA-1 are bad_certificate", "must::test_hashes_of_the_past"),
    (
        "4.4.3",
        "sent with every certificate, between it and Finished",
        "keys::test_a_client_sends_a_certificate_only_when_asked",
    ),
    ("4.4.3", "a server's scheme was offered", "letter::test_certificate_verify_of_a_scheme_not_offered"),
    ("4.4.3", "ours was asked for, and fits our key", "keys::test_a_client_signs_as_it_was_asked"),
    (
        "4.4.3",
        "never SHA-1",
        "letter::test_certificate_verify keys::test_a_client_signs_as_it_was_asked",
    ),
    (
        "4.4.3",
        "the signature is verified: decrypt_error",
        "letter::test_certificate_verify must::test_all_before_it_is_signed",
    ),
    ("4.4.4", "Finished is verified: decrypt_error", "letter::test_finished"),
    (
        "4.4.4",
        "what follows is under application keys",
        "keys::test_what_follows_finished_is_under_application_keys",
    ),
    ("4.5", "EndOfEarlyData where it was taken, and only there", "must::test_the_end_of_early_data"),
    (
        "4.5",
        "from a server it is unexpected_message",
        "letter::test_encrypted_extensions letter::test_after_the_handshake",
    ),
    (
        "4.6.1",
        "resumed with a suite of the same hash",
        "hello::test_when_a_session_is_offered letter::test_resumption",
    ),
    (
        "4.6.1",
        "only to a name of the certificate",
        "hello::test_a_session_of_another_name_or_time_is_not_offered",
    ),
    (
        "4.6.1",
        "for a week at most; 0 throws it away",
        "late::test_how_long_a_ticket_is_offered late::test_tickets_to_throw_away_and_unknown_extensions",
    ),
    ("4.6.1", "unknown extensions are ignored", "late::test_tickets_to_throw_away_and_unknown_extensions"),
    ("4.6.1", "each nonce its key", "late::test_each_ticket_has_a_key_of_its_own"),
    ("4.6.2", "every request is answered", "late::test_a_late_answer_is_in_one_piece"),
    ("4.6.2", "in one piece", "late::test_a_late_answer_is_in_one_piece"),
    ("4.6.2", "one not offered is unexpected_message", "letter::test_after_the_handshake"),
    (
        "4.6.3",
        "KeyUpdate before Finished is unexpected_message",
        "letter::test_finished refusals::test_unexpected_messages",
    ),
    ("4.6.3", "after ours, all is under new keys", "late::test_one_request_for_new_keys_at_a_time"),
    ("4.6.3", "after theirs, old keys open nothing", "late::test_old_keys_open_nothing_after_an_update"),
    ("4.6.3", "2 to 255 are illegal_parameter", "letter::test_after_the_handshake"),
    ("4.6.3", "a request is answered before the next data", "letter::test_key_updates_asked_for_are_answered"),
    ("4.6.3", "one request at a time (9846 4.7.3)", "late::test_one_request_for_new_keys_at_a_time"),
    ("4.6.3", "2^48 - 1 updates (9846 4.7.3)", LEFT + "at a million a second they take nine years (RFC 9846 4.7.3)"),
]
RECORDS: list[Row] = [
    (
        "5",
        "ChangeCipherSpec of 1 is dropped in the handshake",
        "must::test_change_cipher_spec_is_dropped_in_the_handshake",
    ),
    (
        "5",
        "any other, or a protected one, is unexpected_message",
        "wrong_records::test_wrong_records_at_each_step",
    ),
    ("5", "and one after Finished", "wrong_records::test_wrong_records_at_each_step"),
    ("5", "unknown types are unexpected_message", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.1",
        "messages are not interleaved",
        "wrong_records::test_between_the_pieces_of_a_hello refusals::test_a_message_interrupted_by_data",
    ),
    (
        "5.1",
        "nor do they span a change of keys",
        "wrong_records::test_messages_across_key_changes letter::test_finished",
    ),
    ("5.1", "ours end with their record", "hello::test_first_hello"),
    ("5.1", "no empty handshake records", "wrong_records::test_wrong_records_at_each_step"),
    ("5.1", "an alert has a record of its own", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.1",
        "records are of 0x0303, or 0x0301 for a first hello",
        "hello::test_first_hello hello::test_second_hello",
    ),
    (
        "5.1",
        "the version of those in clear is ignored",
        "must::test_versions_of_records_in_clear_mean_nothing",
    ),
    ("5.1", "more than 2^14 is record_overflow", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.1",
        "no data in clear",
        "refusals::test_records_in_clear_after_the_handshake hello::test_early_data_follows_its_hello",
    ),
    ("5.2", "more than 2^14 + 256 is record_overflow", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.2",
        "what does not open is bad_record_mac",
        "wrong_records::test_wrong_records_at_each_step refusals::test_damaged_records",
    ),
    (
        "5.2",
        "protected records only, once there are keys",
        "must::test_no_alert_in_clear_once_there_are_keys wrong_records::test_wrong_records_at_each_step",
    ),
    (
        "5.3",
        "numbers begin at 0 with each key, and never wrap",
        "rfc8448::test_client features::test_used_up_keys_are_changed",
    ),
    ("5.4", "padding is of zeros", "features::test_padding"),
    (
        "5.4",
        "empty messages and alerts are unexpected_message",
        "wrong_records::test_wrong_records_at_each_step",
    ),
    ("5.4", "padding alone is unexpected_message", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.4",
        "all of it is 2^14 + 1 at most",
        "wrong_records::test_wrong_records_at_each_step must::test_a_record_of_the_longest_kind",
    ),
    (
        "5.5",
        "keys are changed in time",
        "features::test_used_up_keys_are_changed portions::test_keys_are_changed_inside_a_long_send",
    ),
    ("5.5", "those of early data are not used beyond it", "must::test_early_data_ends_with_the_keys"),
]
ENDS: list[Row] = [
    (
        "6",
        "after an error alert nothing is said or heard",
        "late::test_nothing_is_said_or_heard_after_an_error_alert",
    ),
    ("6", "whatever its level, known or not", "plain_letter::test_all_alerts_but_two_are_fatal_in_tls13"),
    ("6", "secrets of failed connections are forgotten", "late::test_a_failed_handshake_leaves_no_session"),
    (
        "6",
        "what cannot be parsed is decode_error",
        "keys::test_syntax_before_sense letter::test_server_hello",
    ),
    ("6", "what makes no sense is illegal_parameter", "keys::test_shares_that_are_no_keys"),
    (
        "6.1",
        "nothing is heard after close_notify",
        "late::test_nothing_is_heard_after_close_notify_and_all_may_be_said",
    ),
    (
        "6.1",
        "it is sent before closing, as a warning (9846 6.1)",
        "plain_letter::test_half_close wrong_records::test_ends_at_each_step",
    ),
    (
        "6.1",
        "user_canceled is followed by close_notify",
        "plain_letter::test_cancelled_by_the_user late::test_a_client_that_cancels",
    ),
    (
        "6.2",
        "a fatal alert, then nothing",
        "letter::test_server_hello late::test_nothing_is_said_or_heard_after_an_error_alert",
    ),
    ("7.1", "the key schedule", "rfc8448::test_client"),
    (
        "7.4.1",
        "secrets of finite fields keep their zeros",
        "keys::test_a_secret_of_a_finite_field_keeps_its_zeros",
    ),
    ("7.4.2", "a secret of zeros is refused", "keys::test_shares_that_are_no_keys"),
    (
        "7.5",
        "exporters are of the exporter secret",
        "rfc8448::test_client late::test_no_context_is_an_empty_one",
    ),
    (
        "8",
        "early data is what may be replayed",
        LEFT + "that is the caller's to know; RFC 8446 8 stands where it is sent",
    ),
    (
        "9.1",
        "suites, groups and signatures that all have",
        "features::test_tls13_suites_and_groups hello::test_what_every_client_has",
    ),
    ("9.2", "extensions that all have", "hello::test_first_hello hello::test_what_every_client_has"),
    (
        "9.3",
        "all that is offered is supported",
        "hello::test_first_hello hello::test_nothing_left_to_offer",
    ),
    (
        "9.3",
        "unknown extensions of requests and tickets are ignored",
        "letter::test_certificate_request late::test_tickets_to_throw_away_and_unknown_extensions",
    ),
    ("D.1", "a version of no use is protocol_version", "must::test_older_versions"),
    (
        "D.3",
        "early data answered by an older version fails",
        "must::test_early_data_is_answered_in_tls13_or_not_at_all",
    ),
    (
        "D.4",
        "ChangeCipherSpec before the second flight",
        "hello::test_second_hello hello::test_early_data_follows_its_hello features::test_no_middlebox_compatibility",
    ),
    ("D.5", "no RC4, nothing below 112 bits, no truncated HMAC", "hello::test_what_no_client_offers"),
    ("D.5", "no hello of SSL 2.0, no version below 0x0303", "hello::test_first_hello"),
]
OTHERS: list[Row] = [
    (
        "8449 4",
        "a limit is 64 at least",
        "letter::test_encrypted_extensions hello::test_configurations_that_no_hello_says",
    ),
    (
        "8449 4",
        "it is held when agreed",
        "must::test_a_limit_that_was_agreed_binds_from_the_first_record "
        "wrong_records::test_record_size_limit_is_held_against_the_server",
    ),
    ("8449 4", "and binds nobody otherwise", "must::test_a_limit_that_the_server_does_not_know_binds_nobody"),
    (
        "8449 4",
        "we keep to the server's",
        "features::test_record_size_limit must::test_what_was_agreed_about_records "
        "must::test_whatever_is_agreed_both_ends_mean_the_same",
    ),
    (
        "8449 4",
        "type and padding count in TLS 1.3",
        "wrong_records::test_record_size_limit_is_held_against_the_server",
    ),
    ("8449 4", "early data keeps to its session's", "must::test_early_data_keeps_to_the_limit_of_its_session"),
    ("8449 5", "not beside max_fragment_length", "letter::test_encrypted_extensions"),
    ("8879 4", "an algorithm not offered is illegal_parameter", "letter::test_certificate"),
    ("8879 4", "what does not open to its length is bad_certificate", "letter::test_certificate"),
    ("8879 3", "not without the extension", "letter::test_certificate"),
    ("6066 3", "names of hosts only, without a dot at their end", "hello::test_names"),
    ("6066 3", "a server's answer is empty", "letter::test_encrypted_extensions"),
    ("6066 8", "an OCSP answer that is none is bad_certificate_status_response", "letter::test_certificate"),
    ("7301 3.1", "one protocol, and one of ours", "letter::test_encrypted_extensions"),
    ("7685 3", "padding is of zeros", "hello::test_padding"),
    ("7685 3", "and not answered", "letter::test_encrypted_extensions"),
    (
        "8701 3.1",
        "GREASE is chance, and chosen by no server",
        "hello::test_first_hello letter::test_server_hello letter::test_hello_retry_request "
        "letter::test_certificate_verify",
    ),
    ("6962 3.3", "timestamps where asked for", "letter::test_certificate"),
]
TABLES = {
    "hello": HELLO,
    "extensions": EXTENSIONS,
    "handshake": HANDSHAKE,
    "records": RECORDS,
    "ends": ENDS,
    "others": OTHERS,
}


@pytest.mark.parametrize("name", TABLES)
def test_no_requirement_is_without_a_test(name: str) -> None:
    for section, words, tests in TABLES[name]:
        assert re.fullmatch(r"(\d{4} )?[0-9A-D](\.\d+)*", section)
        assert words, section
        if tests.startswith(LEFT):
            assert len(tests) > len(LEFT) + 20
            assert "RFC" in tests
            continue
        for test in tests.split():
            file, _, function = test.partition("::")
            module = importlib.import_module(f"tests.tls.test_{FILES.get(file, file)}")
            assert callable(getattr(module, function, None)) or any(
                hasattr(value, function) for value in vars(module).values() if isinstance(value, type)
            ), f"{section}: {test}"


def test_every_section_that_binds_a_client_is_here() -> None:
    sections = {section for rows in TABLES.values() for section, _, _ in rows}
    named = {f"4.1.{n}" for n in (2, 3, 4)} | {f"4.2.{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11)}
    named |= {"4", "4.2", "4.3.1", "4.3.2", "4.4.2", "4.4.3", "4.4.4", "4.5", "4.6.1", "4.6.2", "4.6.3"}
    named |= {f"5.{n}" for n in range(1, 6)} | {"5", "6", "6.1", "6.2", "7.5", "8", "9.1", "9.2", "9.3"}
    assert named <= sections
    left = [tests for rows in TABLES.values() for _, _, tests in rows if tests.startswith(LEFT)]
    assert len(left) == 8
