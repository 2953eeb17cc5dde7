// Builds elements. Text is always set as text, never parsed as markup: nothing here can inject.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "class") element.className = value;
    else if (key === "value") element.value = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((c) => c !== null && c !== undefined));
}

const SAFE = new Set(["http:", "https:", "mailto:"]);

export function link(url, ...children) {
  let parsed;
  try {
    parsed = new URL(url, window.location.origin);
  } catch {
    return h("span", {}, ...children);
  }
  if (!SAFE.has(parsed.protocol)) return h("span", {}, ...children);
  return h("a", { href: parsed.href, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

export function toast(text) {
  const note = h("div", { class: "toast" }, text);
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), 6000);
}
