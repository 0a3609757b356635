"""The error policy: what becomes of faults that a video could be made in spite of.

`render` and the other commands, a node's workers, and the high-level API all follow the record that
`Config.error_policy` returns. docs/errors.md lists the faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from video_pipeline.engine.errors import InputError, PipelineError

PolicyName = Literal["standard", "lenient", "strict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPolicy:
    """One policy. `replaces`: unusable files and letters are replaced; `forbids_warnings`: a warning is an error."""

    name: PolicyName
    summary: str
    replaces: bool = False
    forbids_warnings: bool = False

    def replace(self, error: PipelineError, *, instead: str) -> str:
        """Return the warning for a file or letter that is replaced; raise `error` if the policy does not allow it."""
        if not self.replaces:
            raise error
        return f"{error}; {instead}"

    def check(self, warnings: Sequence[str]) -> None:
        """Raise InputError if there are warnings and the policy forbids them."""
        if self.forbids_warnings and warnings:
            raise InputError(
                "\n  ".join(("error_handling.policy is strict, so warnings are errors:", *warnings)),
                warnings=list(warnings),
            )


STANDARD: Final = ErrorPolicy(
    name="standard",
    summary="a named file that is missing or unreadable, or a letter that no font has, is an error",
)
LENIENT: Final = ErrorPolicy(
    name="lenient",
    summary="unusable files and letters are replaced or left out, with a warning",
    replaces=True,
)
STRICT: Final = ErrorPolicy(name="strict", summary="every warning is an error", forbids_warnings=True)

POLICIES: Final = {policy.name: policy for policy in (STANDARD, LENIENT, STRICT)}
