/** What `vcm info` says of a file, for people. */

/** Pairs of a name and its value, of a file that `describe` took apart. */
export function facts(told) {
  const { version, height, width, bytes, quality, tile, fingerprint, sections, text } = told;
  const found = [
    ["size", `${width} x ${height} pixels`],
    ["bytes", bytes.toLocaleString("en")],
    ["bits per pixel", ((8 * bytes) / (height * width)).toFixed(4)],
    ["quality", String(quality / 100)],
    ["model", fingerprint],
    ["sections", Object.entries(sections).map((one) => one.join(" ")).join(", ")],
    ["version", String(version)],
    ["tile", tile ? `${tile} latents` : "none"],
  ];
  if (text !== null) found.push(["text", text]);
  return found;
}

/** A line for each level of a map: its quality and the share of the picture that has it. */
export function levels({ map }) {
  if (!map) return [];
  const counts = map.qualities.map(() => 0);
  for (const level of map.index) counts[level]++;
  return map.qualities.map((quality, level) => {
    const share = ((100 * counts[level]) / map.index.length).toFixed(1);
    return `quality ${quality / 100} on ${share} %`;
  });
}

const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]; // viridis

/** The colour of each level, lighter for better quality: [red, green, blue]. */
export function colours({ qualities }) {
  const [best, worst] = [qualities[0], qualities.at(-1)];
  return qualities.map((quality) => {
    const at = (RAMP.length - 1) * ((quality - worst) / Math.max(1, best - worst));
    const low = Math.min(Math.floor(at), RAMP.length - 2);
    return RAMP[low].map((from, i) => Math.round(from + (at - low) * (RAMP[low + 1][i] - from)));
  });
}
