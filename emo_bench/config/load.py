"""Reads a suite file: YAML 1.2, overrides, validation; every error names file, line, key path and what was expected."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from emo_bench.config.yaml_text import MAX_BYTES, plain_values
from emo_bench.config.yaml_text import KeyPath as KeyPath
from emo_core.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Source:
    """A parsed file: plain values and the line of every key.

    Attributes:
        path: Where it was read from; None for values given in Python.
        text: The file as it is.
        values: Mappings, sequences and scalars.
        lines: 1-based line of each key path.
        overridden: The assignment that set a key path, where it was not the file.
    """

    path: Path | None
    text: str
    values: dict[str, Any]
    lines: Mapping[KeyPath, int]
    overridden: Mapping[KeyPath, str] = field(default_factory=dict)

    def place(self, key_path: KeyPath) -> str:
        """``file:line: a.b[0].c`` for messages; the nearest known ancestor when the key itself has no line."""
        for length in range(len(key_path), 0, -1):
            if key_path[:length] in self.overridden:
                return f"--set {self.overridden[key_path[:length]]}: {dotted(key_path)}"
        line = next((self.lines[key_path[:n]] for n in range(len(key_path), -1, -1) if key_path[:n] in self.lines), 0)
        where = f"{self.path or 'configuration'}:{line}" if line else f"{self.path or 'configuration'}"
        return f"{where}: {dotted(key_path)}" if key_path else where


def dotted(key_path: KeyPath) -> str:
    """Key path as text.

    >>> dotted(("systems", 0, "name"))
    'systems[0].name'
    """
    text = ""
    for part in key_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_yaml(path: Path) -> Source:
    """Parses one YAML 1.2 document whose top level is a mapping.

    Raises:
        ConfigError: when the file is missing, is no YAML, repeats a key, or is not a mapping.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)  # never the whole of what may have no end
        text = data.decode("utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], n=1)
        fix = f"did you mean {path.parent / near[0]}?" if near else "check the path"
        raise ConfigError(f"no such file: {path}", expected="a YAML file", fix=fix) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read {path}", expected="a text file in UTF-8", found=str(error)) from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: too large", expected=f"at most {MAX_BYTES} bytes", found="more")
    return parse_yaml(text, path=path)


def parse_yaml(text: str, *, path: Path | None = None) -> Source:
    """Parses YAML 1.2 text; see ``read_yaml``."""
    values, lines = plain_values(text, name=str(path or "configuration"))
    return Source(path, text, values, lines)


def apply_overrides(source: Source, overrides: Sequence[str]) -> Source:
    """Applies ``a.b=value`` and ``list[0].key=value``; the value is read as YAML.

    Raises:
        ConfigError: when an override has no '=' or walks through something that is not a mapping or list.

    >>> apply_overrides(parse_yaml("a: {b: 1}"), ["a.b=2", "c=[1, x]"]).values
    {'a': {'b': 2}, 'c': [1, 'x']}
    """
    values = json.loads(json.dumps(source.values))
    overridden = dict(source.overridden)
    for text in overrides:
        key, separator, raw = text.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"--set {text!r} is not an assignment", expected="key.path=value")
        parts = _parts(key.strip())
        made = _assign(values, parts, _scalar_or_more(raw, text), text)
        overridden |= {made: text, parts: text}
    return Source(source.path, source.text, values, source.lines, overridden)


def _scalar_or_more(raw: str, text: str) -> Any:
    """The value of an override, read by the same rules as a file."""
    if not raw.strip():
        return None
    try:
        return parse_yaml(f"value:\n  {raw}").values["value"]
    except (ConfigError, KeyError):
        raise ConfigError(f"--set {text!r}: the value is not valid YAML", expected="key.path=value") from None


def _parts(key: str) -> KeyPath:
    parts: list[str | int] = []
    for piece in key.replace("[", ".[").split("."):
        if piece.startswith("[") and piece.endswith("]") and piece[1:-1].isdigit():
            parts.append(int(piece[1:-1]))
        elif piece:
            parts.append(piece)
    return tuple(parts)


