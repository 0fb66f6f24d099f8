"""Splunk's searches, read as far as the pack uses them: commands, macros, brackets, fields."""

from __future__ import annotations

import re
from itertools import pairwise

# What Splunk itself gives to each event.
BUILT_IN = {"index", "sourcetype", "source", "host", "_time", "_raw"}
FUNCTIONS = {"case", "if", "isnull", "isnotnull", "mvindex", "mvjoin", "round", "strptime",
             "tonumber", "true"}  # fmt: skip
AGGREGATES = {"avg", "count", "dc", "max", "median", "min", "sum"}
_WORDS = {"AND", "OR", "NOT", "IN", "AS", "BY"}
_TOKEN = re.compile(
    r"""\s+|"(?:[^"\\]|\\.)*"|'[^']*'|`[^`]*`|\d+(?:\.\d+)?[smhdw]?(?![\w.])"""
    r"""|[A-Za-z_][\w.{}]*|[-+*/=<>!,()|\[\]%:.]|\*"""
)
_OPEN, _CLOSE = "([", ")]"


class SplError(ValueError):
    """What is wrong with a search."""


def tokens(text):
    """Words, strings and marks of a search; raises SplError for what is none of them."""
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SplError(f"cannot be read from {text[at : at + 20]!r} on")
        at = match.end()
        if not match[0].isspace():
            found.append(match[0])
    return found


def expanded(text, macros, depth=0):
    """A search with its macros in place."""
    if depth > 5:
        raise SplError("macros name each other in a circle")

    def put(match):
        if match[1] not in macros:
            raise SplError(f"there is no macro {match[1]}")
        return expanded(macros[match[1]], macros, depth + 1)

    return re.sub(r"`([^`]*)`", put, text)


def commands(found):
    """Tokens of each command; brackets must close where they opened."""
    parts, stack = [[]], []
    for word in found:
        if word in _OPEN:
            stack.append(word)
        elif word in _CLOSE and (not stack or _OPEN.index(stack.pop()) != _CLOSE.index(word)):
            raise SplError(f"{word} closes nothing")
        if word == "|" and not stack:
            parts.append([])
        else:
            parts[-1].append(word)
    if stack:
        raise SplError(f"{stack[-1]} is not closed")
    return parts


def split(found, mark=","):
    """Tokens between the marks that stand in no brackets."""
    parts, depth = [[]], 0
    for token in found:
        depth += (token in _OPEN) - (token in _CLOSE)
        if token == mark and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _is_name(token):
    return bool(re.match(r"[A-Za-z_']", token)) and token not in _WORDS


class Search:
    """One search, and what is wrong with it.

    Args:
        text: the search.
        macros: definitions by name.
        sent: fields of each sourcetype.
    """

    def __init__(self, text, macros, sent):
        self.problems = []
        try:
            parts = commands(tokens(expanded(text, macros)))
        except SplError as error:
            self.problems = [str(error)]
            return
        kind = re.search(r'sourcetype="([^"]*)"', expanded(text, macros))
        if kind is None or kind[1] not in sent:
            self.problems = [f"no sourcetype that is sent: {kind and kind[1]}"]
            return
        self.fields = sent[kind[1]] | BUILT_IN
        self._filter(parts[0])
        for name, *rest in parts[1:]:
            read = getattr(self, f"_{name}", None)
            if read is None:
                self.problems.append(f"{name} is no command that is known here")
            else:
                read(rest)

    def _use(self, name):
        name = name.strip("'")
        if name not in self.fields:
            self.problems.append(f"there is no field {name}")

    def _filter(self, found):
        for token, after in pairwise([*found, ""]):
            if _is_name(token) and after in {"=", "!", "<", ">", "IN"}:
                self._use(token)

    _search = _filter

    def _expression(self, found):
        for token, after in pairwise([*found, ""]):
            if not _is_name(token):
                continue
            if after != "(":
                self._use(token)
            elif token not in FUNCTIONS:
                self.problems.append(f"{token} is no function that is known here")

    _where = _expression

    def _eval(self, found):
        for part in split(found):
            if len(part) < 3 or part[1] != "=":
                self.problems.append(f"assigns nothing: {' '.join(part)}")
                continue
            self._expression(part[2:])
            self.fields = self.fields | {part[0]}

    def _names(self, found):
        for token in found:
            if _is_name(token):
                self._use(token)

    _dedup = _names
    _sort = _names

    def _table(self, found):
        self._names(found)
        self.fields = {token.strip("'") for token in found if _is_name(token)}

    _fields = _table

    def _rename(self, found):
        for part in split(found):
            if len(part) != 3 or part[1] != "AS":
                self.problems.append(f"renames nothing: {' '.join(part)}")
                continue
            self._use(part[0])
            self.fields = self.fields - {part[0]} | {part[2]}

    def _spath(self, found):
        given = dict(zip(found[::3], found[2::3], strict=True))
        self._use(given["path"])
        self.fields = self.fields | {given["output"]}

    def _stats(self, found):
        groups = found[found.index("BY") + 1 :] if "BY" in found else []
        made = set()
        for part in split(found[: len(found) - len(groups) - bool(groups)]):
            if part[0] not in AGGREGATES:
                self.problems.append(f"{part[0]} is no aggregate that is known here")
            name = part[part.index("AS") + 1] if "AS" in part else part[0]
            inner = part[2 : part.index("AS") - 1 if "AS" in part else -1] if "(" in part else []
            if inner[:2] == ["eval", "("]:
                inner = inner[2:-1]
            self._expression(inner)
            made.add(name)
        self._names(groups)
        self.fields = made | {g for g in groups if _is_name(g)}

    def _timechart(self, found):
        if found[:2] == ["span", "="]:
            found = found[3:]
        self._use("_time")
        self._stats(found)
