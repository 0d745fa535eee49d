"""Binary fields, each declared once: packed, unpacked, range-checked and documented from a table.

Integers are unsigned and little-endian; there is no padding between fields.
"""

import struct
from typing import Any, NamedTuple

from vcm.errors import BitstreamError


class Field(NamedTuple):
    """One field.

    Attributes:
        name: its key in the dictionaries of values.
        code: its type for the struct module: B, H, I, or `8s` for eight bytes.
        allowed: the values it may have; None: all that its type can hold.
        meaning: one line for docs/bitstream.md.
    """

    name: str
    code: str
    allowed: range | None
    meaning: str

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return struct.calcsize("<" + self.code)

    @property
    def values(self) -> str:
        """The values in words, for messages and for the document."""
        if self.allowed is not None:
            low, high = self.allowed[0], self.allowed[-1]
            return f"{low}..{high}" if low != high else f"{low}"
        return f"{self.size} bytes" if self.code.endswith("s") else f"0..2^{8 * self.size}-1"

    def accepts(self, value: object) -> bool:
        """Whether the value may stand in this field."""
        if self.code.endswith("s"):
            return isinstance(value, bytes) and len(value) == self.size
        allowed = self.allowed or range(256**self.size)
        return isinstance(value, int) and value in allowed


Fields = tuple[Field, ...]
Values = dict[str, Any]


def size(fields: Fields) -> int:
    """Bytes that the fields take together."""
    return sum(field.size for field in fields)


def check(fields: Fields, values: Values, where: str) -> None:
    """Raises a BitstreamError for the first value that its field does not accept."""
    for field in fields:
        value = values[field.name]
        if not field.accepts(value):
            raise BitstreamError(f"{where}: expected {field.name} in {field.values}, got {value!r}")


def pack(fields: Fields, values: Values) -> bytes:
    """The bytes of the fields; the values have been checked."""
    return struct.pack(_format(fields), *(values[field.name] for field in fields))


def unpack(fields: Fields, data: bytes, at: int) -> Values:
    """The values of the fields from position `at` on, not yet range-checked.

    Raises:
        BitstreamError: the data end before the fields do.
    """
    end = at + size(fields)
    if len(data) < end:
        raise truncated(len(data), f"at least {end}")
    found = struct.unpack_from(_format(fields), data, at)
    return {field.name: value for field, value in zip(fields, found, strict=True)}


def truncated(found: int, expected: str) -> BitstreamError:
    """The error for a file that ends early."""
    return BitstreamError(
        f"the file is truncated: expected {expected} bytes, got {found}; copy or download it again"
    )


def table(fields: Fields) -> str:
    """The fields as a Markdown table, as it stands in docs/bitstream.md."""
    lines = ["| offset | bytes | field | values | meaning |", "|--:|--:|---|---|---|"]
    at = 0
    for field in fields:
        lines.append(f"| {at} | {field.size} | {field.name} | {field.values} | {field.meaning} |")
        at += field.size
    return "\n".join(lines)


def _format(fields: Fields) -> str:
    return "<" + "".join(field.code for field in fields)
