// What another build of a C2PA reader says of a file, to be held against `countenance verify --json`.
//
//   cd tools/other_readers && npm install --ignore-scripts
//   node read.mjs FILE MIME_TYPE [AUTHORITY.crt]
//
// Reads offline; prints the state and the failure codes of the active manifest and of its ingredients, or `Unreadable`.
// compare.py tries it on the changed files of the tamper matrix.
import { readFileSync } from "node:fs";
import { initSync, WasmReader } from "@contentauth/c2pa-wasm";

const [file, type, authority] = process.argv.slice(2);
initSync({ module: readFileSync(new URL(import.meta.resolve("@contentauth/c2pa-wasm/c2pa.wasm"))) });
const settings = { verify: { verify_trust: true, remote_manifest_fetch: false, ocsp_fetch: false } };
if (authority) settings.trust = { trust_anchors: readFileSync(authority, "utf8") };
const told = (state, failures) => console.log(JSON.stringify({ state, failures: [...new Set(failures)].sort() }));
let reader;
try {
  reader = await WasmReader.fromBytes(type, readFileSync(file), JSON.stringify(settings));
} catch (error) {
  told("Unreadable", [String(error)]);
  process.exit();
}
const store = JSON.parse(reader.json());
const results = store.validation_results ?? {};
const groups = [results.activeManifest, ...(results.ingredientDeltas ?? []).map((one) => one.validationDeltas)];
told(store.validation_state, groups.flatMap((group) => group?.failure ?? []).map((entry) => entry.code));
