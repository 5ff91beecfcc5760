"""Where systems keep the roots they trust, in one file."""

from __future__ import annotations

from pathlib import Path

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, RHEL
    "/etc/pki/tls/certs/ca-bundle.crt",  # CentOS, older Fedora
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # BSDs, macOS
)


def system_bundle() -> Path | None:
    """The file with the roots of this system, where it is known."""
    return next((path for path in map(Path, BUNDLES) if path.is_file()), None)
