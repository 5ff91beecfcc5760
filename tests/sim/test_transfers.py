"""The property everything else serves: bytes arrive intact and in order, or both ends learn of the failure."""

from __future__ import annotations

import os

import pytest

from synfin.sim import Conditions, Network, Talk, Talks
from synfin.tcp import Config
from synfin.tcp.chance import Chance
from synfin.tcp.config import MINUTE

UP, DOWN = bytes(range(256)) * 256, bytes(range(255, -1, -1)) * 128

#: More of them: SYNFIN_SEEDS=2000 python -m pytest tests/sim/test_transfers.py
SEEDS = int(os.environ.get("SYNFIN_SEEDS", "24"))
PROFILES: dict[str, dict[str, object]] = {
    "default": {},
    "no sack": {"sack": False},
    "counting": {"rack": False},
    "newreno": {"congestion": "newreno", "timestamps": False},
    "super-segments": {"super_segment": 65160},
    "small windows": {"receive_buffer": 3000, "window_scale": None},
    "ecn": {"ecn": "ask", "nodelay": True},
}


def exchange(seed: int, conditions: Conditions, **choices: object) -> tuple[Network, Talk, list[Talk]]:
    """One connection on which both ends send and close."""
    network = Network(seed)
    config = Config(keepalive=2 * MINUTE, **choices)  # type: ignore[arg-type]
    a = network.host("a", "10.0.0.1", "2001:db8::1", config=config)
    b = network.host("b", "10.0.0.2", "2001:db8::2", config=config)
    network.link(a, b, conditions)
    made: list[Talk] = []

    def make() -> Talk:
        made.append(Talk(DOWN))
        return made[-1]

    Talks(b).listen(80, make)
    talk = Talks(a).connect("10.0.0.2" if seed % 2 else "2001:db8::2", 80, Talk(UP))
    network.run(events=400_000)
    return network, talk, made


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_intact_or_both_learn(profile: str, seed: int) -> None:
    fault = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3)[seed % 6]
    conditions = Conditions(loss=fault, reorder=fault, duplicate=fault / 2, corrupt=fault / 4, jitter=3_000_000)
    network, talk, made = exchange(seed, conditions, **PROFILES[profile])
    # Never stuck: nothing is left to happen, and no connection is left.
    for node in network.nodes.values():
        assert not node.host.connections  # type: ignore[attr-defined]
    if talk.done:
        peer = made[0]
        assert bytes(peer.received) == UP
        assert bytes(talk.received) == DOWN
        assert talk.error is None
    else:
        assert talk.error is not None
        assert all(peer.done or peer.error is not None for peer in made)
    # What was delivered is right in any case.
    assert UP.startswith(bytes(made[0].received)) if made else True
    assert DOWN.startswith(bytes(talk.received))


def test_a_run_is_a_function_of_its_seed() -> None:
    conditions = Conditions(loss=0.05, reorder=0.05, duplicate=0.05, corrupt=0.02, jitter=1_000_000)
    one, two, other = (exchange(seed, conditions)[0].truth.passages for seed in (7, 7, 8))
    assert one == two
    assert one != other


def test_a_quiet_network_retransmits_nothing() -> None:
    network, talk, made = exchange(1, Conditions())
    assert talk.done
    assert made[0].done
    assert network.truth.retransmissions() == 0


@pytest.mark.parametrize("profile", PROFILES)
def test_sequence_numbers_wrap(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chance, "isn", lambda *_: 0xFFFFFF00)
    test_intact_or_both_learn(profile, 2)
    test_intact_or_both_learn(profile, 3)
