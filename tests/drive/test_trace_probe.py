"""A server that goes without a word on a long ClientHello: a trace asks again with a short one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from synfin import tls
from synfin.drive import clock
from synfin.drive.capture import PduCapture
from synfin.drive.capture_file import private_file
from synfin.drive.trace import Run
from synfin.drive.trace_ask import Ask, parse_url
from synfin.drive.trace_steps import Hop, Probed
from synfin.drive.trace_trust import Trust
from tests.tls.ends import root, server_config

#: What a careless server takes for a whole ClientHello.
ONE_READ = 1400


async def _asked(*, careless: bool, groups: tuple[int, ...] | None, folder: Path, dies: bool = False) -> Hop:
    """A trace of a server that hangs up on every ClientHello, or (careless) on those that need two reads, or dies."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        if dies:
            source.close()
        if careless and int.from_bytes(head[3:5], "big") <= ONE_READ:
            end = tls.Server(server_config(), now=clock.now(), entropy=clock.entropy)
            end.receive(head + await reader.readexactly(int.from_bytes(head[3:5], "big")), clock.now())
            writer.write(end.take_output(clock.now()))
            await reader.read(4096)
        writer.close()

    source = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = source.sockets[0].getsockname()[1]
    ask = Ask(parse_url(f"https://127.0.0.1:{port}/"), families=(4,), max_seconds=20)
    if groups is not None:
        ask = Ask(parse_url(f"https://127.0.0.1:{port}/"), families=(4,), max_seconds=20, groups=groups)
    capture = PduCapture(private_file(folder / "trace.pcapng"))
    run = Run(ask, told=lambda step: None, trust=Trust((root().der,), "the test's root"), capture=capture)
    async with source:
        hops = await run.run()
    capture.close()
    return hops[-1]


@pytest.mark.parametrize("careless", [True, False])
def test_the_length_of_the_hello_is_told_from_other_causes(careless: bool, tmp_path: Path) -> None:
    hop = asyncio.run(_asked(careless=careless, groups=None, folder=tmp_path))
    assert hop.cause is not None and hop.cause.violation in ("silent_end", "reset_in_handshake")
    assert [step.answered for step in hop.steps if isinstance(step, Probed)] == [careless]


def test_a_server_that_is_gone_is_not_tried_in_vain(tmp_path: Path) -> None:
    hop = asyncio.run(_asked(careless=False, groups=None, folder=tmp_path, dies=True))
    (step,) = [step for step in hop.steps if isinstance(step, Probed)]
    assert step.answered is None
    assert step.port == hop.tried[-1][2] != hop.tried[0][2]


def test_a_short_hello_is_not_made_shorter(tmp_path: Path) -> None:
    hop = asyncio.run(_asked(careless=False, groups=(29, 23), folder=tmp_path))
    assert hop.cause is not None
    assert not any(isinstance(step, Probed) for step in hop.steps)
