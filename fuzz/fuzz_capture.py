"""Fuzz target: any octets as a capture file.  Run: python fuzz/fuzz_capture.py [corpus directory]

Needs atheris (pip install atheris).  A capture may be refused with UsageError; every other exception is a find,
and so is a table that contradicts its file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from synfin.capture import open_capture
from synfin.errors import UsageError


def one_input(data: bytes) -> None:
    """Read ``data`` as a capture, look at every payload, and check the table against the file."""
    with tempfile.NamedTemporaryFile(prefix="synfin-fuzz-") as file:
        file.write(data)
        file.flush()
        try:
            capture = open_capture(Path(file.name), batch_packets=1 + len(data) % 64)
        except UsageError:
            return
        with capture:
            packets = 0
            for batch in capture.batches():
                packets += batch.rows.size
                for i in range(batch.rows.size):
                    row = batch.rows[i]
                    if len(batch.payload(i)) != row["load_cap"] or row["load_len"] < row["load_cap"]:
                        raise AssertionError(f"packet {row['number']}: payload does not lie in the file")
            if packets != capture.notes.packets:
                raise AssertionError(f"{packets} rows for {capture.notes.packets} packets")


def main() -> None:
    """Hand the target to atheris."""
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
