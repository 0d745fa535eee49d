/** The decoder, from the bytes of a .vcm file to a picture; docs/bitstream.md, section 3. */

import { unpack } from "./container.js";
import { Context } from "./context.js";
import { FileError } from "./errors.js";
import { unpackMap } from "./levels.js";
import { Planes } from "./planes.js";
import { Reader } from "./tables.js";
import { checkSide, grown, parts, scaled, within } from "./tiles.js";
import { eachOf, PASSES } from "./walk.js";

const STRIDE = 16; // pixels per latent, each way
const [Z_MAX, Y_MAX, Y_HAT_MAX] = [15, 2000, 2 ** 15 - 1];
const MEAN_UNIT = 16; // y_hat is in sixteenths of a step
const AT_ONCE = 3000; // latents that the synthesis works on at once: 30 KB each
const MAX_SIDE = 16384; // pixels: the most that browsers draw
const MAX_PIXELS = 2 ** 26; // 5 bytes each while they are decoded, and 4 more for the screen

/** What a file says of itself, with the levels of its map. */
export function describe(bytes) {
  const stream = unpack(bytes);
  const [h, w] = [stream.height, stream.width].map((n) => Math.ceil(n / STRIDE));
  const { map, quality } = stream;
  return { ...stream, bytes: bytes.length, h, w, map: unpackMap(map, quality, h, w) };
}

/** Reads the files of one model, whose networks are given. */
export class Decoder {
  constructor(networks) {
    this.networks = networks;
    this.facts = networks.facts;
  }

  /** RGBA of a file that `describe` took apart: Uint8ClampedArray of height * width * 4. */
  async decode(told) {
    const { h, w, height, width } = told;
    if (Math.max(height, width) > MAX_SIDE || height * width > MAX_PIXELS) {
      throw new FileError(`${width} x ${height} pixels are more than a browser can show`);
    }
    const quality = qualityOf(told);
    const y = await this.latent(told, quality);
    const seen = Planes.zeros(Float32Array, 1, h, w);
    quality.data.forEach((q, at) => (seen.data[at] = q / 10000));
    const picture = new Uint8ClampedArray(height * width * 4).fill(255);
    for (const tile of parts(h, w, AT_ONCE)) {
      const outer = grown(tile, h, w, this.facts.reach.synthesis);
      const part = y.cut(outer);
      part.data.forEach((value, at) => (part.data[at] = value / MEAN_UNIT));
      const inputs = { y_hat: part, quality: seen.cut(outer) };
      const { x_hat } = await this.networks.run("synthesis", inputs);
      paint(picture, width, height, x_hat, scaled(tile, STRIDE), scaled(within(tile, outer), STRIDE));
    }
    return picture;
  }

  /** y_hat of a file in sixteenths: (M, h, w), equal to the encoder's. */
  async latent(told, quality = qualityOf(told)) {
    const { h, w, tile: side, version, fingerprint } = told;
    const { channels, below } = this.facts;
    if (fingerprint !== this.facts.fingerprint) {
      throw new FileError(
        `the file was made with the model ${fingerprint}, this page decodes files of ` +
          this.facts.fingerprint,
      );
    }
    if (told.map && !below) throw new FileError("section map: this model has no maps");
    checkSide(side, h, w);
    const [z, y] = [told.z, told.y].map((bytes) => (version === 1 ? turned(bytes) : bytes));
    const z_hat = this.readZ(z, channels.z, Math.ceil(h / 4), Math.ceil(w / 4));
    const context = await Context.of(this.networks, z_hat, quality, channels.y, side);
    return this.readY(y, context);
  }

  readZ(bytes, channels, rows, columns) {
    const reader = new Reader(this.networks.z, bytes);
    reader.checkRoom(rows * columns);
    const own = new Uint8Array(channels * rows * columns);
    for (let c = 0; c < channels; c++) own.fill(c, c * rows * columns, (c + 1) * rows * columns);
    const symbols = reader.read(own);
    reader.end();
    return new Planes(channels, rows, columns, symbols.map((z) => clamped(z, Z_MAX)));
  }

  async readY(bytes, context) {
    const reader = new Reader(this.networks.y, bytes);
    const y = Planes.zeros(Int16Array, context.known.channels, ...context.size);
    for (let number = 0; number < PASSES; number++) {
      context.begin();
      for (const tile of context.grid) {
        const { rows, means } = await context.parameters(number, tile);
        const symbols = reader.read(rows);
        eachOf(number, y, tile, (at, part) => {
          const value = (clamped(symbols[part], Y_MAX) + means[part]) * MEAN_UNIT;
          y.data[at] = clamped(value, Y_HAT_MAX);
          context.learn(at, y.data[at]);
        });
      }
    }
    reader.end();
    return y;
  }
}

/** The quality of each latent in hundredths: (1, h, w). */
function qualityOf({ map, quality, h, w }) {
  const plane = Planes.zeros(Int32Array, 1, h, w);
  if (!map) plane.data.fill(quality);
  else map.index.forEach((level, at) => (plane.data[at] = map.qualities[level]));
  return plane;
}

/** The 32-bit words of version 1, which begin with the lowest byte, turned to highest first. */
function turned(bytes) {
  if (bytes.length % 4) throw new FileError(`string: expected whole words, got ${bytes.length}`);
  return bytes.map((_, at) => bytes[at ^ 3]);
}

function clamped(value, most) {
  return Math.min(Math.max(value, -most), most);
}

/** Copies the rectangle `from` of x, (3, rows, columns) in [0, 1], to `to` in the picture. */
function paint(picture, width, height, x, to, from) {
  const [bottom, right] = [Math.min(to.bottom, height), Math.min(to.right, width)];
  for (let colour = 0; colour < 3; colour++) {
    for (let row = to.top; row < bottom; row++) {
      let at = x.at(colour, from.top + row - to.top) + from.left;
      for (let column = to.left; column < right; column++) {
        const value = x.data[at++];
        const level = value === value ? value : 0.5; // grey for NaN
        picture[4 * (row * width + column) + colour] = Math.fround(level * 255); // clamps, rounds
      }
    }
  }
}
