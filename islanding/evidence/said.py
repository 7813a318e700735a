"""A sentence of ours about a run that is English text everywhere, and can still be said in another language."""

from __future__ import annotations

from typing import Self


class Said(str):
    """`text` filled in with values of the run (`%(name)s`); keeps both apart, so that `text` can be translated.

    A value may be such a sentence itself. Everything else about it is that of a plain text.
    """

    __slots__ = ("text", "values")

    text: str
    values: dict[str, object]

    def __new__(cls, text: str, **values: object) -> Self:
        made = super().__new__(cls, text % values)
        made.text = text
        made.values = values
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, object]]:
        return (self.text,), self.values
