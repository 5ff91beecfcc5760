"""Groups as they are written on a command line: each that the engine has, by IANA's name, by others', by number."""

from __future__ import annotations

import pytest

from synfin.cli.tls_names import groups
from synfin.errors import UsageError
from synfin.tls.groups import SUPPORTED
from synfin.wire.tls.registry import group_name


@pytest.mark.parametrize("code", SUPPORTED, ids=group_name)
def test_every_group(code: int) -> None:
    assert groups(group_name(code)) == groups(f"0x{code:04x}") == (code,)


def test_names_of_others() -> None:
    assert groups("P-256:prime256v1,p521") == (23, 25)


def test_no_group() -> None:
    with pytest.raises(UsageError, match="did you mean ffdhe8192"):
        groups("ffdhe8191")
    with pytest.raises(UsageError, match=r"there are X25519MLKEM768, .*ffdhe8192"):
        groups("0x0105")
