"""Messages compared by their wording: what differs in every run (times, ports, names given at random) is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from islanding.evidence.record import Case

# Names that are made anew each time. Kubernetes draws the suffixes of generated names from an alphabet without vowels:
# k8s.io/apimachinery/pkg/util/rand.
_GENERATED = re.compile(r"-(?:[bcdfghjklmnpqrstvwxz2456789]{8,10}-)?[bcdfghjklmnpqrstvwxz2456789]{5}\b")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")
_HEX = re.compile(r"\b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{8,}\b")  # resource ids, digests; a word of letters alone stays
_DIGITS = re.compile(r"\d+")
_CLAUSE = re.compile(r"[;:]\s+|\n")  # of a list of nodes: their order says nothing


@dataclass(frozen=True, order=True)
class Wording:
    """What users saw of something that did not work: where, its named outcome, and the first exact text."""

    watch: str
    outcome: str
    text: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for two wordings that say the same."""
        return (self.watch, self.outcome, same_words(self.text))


def same_words(text: str) -> str:
    """`text` without what differs in every run: two texts that say the same have the same rest."""
    for pattern, name in ((_UUID, "#"), (_HEX, "#"), (_GENERATED, "-#"), (_DIGITS, "0")):
        text = pattern.sub(name, text)
    return "; ".join(sorted({clause.strip() for clause in _CLAUSE.split(text) if clause.strip()}))


def wordings_of(case: Case) -> tuple[Wording, ...]:
    """The wordings of a case: messages of probes that did not succeed, and what was found to be to blame."""
    found = [Wording(m.watch, m.outcome, m.text) for m in case.messages if m.state != "good"]
    found += [
        Wording(
            f"diagnosis, {d.source} to {d.target}", d.failing or d.step, "\n".join(filter(None, (d.message, d.blame)))
        )
        for d in case.diagnoses
    ]
    by_key: dict[tuple[str, str, str], Wording] = {}
    for wording in found:
        by_key.setdefault(wording.key, wording)
    return tuple(by_key.values())
