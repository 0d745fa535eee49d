/** Rectangles of latents, half-open; docs/bitstream.md, section 3.4. */

import { FileError } from "./errors.js";

const [LEAST, WHOLE] = [24, 192]; // latents a side of a tile; a latent with a longer side must be tiled

/** Refuses sides of tiles that no encoder uses. */
export function checkSide(side, h, w) {
  const fits = side ? side >= LEAST && side <= WHOLE : Math.max(h, w) <= WHOLE;
  if (side % 4 === 0 && fits) return;
  throw new FileError(`tile: expected a multiple of 4 from ${LEAST} to ${WHOLE}, got ${side}`);
}

/** The tiles of a latent, row by row; side 0: the whole. */
export function grid(h, w, side) {
  return pieces(h, w, side || h, side || w);
}

/** A latent of h x w in parts of at most `most` latents each, by halving the longer side. */
export function parts(h, w, most) {
  let [height, width] = [h, w];
  while (height * width > most) {
    if (height >= width) height = Math.ceil(height / 2);
    else width = Math.ceil(width / 2);
  }
  return pieces(h, w, height, width);
}

function pieces(h, w, height, width) {
  const found = [];
  for (let top = 0; top < h; top += height) {
    for (let left = 0; left < w; left += width) {
      const [bottom, right] = [Math.min(h, top + height), Math.min(w, left + width)];
      found.push({ top, left, bottom, right });
    }
  }
  return found;
}

/** A tile with `halo` latents around it, as far as a latent of h x w goes. */
export function grown({ top, left, bottom, right }, h, w, halo) {
  return {
    top: Math.max(0, top - halo),
    left: Math.max(0, left - halo),
    bottom: Math.min(h, bottom + halo),
    right: Math.min(w, right + halo),
  };
}

/** A tile in the coordinates of an outer one. */
export function within(tile, outer) {
  const shift = (edge, by) => tile[edge] - outer[by];
  return {
    top: shift("top", "top"),
    left: shift("left", "left"),
    bottom: shift("bottom", "top"),
    right: shift("right", "left"),
  };
}

/** A tile where one latent is `unit` elements long. */
export function scaled(tile, unit) {
  const entries = Object.entries(tile).map(([edge, at]) => [edge, Math.ceil(at * unit)]);
  return Object.fromEntries(entries);
}