def _assign(values: Any, parts: KeyPath, new: Any, text: str) -> KeyPath:
    """Sets a value in place; returns the path of the outermost mapping that had to be made for it, else ``parts``."""
    node, made = values, parts
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(part, int):
            if not isinstance(node, list) or part >= len(node):
                raise ConfigError(f"--set {text!r}: {dotted(parts[: depth + 1])} does not exist")
        elif not isinstance(node, dict):
            raise ConfigError(f"--set {text!r}: {dotted(parts[:depth])} is not a mapping")
        elif not last and not isinstance(node.get(part), (dict, list)):
            node[part] = {}
            made = min(made, parts[: depth + 1], key=len)
        if last:
            node[part] = new
        else:
            node = node[part]
    return made


def validate(model: type[M], source: Source, *, at: KeyPath = (), values: Any = None) -> M:
    """Checks plain values against a model.

    Args:
        model: The model to build.
        source: Where the values come from, for error places.
        at: Key path of the values within the source.
        values: The values; ``source.values`` when absent.

    Raises:
        ConfigError: listing every problem with its place, what was expected and the nearest valid name.
    """
    plain = source.values if values is None else values
    try:
        return model.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        problems = [_describe(model, source, at, plain, item) for item in error.errors() if not _is_echo(item)]
        raise ConfigError("\n".join(dict.fromkeys(problems))) from None


def _is_echo(item: Any) -> bool:
    """Whether a list only seems too short because its items were refused, which is already reported."""
    return bool(item["type"] == "too_short" and len(item["input"]) > item["ctx"]["actual_length"])


def _describe(model: type[BaseModel], source: Source, at: KeyPath, plain: Any, item: Any) -> str:
    location, owner = _walk(model, plain, tuple(item["loc"]))
    allowed = _keys(owner)
    place = source.place((*at, *location))
    message: str = item["msg"].removeprefix("Value error, ")
    kind = item["type"]
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), allowed, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else f"; expected one of: {', '.join(allowed)}"
        return f"{place}: unknown key{hint}"
    if kind == "missing":
        field = owner.model_fields.get(str(location[-1])) if owner else None
        return f"{place}: missing key; expected {(field.description if field else None) or 'a value'}"
    if kind in ("union_tag_invalid", "literal_error", "enum"):
        expected = item["ctx"].get("expected_tags") or item["ctx"].get("expected", "")
        tag = item["ctx"].get("tag", item.get("input"))
        options = [option.strip(" '\"") for option in str(expected).replace(" or ", ",").split(",")]
        near = difflib.get_close_matches(str(tag), options, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{place}: found {tag!r}, expected one of: {', '.join(options)}{hint}"
    found = "" if isinstance(item.get("input"), (dict, list)) else f", found {item.get('input')!r}"
    return f"{place}: {message[0].lower()}{message[1:]}{found}"


def _walk(model: type[BaseModel], plain: Any, location: KeyPath) -> tuple[KeyPath, type[BaseModel] | None]:
    """Drops the union tags that pydantic puts into locations; also gives the model that the last key belongs to."""
    node, cleaned = plain, []
    current: type[BaseModel] | None = model
    owner = current
    for part in location:
        # A tag may be spelt like a key of the mapping, so it is looked for first; only a union has variants.
        chosen = _variant(current, str(part))
        if chosen is not None:
            current = chosen
            continue
        cleaned.append(part)
        owner = current or owner
        is_key = isinstance(node, Mapping) and part in node
        is_item = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if is_key or is_item:
            node = node[part]
        if isinstance(part, str):
            current = _field_model(current, part)
    return tuple(cleaned), owner


def _keys(model: type[BaseModel] | None) -> list[str]:
    return list(model.model_fields) if model else []


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        return [found for part in typing.get_args(annotation) for found in _models_in(part)]
    return []


class _Union(BaseModel):
    """Stands for 'one of several models' until the tag says which."""


def _field_model(model: type[BaseModel] | None, key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key) if model else None
    found = _models_in(field.annotation) if field else []
    if len(found) <= 1:
        return found[0] if found else None
    return type("_Choice", (_Union,), {"choices": found, "__annotations__": {"choices": typing.ClassVar[list[Any]]}})


def _variant(model: type[BaseModel] | None, tag: str) -> type[BaseModel] | None:
    for choice in getattr(model, "choices", []):
        if str(tag) in typing.get_args(choice.model_fields["kind"].annotation):
            return typing.cast("type[BaseModel]", choice)
    return None
