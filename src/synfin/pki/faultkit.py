"""The bench on which wrong certificates are made: one sound chain, a time, cached keys, and the decorator of a fault.

A fault is a function from a ``Bench`` to what is presented.  It starts from the sound chain root - intermediate - leaf
for ``www.example.com`` and changes one thing, so that one thing is wrong and nothing else.  Everything is minted
relative to ``Bench.now``, so that no fault ever rots: an expired certificate expired three days before that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from synfin.pki.examine import Presented, violation_of
from synfin.pki.keys import PrivateKey, make_key
from synfin.pki.mint import Credential, Order, intermediate_order, leaf_order, root_order, self_signed, signed

HOST = "www.example.com"
DAY = timedelta(days=1)


@dataclass
class Bench:
    """Where faults are made, at the time ``now``; the sound chain and all keys are made once, when first used."""

    now: datetime
    _keys: dict[tuple[str, int], PrivateKey] = field(default_factory=dict)

    def key(self, kind: str = "p256", number: int = 0) -> PrivateKey:
        """A key of ``kind``: those of ``keys.KINDS`` and the weak rsa1024 and p192; ``number`` tells keys apart."""
        if (kind, number) not in self._keys:
            self._keys[kind, number] = _weak(kind) or make_key(kind)
        return self._keys[kind, number]

    @cached_property
    def root(self) -> Credential:
        """The trusted root."""
        return self.root_of("p256")

    @cached_property
    def middle(self) -> Credential:
        """The sound intermediate."""
        return signed(self.middle_order(), self.key(number=1), self.root)

    def root_of(self, kind: str, number: int = 0, common: str = "Fault Root") -> Credential:
        """Another root with a key of ``kind``."""
        return self_signed(self.root_order(common), self.key(kind, number))

    def root_order(self, common: str = "Fault Root") -> Order:
        """An order for a sound root, 400 days old, to be changed."""
        return root_order(common, self.now - 400 * DAY)

    def middle_order(self, *, path_length: int | None = 0, common: str = "Fault Intermediate") -> Order:
        """An order for a sound intermediate, 30 days old, to be changed."""
        return intermediate_order(common, self.now - 30 * DAY, path_length=path_length)

    def order(self, *names: str) -> Order:
        """An order for a sound leaf for ``names`` (www.example.com unless told), to be changed."""
        return leaf_order(names or (HOST,), self.now - 5 * DAY, life=40 * DAY)

    def leaf(self, order: Order | None = None, issuer: Credential | None = None, *, kind: str = "p256") -> Credential:
        """A leaf below the sound intermediate unless told."""
        return signed(order or self.order(), self.key(kind, 2), issuer or self.middle)

    def presented(
        self, leaf: Credential | None = None, *above: Credential, roots: tuple[Credential, ...] = ()
    ) -> Presented:
        """``leaf`` and what is ``above`` it (the sound intermediate unless told), to a client that trusts ``roots``."""
        leaf = leaf or self.leaf()
        chain = (leaf.der, *(one.der for one in above or (self.middle,)))
        return Presented(chain, leaf.key, HOST, tuple(root.der for root in roots or (self.root,)))

    def under(self, middle: Order, leaf: Order | None = None) -> Presented:
        """A sound leaf below an intermediate that is not."""
        issuer = signed(middle, self.key(number=1), self.root)
        return self.presented(self.leaf(leaf, issuer), issuer)


def _weak(kind: str) -> PrivateKey | None:
    """Keys nobody should ask for."""
    if kind == "rsa1024":
        return rsa.generate_private_key(65537, 1024)
    return ec.generate_private_key(ec.SECP192R1()) if kind == "p192" else None


def sound(bench: Bench) -> Presented:
    """The chain every fault starts from: nothing is wrong with it."""
    return bench.presented()


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong certificate: what it is, the one problem it has, and what others make of it.

    ``problem`` is a name of ``spec.certcheck.PROBLEMS`` or ``examine.BEYOND``; ``also`` are harmless problems that
    cannot be had apart from it.  ``openssl`` are the error numbers ``openssl verify`` may give: 0 where it accepts,
    none at all where it cannot be asked (it does not read such a certificate, or does not know the key).
    """

    name: str
    problem: str
    why: str
    make: Callable[[Bench], Presented]
    also: tuple[str, ...] = ()
    openssl: tuple[int, ...] = ()

    @property
    def violation(self) -> str:
        """The violation of ``spec.violations`` it causes; "" where most clients carry on and only a lint complains."""
        return violation_of(self.problem)


def fault(
    faults: list[Fault], problem: str, *openssl: int, also: tuple[str, ...] = ()
) -> Callable[[Callable[[Bench], Presented]], Callable[[Bench], Presented]]:
    """Put the function below into ``faults`` under its own name; its docstring is the ``why``."""

    def register(make: Callable[[Bench], Presented]) -> Callable[[Bench], Presented]:
        why = " ".join((make.__doc__ or "").split())
        faults.append(Fault(make.__name__, problem, why, make, also, openssl))
        return make

    return register


def dated(order: Order, start: datetime, end: datetime) -> Order:
    """``order`` with another validity."""
    return replace(order, not_before=start, not_after=end)
