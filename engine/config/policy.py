"""The error policy: which faults end a render, and which become warnings.

`render` and the other commands, a node's workers, and the high-level API all follow the record that
`Config.error_policy` returns. docs/errors.md lists the faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from video_pipeline.engine.errors import InputError, PipelineError

PolicyName = Literal["standard", "lenient", "strict"]


class ErrorPolicy(NamedTuple):
    """One policy.

    `replaces`: files that are missing or unreadable, and letters that no font has, are replaced or left out.
    `forbids_warnings`: every warning is an error.
    """

    name: PolicyName
    summary: str
    replaces: bool = False
    forbids_warnings: bool = False

    def replace(self, error: PipelineError, *, instead: str) -> str:
        """Return the warning that `instead` replaces a file or letter; raise `error` if the policy forbids that."""
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
    summary="missing or unusable files, and letters that no font has, are replaced or left out, with a warning",
    replaces=True,
)
STRICT: Final = ErrorPolicy(name="strict", summary="every warning is an error", forbids_warnings=True)

POLICIES: Final = {policy.name: policy for policy in (STANDARD, LENIENT, STRICT)}
