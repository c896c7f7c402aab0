"""The colours of pictures: each has a name, and a value for light and for dark pages.

Text has a contrast of at least 4.5 to 1 against the page and its cards, and lines of at least 3 to
1: the Web Content Accessibility Guidelines 2.2, criteria 1.4.3 and 1.4.11.
"""

from __future__ import annotations

LIGHT = {
    "paper": "#fbfbf9", "card": "#ffffff", "ink": "#1d2126", "faint": "#5c6670",
    "s1": "#1763b6", "s2": "#b34a0b", "s3": "#1f7a3f", "s4": "#6b4fb0", "s5": "#a8245f",
    "s6": "#6b5d1f",
}  # fmt: skip
DARK = {
    "paper": "#14171a", "card": "#1c2024", "ink": "#e6e8ea", "faint": "#a3adb6",
    "s1": "#6db1ff", "s2": "#ff9d5c", "s3": "#5fce86", "s4": "#b9a5f5", "s5": "#ff8fb8",
    "s6": "#d3c070",
}  # fmt: skip
SERIES = tuple(LIGHT[name] for name in ("s1", "s2", "s3", "s4", "s5", "s6"))
INK, FAINT, CARD = LIGHT["ink"], LIGHT["faint"], LIGHT["card"]


def rules(selector: str = "") -> str:
    """CSS rules that colour fills (``f-NAME``) and strokes (``k-NAME``) by variables."""
    each = (
        f"{selector} .f-{name}{{fill:var(--{name})}}{selector} .k-{name}{{stroke:var(--{name})}}"
        for name in LIGHT
    )
    return "".join(each)


def variables(theme: dict[str, str]) -> str:
    """The variables of a theme, as the body of a CSS rule."""
    return "".join(f"--{name}:{value};" for name, value in theme.items())
