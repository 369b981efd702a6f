import * as ort from "./ort/ort.wasm.bundle.min.mjs";
import { softmax, toSquare } from "./preprocess.js";
import { TEXTS } from "./texts.js";

const MAX_BYTES = 25 * 1024 * 1024;
const MAX_MEGAPIXELS = 50;
const SHOWN = 5;
const element = (id) => document.getElementById(id);

// --- Language: ?lang=, else what was chosen before, else the browser's.
const asked = new URLSearchParams(location.search).get("lang");
let stored = null;
try { stored = localStorage.getItem("gallery_language"); } catch { /* storage may be switched off */ }
const wanted = [asked, stored, ...navigator.languages.map((tag) => tag.slice(0, 2))];
const language = wanted.find((tag) => tag in TEXTS) || "en";
try { localStorage.setItem("gallery_language", language); } catch { /* lasts for this page only */ }
const texts = TEXTS[language];
document.documentElement.lang = language;
document.title = texts.title;
for (const node of document.querySelectorAll("[data-t]")) node.textContent = texts[node.dataset.t];
for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", texts[node.dataset.label]);
for (const link of document.querySelectorAll("[data-lang]")) {
  link.setAttribute("aria-current", String(link.dataset.lang === language));
}

// --- Models, each loaded when it is first used.
ort.env.wasm.numThreads = 1;  // More need headers that a static Space does not send.
ort.env.wasm.wasmPaths = { wasm: new URL("./ort/ort-wasm-simd-threaded.wasm", import.meta.url).href };
const models = await (await fetch("models.json")).json();
const sessions = new Map();
for (const model of models) {
  const option = document.createElement("option");
  option.value = model.name;
  option.textContent = `${model.name} · ${(model.bytes / 1e6).toFixed(1)} MB`;
  element("variant").append(option);
}
element("models").hidden = models.length < 2;

function session(name) {
  if (!sessions.has(name)) {
    say(texts.loading);
    sessions.set(name, ort.InferenceSession.create(`models/${name}/model.onnx`, { executionProviders: ["wasm"] }));
  }
  return sessions.get(name);
}

function say(text, bad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", bad);
}

class Refused extends Error {}

/** A file -> RGB bytes as a person sees the picture: rotated by EXIF, transparency on white. */
async function decode(file) {
  if (file.size === 0) throw new Refused(texts.empty);
  if (file.size > MAX_BYTES) throw new Refused(texts.big);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch {
    throw new Refused(texts.unreadable);
  }
  const { width, height } = bitmap;
  if (width * height > MAX_MEGAPIXELS * 1e6) throw new Refused(texts.big);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8ClampedArray(width * height * 3);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    data[j++] = rgba[i]; data[j++] = rgba[i + 1]; data[j++] = rgba[i + 2];
  }
  return { data, width, height };
}

let last = null;
async function answer(file) {
  last = file;
  try {
    const image = await decode(file);
    const name = element("variant").value;
    const settings = models.find((model) => model.name === name).settings;
    const loaded = await session(name);
    say(texts.working);
    const begun = performance.now();
    const square = toSquare(image, settings);
    const size = settings.image_size_px;
    const input = new ort.Tensor("float32", Float32Array.from(square.data), [1, size, size, 3]);
    const outputs = await loaded.run({ [loaded.inputNames[0]]: input }, ["logits"]);
    const probabilities = softmax(outputs.logits.data, settings.temperature);
    show(file, name, settings.class_names, probabilities, performance.now() - begun);
    say("");
  } catch (error) {
    say(error instanceof Refused ? error.message : `${texts.failed} ${error.message}`, true);
  }
}

function show(file, name, classes, probabilities, milliseconds) {
  const order = probabilities.map((_, index) => index).sort((a, b) => probabilities[b] - probabilities[a]);
  const found = order.slice(0, SHOWN).map((index) => ({ label: classes[index], probability: probabilities[index] }));
  element("classes").replaceChildren(...found.map(({ label, probability }) => {
    const item = document.createElement("li");
    const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(probability);
    const row = document.createElement("div");
    row.className = "row";
    const left = document.createElement("span");
    left.textContent = label;
    const right = document.createElement("span");
    right.textContent = percent;
    row.append(left, right);
    const bar = document.createElement("div");
    bar.className = "bar";
    const filled = document.createElement("span");
    filled.style.width = `${100 * probability}%`;
    bar.append(filled);
    item.append(row, bar);
    return item;
  }));
  element("time").textContent = texts.time.replace("{ms}", milliseconds.toFixed(0));
  const result = { model: name, file: file.name, classes: found };
  const link = element("download");
  URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(new Blob([JSON.stringify(result, null, 1)], { type: "application/json" }));
  link.hidden = false;
  document.body.dataset.result = JSON.stringify(result);
  const preview = element("preview");
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  preview.alt = `${file.name}: ${found[0].label}`;
  preview.hidden = false;
  element("hint").hidden = true;
}

// --- Ways to give a photo: choose, drop, paste.
element("file").addEventListener("change", (event) => event.target.files[0] && answer(event.target.files[0]));
element("variant").addEventListener("change", () => last && answer(last));
const drop = element("drop");
for (const name of ["dragover", "dragenter"]) {
  drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
}
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files[0]) answer(event.dataTransfer.files[0]);
});
addEventListener("paste", (event) => event.clipboardData.files[0] && answer(event.clipboardData.files[0]));
element("facts").textContent = models.map((model) => `${model.name}: ${model.figure[language]}`).join(" · ");
document.body.dataset.ready = "true";
