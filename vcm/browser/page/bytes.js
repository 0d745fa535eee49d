/** Integers and checksums in bytes; docs/bitstream.md, before section 1. */

import { FileError } from "./errors.js";

const VARINT = 5; // bytes, at most

/** The error for a file that ends too early. */
export function truncated(found, expected) {
  return new FileError(
    `the file is truncated: expected ${expected} bytes, got ${found}; ` +
      "get it again from where it came",
  );
}

/** Bytes in hexadecimal. */
export function hex(bytes, between = "") {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(between);
}

/** A position in bytes that moves on as they are read. */
export class Cursor {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** The next `count` bytes. */
  take(count) {
    const end = this.at + count;
    if (end > this.bytes.length) throw truncated(this.bytes.length, `at least ${end}`);
    const found = this.bytes.subarray(this.at, end);
    this.at = end;
    return found;
  }

  /** An integer of `count` bytes, the lowest first. */
  uint(count) {
    return this.take(count).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  /** An integer in as few bytes as possible: seven bits a byte, the lowest first. */
  varint() {
    let value = 0;
    for (let number = 0; number < VARINT; number++) {
      const byte = this.uint(1);
      value += (byte & 127) * 2 ** (7 * number);
      if (byte >= 128) continue;
      if (number && !byte) break;
      return value;
    }
    throw new FileError("a number takes more bytes than it needs: the file is damaged");
  }
}

/** The CRC-32 of zlib and PNG. */
export function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 255];
  return ~crc >>> 0;
}

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** Refuses bytes whose checksum is not the expected one. */
export function checkCrc(bytes, expected, where) {
  if (crc32(bytes) === expected) return;
  throw new FileError(
    `${where}: the checksum is wrong: the file is damaged, get it again from where it came`,
  );
}
