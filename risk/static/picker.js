// Picks a field out of thousands: a search box under a button, by keyboard or mouse.
import { h, root } from "./dom.js";

let open = null;

export function pickField(anchor) {
  open?.close(null);
  return new Promise((resolve) => {
    open = new Picker(anchor, resolve);
  });
}

class Picker {
  constructor(anchor, resolve) {
    this.resolve = resolve;
    this.anchor = anchor;
    this.chosen = 0;
    this.fields = [];
    this.asked = 0;
    const { words } = root().dataset;
    this.search = h("input", {
      class: "form-control",
      type: "search",
      autocomplete: "off",
      placeholder: JSON.parse(words).search,
      "aria-label": JSON.parse(words).search,
      oninput: () => this.ask(),
      onkeydown: (event) => this.key(event),
    });
    this.list = h("div", { class: "risk-picker-list", role: "listbox" });
    this.foot = h("div", { class: "risk-picker-foot" });
    this.panel = h("div", { class: "risk-picker", role: "dialog" }, this.search, this.list, this.foot);
    this.outside = (event) => {
      if (!this.panel.contains(event.target)) this.close(null);
    };
    document.body.append(this.panel);
    this.place();
    document.addEventListener("mousedown", this.outside);
    this.search.focus();
    this.ask();
  }

  place() {
    const box = this.anchor.getBoundingClientRect();
    const left = Math.min(box.left, window.innerWidth - this.panel.offsetWidth - 16);
    this.panel.style.left = `${left + window.scrollX}px`;
    this.panel.style.top = `${box.bottom + window.scrollY + 4}px`;
  }

  ask() {
    this.answer = this.find();
  }

  // Says whether this answer came, and is the newest.
  async find() {
    const turn = ++this.asked;
    const url = new URL(root().dataset.fields, window.location.href);
    url.searchParams.set("q", this.search.value);
    const answer = await fetch(url);
    if (!answer.ok) return false;
    const found = await answer.json();
    if (turn !== this.asked) return false;
    this.fields = found.fields;
    this.chosen = 0;
    this.foot.textContent = [found.total, found.withheld].filter(Boolean).join(" · ");
    this.draw();
    return true;
  }

  // Takes the line that what is typed leads to, though its answer be still on the way.
  async take() {
    const { answer } = this;
    const isNewest = await answer;
    if (open !== this) return;
    if (isNewest) this.close(this.fields[this.chosen] ?? null);
    else if (answer !== this.answer) this.take();
  }

  draw() {
    this.list.replaceChildren(...this.fields.map((field, n) => this.line(field, n)));
    this.list.children[this.chosen]?.scrollIntoView({ block: "nearest" });
  }

  line(field, n) {
    const isChosen = n === this.chosen;
    return h(
      "button",
      {
        type: "button",
        role: "option",
        "aria-selected": String(isChosen),
        class: `risk-picker-line ${isChosen ? "is-chosen" : ""}`,
        onclick: () => this.close(field),
      },
      h("span", { class: "risk-picker-label" }, field.label, " ", h("code", {}, field.field)),
      h("small", {}, field.about),
    );
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.chosen = Math.max(0, Math.min(this.fields.length - 1, this.chosen + step));
    else if (event.key === "Enter") this.take();
    else if (event.key === "Escape") this.close(null);
    else return;
    event.preventDefault();
    if (step) this.draw();
  }

  close(field) {
    document.removeEventListener("mousedown", this.outside);
    this.panel.remove();
    open = null;
    this.anchor.focus();
    this.resolve(field);
  }
}
