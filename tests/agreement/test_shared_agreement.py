"""The shared captures against tshark's truth: 99.5 % per field, but for what docs/differences.md lists by name."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from synfin.capture.keylog import read_keylog
from tests.agreement.export import export
from tests.support.shared import SHARED, index, needs_shared

DIFFERENCES = Path(__file__).resolve().parents[2] / "docs" / "differences.md"
#: Streams that one of the two does not have are counted here, beside the fields.
STREAMS = ("captures_missing", "streams_missing", "streams_extra")


def standing() -> set[str]:
    """The fields listed under "Fields below 99.5 %" in docs/differences.md."""
    section = DIFFERENCES.read_text().split("## Fields below 99.5 %")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE))


@cache
def compared() -> Any:
    """The tally of compare.py over every shared capture."""
    assert SHARED is not None
    spec = importlib.util.spec_from_file_location("shared_compare", SHARED / "compare.py")
    assert spec is not None and spec.loader is not None
    compare: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compare)
    compare.GAPS.update(json.loads((SHARED / "truth_gaps.json").read_text()))
    tally = compare.Tally()
    for file, entry in index().items():
        keys = SHARED / "keys" / f"{file.split('.')[0]}.keys"
        told = export(SHARED / "captures" / file, read_keylog(keys) if keys.exists() else None)
        told = json.loads(json.dumps(told))
        compare.cmp_capture(tally, entry["id"], compare.load(SHARED / "truth" / f"{entry['id']}.jsonl"), told)
    return tally


@needs_shared
def test_agreement_per_field() -> None:
    tally = compared()
    assert tally.g["streams_matched"] > 0 and not any(tally.g[name] for name in STREAMS)
    low = {}
    for field, count in tally.f.items():
        judged = count["agree"] + count["alt"] + count["differ"]
        if judged and (count["agree"] + count["alt"]) / judged < 0.995:
            low[field] = tally.ex[field][:3]
    unexplained = {field: examples for field, examples in low.items() if field not in standing()}
    assert not unexplained


@needs_shared
def test_nothing_is_listed_that_agrees() -> None:
    seen = compared()
    stale = [field for field in standing() if field in seen.f and not seen.f[field]["differ"]]
    assert not stale


def test_the_list_of_fields_can_be_read() -> None:
    assert "dec.http1.statuses" in standing()
