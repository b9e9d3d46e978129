"""A suite file is read by YAML 1.2; every wrong one gives file, line, key path, what was expected and a way out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_bench.config.load import apply_overrides, dotted, parse_yaml, read_yaml
from emo_bench.runner.suite import load_suite, suite_from_values, suite_schema
from emo_core.errors import ConfigError
from emo_core.hashing import digest_of

REPOSITORY = Path(__file__).resolve().parents[3]
SUITES = sorted((REPOSITORY / "configs" / "suites").glob("*.yaml"))

GOOD = """\
name: tiny
dataset:
  kind: manifest
  manifest: set/manifest.jsonl
systems:
  - name: mine
    kind: videos
    folder: out
metrics:
  - psnr/rgb@1
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_suite(write(folder, text), overrides)
    return str(caught.value)


def test_a_good_file(tmp_path: Path) -> None:
    suite = load_suite(write(tmp_path, GOOD))
    assert suite.base == tmp_path
    assert suite.text == GOOD
    assert [system.name for system in suite.config.all_systems()] == [
        "ground-truth",
        "reencoded",
        "frozen",
        "shuffled-audio",
        "shifted-audio",
        "other-identity",
        "mine",
    ]
    assert suite.config.systems[0].options == {"folder": "out"}


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_every_suite_of_the_project_is_valid(path: Path) -> None:
    assert load_suite(path).config.metrics


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("10:30", "10:30"),
        ("1:2:3", "1:2:3"),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("~", None),
        ("null", None),
        ("2020-01-01", "2020-01-01"),
        ("'1'", "1"),
        ("0.1", 0.1),
    ],
)
def test_scalars_are_those_of_yaml_1_2_in_files_and_overrides(written: str, read: Any) -> None:
    for values in (
        parse_yaml(f"value: {written}\n").values,
        apply_overrides(parse_yaml("value: x"), [f"value={written}"]).values,
    ):
        assert values == {"value": read}
        assert type(values["value"]) is type(read)


# Each case: what is replaced in the good file, by what, the line and key path of the message, and words in it.
WRONG = {
    "unknown key": ("name: tiny", "name: tiny\nmetrix: []", 2, "metrix", ["unknown key", "did you mean 'metrics'?"]),
    "unknown nested key": ("  manifest: set", "  splitt: a\n  manifest: set", 4, "dataset.splitt", ["'split'"]),
    "unknown key, nothing near": ("name: tiny", "name: tiny\nzzzz: 1", 2, "zzzz", ["expected one of: version"]),
    "unknown option of a system": ("    folder: out", "    foldr: out", 8, "systems[0].foldr", ["'folder'"]),
    "missing option of a system": ("    folder: out\n", "", 6, "systems[0].folder", ["missing key", "Folder of the"]),
    "missing key": ("name: tiny\n", "", None, "name", ["missing key", "Name of the suite"]),
    "missing mapping": (
        "dataset:\n  kind: manifest\n  manifest: set/manifest.jsonl\n",
        "",
        None,
        "dataset",
        ["The clips"],
    ),
    "missing nested key": ("  manifest: set/manifest.jsonl\n", "", 2, "dataset.manifest", ["missing key", "Path of"]),
    "unknown kind of data set": (
        "kind: manifest",
        "kind: manifst",
        3,
        "dataset.kind",
        ["'manifst'", "did you mean 'manifest'?"],
    ),
    "wrong type": ("name: tiny", "name: 5", 1, "name", ["string", "found 5"]),
    "wrong type in a list": ("  - psnr/rgb@1", "  - psnr/rgb@1\n  - 7", 11, "metrics[1]", ["string", "found 7"]),
    "wrong type in a list of mappings": ("    kind: videos", "    kind: [1]", 7, "systems[0].kind", ["string"]),
    "a string for a list": ("  - psnr/rgb@1", "  psnr/rgb@1", 9, "metrics", ["found 'psnr/rgb@1'"]),
    "text for a number": ("name: tiny", "name: tiny\nseeds: ['1']", 2, "seeds[0]", ["integer", "found '1'"]),
    "yes is no truth": (
        "name: tiny",
        "name: tiny\nreport:\n  previews: yes",
        3,
        "report.previews",
        ["boolean", "'yes'"],
    ),
    "out of range": ("name: tiny", "name: tiny\nexecution:\n  workers: 0", 3, "execution.workers", ["greater", "0"]),
    "infinite": (
        "name: tiny",
        "name: a\nexecution:\n  unit_timeout_s: .inf",
        3,
        "execution.unit_timeout_s",
        ["finite"],
    ),
    "wrong pattern": ("name: tiny", "name: ../x", 1, "name", ["pattern", "'../x'"]),
    "no rate": ("name: tiny", "name: a\nmedia: {fps: fast}", 2, "media.fps", ["'30000/1001'", "'fast'"]),
    "unknown system": (
        "kind: videos",
        "kind: vidoes",
        7,
        "systems[0].kind",
        ["unknown kind", "did you mean 'videos'?"],
    ),
    "unknown metric": ("psnr/rgb@1", "psnr/rgb", 10, "metrics[0]", ["unknown protocol", "did you mean 'psnr/rgb@1'?"]),
    "wrong choice": ("name: tiny", "name: a\nanchors: [frozn]", 2, "anchors[0]", ["did you mean 'frozen'?"]),
    "pattern without an id": ("folder: out", "folder: out\n    pattern: x", 9, "systems[0].pattern", ["'{id}'"]),
}


