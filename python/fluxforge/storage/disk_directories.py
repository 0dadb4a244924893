"""The directories above many new files: each looked at once, and made where it is missing.

Asking the system for the real path of every file, and for every directory above it, took longer
than writing the files. Only a symbolic link can lead out of a root, and below what is missing is
nothing.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from enum import Enum


class _State(Enum):
    THERE = "there"
    MISSING = "missing"
    MADE = "made"


class Directories:
    """What is known of the directories below a root.

    Args:
        root: The root, absolute; it exists.
        check_link: Called with each symbolic link on the way; raises if it may not be followed.
        entered: Called with each directory that was there before, once.
    """

    def __init__(
        self, root: str, *, check_link: Callable[[str], None], entered: Callable[[str], None]
    ) -> None:
        self._check_link = check_link
        self._entered = entered
        self._states = {root: _State.THERE}

    def look(self, directory: str) -> bool:
        """Say whether a directory is there, having checked the way to it. Changes nothing."""
        state = self._states.get(directory)
        if state is None:
            state = self._state(directory)
            self._states[directory] = state
        return state is not _State.MISSING

    def _state(self, directory: str) -> _State:
        if not self.look(os.path.dirname(directory)):  # noqa: PTH120 - thousands of them
            return _State.MISSING
        try:
            mode = os.lstat(directory).st_mode
        except FileNotFoundError:
            return _State.MISSING
        if stat.S_ISLNK(mode):
            self._check_link(directory)
        self._entered(directory)
        return _State.THERE

    def make(self, directory: str) -> bool:
        """Have a directory that was looked at exist.

        Returns:
            Whether it was made here, and holds nothing but what was put there since.
        """
        if self._states[directory] is _State.MISSING:
            self.make(os.path.dirname(directory))  # noqa: PTH120 - thousands of them
            try:
                os.mkdir(directory)  # noqa: PTH102 - thousands of them
                self._states[directory] = _State.MADE
            except FileExistsError:
                if not os.path.isdir(directory):  # noqa: PTH112 - thousands of them
                    raise
                self._states[directory] = _State.THERE  # another process was a moment faster
                self._entered(directory)
        return self._states[directory] is _State.MADE
