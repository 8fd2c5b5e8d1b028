"""A signal over time as lines of text, eight dots in a character. Pure.

Theory of operation. A Braille character has two columns of four dots. Each sample is a dot; between
two samples a signal stays as it was, so a step is a vertical line.

Source: The Unicode Standard, Braille Patterns (U+2800).
"""

from __future__ import annotations

from collections.abc import Sequence

Sample = tuple[int, float]  # time in nanoseconds, value

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # by column, from the top
_LABEL = 9  # characters beside it


def plot(samples: Sequence[Sample], width: int, height: int) -> list[str]:
    """So many lines of at most so many characters: the greatest value above, the least below."""
    if not samples or width <= _LABEL + 1 or height < 1:
        return ["no value yet"[:width]] if height > 0 else []
    columns, rows = 2 * (width - _LABEL), 4 * height
    least, greatest = min(each[1] for each in samples), max(each[1] for each in samples)
    begun, ended = samples[0][0], samples[-1][0]
    cells = [[0] * (width - _LABEL) for _line in range(height)]

    def dot(column: int, row: int) -> None:
        cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]

    last_column = last_row = -1
    for time, value in samples:
        column = (columns - 1) * (time - begun) // max(1, ended - begun)
        share = (value - least) / (greatest - least) if greatest > least else 0.5
        row = round((rows - 1) * (1 - share))
        if last_column >= 0:
            for between in range(last_column + 1, column):
                dot(between, last_row)
            for level in range(min(row, last_row), max(row, last_row) + 1):
                dot(column, level)
        dot(column, row)
        last_column, last_row = column, row
    labels = [""] * height
    labels[-1], labels[0] = _short(least), _short(greatest)
    return [
        f"{label:>{_LABEL - 1}} {''.join(chr(0x2800 + cell) for cell in line)}"
        for label, line in zip(labels, cells, strict=True)
    ]


def _short(value: float) -> str:
    return f"{value:.6g}"[: _LABEL - 1]
