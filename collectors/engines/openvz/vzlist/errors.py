"""What can go wrong with vzlist and with its output."""

from __future__ import annotations


class VzlistError(Exception):
    """There is no answer from vzlist; the message says why, in one line."""


class NotRunnable(VzlistError):
    """The program is not there, or cannot be executed."""


class TimedOut(VzlistError):
    """It did not end in time and was killed."""


class TooLarge(VzlistError):
    """It printed more than the containers of any node would need."""


class Failed(VzlistError):
    """It ended with a nonzero exit status."""


class NoSuchOption(Failed):
    """This version does not have an option that it was given."""


class NoSuchField(Failed):
    """This version does not have a field that it was asked for."""

    def __init__(self, field: str) -> None:
        super().__init__(f"does not know the field {field}")
        self.field = field


class Unusable(VzlistError):
    """Its output is no list of containers."""


class EmptyOutput(Unusable):
    """It printed nothing, which is a failure whatever the exit status: no list is ``[]``."""


class CutShort(Unusable):
    """The output ends in the middle."""


class NotAList(Unusable):
    """It is something else: an error message, a list of fields, garbage."""
