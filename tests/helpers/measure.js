// Measures the page: sizes, horizontal scroll, contrasts, texts that are cut or overlap.
const parse = (text) => {
  const parts = (text.match(/[\d.]+/g) || []).map(Number);
  return parts.length < 3 ? [0, 0, 0, 0] : [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1];
};
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const light = (colour) => {
  const [r, g, b] = colour.slice(0, 3).map((c) => {
    const share = c / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, two) => {
  const [high, low] = [light(one), light(two)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
};
// The colour behind an element: backgrounds of all that contain it.
const behind = (element) => {
  const chain = [];
  for (let each = element; each; each = each.parentElement) chain.unshift(each);
  return chain.reduce((below, each) => over(parse(getComputedStyle(each).backgroundColor), below), [255, 255, 255, 1]);
};
const shapes = "path, rect, circle, line, use";
const opacity = (element, name) => {
  let all = Number(getComputedStyle(element)[name]);
  for (let each = element; each && each.tagName !== "svg"; each = each.parentElement) all *= Number(getComputedStyle(each).opacity);
  return all;
};
const paint = (element, what) => {
  const style = getComputedStyle(element);
  if (style[what] === "none") return [0, 0, 0, 0];
  const colour = parse(style[what]);
  return [...colour.slice(0, 3), colour[3] * opacity(element, `${what}Opacity`)];
};
// The colour behind a text of a picture: the page, and filled shapes that contain its centre.
const behindText = (text) => {
  const svg = text.closest("svg");
  const box = text.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  let colour = behind(svg);
  for (const shape of svg.querySelectorAll(shapes)) {
    const own = shape.getBoundingClientRect();
    if (own.left > x || own.right < x || own.top > y || own.bottom < y || shape.closest("defs")) continue;
    if (shape.tagName === "path" || shape.tagName === "rect") colour = over(paint(shape, "fill"), colour);
  }
  return colour;
};
const words = (element) => element.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
const found = { width: innerWidth, scroll: document.documentElement.scrollWidth - document.documentElement.clientWidth, pictures: [], texts: [], lines: [], cut: [], overlapping: [], narrow: [] };

for (const element of document.querySelectorAll("body *")) {
  if (element.closest("svg") || element.tagName === "SCRIPT" || element.closest("script, style")) continue;
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  const box = element.getBoundingClientRect();
  if (!own || !box.width || !box.height) continue;
  const background = behind(element);
  const ratio = contrast(over(parse(getComputedStyle(element).color), background), background);
  if (ratio < 4.5) found.texts.push([ratio, words(element)]);
  found.count = (found.count || 0) + 1;
  const box_of = element.closest(".wide, pre");
  if (!box_of && (box.right > innerWidth + 1 || box.left < -1)) found.narrow.push(words(element));
}
for (const svg of document.querySelectorAll("svg")) {
  const frame = svg.getBoundingClientRect();
  const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim());
  const picture = svg.classList.contains("picture");
  if (picture) found.pictures.push([svg.closest("figure").id, frame.width, frame.height, svg.querySelectorAll(shapes).length, texts.length]);
  for (const text of texts) {
    const background = behindText(text);
    const ratio = contrast(over(paint(text, "fill"), background), background);
    if (ratio < 4.5) found.texts.push([ratio, words(text)]);
    const box = text.getBoundingClientRect();
    if (picture && (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1))
      found.cut.push([svg.closest("figure").id, words(text)]);
  }
  if (picture) texts.forEach((one, place) => texts.slice(place + 1).forEach((two) => {
    const [a, b] = [one.getBoundingClientRect(), two.getBoundingClientRect()];
    const [w, h] = [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
    if (w > 1 && h > 0.3 * Math.min(a.height, b.height)) found.overlapping.push([svg.closest("figure").id, words(one), words(two)]);
  }));
  const page = behind(svg);
  for (const shape of svg.querySelectorAll(shapes)) {
    if (shape.closest("defs")) continue;
    const [stroke, fill] = [paint(shape, "stroke"), paint(shape, "fill")];
    // A pale band or cell only supports a line or a number that has its own contrast.
    const shown = stroke[3] > 0 ? stroke : fill[3] >= 0.5 ? fill : null;
    if (!shown) continue;
    const ratio = contrast(over(shown, page), page);
    found.strokes = (found.strokes || 0) + 1;
    if (ratio < 3) found.lines.push([ratio, shape.outerHTML.slice(0, 120)]);
  }
}
const out = parent.document.createElement("pre");
out.id = `measured-${frameElement.id}`;
out.textContent = JSON.stringify(found);
parent.document.body.append(out);
