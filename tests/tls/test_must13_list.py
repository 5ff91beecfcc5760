"""RFC 8446's requirements of a client, or of both ends: each with the tests that hold it, or why there is none.

Sections are RFC 8446's; where RFC 9846 says more, its section stands in the words.  ``tests.support.requirements`` says
what a row has.  Requirements of servers alone are in ``test_must13_server``.
"""

from __future__ import annotations

import pytest

from tests.support.requirements import LEFT, Row, faults
from tests.tls.must13_rows import EXTENSIONS, HANDSHAKE, HELLO

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
        "wrong_records::test_between_the_pieces_of_a_hello + refusals::test_a_message_interrupted_by_data",
    ),
    (
        "5.1",
        "nor do they span a change of keys",
        "wrong_records::test_messages_across_key_changes + letter::test_finished",
    ),
    ("5.1", "ours end with their record", "hello::test_first_hello"),
    ("5.1", "no empty handshake records", "wrong_records::test_wrong_records_at_each_step"),
    ("5.1", "an alert has a record of its own", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.1",
        "records are of 0x0303, or 0x0301 for a first hello",
        "hello::test_first_hello + hello::test_second_hello",
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
        "refusals::test_records_in_clear_after_the_handshake + hello::test_early_data_follows_its_hello",
    ),
    ("5.2", "more than 2^14 + 256 is record_overflow", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.2",
        "what does not open is bad_record_mac",
        "wrong_records::test_wrong_records_at_each_step + refusals::test_damaged_records",
    ),
    (
        "5.2",
        "protected records only, once there are keys",
        "must::test_no_alert_in_clear_once_there_are_keys + wrong_records::test_wrong_records_at_each_step",
    ),
    (
        "5.3",
        "numbers begin at 0 with each key, and never wrap",
        "rfc8448::test_client + features::TestRecords.test_used_up_keys_are_changed",
    ),
    ("5.4", "padding is of zeros", "features::TestRecords.test_padding"),
    (
        "5.4",
        "empty messages and alerts are unexpected_message",
        "wrong_records::test_wrong_records_at_each_step",
    ),
    ("5.4", "padding alone is unexpected_message", "wrong_records::test_wrong_records_at_each_step"),
    (
        "5.4",
        "all of it is 2^14 + 1 at most",
        "wrong_records::test_wrong_records_at_each_step + must::test_a_record_of_the_longest_kind",
    ),
    (
        "5.5",
        "keys are changed in time",
        "features::TestRecords.test_used_up_keys_are_changed + portions::test_keys_are_changed_inside_a_long_send",
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
        "keys::test_syntax_before_sense + letter::test_server_hello",
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
        "plain_letter::test_half_close + wrong_records::test_ends_at_each_step",
    ),
    (
        "6.1",
        "user_canceled is followed by close_notify",
        "plain_letter::test_cancelled_by_the_user + late::test_a_client_that_cancels",
    ),
    (
        "6.2",
        "a fatal alert, then nothing",
        "letter::test_server_hello + late::test_nothing_is_said_or_heard_after_an_error_alert",
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
        "rfc8448::test_client + late::test_no_context_is_an_empty_one",
    ),
    (
        "8",
        "early data is what may be replayed",
        LEFT + "that is the caller's to know; RFC 8446 8 stands where it is sent",
    ),
    (
        "9.1",
        "suites, groups and signatures that all have",
        "features::test_tls13_suites_and_groups + hello::test_what_every_client_has",
    ),
    ("9.2", "extensions that all have", "hello::test_first_hello + hello::test_what_every_client_has"),
    (
        "9.3",
        "all that is offered is supported",
        "hello::test_first_hello + hello::test_nothing_left_to_offer",
    ),
    (
        "9.3",
        "unknown extensions of requests and tickets are ignored",
        "letter::test_certificate_request + late::test_tickets_to_throw_away_and_unknown_extensions",
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
        "hello::test_second_hello + hello::test_early_data_follows_its_hello + "
        "features::TestRecords.test_no_middlebox_compatibility",
    ),
    ("D.5", "no RC4, nothing below 112 bits, no truncated HMAC", "hello::test_what_no_client_offers"),
    ("D.5", "no hello of SSL 2.0, no version below 0x0303", "hello::test_first_hello"),
]
OTHERS: list[Row] = [
    (
        "8449 4",
        "a limit is 64 at least",
        "letter::test_encrypted_extensions + hello::test_configurations_that_no_hello_says",
    ),
    (
        "8449 4",
        "it is held when agreed",
        "must::test_a_limit_that_was_agreed_binds_from_the_first_record + "
        "wrong_records::test_record_size_limit_is_held_against_the_server",
    ),
    ("8449 4", "and binds nobody otherwise", "must::test_a_limit_that_the_server_does_not_know_binds_nobody"),
    (
        "8449 4",
        "we keep to the server's",
        "features::TestRecords.test_record_size_limit + must::test_what_was_agreed_about_records + "
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
        "hello::test_first_hello + letter::test_server_hello + letter::test_hello_retry_request + "
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
    assert faults(TABLES[name], "tls", FILES) == []


def test_every_section_that_binds_a_client_is_here() -> None:
    sections = {section for rows in TABLES.values() for section, _, _ in rows}
    named = {f"4.1.{n}" for n in (2, 3, 4)} | {f"4.2.{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11)}
    named |= {"4", "4.2", "4.3.1", "4.3.2", "4.4.2", "4.4.3", "4.4.4", "4.5", "4.6.1", "4.6.2", "4.6.3"}
    named |= {f"5.{n}" for n in range(1, 6)} | {"5", "6", "6.1", "6.2", "7.5", "8", "9.1", "9.2", "9.3"}
    assert named <= sections
    left = [tests for rows in TABLES.values() for _, _, tests in rows if tests.startswith(LEFT)]
    assert len(left) == 8
    assert all("RFC" in reason for reason in left)
