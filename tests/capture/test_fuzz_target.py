"""The fuzz target itself runs: on captures it accepts, and on octets it must refuse in silence."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tests.capture.made import FRAME, Section, pcap

TARGET = Path(__file__).resolve().parents[2] / "fuzz" / "fuzz_capture.py"


@pytest.fixture(scope="module")
def target() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_capture", TARGET)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "data", [b"", b"text", pcap(FRAME, FRAME), Section().header() + Section().interface() + Section().packet(1)]
)
def test_the_target_accepts_any_octets(target: ModuleType, data: bytes) -> None:
    target.one_input(data)


def test_the_target_notices_a_payload_that_is_not_there(target: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synfin.capture.table.load", lambda *_: b"")
    with pytest.raises(AssertionError, match="does not lie in the file"):
        target.one_input(pcap(FRAME))
