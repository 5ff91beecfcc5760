"""Certificate facts (being written)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Facts of one certificate."""

    der: bytes
