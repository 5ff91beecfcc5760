"""Settings shared by all tests."""

import signal
from collections.abc import Generator
from types import FrameType

import pytest
from hypothesis import HealthCheck, settings

from tests.support.folders import remove_all

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("suite")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background: tested programs would be deaf to it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Octets are named by their kind alone: fresh keys and times in an id would differ between parallel workers."""
    return argname if isinstance(val, bytes | bytearray) else None


def too_long(number: int, frame: FrameType | None) -> None:
    """What a test that waits for ever gets."""
    raise TimeoutError("a test took five minutes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test fail that waits for ever, for the end of a program say: the others must get their turn."""
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(300)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing in the folder of temporary files."""
    remove_all()
