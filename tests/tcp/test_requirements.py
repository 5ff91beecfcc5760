"""RFC 9293 appendix B: every MUST and SHLD with the test that holds it, or why it is not done.

``tests.support.requirements`` says what a row has; a number without a row fails.
"""

from __future__ import annotations

import re

import pytest

from tests.support.requirements import LEFT, faults

SOURCE_ROUTE = LEFT + "source routes are filtered everywhere (RFC 7126 4.3), so none is built, set or sent back"

MUST = {
    1: ("the window is an unsigned number", "rules::test_a_window_with_its_top_bit_set_is_large"),
    2: ("the sender makes the checksum", "packets::test_packets_are_what_wire_reads_and_writes"),
    3: ("the receiver checks it", "packets::test_every_truncation_and_every_wrong_bit_fails_cleanly"),
    4: ("EOL, NOP and MSS are supported", "rules::test_options_of_a_syn"),
    5: ("options are taken in any segment", "rules::test_options_in_any_segment"),
    6: ("unknown options are ignored", "rules::test_options_in_any_segment"),
    7: ("an illegal option length is survived", "rules::test_options_of_a_syn"),
    8: ("ISNs follow a clock", "parts::test_initial_numbers_run_with_the_clock_and_differ_between_peers"),
    9: ("their function cannot be computed outside", "howto::test_mistakes_are_told"),
    10: ("simultaneous open", "scenarios::test_simultaneous_open"),
    11: ("SYN_RECEIVED knows where it came from", "matrix::test_state_by_segment"),
    12: ("the user is told of an abort", "rules::test_a_reset_is_told"),
    13: ("TIME_WAIT lasts 2 MSL", "scenarios::test_lost_last_ack_is_given_again_and_time_wait_begins_anew"),
    14: ("the MSS option is sent and received", "rules::test_options_of_a_syn"),
    15: ("without it 536 (IPv6: 1220) is assumed", "rules::test_no_mss_option"),
    16: ("segments have the effective MSS", "rules::test_the_smallest_of_all_limits_counts"),
    17: ("Nagle can be switched off", "sending::test_nagle_holds_a_small_segment_back_and_nodelay_does_not"),
    18: ("Karn's algorithm", "sending::test_rto_first_then_doubled_and_karn"),
    19: ("slow start, congestion avoidance, backoff", "sending::test_slow_start_doubles"),
    20: ("R1 tells, R2 closes", "rules::test_r1_tells_and_r2_closes"),
    21: ("the user sets R2", "sending::test_data_gives_up_after_the_user_timeout"),
    22: ("SYNs are treated alike", "sending::test_syn_gives_up"),
    23: ("for three minutes at least", "rules::test_a_syn_is_tried_for_three_minutes"),
    24: ("keep-alives can be asked for", "sending::test_keepalive_finds_a_dead_peer_and_leaves_a_living_one"),
    25: ("and are off", "rules::test_no_keepalive_unless_asked"),
    26: ("they are sent after an idle time only", "rules::test_a_busy_connection_is_not_probed"),
    27: ("which is the user's choice", "sending::test_keepalive_finds_a_dead_peer_and_leaves_a_living_one"),
    28: ("and two hours at least by default", "rules::test_no_keepalive_unless_asked"),
    29: ("one lost answer kills nobody", "rules::test_one_lost_probe_kills_nobody"),
    30: ("urgent data is supported", "sending::test_urgent_data_stays_in_line"),
    31: ("of any length", "rules::test_urgent_data_of_any_length"),
    32: ("the user is told of it", "sending::test_urgent_data_stays_in_line"),
    33: ("and how much there is", "rules::test_urgent_data_of_any_length"),
    34: ("a window that shrinks is survived", "rules::test_a_shrinking_window_is_survived"),
    35: ("and probed when it shrinks to nothing", "rules::test_a_shrinking_window_is_survived"),
    36: (
        "a zero window is probed",
        "sending::test_zero_window_is_probed_with_growing_patience_and_never_given_up_while_answered",
    ),
    37: (
        "for as long as it is answered",
        "sending::test_zero_window_is_probed_with_growing_patience_and_never_given_up_while_answered",
    ),
    38: ("the sender avoids silly windows", "sending::test_sender_avoids_silly_windows"),
    39: ("the receiver avoids silly windows", "sending::test_receiver_avoids_silly_windows_and_never_shrinks"),
    40: ("no acknowledgment waits half a second", "rules::test_no_acknowledgment_waits_half_a_second"),
    41: ("a passive OPEN touches no connection", "rules::test_listeners_do_not_disturb"),
    42: ("one port may be listened on at several addresses", "rules::test_listeners_do_not_disturb"),
    43: ("OPEN takes a local address", "rules::test_local_addresses"),
    44: ("the host chooses one otherwise", "rules::test_local_addresses"),
    45: ("and a connection keeps it", "rules::test_local_addresses"),
    46: ("OPEN to many or nobody is refused", "rules::test_addresses_of_nobody"),
    47: ("soft errors are told", "sending::test_icmp_unreachable_ends_only_an_opening"),
    48: ("the user sets the Differentiated Services field", "rules::test_fields_of_the_ip_header"),
    49: ("and the time to live", "rules::test_fields_of_the_ip_header"),
    50: ("unknown IP options are ignored", "rules::test_ip_options_are_passed_over"),
    51: ("the user sets a source route", SOURCE_ROUTE),
    52: ("it goes before that of a datagram", SOURCE_ROUTE),
    53: ("a source route is turned around", SOURCE_ROUTE),
    54: ("ICMP errors are acted on", "rules::test_icmp_in_every_state"),
    55: ("source quench is not", "rules::test_icmp_in_every_state"),
    56: ("soft errors abort nothing", "rules::test_icmp_in_every_state"),
    57: ("a SYN to many is dropped", "rules::test_addresses_of_nobody"),
    58: ("acknowledgments are put together", "rules::test_one_acknowledgment_for_what_came_together"),
    59: ("all that came is read before one is sent", "rules::test_one_acknowledgment_for_what_came_together"),
    60: ("without PUSH nothing waits for ever", "rules::test_push_is_at_the_end_of_what_there_is"),
    61: ("PSH is set at the end", "rules::test_push_is_at_the_end_of_what_there_is"),
    62: ("the urgent pointer names the octet behind", "sending::test_urgent_data_stays_in_line"),
    63: ("a SYN from many or nobody is dropped", "rules::test_addresses_of_nobody"),
    64: ("options may begin anywhere", "rules::test_options_of_a_syn"),
    65: ("MSS is sent with SYN only", "rules::test_mss_only_beside_a_syn"),
    66: ("RST and URG count while the window is closed", "rules::test_reset_and_urgent_at_a_closed_window"),
    67: ("the MSS is what can be reassembled", "rules::test_the_mss_is_of_the_interface"),
    68: ("every option but EOL and NOP has a length", "packets::test_opening_options_come_back"),
    69: ("the header is padded with zeros", "rules::test_padding_is_zero"),
}
SHOULD = {
    1: ("ISNs by a secret function", "parts::test_initial_numbers_run_with_the_clock_and_differ_between_peers"),
    2: ("a RST may have data", "rules::test_reset_and_urgent_at_a_closed_window"),
    3: ("lost data is told by RST", "scenarios::test_close_with_unread_data_resets"),
    4: ("timestamps shorten TIME_WAIT", "scenarios::test_reuse_of_time_wait"),
    5: ("MSS is always offered", "rules::test_the_mss_is_of_the_interface"),
    6: ("segments follow the path's MTU", "sending::test_path_mtu_discovery_resends_in_smaller_segments_without_blame"),
    7: ("Nagle", "sending::test_nagle_holds_a_small_segment_back_and_nodelay_does_not"),
    8: ("ECN", "sending::test_ecn_is_negotiated_and_answers_once"),
    9: ("the user hears of R1", "rules::test_r1_tells_and_r2_closes"),
    10: ("R1 is three or more", "rules::test_r1_tells_and_r2_closes"),
    11: ("R2 is 100 s or more", "rules::test_r1_tells_and_r2_closes"),
    12: ("keep-alives have no data", "sending::test_keepalive_finds_a_dead_peer_and_leaves_a_living_one"),
    13: ("new programs leave urgent data alone", "rules::test_urgent_data_of_any_length"),
    14: ("no window shrinks", "sending::test_receiver_avoids_silly_windows_and_never_shrinks"),
    15: ("no new data beyond a shrunken window", "rules::test_a_shrinking_window_is_survived"),
    16: ("old data within it goes again", "rules::test_a_shrinking_window_is_survived"),
    17: ("data beyond it does not end the connection", "rules::test_a_shrinking_window_is_survived"),
    18: ("acknowledgments are delayed", "sending::test_delayed_acknowledgment"),
    19: ("every second full segment is acknowledged", "sending::test_delayed_acknowledgment"),
    20: ("soft errors can be passed over", "rules::test_icmp_in_every_state"),
    21: ("the DS field can change", "rules::test_fields_of_the_ip_header"),
    22: ("and is passed to IP as it is", "rules::test_fields_of_the_ip_header"),
    23: ("the DS field may be told to the user", "rules::test_fields_of_the_ip_header"),
    24: ("a later source route counts", SOURCE_ROUTE),
    25: ("ICMP 3.0, 3.1, 3.5 are told", "sending::test_icmp_unreachable_ends_only_an_opening"),
    26: ("ICMP 3.2 to 3.4 abort", LEFT + "a blind attacker could (RFC 5927 5.2): only while opening"),
    27: ("PSH bits are put together", "rules::test_push_is_at_the_end_of_what_there_is"),
    28: ("segments are as long as may be", "rules::test_the_smallest_of_all_limits_counts"),
    29: ("the first window probe comes after RTO", "rules::test_a_shrinking_window_is_survived"),
    30: (
        "the next ones ever later",
        "sending::test_zero_window_is_probed_with_growing_patience_and_never_given_up_while_answered",
    ),
    31: ("what comes out of order is kept", "packets::test_receive_queue_is_a_set_of_octets"),
}


@pytest.mark.parametrize(("kind", "table", "last"), [("MUST", MUST, 69), ("SHLD", SHOULD, 31)])
def test_no_requirement_is_without_a_test(kind: str, table: dict[int, tuple[str, str]], last: int) -> None:
    assert sorted(table) == list(range(1, last + 1))
    assert faults([(f"{kind}-{number}", words, test) for number, (words, test) in table.items()], "tcp") == []


def test_the_docs_name_what_is_left_out() -> None:
    left = [text for _, text in [*MUST.values(), *SHOULD.values()] if text.startswith(LEFT)]
    assert len(left) == 5
    assert all(re.search(r"RFC \d+", text) for text in left)
