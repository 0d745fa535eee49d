/** Answers a line of JSON on standard input by one on standard output; bytes are hexadecimal. */

import { createInterface } from "node:readline";

import { unpack } from "./container.js";
import { describe } from "./decode.js";
import { FileError } from "./errors.js";
import { unpackMap } from "./levels.js";
import { Reader, Tables } from "./tables.js";

const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (found) => Buffer.from(found).toString("hex");

const questions = {
  unpack({ data }) {
    const { z, y, map, ...head } = unpack(bytes(data));
    return { ...head, z: hex(z), y: hex(y), map: hex(map) };
  },
  describe: ({ data }) => ({ levels: describe(bytes(data)).map?.qualities ?? null }),
  map({ data, quality, h, w }) {
    const found = unpackMap(bytes(data), quality, h, w);
    return found && { qualities: found.qualities, index: hex(found.index) };
  },
  symbols({ tables, silent, data, parts }) {
    const reader = new Reader(new Tables(tables, silent), bytes(data));
    const found = parts.map((rows) => [...reader.read(bytes(rows))]);
    reader.end();
    return found;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [what, question] = JSON.parse(line);
  let answer;
  try {
    answer = { found: questions[what](question) };
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    answer = { error: error.message };
  }
  console.log(JSON.stringify(answer));
}
