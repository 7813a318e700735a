"""Makes a text of unknown origin harmless to show: what a terminal or a browser would obey is made visible instead."""

from __future__ import annotations

_NAMES = {0x07: "BEL", 0x08: "BS", 0x0D: "CR", 0x1B: "ESC", 0x7F: "DEL", 0x9B: "CSI"}

# C0 and C1 controls, but for newline and tab, since texts are shown as they stand; marks that turn the direction of
# writing, by which a text would be shown in another order than it was printed in; marks without a width and tags, by
# which two texts that look alike differ; lone surrogates (bytes that were no UTF-8) and the two code points that are no
# characters, neither of which a file can hold.
_CODES = (
    *(code for code in range(0x20) if code not in (0x09, 0x0A)),
    *range(0x7F, 0xA0),
    *(0x00AD, 0x061C, 0x180E, *range(0x200B, 0x2010), 0x2028, 0x2029),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF),
    *(*range(0xD800, 0xE000), 0xFFFE, 0xFFFF, *range(0xE0000, 0xE0080)),
)
_TABLE = {code: f"‹{_NAMES.get(code, f'U+{code:04X}')}›" for code in _CODES}


def clean(text: str) -> str:
    """Return `text` with what is not plain text made visible (an escape becomes `‹ESC›`); lines and tabs stay."""
    return text.replace("\r\n", "\n").translate(_TABLE)


def clip(text: str, lines: int = 60, characters: int = 8000) -> str:
    """Return the beginning of `text`; what is left out is said, never hidden."""
    kept = "\n".join(text.split("\n")[:lines])[:characters]
    return kept if len(kept) == len(text) else f"{kept}\n[… {len(text) - len(kept)} more characters in the journal]"
