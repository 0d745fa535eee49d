/** The map of a file: the quality of each latent; docs/bitstream.md, section 3.8. */

import { Cursor } from "./bytes.js";
import { FileError } from "./errors.js";

const MOST = 16; // levels
const DIGITS = 4; // bits that name one
const WORST = -14000; // hundredths
const LIMIT = 1024; // counts are halved when their sum is over this

/**
 * The map in a section, for a latent of h x w: `qualities` in hundredths, the best first, and
 * `index`, which of them each latent has. Null if there is none.
 */
export function unpackMap(bytes, quality, h, w) {
  if (!bytes.length) return null;
  const cursor = new Cursor(bytes);
  const count = cursor.uint(1) + 1;
  if (count > MOST) throw new FileError(`section map: expected at most ${MOST} levels`);
  const qualities = [];
  for (let number = 0, last = quality; number < count; number++) {
    const step = cursor.varint();
    if (number && !step) throw new FileError("section map: expected levels that differ");
    qualities.push((last -= step));
  }
  if (qualities.at(-1) < WORST || (count === 1 && qualities[0] === quality)) {
    throw new FileError(`section map: expected qualities from ${WORST} on, got ${qualities}`);
  }
  return { qualities, index: indexOf(bytes.subarray(cursor.at), count, h, w) };
}

/** How often a bit was 0 and 1 in each context. */
class Chances {
  constructor(contexts) {
    this.counts = Array.from({ length: contexts }, () => [1, 1]);
  }

  /** The chance of a 0 in 2^16. */
  zero(context) {
    const [zeros, ones] = this.counts[context];
    return Math.min(Math.max(Math.floor((65536 * zeros) / (zeros + ones)), 1), 65535);
  }

  learn(context, bit) {
    const counts = this.counts[context];
    counts[bit] += 2;
    if (counts[0] + counts[1] > LIMIT) counts.forEach((n, i) => (counts[i] = (n + 1) >> 1));
  }
}

/** The decoder of the adaptive binary range coder. After its bytes, zeros are read. */
class BitReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
    this.range = 2 ** 32 - 1;
    this.code = 0;
    for (let i = 0; i < 4; i++) this.shift();
  }

  shift() {
    this.code = ((this.code << 8) | (this.bytes[this.at++] ?? 0)) >>> 0;
  }

  /** 0 or 1. */
  bit(chances, context) {
    const bound = (this.range >>> 16) * chances.zero(context);
    const bit = Number(this.code >= bound);
    if (bit) {
      this.code -= bound;
      this.range -= bound;
    } else {
      this.range = bound;
    }
    while (this.range < 2 ** 24) {
      this.range *= 256;
      this.shift();
    }
    chances.learn(context, bit);
    return bit;
  }
}

function indexOf(bytes, count, h, w) {
  const index = new Uint8Array(h * w);
  if (count === 1) {
    if (bytes.length) throw new FileError("section map: longer than its single level");
    return index;
  }
  const reader = new BitReader(bytes);
  const same = new Chances(8 * 4 * 3);
  const number = new Chances(2 ** DIGITS);
  for (let at = 0; at < h * w; at++) {
    const left = at % w ? index[at - 1] : 0;
    const above = at >= w ? index[at - w] : 0;
    const right = at >= w && (at + 1) % w ? index[at - w + 1] : 0;
    index[at] = levelOf(reader, [left, above, right], count, same, number);
  }
  if (reader.at < bytes.length || bytes.at(-1) === 0) {
    throw new FileError("section map: longer than its levels");
  }
  return index;
}

/** One level: that of the first neighbour that has it, or one by its number. */
function levelOf(reader, around, count, same, number) {
  const [a, b, c] = around;
  const alike = (a === b) + 2 * (b === c) + 4 * (a === c);
  const zeros = around.filter((level) => level === 0).length;
  const out = new Set();
  for (const [place, level] of around.entries()) {
    if (out.has(level)) continue;
    if (out.size === count - 1) return level;
    if (reader.bit(same, 3 * (4 * alike + zeros) + place)) return level;
    out.add(level);
  }
  if (out.size === count - 1) return [...Array(count).keys()].find((level) => !out.has(level));
  let node = 1;
  for (let digit = 0; digit < DIGITS; digit++) node = 2 * node + reader.bit(number, node);
  const found = node - 2 ** DIGITS;
  if (found >= count || out.has(found)) {
    throw new FileError("section map: not made by an encoder of this format");
  }
  return found;
}
