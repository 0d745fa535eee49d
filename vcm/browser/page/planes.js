/** Arrays of numbers with channels, rows and columns, the last axis fastest. */

export class Planes {
  /** data: a typed array of channels * rows * columns numbers. */
  constructor(channels, rows, columns, data) {
    Object.assign(this, { channels, rows, columns, data });
  }

  static zeros(Type, channels, rows, columns) {
    return new Planes(channels, rows, columns, new Type(channels * rows * columns));
  }

  /** The index in `data` at which a row begins. */
  at(channel, row) {
    return (channel * this.rows + row) * this.columns;
  }

  row(channel, row) {
    const at = this.at(channel, row);
    return this.data.subarray(at, at + this.columns);
  }

  /** A copy of a rectangle, in float32 as networks need it. */
  cut({ top, left, bottom, right }) {
    const found = Planes.zeros(Float32Array, this.channels, bottom - top, right - left);
    for (let c = 0; c < this.channels; c++) {
      for (let i = top; i < bottom; i++) {
        found.row(c, i - top).set(this.row(c, i).subarray(left, right));
      }
    }
    return found;
  }

  /** Copies other planes into a rectangle of the same size. */
  put(other, { top, left }) {
    for (let c = 0; c < this.channels; c++) {
      for (let i = 0; i < other.rows; i++) this.row(c, top + i).set(other.row(c, i), left);
    }
  }

  /** Padded to sides that are multiples of a unit, with zeros or the nearest numbers. */
  padded(unit, nearest = false) {
    const [rows, columns] = [this.rows, this.columns].map((n) => Math.ceil(n / unit) * unit);
    if (rows === this.rows && columns === this.columns) return this;
    const found = Planes.zeros(Float32Array, this.channels, rows, columns);
    for (let c = 0; c < this.channels; c++) {
      for (let i = 0; i < (nearest ? rows : this.rows); i++) {
        const source = this.row(c, Math.min(i, this.rows - 1));
        found.row(c, i).set(source);
        if (nearest) found.row(c, i).fill(source.at(-1), this.columns);
      }
    }
    return found;
  }
}
