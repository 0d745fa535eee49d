/** The range decoder of z and y; docs/bitstream.md, section 3.2.
 *
 * Its state has 64 bits, more than a number holds exactly, so `range` and what the point is above
 * `lower` are each kept as high * 2^24 + low, with high < 2^40 and low < 2^24. Of lower and point
 * nothing but their difference is ever used. `high` of the range is the text's `scale`.
 */

import { FileError } from "./errors.js";

const SHARES = 2 ** 24;
const PART = 2 ** 12; // a share is found in two steps of so many each

/** Gives the shares of 2^24 that a string of bytes names, in words of 4, the highest first. */
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

  /** The next four bytes; behind the last come zeros. */
  word() {
    const byte = () => this.bytes[this.at++] ?? 0;
    return ((byte() << 24) | (byte() << 16) | (byte() << 8) | byte()) >>> 0;
  }

  /** The share that comes next: floor((point - lower) / scale). `take` has to follow. */
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

  /** Go on behind an entry that has the share: its first share, and how many it has. */
  take(left, count) {
    this.above(this.found - left);
    this.span(count);
    if (this.scale < 256) this.refill(); // range < 2^32
  }

  /** What is left above the entry: (found - left) * scale + rest. */
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

  /** Both times 2^32, and the next word. */
  refill() {
    const word = this.word();
    this.scale = (this.scale * SHARES + this.rangeLow) * 256;
    this.rangeLow = 0;
    this.high = (this.high * SHARES + this.low) * 256 + (word >>> 24);
    this.low = word & 0xffffff;
  }
}
