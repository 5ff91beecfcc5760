"""The code table and the rules hold together: codes, modules, pages, scenarios, the reference document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synfin.judge import rules
from synfin.judge.alerts import ALERTS
from synfin.judge.codes import CODES, ORDER, TABLE, Code
from synfin.judge.reference import reference
from synfin.wire.tls.registry import ALERTS as REGISTERED
from tests.scenarios.catalogue import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]


def test_codes_slugs_and_titles_are_unique_and_well_formed() -> None:
    assert len(CODES) == len(TABLE) == len({row.slug for row in TABLE}) == len({row.title for row in TABLE})
    for row in TABLE:
        assert re.fullmatch(r"(CAP|DNS|TCP|TLS|CRT|HTP|PRX|SLO)[1-9]\d\d", row.code)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.slug)
        assert row.keys in ("no", "TLS 1.3", "yes")
    assert sorted(ORDER, key=ORDER.__getitem__) == [row.code for row in TABLE]


def test_every_rule_file_is_in_the_table_and_every_row_has_its_file() -> None:
    files = {path.stem for path in Path(rules.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == {row.module.rsplit(".", 1)[1] for row in TABLE}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.code)
def test_the_page_says_everything(row: Code) -> None:
    module = row.load()
    assert row.code == module.CODE
    assert callable(module.check)
    assert row.page.startswith(f"{row.code}: ")
    for part in ("What it sees.", "Why it matters.", "How to fix.", "Confused with.", "References."):
        assert part in row.page, part


def test_every_rule_has_a_scenario_and_two_near_misses() -> None:
    assert set(SCENARIOS) == {row.code for row in TABLE if row.signs}
    for code, scenario in SCENARIOS.items():
        assert len(scenario.near) >= 2, code


def test_the_reference_document_is_in_sync() -> None:
    text = (ROOT / "docs" / "reference" / "rules.md").read_text("utf-8")
    assert text == reference(TABLE), "run: synfin rule --markdown > docs/reference/rules.md"


def test_every_registered_alert_is_explained_by_its_name() -> None:
    dtls_only = {52}  # too_many_cids_requested, RFC 9147
    assert {number: alert.name for number, alert in ALERTS.items()} == {
        number: name for number, name in REGISTERED.items() if number not in dtls_only
    }
