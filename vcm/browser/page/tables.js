/** Coding tables, and the reader of symbols by them; docs/bitstream.md, section 3.2. */

import { FileError } from "./errors.js";
import { RangeDecoder } from "./range.js";

const SHARES = 2 ** 24;
const SLACK = 96; // bits that symbols may hold beyond the length of their string
const [REST, LOSS] = [128, 0.006]; // bits that a string may be longer: in all, and per symbol
const RAW = 2 ** 16; // values of an escaped symbol
const RAW_SHARES = SHARES / RAW;
const RAW_BITS = 16;

/** A coding table: `cdf` has a row of cumulative frequencies for each number of `offset`. */
export class Tables {
  constructor({ cdf, offset }, silent = 0) {
    this.offset = offset;
    this.silent = silent; // rows below this are not coded: their symbols are 0
    this.left = cdf.map(boundaries);
    this.bits = this.left.map((left) => information(left));
    this.least = this.bits.slice(silent).reduce((sum, bits) => sum + Math.min(...bits), 0);
  }
}

/** Where the shares of each entry begin, then 2^24. */
function boundaries(cdf) {
  const n = cdf.length - 1;
  const left = Int32Array.from(cdf, (f, i) => i + Math.floor((f * (SHARES - n)) / 65536));
  left[n] = SHARES;
  return left;
}

/** The information of each entry, in bits. */
function information(left) {
  return Float64Array.from({ length: left.length - 1 }, (_, i) => {
    return 24 - Math.log2(left[i + 1] - left[i]);
  });
}

/** Reads the symbols of a string, part by part. */
export class Reader {
  constructor(tables, bytes) {
    this.tables = tables;
    this.decoder = new RangeDecoder(bytes);
    this.left = 8 * bytes.length + SLACK; // bits
    this.count = 0;
  }

  /** Refuses, before memory is taken, a string too short for `count` symbols of each row. */
  checkRoom(count) {
    if (count * this.tables.least <= this.left) return;
    throw new FileError(`string: too short for ${count} symbols of each table row`);
  }

  /** The symbols of the next part, one for each table row: Int16Array. */
  read(rows) {
    const symbols = new Int16Array(rows.length);
    const escaped = [];
    const order = orderOf(rows, this.tables.silent);
    for (const at of order) {
      const row = rows[at];
      const entry = this.entry(row);
      if (entry === this.tables.bits[row].length - 1) escaped.push(at);
      symbols[at] = entry + this.tables.offset[row];
    }
    for (const at of escaped.sort((a, b) => a - b)) symbols[at] = this.raw();
    this.count += order.length + escaped.length;
    return symbols;
  }

  entry(row) {
    const left = this.tables.left[row];
    const share = this.decoder.share();
    let low = 0;
    for (let high = left.length - 1; high - low > 1; ) {
      const middle = (low + high) >> 1;
      if (left[middle] <= share) low = middle;
      else high = middle;
    }
    this.decoder.take(left[low], left[low + 1] - left[low]);
    this.spend(this.tables.bits[row][low]);
    return low;
  }

  raw() {
    const value = Math.floor(this.decoder.share() / RAW_SHARES);
    this.decoder.take(value * RAW_SHARES, RAW_SHARES);
    this.spend(RAW_BITS);
    return value - RAW / 2;
  }

  spend(bits) {
    this.left -= bits;
    if (this.left >= 0) return;
    throw new FileError("string: it ends before its symbols do; the file is damaged");
  }

  /** Call this after the last part: refuses a string that is longer than its symbols. */
  end() {
    if (this.left <= SLACK + REST + LOSS * this.count) return;
    throw new FileError("string: not made by this model: longer than its symbols");
  }
}

/** Positions of the coded symbols, by ascending row, and in their order within a row. */
function orderOf(rows, silent) {
  const ends = new Uint32Array(257);
  for (const row of rows) if (row >= silent) ends[row + 1]++;
  for (let row = 0; row < 256; row++) ends[row + 1] += ends[row];
  const order = new Uint32Array(ends[256]);
  rows.forEach((row, at) => {
    if (row >= silent) order[ends[row]++] = at;
  });
  return order;
}
