"""Every MUST of RFC 8446 (and RFC 9846 where it says more) that binds a TLS 1.3 server, and those of its extensions.

``tests.support.requirements`` says what a line has; ``test_`` and ``must13_server_`` go without saying.  What binds a
client is in ``test_must13_list``.  Sections are those of RFC 8446.
"""

from __future__ import annotations

import pytest

from tests.support.requirements import faults
from tests.tls import raw13
from tests.tls import test_must13_server_auth as auth
from tests.tls import test_must13_server_flights as flights
from tests.tls import test_must13_server_hello as hello
from tests.tls import test_must13_server_keys as keys

ROWS: dict[str, list[raw13.Row | keys.Row]] = {
    "hello": [
        *hello.FIELDS, *hello.VERSIONS, *hello.NAMES, *hello.PARAMETERS, *hello.POINTS, *hello.RETRIES,
        *hello.malformed(),
    ],
    "flights": [*flights.FIRST, *flights.SECOND, *flights.LATER],
    "keys": [*keys.KEYS, *keys.TAKEN, *keys.NOT_TAKEN],
    "auth": [*auth.ROWS],
}  # fmt: skip
FILES = {name: f"must13_server_{name}" for name in (*ROWS, "says")}

MUST = """
4 | messages out of order are unexpected_message | refusals::test_unexpected_messages
4 | and on all byways | refusals::test_unexpected_messages_on_byways
4 | ours are in order | says::test_what_the_server_writes
4.1.1 | no group in common is handshake_failure | hello::test_hellos[4.1.1 unknown groups alone]
4.1.1 | nor with a key | keys::test_keys[4.1.1 no group of ours]
4.1.1 | no suite in common is handshake_failure | hello::test_hellos[4.1.1 unknown suites alone]
4.1.1 | a mode is chosen from the client's | keys::test_keys[4.2.9 psk_ke alone]
4.1.1 | a group without a share is asked for | hello::test_hellos[4.1.4 as asked]
4.1.2 | a hello at any other time is unexpected_message | flights::test_records_and_messages[4.1.2 a hello late]
4.1.2 | a TLS 1.2 connection stays one | refusals::test_unexpected_messages
4.1.2 | unknown suites are ignored | hello::test_hellos[4.1.2 unknown suites before]
4.1.2 | one compression, null, or illegal_parameter | hello::test_hellos[4.1.2 compressions 0001]
4.1.2 | unknown extensions are ignored | hello::test_hellos[9.3 extensions nobody knows]
4.1.2 | nothing follows the extensions, or decode_error | hello::test_hellos[4.1.2 1 octets behind]
4.1.2 | the second hello is the first but for its changes | hello::test_hellos[4.1.2 another random]
4.1.2 | its changes are taken | hello::test_hellos[4.1.2 early_data gone]
4.1.3 | legacy_version is 0x0303 | says::test_what_the_server_writes
4.1.3 | the random is our own | says::test_randoms_and_the_sentinel
4.1.3 | the session id comes back | says::test_what_the_server_writes
4.1.3 | compression is 0 | says::test_what_the_server_writes
4.1.3 | its extensions are those it needs | rfc8448::test_server
4.1.3 | DOWNGRD ends the random where TLS 1.2 was chosen | says::test_randoms_and_the_sentinel
4.1.4 | the retry has supported_versions and nothing unasked | hello::test_the_retry_itself
4.1.4 | suite and version stay after it | hello::test_the_retry_itself
4.1.4 | TLS 1.2 alone cannot follow it | hello::test_hellos[4.1.4 TLS 1.2 alone]
4.2 | octets left over in an extension are decode_error | \
    hello::test_extensions_that_are_not_of_their_form[6 supported_groups and an octet]
4.2 | no answers to what was not asked | says::test_what_the_server_writes
4.2 | such an answer is unsupported_extension | auth::test_client_certificates[4.2 extension unknown]
4.2 | an extension in the wrong message is illegal_parameter | hello::test_hellos[4.2 oid_filters]
4.2 | in a Certificate too | auth::test_client_certificates[4.2 extension what was asked, but not for here]
4.2 | none stands twice | hello::test_hellos[4.2 extension 51 twice]
4.2.1 | without the list it is TLS 1.2, whatever the version | hello::test_hellos[4.2.1 no list, version 0x0304]
4.2.1 | with the list the version does not count | hello::test_hellos[4.2.1 version 0302 beside the list]
4.2.1 | unknown versions are ignored | hello::test_hellos[4.2.1 versions (2570, 773, 772)]
4.2.1 | a list may be without 0x0304 | hello::test_hellos[4.2.1 a list without 0x0304]
4.2.1 | no version in common is protocol_version | hello::test_hellos[4.2.1 no version of ours: (773,)]
4.2.1 | TLS 1.2 is answered without supported_versions | hello::test_hellos[4.2.1 no list]
4.2.2 | the cookie comes back | hello::test_hellos[4.2.2 the cookie missing]
4.2.2 | unchanged | hello::test_hellos[4.2.2 another cookie]
4.2.2 | who keeps no state ignores ChangeCipherSpec | left out: the engine keeps its state, cookies only try the client
4.2.3 | no signature_algorithms is missing_extension | hello::test_hellos[4.2.3 no signature_algorithms]
4.2.3 | with a key it need not be | keys::test_keys[9.2 no signature_algorithms]
4.2.3 | PKCS#1 and SHA-1 sign no handshake | hello::test_hellos[4.2.3 PKCS#1 alone]
4.2.3 | the salt is as long as the hash | auth::test_client_certificates[4.2.3 rsa2048 with 0804, not quite]
4.2.3 | keys of rsaEncryption and of RSASSA-PSS are told apart | \
    auth::test_client_certificates[4.2.3 rsa2048 with 0809, not quite]
4.2.3 | parameters of an RSASSA-PSS key hold | pss_keys::test_a_key_signs_with_its_own_hash
4.2.3 | chains that can be checked are preferred | credentials::test_chains_the_client_can_check_come_first
4.2.5 | oid_filters stand in a CertificateRequest only | left out: never sent; in a hello they are refused (4.2)
4.2.6 | nobody is asked later who did not offer it | says::test_when_certificates_are_asked_for
4.2.8 | our share is of a group that was offered | hello::test_the_retry_itself
4.2.8 | shares of groups not listed, or two of one | hello::test_hellos[4.2.8 a share of a group not listed]
4.2.8 | after a retry there is one share, of that group | hello::test_hellos[4.2.8 a share more]
4.2.8 | no share beside psk_ke | left out: psk_ke is never chosen, for want of forward secrecy
4.2.8 | a peer may use its share again, we do not | says::test_a_key_share_may_come_again
4.2.8.1 | 1 < Y < p-1, as long as p | hello::test_hellos[4.2.8.1 group 256, p-1]
4.2.8.2 | points are on their curve, uncompressed | hello::test_hellos[4.2.8.2 group 23, off the curve]
4.2.9 | keys without modes abort | keys::test_keys[4.2.9 no modes]
4.2.9 | tickets are for who can use them | says::test_tickets
4.2.10 | early data is ignored up to a limit | keys::test_keys[4.2.10 beyond all bounds]
4.2.10 | after a retry it is skipped | keys::test_keys[4.2.10 before a retry]
4.2.10 | it is taken with the first key alone | keys::test_keys[4.2.10 not the first key]
4.2.10 | of the same suite | keys::test_keys[4.2.10 another suite]
4.2.10 | of the same protocol | keys::test_keys[4.2.10 another protocol]
4.2.10 | of the right age | keys::test_keys[4.2.10 another age]
4.2.10 | a record of it that does not open is bad_record_mac | keys::test_keys[4.2.10 a record that does not open]
4.2.11 | key and suite have one hash | keys::test_keys[4.6.1 a suite of another hash]
4.2.11 | SHA-256 for shared keys | external_keys::test_our_server_with_openssl
4.2.11 | a shared key's age does not count | keys::test_keys[4.2.11 a shared key, its age not looked at]
4.2.11 | the binder is checked before the key is taken | keys::test_keys[4.2.11 binder wrong at -1]
4.2.11 | it is the last extension, or illegal_parameter | keys::test_keys[4.2.11 not the last extension]
4.2.11.2 | after a retry binders cover all before | keys::test_keys[4.2.11.2 a retry, and the binder wrong]
4.2.11.3 | the flight does not wait for the end of early data | keys::test_keys[4.2.11.3 more after the server's flight]
4.3.1 | EncryptedExtensions come at once | says::test_what_the_server_writes
4.3.2 | a request has signature_algorithms and no context | says::test_when_certificates_are_asked_for
4.3.2 | none beside a key, later none after a shared one | says::test_when_certificates_are_asked_for
4.4.2 | a Certificate comes where one was asked for, only | auth::test_client_certificates[4.4.2 no Certificate]
4.4.2 | nobody else sends one | flights::test_records_and_messages[4.4.2 a certificate nobody asked for]
4.4.2 | it has the request's context | auth::test_client_certificates[4.4.2 a context]
4.4.2 | ours is never empty | says::test_what_the_server_writes
4.4.2 | raw public keys are not negotiated | hello::test_hellos[RFC 7250 raw public keys wanted]
4.4.2.1 | a staple is a CertificateStatus | features::test_stapled_response_and_timestamps_are_carried
4.4.2.1 | status_request_v2 is not acted upon | hello::test_hellos[4.4.2.1 status_request_v2]
4.4.2.2 | the client's leaf is for signing | auth::test_a_leaf_is_for_signing
4.4.2.2 | the leaf can sign by a scheme of the client | hello::test_hellos[4.2.3 another kind alone]
4.4.2.4 | none may be certificate_required | auth::test_client_certificates[4.4.2.4 none where one is required]
4.4.2.4 | MD5 is bad_certificate | auth::test_hashes_of_the_past
4.4.3 | CertificateVerify follows Certificate | auth::test_client_certificates[4.4.3 no CertificateVerify]
4.4.3 | ours is there and right | rfc8448::test_server
4.4.3 | its scheme was offered | auth::test_client_certificates[4.4.3 scheme 0401]
4.4.3 | it suits the key | auth::test_client_certificates[4.2.3 p384 with 0403, not quite]
4.4.3 | SHA-1 never | auth::test_client_certificates[4.4.3 scheme 0203]
4.4.3 | what does not verify is decrypt_error | auth::test_client_certificates[4.4.3 signature wrong at 20]
4.4.4 | a wrong Finished is decrypt_error | flights::test_records_and_messages[4.4.4 bit of octet 15 wrong]
4.4.4 | alerts after ours are under application keys | says::test_alerts_of_the_server_are_under_the_keys_that_hold
4.4.4 | no data before the client's | flights::test_records_and_messages[4.4.4 data before Finished]
4.5 | EndOfEarlyData only where early data was taken | \
    flights::test_records_and_messages[4.5 EndOfEarlyData without early data]
4.5 | and under its keys | keys::test_keys[4.5 its end under other keys]
4.6.1 | tickets live a week at most, each with its own numbers | says::test_tickets
4.6.1 | they are resumed with the same hash | keys::test_keys[4.6.1 another suite of its hash]
4.6.1 | more early data than allowed is unexpected_message | keys::test_keys[4.6.1 an octet more]
4.6.1 | the name of the new hello counts | keys::test_keys[4.6.1 another name]
4.6.2 | other messages may come before the late answer | auth::test_after_the_handshake
4.6.2 | none within it | auth::test_after_the_handshake
4.6.3 | KeyUpdate before Finished is unexpected_message | \
    flights::test_records_and_messages[4.6.3 KeyUpdate before Finished]
4.6.3 | other values are illegal_parameter | flights::test_records_and_messages[4.6.3 KeyUpdate of 2]
4.6.3 | the reading keys change | flights::test_records_and_messages[4.6.3 KeyUpdate, and data under old keys]
4.6.3 | and not without it | flights::test_records_and_messages[4.6.3 new keys without KeyUpdate]
4.6.3 | a request is answered before data, with the old keys | flights::test_one_answer_to_requests_that_came_together
4.6.3 | one request waits for its answer | must13_late::test_one_request_for_new_keys_at_a_time
4.6.3 | no more than 2^48-1 updates | left out: nobody lives to see them
5 | ChangeCipherSpec of 1 is dropped | flights::test_records_and_messages[5 ChangeCipherSpec 20 times]
5 | of anything else it is unexpected_message | flights::test_records_and_messages[5 ChangeCipherSpec of 02]
5 | protected too | flights::test_records_and_messages[5 ChangeCipherSpec protected]
5 | before the hello too | flights::test_records_and_messages[5 ChangeCipherSpec before the hello]
5 | after Finished too | flights::test_records_and_messages[5 ChangeCipherSpec after Finished]
5 | unknown record types are unexpected_message | flights::test_records_and_messages[5 record type 24]
5 | protected ones too | flights::test_records_and_messages[5 protected record type 24]
5.1 | nothing comes between the records of a message | flights::test_records_and_messages[5.1 an alert within a hello]
5.1 | nothing follows in a record where keys change | flights::test_records_and_messages[5.1 an octet behind Finished]
5.1 | empty messages are unexpected_message | flights::test_records_and_messages[5.4 an empty record]
5.1 | an alert has a record of its own | flights::test_records_and_messages[5.1 an alert of 4]
5.1 | more than 2^14 in clear is record_overflow | flights::test_records_and_messages[5.1 a record of 16385]
5.1 | the record's version is ignored | flights::test_records_and_messages[5.1 record version 0301]
5.1 | ours is 0x0303, data is never in clear | rfc8448::test_server
5.2 | more than 2^14+256 is record_overflow | flights::test_records_and_messages[5.2 a record of 16641]
5.2 | what does not open is bad_record_mac | flights::test_records_and_messages[5.2 a damaged record]
5.3 | numbers begin anew with each key | says::test_keys_are_changed_before_they_protect_too_much
5.4 | padding is zeros | says::test_padding_of_ours_is_zeros
5.4 | padding alone is unexpected_message | flights::test_records_and_messages[5.4 padding alone, 16000]
5.4 | content, type and padding: 2^14+1 at most | flights::test_records_and_messages[5.4 16384 octets and 1 of padding]
5.5 | keys change before their limit | says::test_keys_are_changed_before_they_protect_too_much
6 | error alerts end it, whatever their level | flights::test_records_and_messages[6 an error alert that says warning]
6 | unknown ones too | flights::test_records_and_messages[6 an unknown alert]
6 | then nothing is said or heard | flights::test_nothing_is_said_or_heard_after_an_error
6 | what cannot be parsed is decode_error | hello::test_a_hello_cut_anywhere
6 | what can, and is wrong, is illegal_parameter | hello::test_hellos[4.2.8.1 group 257, 1]
6.1 | nothing counts after close_notify | flights::test_nothing_is_heard_after_close_notify_but_the_server_goes_on
6.1 | the server says it before it closes | drive.serve_letter::test_alerts_and_ends
6.2 | after a fatal alert the connection is closed | drive.serve_letter::test_alerts_and_ends
7.1 | the key schedule | rfc8448::test_server
7.4.1 | finite-field secrets keep their zeros | must13_keys::test_a_secret_of_a_finite_field_keeps_its_zeros
7.4.2 | a secret of zeros aborts | hello::test_hellos[7.4.2 x25519 of order 8]
7.5 | exporters | features::test_tls13_suites_and_groups
8 | early data of a hello is taken once | keys::test_early_data_is_taken_once
8.2 | known by what was checked | keys::test_early_data_is_taken_once
9.1 | suites, groups and signatures that all must have | features::test_tls13_suites_and_groups
9.2 | a hello has what it must have, or missing_extension | hello::test_hellos[9.2 neither]
9.3 | what is unknown is ignored | hello::test_hellos[9.3 extensions nobody knows]
B.3.1.4 | obsolete groups are never negotiated | hello::test_hellos[B.3.1.4 obsolete groups alone]
D.2 | below all versions of ours is protocol_version | hello::test_hellos[D.2 no list, and nothing older here]
D.4 | ChangeCipherSpec for clients with a session id | says::test_what_the_server_writes
D.5 | no SSL 2.0 | hello::test_hellos[D.5 SSL 2.0]
D.5 | 0x0300 and below is protocol_version | hello::test_hellos[D.5 version 0300]
D.5 | RC4, weak ciphers, truncated HMAC | left out: the engine has no such suites (tls.config), and no truncated_hmac
RFC 6066 3 | one name of a kind | hello::test_hellos[RFC 6066 3 two names]
RFC 6066 4 | unknown lengths are illegal_parameter | hello::test_hellos[RFC 6066 4 max_fragment_length 5]
RFC 6066 4 | a length holds for all records | says::test_a_record_size_limit_is_kept_and_a_fragment_length_too
RFC 6066 8 | responders are not empty | hello::test_hellos[RFC 6066 8 an empty responder]
RFC 7301 3.1 | protocols are not empty | hello::test_hellos[RFC 7301 3.1 an empty protocol]
RFC 7301 3.2 | none in common is no_application_protocol | hello::test_hellos[RFC 7301 3.2 no protocol of ours]
RFC 7507 3 | a fallback is refused | hello::test_hellos[RFC 7507 a fallback]
RFC 7685 3 | padding is not answered | says::test_what_the_server_writes
RFC 8449 4 | less than 64 is illegal_parameter | hello::test_hellos[RFC 8449 4 record_size_limit 63]
RFC 8449 4 | more than there is is no fault | hello::test_hellos[RFC 8449 4 record_size_limit 65535]
RFC 8449 4 | protected records keep to it | says::test_a_record_size_limit_is_kept_and_a_fragment_length_too
RFC 8449 4 | beyond ours is record_overflow | says::test_our_record_size_limit_holds_once_it_is_agreed
RFC 8449 5 | it goes before max_fragment_length | \
    hello::test_hellos[RFC 8449 5 with it max_fragment_length does not count]
RFC 8701 3.1 | GREASE is ignored | hello::test_hellos[9.3 extensions nobody knows]
RFC 8879 4 | an algorithm of ours | auth::test_client_certificates[RFC 8879 4 algorithm 4]
RFC 8879 4 | what does not decompress is bad_certificate | auth::test_client_certificates[RFC 8879 4 cut]
RFC 8879 4 | nor has the length it says | auth::test_client_certificates[RFC 8879 4 a length of 1 too much]
ecdhe-mlkem 3 | keys are checked as FIPS 203 says | hello::test_hellos[ecdhe-mlkem a coefficient beyond q]
ecdhe-mlkem 4.1 | lengths are exact | hello::test_hellos[ecdhe-mlkem short]
"""
LINES = [tuple(part.strip() for part in line.split("|")) for line in MUST.strip().splitlines()]


@pytest.mark.parametrize(("section", "words", "held"), LINES, ids=[f"{line[0]} {line[1]}" for line in LINES])
def test_no_requirement_is_without_a_test(section: str, words: str, held: str) -> None:
    assert faults([(section, words, held)], "tls", FILES) == []


@pytest.mark.parametrize("table", ROWS)
@pytest.mark.parametrize("cut", [1, 7])
def test_the_same_comes_of_it_octet_by_octet(table: str, cut: int) -> None:
    for row in ROWS[table]:
        assert row.play(cut) == row.want, row
