/** The page: takes a file, shows its picture, its map, and what it says of itself. */

import { colours, facts, levels } from "./facts.js";

const element = (id) => document.getElementById(id);
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
let opened = { number: 0, name: "" };

worker.onmessage = ({ data }) => {
  if (data.number !== opened.number) return; // another file has been opened in the meantime
  if (data.error) say(`${opened.name}: ${data.error}`, true);
  else if (data.picture) show(data);
  else say(`Decoding ${opened.name} ...`);
};
worker.onerror = () => say("This browser cannot decode: it needs module workers.", true);

function say(text, wrong = false) {
  element("says").textContent = text;
  element("says").classList.toggle("wrong", wrong);
  document.body.ariaBusy = String(!wrong && text.endsWith("..."));
}

async function open(file) {
  if (!file) return;
  const number = opened.number + 1;
  opened = { number, name: file.name };
  element("opened").hidden = true;
  say(`Reading ${file.name} ...`);
  worker.postMessage({ number, bytes: new Uint8Array(await file.arrayBuffer()) });
}

function show({ told, picture, seconds }) {
  const canvas = element("picture");
  [canvas.width, canvas.height] = [told.width, told.height];
  canvas.getContext("2d").putImageData(new ImageData(picture, told.width, told.height), 0, 0);
  canvas.toBlob((png) => {
    URL.revokeObjectURL(element("save").href);
    element("save").href = URL.createObjectURL(png);
    element("save").download = opened.name.replace(/\.vcm$/i, "") + ".png";
  });
  showMap(told);
  const rows = facts(told).flatMap(([name, value]) => [text("dt", name), text("dd", value)]);
  element("facts").replaceChildren(...rows);
  element("opened").hidden = false;
  say(`${opened.name}: decoded in ${seconds.toFixed(1)} s`);
}

function showMap(told) {
  const { map, h, w, height, width, quality } = told;
  const overlay = element("overlay");
  overlay.disabled = !map;
  element("map").hidden = !map || !overlay.checked;
  if (!map) {
    const same = text("li", `No map: all of it has quality ${quality / 100}`);
    element("levels").replaceChildren(same);
    return;
  }
  const palette = colours(map);
  drawMap(map, palette, h, w);
  element("map").style.width = `${(1600 * w) / width}%`; // a latent covers 16 pixels, at the edges too
  element("map").style.height = `${(1600 * h) / height}%`;
  const items = levels(told).map((line, level) => {
    const item = text("li", line);
    const key = document.createElement("i");
    key.style.background = `rgb(${palette[level]})`;
    item.prepend(key);
    return item;
  });
  element("levels").replaceChildren(...items);
}

/** One pixel for each latent; the style makes it as large as the picture. */
function drawMap({ index }, palette, h, w) {
  const canvas = element("map");
  [canvas.width, canvas.height] = [w, h];
  const pixels = new ImageData(w, h);
  index.forEach((level, at) => pixels.data.set([...palette[level], 255], 4 * at));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

function text(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}

element("overlay").onchange = () => {
  element("map").hidden = !element("overlay").checked;
};
element("file").onchange = ({ target }) => {
  open(target.files[0]);
  target.value = ""; // the same file can be chosen again
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("over");
};
document.ondragleave = () => document.body.classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  open(event.dataTransfer.files[0]);
};
say("");
