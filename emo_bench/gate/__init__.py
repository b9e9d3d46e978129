"""The regression gate: is a candidate worse than its baseline, beyond chance and beyond what the rules allow?"""

from __future__ import annotations

from emo_bench.gate.evaluate import evaluate_gate
from emo_bench.gate.rules import GateRules, Rule, read_rules
from emo_bench.gate.verdict import RuleOutcome, Verdict, verdict_markdown, write_verdict

__all__ = [
    "GateRules",
    "Rule",
    "RuleOutcome",
    "Verdict",
    "evaluate_gate",
    "read_rules",
    "verdict_markdown",
    "write_verdict",
]
