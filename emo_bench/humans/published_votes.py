"""Readers of votes that others published, from a folder that the user has; nothing of them comes with this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emo_bench.humans.table import read_table
from emo_bench.humans.values import MeasuredValue
from emo_bench.humans.votes import ClipScore, PairVotes, Votes
from emo_core.errors import ConfigError

ADTH_QA_QUESTIONS = ("head", "lip", "render")
ADTH_QA_FOLDERS = {"wav2lip": "wav2lip", "MakeitTalk": "makeittalk", "ADNerf": "adnerf", "DFANerf": "dfanerf"}
"""System as the votes name it -> folder of its videos."""

THQA_FILE = "vvmf_results_a01.csv"
THQA_LOWER = ("brisque", "pi", "distance")
"""Columns of which less is better, by the definitions of these measures."""


def read_adth_qa(folder: Path) -> Votes:
    """ADTH-QA: 60 pairs of four systems on ten sources, 15 raters, three questions.

    Source: Zhang et al., A Comparative Study of Perceptual Quality Metrics for Audio-driven Talking Head Videos, ICIP
    2024, arXiv 2403.06421; repository zwx8981/ADTH-QA, files ``adthqa/{head,lip,render}_summary.mat``.

    Args:
        folder: A checkout of that repository, or its folder ``adthqa``.

    Raises:
        ConfigError: when a file is missing or is not as published.
    """
    import scipy.io
    from scipy.io.matlab import MatReadError

    place = folder / "adthqa" if (folder / "adthqa").is_dir() else folder
    pairs = []
    for question in ADTH_QA_QUESTIONS:
        path = place / f"{question}_summary.mat"
        if not path.is_file():
            raise ConfigError(f"no file {path}", expected="ADTH-QA's folder 'adthqa' with three *_summary.mat files")
        try:
            table = scipy.io.loadmat(path)[f"{question}_summary"]
            pairs += [_adth_qa_pair(question, row) for row in table]
        except (KeyError, ValueError, IndexError, TypeError, NotImplementedError, MatReadError) as error:
            raise ConfigError(f"{path} is not as ADTH-QA published it", found=str(error)) from None
    return Votes(name="ADTH-QA", pairs=tuple(pairs), source="zwx8981/ADTH-QA, arXiv 2403.06421")


def _adth_qa_pair(question: str, row: Any) -> PairVotes:
    first, second, file = (str(cell.item()) for cell in row[:3])
    for_a, for_b = (float(cell.item()) for cell in row[3:5])
    clip = Path(file).stem
    return PairVotes(question=question, clip=clip, a=first, b=second, for_a=for_a, for_b=for_b)


def read_thqa(folder: Path) -> tuple[Votes, tuple[MeasuredValue, ...]]:
    """THQA: opinions of 800 clips of eight systems, with 24 computed features in the same file.

    What is resampled is the portrait, of which there are twenty.

    Source: Zhou et al., THQA: A Perceptual Quality Assessment Database for Talking Heads, ICIP 2024, arXiv 2404.09003;
    repository zyj-2000/THQA, file ``vvmf_results_a01.csv``.

    Args:
        folder: A checkout of that repository.

    Raises:
        ConfigError: when the file is missing or is not as published.
    """
    path = folder / THQA_FILE
    table = read_table(path)
    if table.columns[:1] != ("Image",) or table.columns[-1:] != ("Score",):
        raise ConfigError(f"{path} is not as THQA published it", expected="columns from 'Image' to 'Score'")
    scores, values, units = [], [], {}
    features = table.columns[1:-1]
    for line, row in enumerate(table.rows, start=2):
        clip, _, system = row["Image"].rpartition("_")
        units[clip] = clip.partition("_")[0]
        try:
            scores.append(ClipScore(question="quality", clip=clip, system=system, score=float(row["Score"])))
            measured = {name: float(row[name]) for name in features}
        except ValueError as error:
            raise ConfigError(f"{path}, line {line}: {error}", expected="numbers but in the first column") from None
        values += [
            MeasuredValue(
                system=system,
                clip=clip,
                protocol=name,
                key="",
                label=name,
                direction="lower" if name in THQA_LOWER else "higher",
                value=value,
            )
            for name, value in measured.items()
        ]
    votes = Votes(name="THQA", scores=tuple(scores), units=units, source="zyj-2000/THQA (MIT), arXiv 2404.09003")
    return votes, tuple(values)
