"""An adaptive binary range coder, for the map of a file.

Its probabilities come from counts of the bits so far, so files hold no tables for it. Plain Python
is fast enough: a map has one symbol for 256 pixels.

Source: Martin 1979, "Range encoding", in the form that LZMA uses; each count starts at one half
(Krichevsky and Trofimov 1981).
"""

from typing import Final, Protocol

BITS: Final = 16  # of a probability
LIMIT: Final = 1_024  # both counts are halved when their sum exceeds this, so that they adapt
_TOP, _MASK = 2**24, 2**32 - 1


class Chances:
    """How often a bit was 0 and 1 in each context.

    Args:
        contexts: number of contexts.
    """

    def __init__(self, contexts: int):
        self._counts = [[1, 1] for _ in range(contexts)]  # in units of one half

    def zero(self, context: int) -> int:
        """The chance of a 0 in 2^16, between 1 and 2^16 - 1."""
        zeros, ones = self._counts[context]
        return min(max((zeros << BITS) // (zeros + ones), 1), 2**BITS - 1)

    def learn(self, context: int, bit: bool) -> None:
        """Count a bit."""
        counts = self._counts[context]
        counts[bit] += 2
        if counts[0] + counts[1] > LIMIT:
            counts[:] = (counts[0] + 1) // 2, (counts[1] + 1) // 2


class Bits(Protocol):
    """A writer or a reader of bits."""

    def code(self, bit: bool, chances: Chances, context: int) -> bool:
        """Write `bit` and return it, or ignore it and return the bit that is read."""


class BitWriter:
    """Writes bits."""

    def __init__(self) -> None:
        self._low, self._range = 0, _MASK
        self._found = bytearray()
        self._cache, self._waiting = 0, 0  # a byte and the 255s after it, which a carry may change

    def code(self, bit: bool, chances: Chances, context: int) -> bool:
        """See `Bits`."""
        bound = (self._range >> BITS) * chances.zero(context)
        if bit:
            self._low += bound
            self._range -= bound
        else:
            self._range = bound
        while self._range < _TOP:
            self._range = self._range << 8 & _MASK
            self._shift()
        chances.learn(context, bit)
        return bit

    def data(self) -> bytes:
        """The string, without the zeros at its end, which a reader adds."""
        # of the numbers from low to low + range, the one with most zeros at its end
        for zeros in (32, 24, 16, 8, 0):
            step = 2**zeros
            value = (self._low + step - 1) // step * step
            if value < self._low + self._range:
                break
        self._low = value
        for _ in range(5):
            self._shift()
        return bytes(self._found[1:]).rstrip(b"\0")  # the first byte is always 0

    def _shift(self) -> None:
        """Emit the top byte, or hold it back while a carry may still change it."""
        if self._low < 0xFF000000 or self._low > _MASK:
            carry = self._low >> 32
            self._found.append(self._cache + carry & 255)
            self._found.extend([255 + carry & 255] * self._waiting)
            self._waiting, self._cache = 0, self._low >> 24 & 255
        else:
            self._waiting += 1
        self._low = self._low << 8 & _MASK


class BitReader:
    """Reads bits; after the end of the data it reads zeros.

    Attributes:
        position: bytes read so far, including zeros after the end.
    """

    def __init__(self, data: bytes):
        self._data, self.position = data, 0
        self._range, self._code = _MASK, 0
        for _ in range(4):
            self._take()

    def code(self, bit: bool, chances: Chances, context: int) -> bool:
        """See `Bits`."""
        bound = (self._range >> BITS) * chances.zero(context)
        found = self._code >= bound
        if found:
            self._code -= bound
            self._range -= bound
        else:
            self._range = bound
        while self._range < _TOP:
            self._range = self._range << 8 & _MASK
            self._take()
        chances.learn(context, found)
        return found

    def _take(self) -> None:
        byte = self._data[self.position] if self.position < len(self._data) else 0
        self._code = (self._code << 8 | byte) & _MASK
        self.position += 1
