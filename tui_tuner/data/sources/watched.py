"""A file that is hashed and measured while it is read, so that what was read is what was hashed."""

import hashlib
import io
from pathlib import Path
from typing import BinaryIO

BUFFER = 2**18


class FileWatch:
    """Watches one reading of one file from its beginning to its end."""

    def __init__(self) -> None:
        self.num_bytes = 0
        self._digest = hashlib.sha256()

    def open(self, path: Path) -> BinaryIO:
        return io.BufferedReader(_WatchedFile(path, self), BUFFER)

    def update(self, content: memoryview) -> None:
        self.num_bytes += len(content)
        self._digest.update(content)

    def digest(self) -> bytes:
        """SHA-256 of the bytes read so far."""
        return self._digest.digest()


class _WatchedFile(io.RawIOBase):
    """Shows its watch every byte that it hands out. Cannot seek, so that none is seen twice."""

    def __init__(self, path: Path, watch: FileWatch) -> None:
        super().__init__()
        self._file = io.FileIO(path)
        self._watch = watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer) or 0
        self._watch.update(memoryview(buffer)[:count])
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
