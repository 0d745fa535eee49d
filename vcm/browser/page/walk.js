/** The order in which the symbols of y are coded: four passes; docs/bitstream.md, section 3.4. */

const ORDER = [0, 3, 1, 2]; // pass i codes group g at place g ^ ORDER[i] of each square of 2x2
export const PASSES = ORDER.length;

/**
 * Calls `put(at, part)` for each symbol of a pass in a tile, with its index in `planes` and its
 * index in the pass's own layout, which has a quarter of the channels for each of the four places
 * in 2x2 squares. Positions beyond a tile of odd size are left out.
 */
export function eachOf(number, planes, { top, left, bottom, right }, put) {
  const [rows, columns] = [Math.ceil((bottom - top) / 2), Math.ceil((right - left) / 2)];
  const quarter = planes.channels / PASSES;
  for (let channel = 0; channel < planes.channels; channel++) {
    const place = Math.floor(channel / quarter);
    const own = PASSES * (channel % quarter) + (place ^ ORDER[number]);
    for (let i = 0; i < rows; i++) {
      const row = top + 2 * i + (place >> 1);
      if (row >= bottom) continue;
      const from = planes.at(own, row);
      let part = (channel * rows + i) * columns;
      for (let at = left + (place & 1); at < right; at += 2) put(from + at, part++);
    }
  }
}
