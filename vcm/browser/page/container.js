/** The .vcm file of version 1 or 2, taken apart and checked; docs/bitstream.md, sections 1 and 2. */

import { checkCrc, Cursor, hex, truncated } from "./bytes.js";
import { FileError } from "./errors.js";

const MAGIC = [0x89, 0x56, 0x43, 0x4d];
const NEWEST = 2;
const [Z, Y, TEXT, MAP] = [1, 2, 3, 4];
const NAMES = { [Z]: "z", [Y]: "y", [TEXT]: "text", [MAP]: "map" };
const ANCILLARY = 128; // unknown ids from here on may be skipped
const CRC = 4; // bytes
const MAX_SIDE = 65535;
const MAX_PIXELS = 2 ** 28;
const MAX_BYTES = 2 ** 30;
const MAX_TEXT = 4096;
const UNSEEN = /[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/;
const STARTS = [
  [0, [0xff, 0xd8, 0xff], "a JPEG picture"],
  [0, [0x89, 0x50, 0x4e, 0x47], "a PNG picture"],
  [0, [0x47, 0x49, 0x46, 0x38], "a GIF picture"],
  [8, [0x57, 0x45, 0x42, 0x50], "a WebP picture"],
  [4, [0x66, 0x74, 0x79, 0x70], "an AVIF or HEIC picture or a video"],
  [0, [0x25, 0x50, 0x44, 0x46], "a PDF document"],
  [0, [0x50, 0x4b, 3, 4], "a ZIP archive"],
];

/**
 * The picture in the bytes of a file: version, fingerprint (hexadecimal), height, width, quality
 * (in hundredths), tile (latents, 0 for none), text (or null), and the bytes of z, y and map.
 */
export function unpack(bytes) {
  const version = versionOf(bytes);
  const { head, lengths, at } = version === 1 ? headOf1(bytes) : headOf2(bytes);
  const bodies = bodiesOf(bytes, lengths, at);
  if (version === 1) check1(bodies, lengths);
  else check2(bodies);
  checkHead(head);
  return {
    version,
    ...head,
    z: bodies.get(Z),
    y: bodies.get(Y),
    map: bodies.get(MAP) ?? new Uint8Array(),
    text: bodies.has(TEXT) ? textOf(bodies.get(TEXT)) : null,
    sections: Object.fromEntries([...bodies].map(([id, body]) => [NAMES[id], body.length])),
  };
}

function versionOf(bytes) {
  if (!bytes.length) throw new FileError("the file is empty; get it again from where it came");
  const begins = (at, start) => start.every((byte, i) => bytes[at + i] === byte);
  if (!begins(0, MAGIC.slice(0, bytes.length))) {
    const other = STARTS.find(([at, start]) => begins(at, start));
    const found = other ? other[2] : `a file that begins ${hex(bytes.subarray(0, 4), " ")}`;
    throw new FileError(`expected a .vcm file, got ${found}`);
  }
  const version = bytes.length > MAGIC.length ? bytes[MAGIC.length] : NEWEST;
  if (version < 1 || version > NEWEST) {
    throw new FileError(
      `the file has format version ${version}, this page reads 1 to ${NEWEST}: ` +
        "it was made by a newer vcm or is damaged",
    );
  }
  return version;
}

/** Version 1: fields, a table of sections, the checksum of both. */
function headOf1(bytes) {
  const cursor = new Cursor(bytes, MAGIC.length + 1);
  const flags = cursor.uint(1);
  const head = {
    fingerprint: hex(cursor.take(8)),
    height: cursor.uint(4),
    width: cursor.uint(4),
    quality: cursor.uint(2),
    tile: cursor.uint(2),
  };
  const count = cursor.uint(1);
  if (count < 2 || count > 3) throw new FileError(`header: expected 2..3 sections, got ${count}`);
  const entries = Array.from({ length: count }, () => [
    cursor.uint(1),
    { length: cursor.uint(4), crc: cursor.uint(4) },
  ]);
  checkCrc(bytes.subarray(0, cursor.at), cursor.uint(CRC), "header");
  const ids = entries.map(([id]) => id).join();
  if (flags > 1 || ids !== (flags ? "1,2,3" : "1,2")) {
    throw new FileError(`section table: expected z, y and a text if flagged, got the ids ${ids}`);
  }
  const lengths = new Map(entries);
  checkLength(bytes, cursor.at, lengths, 0);
  return { head, lengths, at: cursor.at };
}

/** Version 2: numbers in few bytes; its checksum ends the file. */
function headOf2(bytes) {
  const cursor = new Cursor(bytes, MAGIC.length + 1);
  const fingerprint = hex(cursor.take(8));
  const [height, width, quality] = [cursor.varint(), cursor.varint(), cursor.varint()];
  const layout = cursor.uint(1);
  const lengths = new Map([Z, Y].map((id) => [id, { length: cursor.varint() }]));
  const more = layout & 128 ? cursor.uint(1) : 0;
  for (let number = 0, last = Y; number < more; number++) {
    const id = cursor.uint(1);
    if (id <= last) throw new FileError("section list: expected ascending ids; it is damaged");
    lengths.set((last = id), { length: cursor.varint() });
  }
  checkLength(bytes, cursor.at, lengths, CRC);
  const end = bytes.length - CRC;
  checkCrc(bytes.subarray(0, end), new Cursor(bytes, end).uint(CRC), "the file");
  const head = { fingerprint, height, width, quality, tile: 4 * (layout & 63) };
  if (layout & 64 || (layout & 128 && !more)) throw new FileError("header: invalid layout");
  return { head, lengths, at: cursor.at };
}

function checkLength(bytes, at, lengths, after) {
  const end = [...lengths.values()].reduce((sum, one) => sum + one.length, at + after);
  if (bytes.length < end) throw truncated(bytes.length, end);
  if (bytes.length > end) {
    throw new FileError(
      `expected a file of ${end} bytes, got ${bytes.length}: something was appended to it`,
    );
  }
  if (end > MAX_BYTES) throw new FileError(`expected at most ${MAX_BYTES} bytes, got ${end}`);
}

/** The bytes of each section that is known here, by id. */
function bodiesOf(bytes, lengths, start) {
  const bodies = new Map();
  for (const [id, { length }] of lengths) {
    if (id in NAMES) bodies.set(id, bytes.subarray(start, start + length));
    else if (id < ANCILLARY) {
      throw new FileError(`section ${id}: the file was made by a newer vcm than this page`);
    }
    start += length;
  }
  return bodies;
}

function check1(bodies, lengths) {
  for (const [id, body] of bodies) checkCrc(body, lengths.get(id).crc, `section ${NAMES[id]}`);
}

function check2(bodies) {
  for (const id of [TEXT, MAP]) {
    if (bodies.get(id)?.length === 0) throw new FileError(`section ${NAMES[id]}: is empty`);
  }
}

function checkHead({ height, width, quality }) {
  const allowed = (value, low, high) => value >= low && value <= high;
  if (!allowed(height, 1, MAX_SIDE) || !allowed(width, 1, MAX_SIDE)) {
    throw new FileError(`header: expected 1 to ${MAX_SIDE} pixels a side, got ${width} x ${height}`);
  }
  if (height * width > MAX_PIXELS) {
    throw new FileError(`header: expected at most ${MAX_PIXELS} pixels, got ${width} x ${height}`);
  }
  if (!allowed(quality, 0, 10000)) {
    throw new FileError(`header: expected a quality in 0..10000, got ${quality}`);
  }
}

function textOf(body) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw new FileError("section text: not UTF-8");
  }
  if (!body.length || body.length > MAX_TEXT || UNSEEN.test(text)) {
    throw new FileError(`section text: expected 1 to ${MAX_TEXT} bytes without control characters`);
  }
  return text;
}
