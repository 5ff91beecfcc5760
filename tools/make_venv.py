"""Make a virtual environment and install this checkout into it, on a machine that may have Python and nothing else.

    python tools/make_venv.py FOLDER [EXTRA]

Some distributions split ``ensurepip`` and ``pip`` off Python.  Then the environment is made without pip, and pip's
own wheel is fetched from the package index, checked against the index's hash, and run from the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path
from urllib.parse import urljoin

INDEX = "https://pypi.org/pypi/pip/json"


def fetch_pip(folder: Path) -> Path:
    """Pip's newest wheel, its hash checked."""
    with urllib.request.urlopen(INDEX, timeout=60) as answer:
        files = json.load(answer)["urls"]
    wheel = next(file for file in files if file["filename"].endswith("-py3-none-any.whl"))
    with urllib.request.urlopen(urljoin(INDEX, wheel["url"]), timeout=60) as answer:
        octets: bytes = answer.read()
    if hashlib.sha256(octets).hexdigest() != wheel["digests"]["sha256"]:
        raise OSError(f"{wheel['url']} is not what the index says it is")
    path = folder / str(wheel["filename"])
    path.write_bytes(octets)
    return path


def main(place: str, extra: str = "") -> int:
    """Make ``place`` unless it is there, then install the checkout (with the extra) into it."""
    folder = Path(place)
    python = folder / "bin" / "python"
    if not python.exists():
        try:
            venv.create(folder, with_pip=True)
        except subprocess.CalledProcessError:
            venv.create(folder, with_pip=False, clear=True)
    install = ["install", "-q", "--disable-pip-version-check", "-e", f".[{extra}]" if extra else "."]
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return subprocess.run([python, "-m", "pip", *install], check=False).returncode
    with tempfile.TemporaryDirectory() as holder:
        try:
            wheel = fetch_pip(Path(holder))
        except OSError as error:
            print(f"there is no pip here and it cannot be fetched ({error}): install python3-venv", file=sys.stderr)
            return 2
        found = {**os.environ, "PYTHONPATH": str(wheel)}
        return subprocess.run([python, "-m", "pip", *install], env=found, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
