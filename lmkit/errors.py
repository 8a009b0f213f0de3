"""The kinds of failure and the exit status of each; knows nothing of how they are shown."""

from enum import IntEnum


class Status(IntEnum):
    """Exit statuses of every command; `lmkit(1)` documents them."""

    DONE = 0
    NO = 1
    USAGE = 2
    DATA = 3
    CHECKPOINT = 4
    MISSING = 69
    BUG = 70
    UNWRITTEN = 74
    INTERRUPTED = 130
    READER_GONE = 141
    TERMINATED = 143


class LmkitError(Exception):
    """A foreseeable failure: one line that says what, where and what to do."""

    status = Status.BUG

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class LmkitWarning(UserWarning):
    """What a command would say on stderr, as a warning of the Python interface."""


class OutputError(LmkitError):
    """The output could not be written (disk full, no permission, closed)."""

    status = Status.UNWRITTEN


class UnmetError(LmkitError):
    """The output was written, but a requested check failed."""

    status = Status.NO


class Diverged(LmkitError):
    """Training diverged: the loss is NaN or infinite."""

    status = Status.NO


class UsageError(LmkitError):
    """Options or arguments that are invalid or cannot be combined."""

    status = Status.USAGE


class DataError(LmkitError):
    """Input that is not what the command reads: encoding, format, emptiness."""

    status = Status.DATA


class CheckpointError(LmkitError):
    """Not a checkpoint, damaged, of a newer format, or of a kind the command can't use."""

    status = Status.CHECKPOINT


class MissingError(LmkitError):
    """Something that the command needs is not installed: `package`, where it is one of Python's."""

    status = Status.MISSING

    def __init__(self, message: str, *, package: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.package = package


class ProcessError(LmkitError):
    """A worker process was ended from outside."""

    status = Status.NO


class Stopped(BaseException):
    """A signal asked the program to end; raised so that temporary files are removed on the way.

    Not an `Exception`: nothing but the outer edge may catch it.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status
