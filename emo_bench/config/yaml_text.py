"""YAML 1.2 text as plain values, within limits: no tags, few aliases, shallow nesting, short numbers.

Values are built from parser events, not by a YAML constructor, so that no text can ask for objects, for exponential
copies, or for a depth that exhausts the stack.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from emo_core.errors import ConfigError

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1 << 20
"""Size of a whole file; the largest of the project has 26 kB."""
MAX_DEPTH = 40
MAX_NODES = 100_000
"""Collections, scalars and hundreds of characters, after aliases were filled in."""
MAX_ALIASES = 1000
MAX_DIGITS = 100
"""Characters of a number."""

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9][0-9_]*")
_OCTAL_OR_HEX = re.compile(r"[-+]?0o[0-7]+|[-+]?0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NAN = re.compile(r"\.(nan|NaN|NAN)")


@dataclass
class _Node:
    """A collection that is being read, or a finished value with the number of nodes in it."""

    value: Any
    at: KeyPath
    anchor: str | None = None
    weight: int = 1
    depth: int = 1
    key: str | None = None
    merged: list[_Node] = field(default_factory=list)
    awaits_merge: bool = False


def plain_values(text: str, *, name: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Reads one document whose top level is a mapping.

    Args:
        text: The document.
        name: What it is called in messages.

    Returns:
        Mappings, sequences and scalars; and the 1-based line of every key path that the text spells out.

    Raises:
        ConfigError: in one line, when it is no YAML, repeats a key, exceeds a limit, or is not a mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > MAX_BYTES:
        raise ConfigError(f"{name}: too large", expected=f"at most {MAX_BYTES} bytes", found=f"{len(text)} characters")
    reader = _Reader(name)
    try:
        for event in YAML(typ="safe", pure=True).parse(io.StringIO(text)):
            reader.take(event)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML", found=problem) from None
    except (ValueError, RecursionError, AttributeError, AssertionError) as error:  # from inside the parser
        raise ConfigError(f"{name}: not valid YAML", found=str(error) or type(error).__name__) from None
    if not isinstance(reader.document, dict):
        raise ConfigError(f"{name}: empty or not a mapping", expected="keys and values at the top level")
    return reader.document, reader.lines


class _Reader:
    """Builds values from events; a stack instead of recursion."""

    def __init__(self, name: str) -> None:
        self.document: Any = None
        self.lines: dict[KeyPath, int] = {}
        self._name = name
        self._open: list[_Node] = []
        self._anchors: dict[str, _Node] = {}
        self._nodes = self._aliases = self._documents = 0

    def take(self, event: Any) -> None:
        """Takes the next event of the parser."""
        kind = type(event).__name__
        line = event.start_mark.line + 1 if event.start_mark is not None else 0
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise self._wrong(line, "not valid YAML, more than one document", expected="one document")
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._begin(event, {} if kind.startswith("Mapping") else [], line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end(line)
        elif kind == "ScalarEvent":
            self._scalar(event, line)
        elif kind == "AliasEvent":
            self._alias(event.anchor, line)

    def _begin(self, event: Any, value: Any, line: int) -> None:
        self._check(event, line)
        if self._is_key():
            raise self._wrong(line, "a key is not plain text", expected="text before the colon")
        if len(self._open) >= MAX_DEPTH:
            raise self._wrong(line, "nested too deeply", expected=f"at most {MAX_DEPTH} levels")
        self._count(1, line)
        self._open.append(_Node(value, self._place(line), event.anchor))

    def _end(self, line: int) -> None:
        node = self._open.pop()
        if isinstance(node.value, dict):
            for merged in node.merged:
                for key, item in merged.value.items():
                    node.value.setdefault(key, item)
        self._finish(node, line)

    def _scalar(self, event: Any, line: int) -> None:
        self._check(event, line)
        text = self._whole_text(event.value, line)
        if self._is_key():
            parent = self._open[-1]
            # A plain '<<' merges; in quotes it is a key like any other.
            parent.awaits_merge = text == "<<" and event.style is None
            if text in parent.value and not parent.awaits_merge:
                raise self._wrong(line, "a key is given twice", expected="each key once", found=text[:80])
            parent.key = text
            if not parent.awaits_merge:
                self.lines[(*parent.at, text)] = line
            if event.anchor is not None:
                raise self._wrong(line, "an anchor on a key", expected="anchors on values")
            return
        # Long texts count as much as many short ones, since aliases copy them too.
        weight = 1 + len(text) // 100
        self._count(weight, line)
        value = text if event.style is not None else self._resolved(text, line)
        self._finish(_Node(value, self._place(line), event.anchor, weight=weight, depth=0), line)

    def _whole_text(self, text: str, line: int) -> str:
        """Text whose surrogates are joined, as JSON writes them; half of a pair is no character."""
        if not any("\ud800" <= character <= "\udfff" for character in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self._wrong(
                line, "a text holds half a character", expected="both surrogates of a pair, as in \\ud83d\\ude00"
            ) from None

    def _alias(self, anchor: str, line: int) -> None:
        self._aliases += 1
        known = self._anchors.get(anchor)
        if known is None:
            inside = any(node.anchor == anchor for node in self._open)
            what = "an alias contains itself" if inside else f"no anchor is called {anchor[:80]!r}"
            raise self._wrong(line, f"not valid YAML, {what}", expected="an alias of something above it")
        if self._aliases > MAX_ALIASES:
            raise self._wrong(line, "too many aliases", expected=f"at most {MAX_ALIASES}")
        if self._is_key():
            raise self._wrong(line, "a key is an alias", expected="text before the colon")
        if len(self._open) + known.depth > MAX_DEPTH:
            raise self._wrong(line, "nested too deeply", expected=f"at most {MAX_DEPTH} levels")
        self._count(known.weight, line)
        self._finish(_Node(known.value, self._place(line), weight=known.weight, depth=known.depth), line)

    def _finish(self, node: _Node, line: int) -> None:
        if node.anchor is not None:
            self._anchors[node.anchor] = node
        if not self._open:
            self.document = node.value
            return
        parent = self._open[-1]
        parent.weight += node.weight
        parent.depth = max(parent.depth, node.depth + 1)
        if isinstance(parent.value, list):
            parent.value.append(node.value)
        elif parent.awaits_merge:
            parent.merged += self._merged(node, line)
            parent.awaits_merge, parent.key = False, None
        else:
            parent.value[parent.key] = node.value
            parent.key = None

    def _merged(self, node: _Node, line: int) -> Iterator[_Node]:
        for value in node.value if isinstance(node.value, list) else [node.value]:
            if not isinstance(value, dict):
                raise self._wrong(line, "'<<' merges mappings only", expected="a mapping or a list of them")
            yield _Node(value, node.at)

    def _is_key(self) -> bool:
        parent = self._open[-1] if self._open else None
        return parent is not None and isinstance(parent.value, dict) and parent.key is None

    def _place(self, line: int) -> KeyPath:
        if not self._open:
            return ()
        parent = self._open[-1]
        if isinstance(parent.value, dict):
            return (*parent.at, str(parent.key))
        place = (*parent.at, len(parent.value))
        self.lines[place] = line
        return place

    def _check(self, event: Any, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise self._wrong(line, "tags are not read", expected="plain YAML without '!'", found=str(tag)[:80])

    def _count(self, nodes: int, line: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise self._wrong(line, "too much in one file", expected=f"at most {MAX_NODES} values, aliases filled in")

    def _resolved(self, text: str, line: int) -> Any:
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if text[0] not in "+-.0123456789":
            return text
        if _NAN.fullmatch(text):
            return float("nan")
        if found := _INFINITE.fullmatch(text):
            return float(f"{found[1]}inf")
        for pattern, read in ((_INT, int), (_OCTAL_OR_HEX, lambda written: int(written, 0)), (_FLOAT, float)):
            if pattern.fullmatch(text):
                if len(text) > MAX_DIGITS:
                    raise self._wrong(line, "a number is too long", expected=f"at most {MAX_DIGITS} characters")
                return read(text.replace("_", ""))
        return text

    def _wrong(self, line: int, what: str, *, expected: str = "", found: str = "") -> ConfigError:
        return ConfigError(f"{self._name}:{line}: {what}", expected=expected, found=found)