@pytest.mark.parametrize("case", WRONG, ids=str)
def test_a_wrong_file_says_where_and_what(tmp_path: Path, case: str) -> None:
    old, new, line, key, words = WRONG[case]
    assert old in GOOD
    message = error_of(tmp_path, GOOD.replace(old, new))
    place = f"{tmp_path / 'suite.yaml'}{f':{line}' if line else ''}: {key}: "
    line_of_it = next((text for text in message.splitlines() if text.startswith(place)), "")
    assert line_of_it, message
    assert all(word in line_of_it for word in words), message
    assert len(message.splitlines()) == (2 if case == "unknown option of a system" else 1), message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("name: tiny", "name: '!'\nseedz: [1]").replace(
        "  manifest: set/manifest.jsonl", "  max_clips: 0"
    )
    lines = error_of(tmp_path, text).splitlines()
    assert len(lines) == 4
    for key in ("name", "seedz", "dataset.manifest", "dataset.max_clips"):
        assert sum(f": {key}: " in line for line in lines) == 1, lines


def test_problems_of_systems_and_metrics_are_told_together(tmp_path: Path) -> None:
    text = GOOD.replace("videos", "video").replace("psnr/rgb@1", "psmr/rgb@1\n  - ssim/gaus@1")
    lines = error_of(tmp_path, text).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["systems[0].kind", "metrics[0]", "metrics[1]"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", [":3:", "twice"]),
        ("a: [1\nb: 2\n", ["not valid YAML"]),
        ("a: b: c\n", [":1:", "not valid YAML"]),
        ("a: 1\n\tb: 2\n", [":2:", "not valid YAML"]),
        ("", ["not a mapping"]),
        ("- a\n", ["not a mapping"]),
        ("a: 1\n---\nb: 2\n", ["not valid YAML"]),
        ("a: &a [*a]\n", []),
        ("a: *nowhere\n", ["not valid YAML"]),
        ("a: !!python/object:os.system x\n", []),
    ],
)
def test_what_is_no_suite_is_refused_with_a_message(tmp_path: Path, text: str, words: list[str]) -> None:
    message = error_of(tmp_path, text)
    assert str(tmp_path / "suite.yaml") in message
    assert all(word in message for word in words), message


def test_bytes_folders_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_yaml(tmp_path / "suite.yaml")
    with pytest.raises(ConfigError, match="cannot read"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match=r"did you mean .*suite\.yaml"):
        read_yaml(tmp_path / "suit.yaml")


def test_merge_keys_and_anchors_work(tmp_path: Path) -> None:
    source = parse_yaml("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n")
    assert source.values["own"] == {"x": 1, "y": 3}
    assert source.place(("own", "y")) == "configuration:4: own.y"
    assert source.place(("own", "x")) == "configuration:2: own.x"


def test_overrides_reach_everything(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    changes = [
        "systems[0].folder=elsewhere",
        "metrics[0]=ssim/gauss11@1",
        "execution.workers=4",
        "media.size={width: 64, height: 32}",
        "seeds=[1, 2]",
        "description=",
        "report.title=a=b",
    ]
    with pytest.raises(ConfigError, match=r"--set description=: description: .*string"):
        load_suite(path, changes)
    changes.remove("description=")
    suite = load_suite(path, changes)
    config = suite.config
    assert suite.overrides == tuple(changes)
    assert config.systems[0].options["folder"] == "elsewhere"
    assert (config.metrics, config.execution.workers, config.seeds) == (("ssim/gauss11@1",), 4, (1, 2))
    assert (config.media.size.width, config.media.size.height) == (64, 32)
    assert config.report.title == "a=b"
    assert load_suite(path).config.execution.workers == 2


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("execution.workers", ["not an assignment", "key.path=value"]),
        ("=4", ["not an assignment"]),
        ("systems[3].folder=x", ["systems[3]", "does not exist"]),
        ("name.x=1", ["name"]),
        ("metrics[0].x=1", ["metrics[0]", "not a mapping"]),
        ("seeds=[1", ["not valid YAML"]),
        ("media.fps=fast", ["--set media.fps=fast: media.fps", "found 'fast'"]),
        ("executon.workers=2", ["--set executon.workers=2", "did you mean 'execution'?"]),
        ("output=2020-01-01T00:00:00Z", []),
        ("systems[0].kind=vidos", ["--set systems[0].kind=vidos", "did you mean 'videos'?"]),
    ],
)
def test_a_wrong_override_is_named(tmp_path: Path, override: str, words: list[str]) -> None:
    if not words:
        assert load_suite(write(tmp_path, GOOD), [override]).config.output.startswith("2020-01-01")
        return
    message = error_of(tmp_path, GOOD, override)
    assert all(word in message for word in words), message
    assert "suite.yaml:" not in message


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("name", "dataset", "media", "systems", "metrics", "seeds", "report", "weights", "statistics")


