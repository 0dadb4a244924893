"""What a pass of the ETL did: for the log, and for the exit code."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from fluxforge.ledger import Commit, describe_wire

log = logging.getLogger(__name__)


@dataclass(slots=True)
class JobReport:
    """What one pass over ready/ did.

    Attributes:
        ready: Segments that it looked at.
        committed: Commits that this pass published.
        already: Segments that were committed before and at most had to be tidied.
        held: Segments that another live worker holds.
        quarantined: Segments that were put aside, as too many workers had died parsing them.
        failures: Segment's key to the error that kept it in ready/.
    """

    ready: int = 0
    committed: list[Commit] = field(default_factory=list)
    already: int = 0
    held: int = 0
    quarantined: list[str] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 if all is well, 1 if something failed or is damaged, 2 if the user must act first."""
        damaged = any(c.raw.damaged or not c.balance.holds() for c in self.committed)
        codes = [getattr(error, "exit_code", 1) for error in self.failures.values()]
        return max([*codes, int(damaged or bool(self.quarantined))])

    def add(self, commit: Commit) -> None:
        """Count a commit that this pass published, and say what is in it."""
        self.committed.append(commit)
        _log(commit)


def _log(commit: Commit) -> None:
    log.info(
        "committed %s: %d frames, %d rows in %d parts",
        commit.segment,
        commit.balance.frames,
        sum(commit.balance.rows.values()),
        len(commit.parts),
    )
    if commit.balance.rejected:
        log.warning(
            "%s: %d of %d frames were rejected; they are kept in %s",
            commit.segment,
            commit.balance.rejected,
            commit.balance.frames,
            ", ".join(commit.rejects),
        )
    if differences := describe_wire(commit.balance):
        log.warning(
            "%s: the wire is not as the feed's description says: %s", commit.segment, differences
        )
    if commit.raw.damaged:
        log.error(
            "%s is damaged: the frames that its checkpoints do not vouch for are in %s, its raw "
            "bytes are kept",
            commit.segment,
            ", ".join(commit.rejects),
        )
