/** What is known of a latent while it is decoded; docs/bitstream.md, section 3.4. */

import { Planes } from "./planes.js";
import { grid, grown, scaled, within } from "./tiles.js";
import { eachOf } from "./walk.js";

const STEP = 4; // latents per symbol of z, each way
const FEATURES_HALO = 12; // latents around a tile, at least as far as features look
const HALO = 2; // latents around a tile that a pass sees, in whole 2x2 squares

/** The quality of each latent, given in hundredths, as the integer that networks see. */
function levelOf(quality) {
  const found = Planes.zeros(Int32Array, 1, quality.rows, quality.columns);
  quality.data.forEach((q, at) => {
    found.data[at] = Math.floor((q * 255 + 5000) / 10000);
  });
  return found;
}

export class Context {
  /**
   * networks: with `run`; z: (Z, ceil(h/4), ceil(w/4)); quality: (1, h, w) in hundredths;
   * channels: of y; side: of the tiles.
   */
  static async of(networks, z, quality, channels, side) {
    const context = new Context();
    const { rows: h, columns: w } = quality;
    context.networks = networks;
    context.size = [h, w];
    context.grid = grid(h, w, side);
    context.level = levelOf(quality);
    context.known = Planes.zeros(Int8Array, channels, h, w);
    await context.findFeatures(z);
    return context;
  }

  /** Computes the features: what z says of each latent. */
  async findFeatures(z) {
    for (const tile of this.grid) {
      const outer = grown(tile, ...this.size, FEATURES_HALO);
      const level = this.level.cut(outer).padded(STEP, true);
      const inputs = { z_hat: z.cut(scaled(outer, 1 / STEP)), level };
      const { features } = await this.networks.run("features", inputs);
      this.features ??= Planes.zeros(Uint8Array, features.channels, ...this.size);
      this.features.put(features.cut(within(tile, outer)), tile);
    }
  }

  /** Call this before each pass: a tile does not see what the same pass gives in other tiles. */
  begin() {
    const { channels, rows, columns, data } = this.known;
    const before = this.grid.length > 1 ? data.slice() : data;
    this.before = new Planes(channels, rows, columns, before);
  }

  /** Coding table rows and means of the symbols of a pass in a tile, in the pass's layout. */
  async parameters(number, tile) {
    const outer = grown(tile, ...this.size, HALO);
    const inputs = {
      features: this.features.cut(outer).padded(2),
      level: this.level.cut(outer).padded(2, true),
    };
    if (number) inputs.known = this.before.cut(outer).padded(2);
    const found = await this.networks.run(`pass_${number}`, inputs);
    const inner = scaled(within(tile, outer), 1 / 2);
    const [asked, means] = [found.rows.cut(inner), found.means.cut(inner).data];
    const rows = new Uint8Array(asked.data.length); // beyond the picture 0, which is not coded
    eachOf(number, this.known, tile, (_, part) => {
      rows[part] = asked.data[part];
    });
    return { rows, means };
  }

  /** Stores a decoded value, in sixteenths, for later passes. */
  learn(at, value) {
    this.known.data[at] = companded(value);
  }
}

/** An integer in [-127, 127] that grows like the square root, in float32. */
function companded(value) {
  const root = Math.fround(Math.sqrt(Math.abs(value) + 16));
  return Math.sign(value) * even(Math.min(Math.fround(4 * root - 16), 127));
}

/** The nearest integer; a half goes to the even one. */
function even(value) {
  const low = Math.floor(value);
  const above = value - low;
  return above > 0.5 || (above === 0.5 && low % 2) ? low + 1 : low;
}
