"""A notice in words: what a person reads first, in chat, on a pager, in a mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """Plain text, one line each, cleaned but not escaped: escaping is the destination's.

    Attributes:
        title: what happened, with severity and state in front; at most 300 characters.
        reason: why this is sent now, one sentence.
        severity: ``low``, ``medium``, ``high`` or ``critical``.
        state: ``open``, ``recovering``, ``resolved`` or ``retracted``.
        facts: question and answer, in the order in which they are asked, the most needed first.
        incidents: one line for each incident of a group, the most pressing first, and how
            many more there are; empty for a single incident.
        evidence_for: what speaks for the verdict, heaviest first; of a single incident only.
        evidence_against: what speaks against it, heaviest first.
        link: to the page, empty if there is none; an http or https address.
        reference: id and revision of the notice, for whoever asks about it.
    """

    title: str
    reason: str
    severity: str
    state: str
    facts: tuple[tuple[str, str], ...]
    incidents: tuple[str, ...] = ()
    evidence_for: tuple[str, ...] = ()
    evidence_against: tuple[str, ...] = ()
    link: str = ""
    reference: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing of it goes on."""
        return self.state in {"resolved", "retracted"}

    def text(self) -> str:
        """All of it as lines of plain text."""
        width = max((len(question) for question, _ in self.facts), default=0)
        lines = [self.title, "", self.reason, ""]
        lines += [f"{question:{width}}  {answer}" for question, answer in self.facts]
        lines += [f"- {line}" for line in self.incidents]
        for head, items in (("For", self.evidence_for), ("Against", self.evidence_against)):
            lines += (
                ["", f"{head} this verdict:", *(f"- {item}" for item in items)] if items else []
            )
        lines += ["", self.link] if self.link else []
        lines += ["", self.reference] if self.reference else []
        return "\n".join(lines) + "\n"
