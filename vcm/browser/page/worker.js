/** Decodes in a thread of its own, so that the page keeps responding; one file after another. */

import { Decoder, describe } from "./decode.js";
import { FileError } from "./errors.js";
import { Networks } from "./networks.js";

const RUNTIME = "./ort/ort.wasm.bundle.min.mjs"; // of onnxruntime-web

/** The bytes of a file of this folder. */
async function get(name) {
  const answer = await fetch(new URL(`networks/${name}`, import.meta.url));
  if (!answer.ok) throw new Error(`networks/${name} is missing`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function load() {
  const ort = await import(RUNTIME).catch(() => {
    throw new Error("onnxruntime-web is missing from the folder ort");
  });
  ort.env.wasm.numThreads = 1; // more would need headers that a plain web server does not send
  return new Decoder(await Networks.load(ort, get));
}

const loading = load();
loading.catch(() => {}); // reported when a file is opened

async function open({ number, bytes }) {
  try {
    const told = describe(bytes);
    postMessage({ number, told });
    const decoder = await loading;
    const before = performance.now();
    const picture = await decoder.decode(told);
    const seconds = (performance.now() - before) / 1000;
    postMessage({ number, told, picture, seconds }, [picture.buffer]);
  } catch (error) {
    const reason = error.message ?? String(error); // onnxruntime throws numbers too
    const what = error instanceof FileError ? "" : "This page cannot decode: ";
    postMessage({ number, error: what + reason });
  }
}

let last = Promise.resolve();
onmessage = ({ data }) => {
  last = last.then(() => open(data)); // one after the other: they share the networks
};
