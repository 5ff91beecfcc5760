"""Run every shared capture and print the agreement with the truth files, per field (`make corpus`).

    python -m tests.agreement.corpus FOLDER [--show N] [--file NAME]

FOLDER holds ``captures/``, ``truth/``, ``keys/`` and ``compare.py``.  Crashes and slow files are told and counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from synfin.capture.keylog import read_keylog
from tests.agreement.export import export


def main() -> int:
    """Command line; exit 1 when a capture crashed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", type=int, default=0, help="examples of each disagreement")
    parser.add_argument("--file", help="only this capture")
    asked = parser.parse_args()
    crashed = 0
    entries = json.loads((asked.folder / "index.json").read_text())
    with tempfile.TemporaryDirectory() as place:
        out = Path(place)
        for entry in entries:
            if asked.file and entry["file"] != asked.file:
                continue
            path = asked.folder / "captures" / entry["file"]
            keys = asked.folder / "keys" / f"{path.name.split('.')[0]}.keys"
            begun = time.perf_counter()
            try:
                told = export(path, read_keylog(keys) if keys.exists() else None)
            except Exception:
                crashed += 1
                print(f"{entry['file']}: crashed\n{traceback.format_exc(limit=-4)}")
                continue
            took = time.perf_counter() - begun
            if took > 5:
                print(f"{entry['file']}: {took:.1f} s")
            (out / f"{entry['id']}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
        compare = [sys.executable, str(asked.folder / "compare.py"), str(asked.folder / "truth"), place]
        subprocess.run([*compare, "--show", str(asked.show)], check=True)
    return 1 if crashed else 0


if __name__ == "__main__":
    sys.exit(main())
