"""What the options of several commands become: secrets to open records with, and a filter for connections.

Everything a person can get wrong in them is a UsageError of one line that names the option.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING

from synfin.cli import files
from synfin.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from synfin.capture.keylog import KeyLog
    from synfin.judge.engine import Judgement
    from synfin.observe.listing import Summary
    from synfin.observe.observer import Observation
    from synfin.observe.story import Connection
    from synfin.views.outcome import Outcome


def shown(file: str) -> str:
    """The name of an input for people."""
    from synfin.views.words import clean

    return "standard input" if file == "-" else clean(file)


def passed_over(error: UsageError, files: Sequence[str]) -> int:
    """Say what is wrong with one of several ``files`` and go on to the next; the exit code.  The only one ends it."""
    from synfin.cli.terminal import complain

    if len(files) == 1:
        raise error
    return complain(str(error))


def range_of(number: int) -> str:
    """Which connection ids there are, for the person who asked for another."""
    return f"there are 0 to {number - 1}" if number > 1 else "there is only 0" if number else "it holds no connection"


@dataclass(slots=True)
class Secrets:
    """What may open encrypted records: key logs merged into one, and servers' RSA keys."""

    keylog: KeyLog | None = None
    rsa_keys: list[RSAPrivateKey] = field(default_factory=list)

    def observe(self, file: str) -> Observation:
        """The story of the capture ``file``; UsageError when it is none."""
        from synfin.observe import observe

        return observe(file, keylog=self.keylog, rsa_keys=self.rsa_keys)


def secrets(keylogs: Sequence[Path], rsa_keys: Sequence[Path]) -> Secrets:
    """Read key logs and keys; UsageError for what is neither.  An empty key log is one: there were no secrets."""
    found = Secrets()
    for path in keylogs:
        from synfin.capture.keylog import KeyLog

        log = KeyLog.parse(files.read(path, "--keylog"))
        if log.problems and not len(log):
            raise UsageError(
                f"--keylog {path}: no TLS secret in it; lines should be like 'CLIENT_RANDOM <hex> <hex>' (NSS key log)"
            )
        if found.keylog is None:
            found.keylog = log
        else:
            found.keylog.merge(log)
    for path in rsa_keys:
        found.rsa_keys.append(_rsa(path))
    return found


def _rsa(path: Path) -> RSAPrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(files.read(path, "--rsa-key"), None)
    except TypeError as error:
        raise UsageError(f"--rsa-key {path}: is encrypted; decrypt it with 'openssl rsa' first") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"--rsa-key {path}: not a private key in PEM") from error
    if not isinstance(key, RSAPrivateKey):
        raise UsageError(f"--rsa-key {path}: not an RSA key; other keys open nothing, use --keylog")
    return key


@dataclass(frozen=True, slots=True)
class Filter:
    """Which connections are wanted; every condition that is given must hold."""

    network: IPv4Network | IPv6Network | None = None
    name: str = ""
    port: int | None = None
    outcome: str = ""

    @property
    def everything(self) -> bool:
        """Whether no condition is given."""
        return self.network is None and not self.name and self.port is None and not self.outcome

    def takes(self, connection: Connection | Summary, ended: Outcome) -> bool:
        """Whether ``connection``, which ended so, is wanted."""
        from synfin.views.outcome import matches

        if self.port is not None and self.port not in (connection.a.port, connection.b.port):
            return False
        if self.network is not None and not any(
            ip_address(end.ip.partition("%")[0]) in self.network for end in (connection.a, connection.b)
        ):
            return False
        if self.name and not fnmatchcase(connection.name.lower().rstrip("."), self.name.lower()):
            return False
        return not self.outcome or matches(ended, self.outcome)


def wanted(addr: str = "", name: str = "", port: int | None = None, outcome: str = "") -> Filter:
    """The filter that the options ask for; UsageError for what cannot be."""
    from synfin.views.outcome import KINDS

    network = None
    if addr:
        try:
            network = ip_network(addr, strict=False)
        except ValueError as error:
            raise UsageError(f"--addr {addr}: neither an address nor a network like 10.0.0.0/8") from error
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(f"--port {port}: ports go from 0 to 65535")
    if outcome and outcome not in KINDS:
        raise UsageError(f"--outcome {outcome}: choose one of {', '.join(KINDS)}")
    return Filter(network, name, port, outcome)


def judged(seen: Observation) -> Iterator[tuple[Connection, Judgement]]:
    """Every connection with its judgement; those whose verdict needs the rest of the capture come last."""
    from synfin.judge.engine import Context, judge_each

    for item in judge_each(seen, Context()):
        yield item.connection, item.judgement
