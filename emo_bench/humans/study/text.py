"""A scored study in Markdown."""

from __future__ import annotations

from emo_bench.record.human_study import PairEntry, QuestionResult, StrengthEntry, StudyResult


def study_markdown(result: StudyResult) -> str:
    """Strengths, pairs, agreement and exclusions."""
    kept = sum(not rater.excluded for rater in result.raters)
    lines = [f"# {result.title}", "", f"Study {result.study} of run {result.run}: {kept} raters count.", ""]
    for question in result.questions:
        lines += [f"## {question.text}", "", question_sentence(question, result.kind), ""]
        if question.status != "ok":
            lines += [f"No strengths: {question.reason}.", ""]
            continue
        lines += _strengths(question, result)
        lines += [f"- {pair_sentence(pair)}" for pair in question.pairs]
        lines.append("")
    excluded = exclusion_sentences(result)
    if excluded:
        lines += ["## Not counted", "", *(f"- {text}" for text in excluded), ""]
    lines += [f"- {note}" for note in result.notes]
    return "\n".join(lines).rstrip() + "\n"


def _strengths(question: QuestionResult, result: StudyResult) -> list[str]:
    head = "log odds against the mean" if result.kind == "pairs" else "mean opinion (1 to 5)"
    lines = [f"| system | {head} | votes won | votes |", "|---|--:|--:|--:|"]
    for item in question.strengths:
        won = "–" if item.won is None else f"{item.won:.0%}"
        lines.append(f"| {item.system.replace('|', chr(92) + '|')} | {strength_text(item)} | {won} | {item.n_votes} |")
    return [*lines, ""]


def strength_text(item: StrengthEntry) -> str:
    """``0.81 [0.52, 1.13]``."""
    text = f"{item.value:.2f}"
    if item.low is not None and item.high is not None:
        text += f" [{item.low:.2f}, {item.high:.2f}]"
    return text.replace("-0.00", "0.00").replace("-", "−")


def question_sentence(question: QuestionResult, kind: str) -> str:
    """How many votes, and how far raters agree."""
    text = f"{question.n_votes} votes of {question.n_raters} raters on {question.n_clips} clips."
    if question.agreement is None:
        return f"{text} Agreement between raters is unknown."
    if kind == "rating":
        return f"{text} Rank correlation of a rater with the others: {question.agreement:.2f}."
    alpha = "" if question.alpha is None else f", Krippendorff's alpha {question.alpha:.2f}".replace("-", "−")
    return f"{text} A rater agrees with the majority of the others in {question.agreement:.0%}{alpha}."


def pair_sentence(pair: PairEntry) -> str:
    """Who is preferred, and how surely."""
    share = f"{pair.share_a:.0%} of {pair.n_votes} votes for {pair.a} against {pair.b}"
    ends = "" if pair.low is None or pair.high is None else f" [{pair.low:.0%}, {pair.high:.0%}]"
    words = {
        "a_better": f"{pair.a} is preferred",
        "b_better": f"{pair.b} is preferred",
        "tie": "a tie",
        "undefined": "no interval",
    }
    return f"{share}{ends}: {words[pair.verdict]}"


def exclusion_sentences(result: StudyResult) -> list[str]:
    """What does not count, one sentence each."""
    return [
        f"{entry.n_votes} votes of {entry.where}: {entry.reason}" if entry.n_votes else f"{entry.where}: {entry.reason}"
        for entry in result.exclusions
    ]
