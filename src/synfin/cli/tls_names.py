"""Cipher suites and groups as people write them on a command line: IANA's names, OpenSSL's names, or 0x1301.

Lists are separated by colons or commas, best first.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from synfin.errors import UsageError
from synfin.tls.config import OPTIONAL_SUITES, SUITES_12, SUITES_13
from synfin.tls.groups import SUPPORTED
from synfin.wire.tls.registry import cipher_name, group_name

_GROUP_ALIASES = {"P256": "SECP256R1", "PRIME256V1": "SECP256R1", "P384": "SECP384R1", "P521": "SECP521R1"}


def suites(text: str, option: str = "--ciphers") -> tuple[int, ...]:
    """The suites in ``text``.  UsageError for one that this engine has not."""
    codes = (*SUITES_13, *SUITES_12, *OPTIONAL_SUITES)
    known = {_bare(cipher_name(code)): code for code in codes}
    found = []
    for word in _words(text):
        bare = _bare(word)
        number = _number(word, codes)
        if number is None and not word.upper().startswith("TLS"):
            # OpenSSL calls static RSA AES128-GCM-SHA256, and TLS 1.3 has a TLS_AES_128_GCM_SHA256.
            number = known.get(f"RSA{bare}")
        if number is None:
            number = known.get(bare)
        if number is None:
            near = _near(bare, {key: cipher_name(code) for key, code in known.items()})
            usual = f"name each one, such as {cipher_name(SUITES_13[0])} or ECDHE-RSA-AES128-GCM-SHA256"
            raise UsageError(f"{option} {word}: no such cipher suite here; {near or usual}")
        found.append(number)
    return tuple(dict.fromkeys(found))


def groups(text: str, option: str = "--groups") -> tuple[int, ...]:
    """The groups in ``text``.  UsageError for one that this engine has not."""
    known = {group_name(code).upper(): code for code in SUPPORTED}
    found = []
    for word in _words(text):
        plain = word.upper().replace("-", "")
        number = known.get(_GROUP_ALIASES.get(plain, plain), _number(word, SUPPORTED))
        if number is None:
            names = {alias: name.lower() for alias, name in _GROUP_ALIASES.items()}
            near = _near(plain, {**names, **{name: group_name(code) for name, code in known.items()}})
            listed = ", ".join(map(group_name, SUPPORTED))
            raise UsageError(f"{option} {word}: no such group here; {near or f'there are {listed}'}")
        found.append(number)
    return tuple(dict.fromkeys(found))


def _near(word: str, names: dict[str, str]) -> str:
    """A question about what was meant, or ""; ``names`` are those that count, with what they are called."""
    found = get_close_matches(word, names, 2, 0.75)
    return f"did you mean {' or '.join(dict.fromkeys(names[one] for one in found))}?" if found else ""


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[:,\s]+", text) if word]


def _number(word: str, codes: tuple[int, ...]) -> int | None:
    """A code point written as 0x1301, where it is one of ``codes``."""
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,4}", word) is None:
        return None
    code = int(word, 16)
    return code if code in codes else None


def _bare(name: str) -> str:
    """A suite's name so that IANA's and OpenSSL's ways of writing it are the same."""
    bare = re.sub(r"[^A-Z0-9]", "", name.upper().replace("_WITH_", "_").replace("_CBC_", "_"))
    return bare.removeprefix("TLS").replace("POLY1305SHA256", "POLY1305")
