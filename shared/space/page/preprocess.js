// The image classification app's preprocessing.py again, for the browser: the same resize as Pillow's, to the
// rounding of every pixel, so that the page and the server answer alike.

/** Python's round(): halves go to the even neighbour. */
export function roundHalfEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Image.reduce: means over whole blocks, the last ones narrower. */
function reduce(image, factorX, factorY) {
  const width = Math.ceil(image.width / factorX);
  const height = Math.ceil(image.height / factorY);
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    const y1 = Math.min(image.height, (y + 1) * factorY);
    for (let x = 0; x < width; x++) {
      const x1 = Math.min(image.width, (x + 1) * factorX);
      const sum = [0, 0, 0];
      for (let v = y * factorY; v < y1; v++) {
        for (let u = x * factorX; u < x1; u++) {
          const at = (v * image.width + u) * 3;
          sum[0] += image.data[at]; sum[1] += image.data[at + 1]; sum[2] += image.data[at + 2];
        }
      }
      const count = (y1 - y * factorY) * (x1 - x * factorX);
      for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = Math.floor(sum[c] / count + 0.5);
    }
  }
  return { data, width, height };
}

/** Weights of a triangle filter for one axis; it widens when the image shrinks (antialiasing). */
function weights(inputSize, boxSize, outputSize) {
  const scale = boxSize / outputSize;
  const filterScale = Math.max(scale, 1);
  return Array.from({ length: outputSize }, (_, index) => {
    const center = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - filterScale + 0.5));
    const last = Math.min(inputSize, Math.trunc(center + filterScale + 0.5));
    const values = [];
    let total = 0;
    for (let x = first; x < last; x++) {
      const value = Math.max(0, 1 - Math.abs((x - center + 0.5) / filterScale));
      values.push(value);
      total += value;
    }
    return { first, values: values.map((value) => value / total) };
  });
}

/** Pillow's bilinear resize with reducing_gap=3; `image` is {data: RGB bytes, width, height}. */
export function resize(image, width, height) {
  if (image.width === width && image.height === height) return image;
  const factorX = Math.trunc(image.width / width / 3) || 1;
  const factorY = Math.trunc(image.height / height / 3) || 1;
  const box = [image.width / factorX, image.height / factorY];
  if (factorX > 1 || factorY > 1) image = reduce(image, factorX, factorY);
  const across = weights(image.width, box[0], width);
  const middle = new Uint8ClampedArray(width * image.height * 3);
  for (let y = 0; y < image.height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, values } = across[x];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let i = 0; i < values.length; i++) sum += values[i] * image.data[(y * image.width + first + i) * 3 + c];
        middle[(y * width + x) * 3 + c] = Math.floor(sum + 0.5);
      }
    }
  }
  const down = weights(image.height, box[1], height);
  const data = new Uint8ClampedArray(width * height * 3);
  for (let y = 0; y < height; y++) {
    const { first, values } = down[y];
    for (let x = 0; x < width * 3; x++) {
      let sum = 0;
      for (let i = 0; i < values.length; i++) sum += values[i] * middle[(first + i) * width * 3 + x];
      data[y * width * 3 + x] = Math.floor(sum + 0.5);
    }
  }
  return { data, width, height };
}

/** The square the network sees: the whole photo squashed, or its middle. */
export function toSquare(image, settings) {
  const size = settings.image_size_px;
  if (settings.crop !== "center") return resize(image, size, size);
  const side = Math.max(1, roundHalfEven(Math.min(image.height, image.width) * settings.crop_fraction));
  const top = Math.floor((image.height - side) / 2);
  const left = Math.floor((image.width - side) / 2);
  const data = new Uint8ClampedArray(side * side * 3);
  for (let y = 0; y < side; y++) {
    const from = ((top + y) * image.width + left) * 3;
    data.set(image.data.subarray(from, from + side * 3), y * side * 3);
  }
  return resize({ data, width: side, height: side }, size, size);
}

/** Probabilities of logits, divided by the temperature that validation chose. */
export function softmax(logits, temperature = 1) {
  const most = Math.max(...logits);
  const values = Array.from(logits, (value) => Math.exp((value - most) / temperature));
  const total = values.reduce((sum, value) => sum + value, 0);
  return values.map((value) => value / total);
}
