// Makes elements: h("button", { class: "btn", type: "button", onclick: act }, "text", child).
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// An icon of the workplace.
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${root().dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

// The element that carries what pages give to scripts: words, addresses, problems.
export const root = () => document.querySelector("[data-editor]");

// What a script says, in the page's language.
export const say = (key) => JSON.parse(root().dataset.words)[key] ?? key;
