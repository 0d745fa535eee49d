/** The range decoder of z and y; docs/bitstream.md, section 3.2.
 *
 * Its state has 64 bits, more than a number holds exactly, so `range` and `point - lower` are each
 * kept as high * 2^24 + low, with high < 2^40 and low < 2^24. Lower and point themselves are never
 * needed. The high part of `range` is called `scale` in that text.
 */

import { FileError } from "./errors.js";

const SHARES = 2 ** 24;
const PART = 2 ** 12; // a share is found in two steps of 12 bits each

/** Decodes shares of 2^24 from bytes, in words of 4 bytes, the highest first. */
export class RangeDecoder {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.scale = 2 ** 40 - 1;
    this.rangeLow = SHARES - 1;
    const [first, second] = [this.word(), this.word()];
    this.high = first * 256 + (second >>> 24);
    this.low = second & 0xffffff;
  }

  /** The next four bytes; after the last, zeros are read. */
  word() {
    const byte = () => this.bytes[this.at++] ?? 0;
    return ((byte() << 24) | (byte() << 16) | (byte() << 8) | byte()) >>> 0;
  }

  /** The next share: floor((point - lower) / scale). A call of `take` must follow. */
  share() {
    const top = this.high * PART + (this.low >>> 12); // < 2^52
    const first = Math.floor(top / this.scale);
    const rest = (top - first * this.scale) * PART + (this.low & (PART - 1)); // < 2^52
    const second = Math.floor(rest / this.scale);
    const share = first * PART + second;
    if (share >= SHARES) throw new FileError("string: not made by this model");
    this.found = share;
    this.rest = rest - second * this.scale;
    return share;
  }

  /** Moves past the entry that has the share, given its first share and how many it has. */
  take(left, count) {
    this.above(this.found - left);
    this.span(count);
    if (this.scale < 256) this.refill(); // range < 2^32
  }

  /** point - lower within the entry: (found - left) * scale + rest. */
  above(shares) {
    const low = (this.scale % SHARES) * shares + this.rest; // < 2^49
    this.high = Math.floor(this.scale / SHARES) * shares + Math.floor(low / SHARES);
    this.low = low % SHARES;
  }

  /** range = scale * count */
  span(count) {
    const low = (this.scale % SHARES) * count;
    this.scale = Math.floor(this.scale / SHARES) * count + Math.floor(low / SHARES);
    this.rangeLow = low % SHARES;
  }

  /** Multiplies both by 2^32 and adds the next word to the second. */
  refill() {
    const word = this.word();
    this.scale = (this.scale * SHARES + this.rangeLow) * 256;
    this.rangeLow = 0;
    this.high = (this.high * SHARES + this.low) * 256 + (word >>> 24);
    this.low = word & 0xffffff;
  }
}
