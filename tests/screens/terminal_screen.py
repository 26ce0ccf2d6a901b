"""What a terminal shows after what it was sent: as much of one as the app needs, for tests."""

import codecs
import re

from rich.cells import cell_len

MOVE = re.compile(r"\x1b\[(\d*)(?:;(\d*))?H")
ERASE = re.compile(r"\x1b\[2?J")
OTHER = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[ -/]*[0-OQ-Z\\^-~])")
UNFINISHED = 64
"""Characters of a sequence that may still be on its way."""


class TerminalScreen:
    """Rows of cells. Knows where text goes, and no colours."""

    def __init__(self, rows: int, columns: int) -> None:
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    @property
    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self._cells)

    def feed(self, data: bytes) -> None:
        text, place = self._rest + self._decode.decode(data), 0
        self._rest = ""
        while place < len(text):
            if text[place] != "\x1b":
                self._put(text[place])
                place += 1
                continue
            found = MOVE.match(text, place) or ERASE.match(text, place) or OTHER.match(text, place)
            if found is None:
                if len(text) - place < UNFINISHED:
                    self._rest = text[place:]
                    return
                place += 1
                continue
            self._obey(found)
            place = found.end()

    def _obey(self, found: re.Match[str]) -> None:
        if found.re is MOVE:
            self._row, self._column = int(found[1] or 1) - 1, int(found[2] or 1) - 1
        elif found.re is ERASE:
            self._cells = [[" "] * len(row) for row in self._cells]

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._row = min(self._row + 1, len(self._cells) - 1)
        elif sign >= " " and self._row < len(self._cells):
            row = self._cells[self._row]
            if self._column < len(row):
                row[self._column] = sign
            for extra in range(self._column + 1, min(len(row), self._column + cell_len(sign))):
                row[extra] = ""
            self._column += max(1, cell_len(sign))
