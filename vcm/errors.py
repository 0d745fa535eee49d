"""Every error that a caller, a file or a machine can cause.

    VcmError
    ├── SpecError         a task file, a config, an option or a text is not what it should be
    ├── UnknownWord       the words name nothing that this backend knows (a SpecError)
    ├── ImageError        a picture cannot be read, or its size or type is not supported
    ├── BitstreamError    a .vcm file is damaged, truncated, foreign or of another version
    ├── ModelError        weights are missing, damaged or do not belong to the file
    ├── MetricError       a metric or a curve cannot be computed from what it was given
    ├── OutputError       a result cannot be written
    ├── WorkerError       a worker process was lost, and its work with it
    └── MissingExtra      an optional package is not installed

The command line prints the message of any of them in one line and exits with code 2. Where one of
its options helps it says which, by the error's `hint`; no message here names an option.
"""


class VcmError(Exception):
    """Base of all errors that are not our own bugs.

    Attributes:
        hint: a key for what would help, see `vcm.commands.hints`; "" for nothing in particular.

    Example:
        >>> try:
        ...     vcm.decode(b"no such thing", vcm.Codec.load())
        ... except vcm.VcmError as error:
        ...     print(error)
        expected a .vcm file, which begins 89 56 43 4d, got 6e 6f 20 73
    """

    def __init__(self, *message: object, hint: str = "") -> None:
        super().__init__(*message)
        self.hint = hint


class SpecError(VcmError):
    """A task file, a config, an option or a text is not what it should be."""


class UnknownWord(SpecError):
    """The words name nothing that this backend knows."""


class ImageError(VcmError):
    """A picture or clip cannot be read, or its size or type is not supported."""


class BitstreamError(VcmError):
    """A .vcm file is damaged, truncated, foreign or of another version."""


class ModelError(VcmError):
    """Weights are missing, damaged or do not belong to the file."""


class MetricError(VcmError):
    """A metric or a curve cannot be computed from what it was given."""


class OutputError(VcmError):
    """A result cannot be written."""


class WorkerError(VcmError):
    """A worker process was lost, and its work with it."""


class MissingExtra(VcmError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; get it with: pip install 'vcm[{extra}]'")
        self._given = package, extra

    def __reduce__(self) -> tuple[type["MissingExtra"], tuple[str, str]]:
        """What pickle makes it from again: worker processes send their errors home."""
        return type(self), self._given