@given(VALUES, st.sampled_from(KEYS))
@settings(max_examples=150, deadline=None)
def test_any_value_anywhere_is_accepted_or_explained(value: Any, key: str) -> None:
    values = {**parse_yaml(GOOD).values, key: value}
    try:
        suite_from_values(values, base=Path())
    except ConfigError as error:
        message = str(error)
        assert f"configuration: {key}" in message, message


def test_python_values_may_hold_paths_and_take_overrides(tmp_path: Path) -> None:
    values = {"name": "a", "dataset": {"kind": "manifest", "manifest": tmp_path / "m.jsonl"}, "metrics": ["psnr/rgb@1"]}
    suite = suite_from_values(values, base=tmp_path, overrides=["execution.workers=7"])
    assert suite.config.dataset.options["manifest"] == str(tmp_path / "m.jsonl")
    assert suite.config.execution.workers == 7
    assert json.loads(suite.text)["dataset"]["manifest"] == str(tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"systems": [{"name": "a", "kind": "frozen"}] * 2}, "two systems are called 'a'"),
        ({"systems": [{"name": "frozen", "kind": "frozen"}]}, "'frozen' is a reserved name"),
        ({"metrics": ["psnr/rgb@1"] * 2}, "metrics: expected no repeated entries"),
        ({"seeds": [1, 1]}, "seeds: expected no repeated entries"),
        ({"seeds": [2**63]}, "seeds: expected integers of at most 64 bits"),
    ],
)
def test_names_are_unique(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        suite_from_values({**parse_yaml(GOOD).values, **changes}, base=Path())


def test_configurations_are_frozen_and_their_digest_knows_no_order() -> None:
    values = parse_yaml(GOOD).values
    config = suite_from_values(values, base=Path()).config
    with pytest.raises(ValueError, match="frozen"):
        config.name = "b"  # type: ignore[misc]
    other = suite_from_values(dict(reversed(values.items())), base=Path()).config
    assert digest_of(config.model_dump(mode="json")) == digest_of(other.model_dump(mode="json"))


def test_key_paths_as_text() -> None:
    assert dotted(("a", 0, "b", 1, 2)) == "a[0].b[1][2]"
    assert dotted(()) == ""


class TestJsonSchema:
    """The schema for editors accepts what the loader accepts, and sees the plain mistakes."""

    schema = json.loads((REPOSITORY / "configs" / "schema" / "suite.json").read_text(encoding="utf-8"))

    def test_the_committed_schema_is_that_of_the_code(self) -> None:
        generated = {"$schema": self.schema["$schema"], **suite_schema()}
        assert self.schema == json.loads(json.dumps(generated))

    @pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
    def test_it_accepts_every_suite(self, path: Path) -> None:
        jsonschema.validate(read_yaml(path).values, self.schema, jsonschema.Draft202012Validator)

    @pytest.mark.parametrize(
        "changes",
        [
            {"media": {"fps": "30000/1001", "size": {"width": 64, "height": 64}}},
            {"seeds": [0, 1], "anchors": [], "report": {"title": None}},
            {"dataset": {"kind": "hdtf-synth", "slice": "test", "max_clips": 3}},
            {"dataset": {"manifest": "m.jsonl", "kind": "manifest", "split": None}},
        ],
    )
    def test_it_accepts_what_the_loader_accepts(self, changes: dict[str, Any]) -> None:
        values = {**parse_yaml(GOOD).values, **changes}
        suite_from_values(values, base=Path())
        jsonschema.validate(values, self.schema, jsonschema.Draft202012Validator)

    @pytest.mark.parametrize(
        "changes", [{"metrix": []}, {"seeds": ["1"]}, {"metrics": []}, {"name": "../x"}, {"dataset": {"kind": "x"}}]
    )
    def test_it_refuses_plain_mistakes(self, changes: dict[str, Any]) -> None:
        values = {**parse_yaml(GOOD).values, **changes}
        with pytest.raises(ConfigError):
            suite_from_values(values, base=Path())
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, self.schema, jsonschema.Draft202012Validator)
