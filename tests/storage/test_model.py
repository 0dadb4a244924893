"""Any sequence of verbs, on any storage, does what a dictionary would."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from fluxforge.errors import ObjectNotFoundError

# Few, so that verbs meet; names that sort and nest in every way, and none below another's object.
KEYS = st.sampled_from(["a", "b/1", "b/2", "b/c/1", "b-c/1", "b/%2e", "é/1"])
CONTENTS = st.binary(max_size=50) | st.binary(min_size=1, max_size=4).map(lambda b: b * 400_000)
PATTERNS = st.sampled_from(["*", "1", "[!1]*", "?", "*.json"])


class Model(RuleBasedStateMachine):
    storage = None  # and the next: set by the test, for a machine is made without arguments
    scratch = None

    def __init__(self):
        super().__init__()
        self.expected = {}
        for key in self.storage.list_files(recursive=True):
            self.storage.delete(key)

    @rule(key=KEYS, content=CONTENTS, how=st.sampled_from(["bytes", "file"]))
    def write(self, key, content, how):
        if how == "bytes":
            self.storage.write_bytes(content, key)
        else:
            (self.scratch / "up").write_bytes(content)
            self.storage.write_file(self.scratch / "up", key)
        self.expected[key] = content

    @rule(key=KEYS, content=CONTENTS, how=st.sampled_from(["bytes", "file", "all"]))
    def create(self, key, content, how):
        if how == "bytes":
            won = self.storage.create_new(content, key)
        elif how == "all":
            (won,) = self.storage.create_all([(content, key)])
        else:
            (self.scratch / "up").write_bytes(content)
            won = self.storage.create_new_file(self.scratch / "up", key)
        assert won is (key not in self.expected)
        self.expected.setdefault(key, content)

    @rule(key=KEYS)
    def delete(self, key):
        self.storage.delete(key)
        self.expected.pop(key, None)

    @rule(key=KEYS, start=st.integers(0, 2_000_000), length=st.none() | st.integers(1, 70_000))
    def read(self, key, start, length):
        assert self.storage.exists(key) is (key in self.expected)
        if key not in self.expected:
            with pytest.raises(ObjectNotFoundError):
                self.storage.read_bytes(key)
            return
        content = self.expected[key]
        assert self.storage.read_bytes(key) == content
        assert self.storage.size(key) == len(content)
        stop = None if length is None else start + length
        part = b"".join(self.storage.read_chunks(key, 9_999, start=start, stop=stop))
        assert part == content[start:stop]

    @rule(directory=st.sampled_from(["", "b", "b/c", "é", "x"]), pattern=PATTERNS)
    def list_below(self, directory, pattern):
        below = f"{directory}/" if directory else ""
        inside = sorted(
            key
            for key in self.expected
            if key.startswith(below) and fnmatchcase(key.rpartition("/")[2], pattern)
        )
        assert self.storage.list_files(directory, pattern, recursive=True) == inside
        here = [key for key in inside if "/" not in key.removeprefix(below)]
        assert self.storage.list_files(directory, pattern) == here


def test_any_sequence_of_verbs_does_what_a_dictionary_would(storage, tmp_path):
    run_state_machine_as_test(
        type("Model", (Model,), {"storage": storage, "scratch": tmp_path}),
        settings=settings(max_examples=8, stateful_step_count=25, deadline=None),
    )
