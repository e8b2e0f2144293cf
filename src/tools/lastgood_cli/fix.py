"""What fixes a fault that `doctor` finds: a command, or, where no command does it, the words that say so."""

from __future__ import annotations

import shlex


class Fix(str):
    """A command, to be copied as it is. Words in capitals in it are for people to fill in."""

    __slots__ = ()


class ByHand(Fix):
    """What people do, where no command fixes it. It begins with `By hand:`."""

    __slots__ = ()

    def __new__(cls, said: str) -> ByHand:
        """From what follows after `By hand: `."""
        return super().__new__(cls, f"By hand: {said}")


NOTHING = Fix("")
"""There is nothing to fix."""


def in_region(command: str, arn: str, *words: str) -> Fix:
    """A command in the region of an ARN; in the shell's own where the ARN is not known."""
    region = ["--region", arn.split(":")[3]] if arn.startswith("arn:") else []
    return Fix(shlex.join([command, *region, *words]))


def aws(arn: str, *words: str) -> Fix:
    """A command of the AWS CLI, in the region of an ARN."""
    return in_region("aws", arn, *words)
