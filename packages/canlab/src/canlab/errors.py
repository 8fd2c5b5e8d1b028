"""What can go wrong in canlab itself, and the exit status of each.

Rule: these statuses say that the command was not run to its end by canlab. The command's own are
passed on as they are (128 + N: it was ended by signal N).
"""

from __future__ import annotations

FAILED = 125  # as of docker run, timeout, nice
UNFIT = 123


class CanlabError(Exception):
    """canlab could not do what was asked; the text says what, why and what helps."""

    status = FAILED


class UsageError(CanlabError):
    """The command line is wrong."""


class UnfitError(CanlabError):
    """This machine cannot run the kernel, whatever the command."""

    status = UNFIT


class GuestDied(CanlabError):  # noqa: N818 - it says what happened
    """The guest's kernel ended before the command did."""
