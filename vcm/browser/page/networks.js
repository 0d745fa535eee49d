/** The networks in a folder that `vcm export` wrote, run by onnxruntime-web on the processor. */

import { Planes } from "./planes.js";
import { Tables } from "./tables.js";

const FORMAT = "vcm-onnx-3";
const OPTIONS = {
  executionProviders: ["wasm"], // the processor: sums on a GPU are not exact
  logSeverityLevel: 3, // errors only; it also warns of what it does not optimise
};

export class Networks {
  /** ort: the module of onnxruntime-web; get: gives the bytes of a file in the folder, by name. */
  static async load(ort, get) {
    const networks = new Networks();
    const facts = JSON.parse(new TextDecoder().decode(await get("codec.json")));
    if (facts.format !== FORMAT) throw new Error(`expected ${FORMAT}, got ${facts.format}`);
    networks.ort = ort;
    networks.facts = facts;
    networks.z = new Tables(facts.tables.z);
    networks.y = new Tables(facts.tables.y, 1);
    networks.sessions = {};
    for (const name of facts.networks.decoder) {
      const network = await get(`${name}.onnx`);
      networks.sessions[name] = await ort.InferenceSession.create(network, OPTIONS);
    }
    return networks;
  }

  /** A network's outputs by name, from its inputs by name. */
  async run(name, inputs) {
    const feed = {};
    for (const [key, { channels, rows, columns, data }] of Object.entries(inputs)) {
      feed[key] = new this.ort.Tensor("float32", data, [1, channels, rows, columns]);
    }
    const found = await this.sessions[name].run(feed);
    const planes = {};
    for (const [key, { dims, data }] of Object.entries(found)) {
      planes[key] = new Planes(dims[1], dims[2], dims[3], data);
    }
    return planes;
  }
}
