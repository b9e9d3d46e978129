from __future__ import annotations

from pathlib import Path

import pytest
import record_factory

from emo_bench.gate import GateRules, Rule, read_rules
from emo_bench.gate.rules import default_rules
from emo_bench.record.columns import columns_of
from emo_core.errors import ConfigError

DEFAULT = Path(__file__).parents[3] / "configs" / "gates" / "default.yaml"


def test_the_default_rules_are_valid_and_judge_the_papers_values() -> None:
    rules = read_rules(DEFAULT)
    columns = columns_of(record_factory.make_run(n_clips=2).record)
    judged = {column.id: rules.rule_for(column) for column in columns}
    assert judged["f-sim/mobilefacenet@1#f-sim"].severity == "fail"  # type: ignore[union-attr]
    assert judged["psnr/rgb@1#psnr"].severity == "warn"  # type: ignore[union-attr]
    assert judged["f-sim/mobilefacenet@1#f-sim-min"] is None


def test_rules_ship_and_those_of_the_current_folder_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_rules().samefile(DEFAULT)
    own = tmp_path / "configs" / "gates" / "default.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("rules: [{protocol: '*'}]")
    assert default_rules().samefile(own)


def test_the_first_fitting_rule_counts_and_ignore_ends_it() -> None:
    column = columns_of(record_factory.make_run(n_clips=2).record)[2]
    ignored = GateRules(rules=(Rule(protocol=column.protocol.name, severity="ignore"), Rule(protocol="*")))
    assert ignored.rule_for(column) is None
    assert GateRules(rules=(Rule(protocol="*", minimum_effect=1.0),)).rule_for(column).minimum_effect == 1.0  # type: ignore[union-attr]


def test_the_threshold_is_the_larger_of_both() -> None:
    rule = Rule(protocol="*", minimum_effect=0.5, minimum_relative_effect=0.1)
    assert rule.threshold(20.0) == pytest.approx(2.0)
    assert rule.threshold(-1.0) == pytest.approx(0.5)
    assert rule.threshold(None) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules: [{protocol: '*', minimum_efect: 1}]", "minimum_effect"),
        ("rules: []", "rules"),
        ("alpha: 0.9\nrules: [{protocol: '*'}]", "alpha"),
        ("rules: [{protocol: '*', severity: loud}]", "severity"),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=expected):
        read_rules(path)
