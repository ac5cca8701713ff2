// A decision table as a spreadsheet: keyboard, blocks copied and pasted, undo, thousands of cells.
// Only the rows in sight are in the page. Cells are texts; what they mean, the server says.
import { h, icon, say } from "./dom.js";
import { touched } from "./editor.js";
import { pickField } from "./picker.js";

const ROW_HEIGHT = 32;
const SPARE_ROWS = 6;
const SCROLL_BAR = 18;
const MOST_UNDOS = 100;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

class Grid {
  constructor(place) {
    this.place = place;
    this.form = place.closest("form");
    this.isLocked = place.closest("fieldset")?.disabled ?? false;
    const given = JSON.parse(place.dataset.table);
    this.columns = given.columns;
    this.rows = given.rows;
    this.ids = given.ids;
    this.outputs = given.outputs;
    this.at = [0, 0];
    this.from = [0, 0];
    this.isEditing = false;
    this.marks = new Map();
    this.undos = [];
    this.redos = [];
    this.build();
    this.listen();
    this.drawHead();
    this.draw();
  }

  build() {
    this.head = h("div", { class: "risk-grid-head", role: "row" });
    this.body = h("div", { class: "risk-grid-body" });
    this.input = h("input", { class: "risk-grid-input", autocomplete: "off", "aria-label": say("cell") });
    this.options = h("datalist", { id: "risk-grid-options" });
    this.body.append(this.input);
    this.view = h("div", { class: "risk-grid-view", role: "grid" }, this.head, this.body);
    this.place.replaceChildren(this.view, this.options);
    this.drawn = new Map();
  }

  listen() {
    this.form.addEventListener("formdata", ({ formData }) => {
      this.commit();
      formData.set("table", JSON.stringify(this.written()));
    });
    this.view.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    new ResizeObserver(() => this.draw()).observe(this.view);
    this.body.addEventListener("mousedown", (event) => this.press(event));
    this.body.addEventListener("mouseover", (event) => this.drag(event));
    this.body.addEventListener("dblclick", () => this.edit({ keep: true }));
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("compositionstart", () => this.typed());
    for (const kind of ["copy", "cut", "paste"]) {
      this.input.addEventListener(kind, (event) => this.clipboard(kind, event));
    }
    document.addEventListener("risk:problems", (event) => this.mark(event.detail));
    document.querySelectorAll("[data-grid-act]").forEach((button) => {
      button.addEventListener("click", () => this.act(button.dataset.gridAct, button));
    });
  }

  // What is saved.
  written() {
    const named = (part) => this.columns.filter((column) => column.part === part).map((column) => column.name);
    return { columns: named("cell"), outputs: named("output"), rows: this.rows, ids: this.ids };
  }

  // --- drawing ---

  width(column) {
    return { outcome: 96, reason: 160 }[column.part] ?? 132;
  }

  drawHead() {
    const widths = this.columns.map((column) => `${this.width(column)}px`);
    this.view.style.setProperty("--columns", `56px ${widths.join(" ")}`);
    this.lefts = [56];
    for (const column of this.columns) this.lefts.push(this.lefts.at(-1) + this.width(column));
    this.view.style.setProperty("--width", `${this.lefts.at(-1)}px`);
    this.head.replaceChildren(
      h("div", { class: "risk-grid-corner" }, "#"),
      ...this.columns.map((column) =>
        h(
          "div",
          { class: `risk-grid-title is-${column.part}`, role: "columnheader", title: `${column.title} ${column.about}` },
          h("b", {}, column.title),
          h("small", {}, column.about),
        ),
      ),
    );
    this.forget();
  }

  forget() {
    for (const row of this.drawn.values()) row.remove();
    this.drawn.clear();
  }

  draw() {
    const height = this.rows.length * ROW_HEIGHT;
    this.body.style.height = `${height}px`;
    this.view.style.setProperty("--height", `${height + this.head.offsetHeight + SCROLL_BAR}px`);
    const first = Math.max(0, Math.floor(this.view.scrollTop / ROW_HEIGHT) - SPARE_ROWS);
    const count = Math.ceil(this.view.clientHeight / ROW_HEIGHT) + 2 * SPARE_ROWS;
    const last = Math.min(this.rows.length, first + count);
    for (const [n, row] of this.drawn) {
      if (n >= first && n < last) continue;
      row.remove();
      this.drawn.delete(n);
    }
    for (let n = first; n < last; n += 1) if (!this.drawn.has(n)) this.addRow(n);
    this.select();
  }

  addRow(n) {
    const row = h(
      "div",
      { class: "risk-grid-row", role: "row", "aria-rowindex": n + 1, style: `top: ${n * ROW_HEIGHT}px` },
      h("div", { class: "risk-grid-number" }, String(n + 1)),
      ...this.rows[n].map((text, m) => h("div", { class: `risk-grid-cell is-${this.columns[m].part}`, role: "gridcell" }, text)),
    );
    this.drawn.set(n, row);
    this.body.append(row);
    this.markRow(n);
  }

  // The block that is chosen, as [top, left, bottom, right], all included.
  block() {
    const [[a, b], [c, d]] = [this.from, this.at];
    return [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
  }

  select() {
    const [top, left, bottom, right] = this.block();
    for (const [n, row] of this.drawn) {
      const isIn = n >= top && n <= bottom;
      for (let m = 0; m < this.columns.length; m += 1) {
        row.children[m + 1].classList.toggle("is-chosen", isIn && m >= left && m <= right);
      }
    }
    const [n, m] = this.at;
    this.input.hidden = !this.rows.length;
    this.input.style.top = `${n * ROW_HEIGHT}px`;
    this.input.style.left = `${this.lefts[m] ?? 0}px`;
    this.input.style.width = `${(this.lefts[m + 1] ?? 0) - (this.lefts[m] ?? 0)}px`;
    this.place.dataset.at = `${n + 1}:${this.columns[m]?.name ?? ""}`;
    this.sayMark();
  }

  go([n, m], { extend = false } = {}) {
    this.commit();
    this.at = [Math.max(0, Math.min(this.rows.length - 1, n)), Math.max(0, Math.min(this.columns.length - 1, m))];
    if (!extend) this.from = this.at;
    this.reveal();
    this.offer();
    this.select();
    this.input.focus({ preventScroll: true });
  }

  reveal() {
    const [n, m] = this.at;
    const head = this.head.offsetHeight;
    const { view } = this;
    const top = n * ROW_HEIGHT;
    if (top < view.scrollTop) view.scrollTop = top;
    const under = top + ROW_HEIGHT + head - view.clientHeight;
    if (under > view.scrollTop) view.scrollTop = under;
    const [left, right] = [this.lefts[m] - 56, this.lefts[m + 1] - view.clientWidth];
    if (left < view.scrollLeft) view.scrollLeft = left;
    else if (right > view.scrollLeft) view.scrollLeft = right;
    this.draw();
  }

  offer() {
    const options = this.columns[this.at[1]]?.options ?? [];
    this.options.replaceChildren(...options.map((value) => h("option", { value })));
    if (options.length) this.input.setAttribute("list", this.options.id);
    else this.input.removeAttribute("list");
  }

  // --- typing ---

  typed() {
    if (!this.isEditing) this.edit({ keep: false });
  }

  edit({ keep }) {
    if (this.isLocked || !this.rows.length) return;
    this.isEditing = true;
    if (keep) this.input.value = this.rows[this.at[0]][this.at[1]];
    this.input.classList.add("is-editing");
    this.input.focus({ preventScroll: true });
  }

  commit() {
    if (!this.isEditing) return;
    const text = this.input.value.trim();
    this.leave();
    const [n, m] = this.at;
    if (this.rows[n][m] !== text) this.change(() => this.put(n, m, text));
  }

  leave() {
    this.isEditing = false;
    this.input.value = "";
    this.input.classList.remove("is-editing");
  }

  put(n, m, text) {
    this.rows[n][m] = text;
    const cell = this.drawn.get(n)?.children[m + 1];
    if (cell) cell.textContent = text;
  }

  key(event) {
    const isMeta = event.ctrlKey || event.metaKey;
    const [n, m] = this.at;
    if (this.isEditing) {
      if (event.key === "Escape") this.leave();
      else if (event.key === "Enter") this.go([n + (event.shiftKey ? -1 : 1), m]);
      else if (event.key === "Tab") this.go([n, m + (event.shiftKey ? -1 : 1)]);
      else return;
      event.preventDefault();
      return;
    }
    if (isMeta && event.key.toLowerCase() === "z") this.back(event.shiftKey ? "redo" : "undo");
    else if (isMeta && event.key.toLowerCase() === "y") this.back("redo");
    else if (isMeta && event.key.toLowerCase() === "a") this.all();
    else if (isMeta && event.key.toLowerCase() === "d") this.fillDown();
    else if (STEPS[event.key]) this.step(event, isMeta);
    else if (event.key === "Tab") this.go([n, m + (event.shiftKey ? -1 : 1)]);
    else if (event.key === "Enter") this.go([n + (event.shiftKey ? -1 : 1), m]);
    else if (event.key === "Home") this.go([isMeta ? 0 : n, 0], { extend: event.shiftKey });
    else if (event.key === "End") this.go([isMeta ? this.rows.length : n, this.columns.length], { extend: event.shiftKey });
    else if (event.key === "PageDown") this.go([n + this.pageRows(), m], { extend: event.shiftKey });
    else if (event.key === "PageUp") this.go([n - this.pageRows(), m], { extend: event.shiftKey });
    else if (event.key === "F2") this.edit({ keep: true });
    else if (event.key === "Delete" || event.key === "Backspace") this.fill("");
    else return;
    event.preventDefault();
  }

  step(event, isFar) {
    const [down, right] = STEPS[event.key];
    const far = isFar ? Math.max(this.rows.length, this.columns.length) : 1;
    this.go([this.at[0] + down * far, this.at[1] + right * far], { extend: event.shiftKey });
  }

  pageRows() {
    return Math.floor(this.view.clientHeight / ROW_HEIGHT) - 2;
  }

  all() {
    this.from = [0, 0];
    this.at = [this.rows.length - 1, this.columns.length - 1];
    this.select();
  }

  // --- the mouse ---

  press(event) {
    const at = this.under(event);
    if (!at || event.target === this.input) return;
    event.preventDefault();
    if (at[1] < 0) {
      this.go([at[0], 0]);
      this.at = [at[0], this.columns.length - 1];
      this.select();
      return;
    }
    this.go(at, { extend: event.shiftKey });
  }

  drag(event) {
    const at = event.buttons === 1 && !this.isEditing ? this.under(event) : null;
    if (!at || at[1] < 0) return;
    this.at = at;
    this.select();
  }

  under(event) {
    const row = event.target.closest(".risk-grid-row");
    if (!row) return null;
    const cells = [...row.children];
    const m = cells.indexOf(event.target.closest(".risk-grid-row > *")) - 1;
    return [Number(row.getAttribute("aria-rowindex")) - 1, m];
  }

  // --- blocks ---

  clipboard(kind, event) {
    if (kind === "paste") {
      const text = event.clipboardData.getData("text/plain");
      if (this.isEditing && !/[\t\n]/.test(text.trimEnd())) return;
      event.preventDefault();
      this.leave();
      this.paste(parsed(text));
      return;
    }
    if (this.isEditing) return;
    event.preventDefault();
    const [top, left, bottom, right] = this.block();
    const lines = this.rows.slice(top, bottom + 1).map((row) => row.slice(left, right + 1).map(quoted).join("\t"));
    event.clipboardData.setData("text/plain", lines.join("\n"));
    if (kind === "cut") this.fill("");
  }

  paste(lines) {
    if (this.isLocked || !lines.length) return;
    const [top, left] = this.block();
    if (lines.length === 1 && lines[0].length === 1) {
      this.fill(lines[0][0]);
      return;
    }
    const width = Math.max(...lines.map((line) => line.length));
    this.change(() => {
      while (this.rows.length < top + lines.length) this.insert(this.rows.length);
      lines.forEach((line, n) => {
        line.forEach((text, m) => {
          if (left + m < this.columns.length) this.rows[top + n][left + m] = text.trim();
        });
      });
      this.forget();
    });
    this.from = [top, left];
    this.at = [top + lines.length - 1, Math.min(left + width, this.columns.length) - 1];
    this.draw();
  }

  fill(text) {
    if (this.isLocked || !this.rows.length) return;
    const [top, left, bottom, right] = this.block();
    this.change(() => {
      for (let n = top; n <= bottom; n += 1) for (let m = left; m <= right; m += 1) this.put(n, m, text.trim());
    });
  }

  fillDown() {
    const [top, left, bottom, right] = this.block();
    this.change(() => {
      for (let n = top + 1; n <= bottom; n += 1) for (let m = left; m <= right; m += 1) this.put(n, m, this.rows[top][m]);
    });
  }

  // --- changes that can be taken back ---

  change(act) {
    if (this.isLocked) return;
    this.undos.push(this.kept());
    if (this.undos.length > MOST_UNDOS) this.undos.shift();
    this.redos = [];
    act();
    touched(this.form);
    this.draw();
  }

  kept() {
    return { rows: this.rows.map((row) => row.slice()), ids: this.ids.slice(), columns: this.columns.slice() };
  }

  back(way) {
    const [out, into] = way === "undo" ? [this.undos, this.redos] : [this.redos, this.undos];
    const kept = out.pop();
    if (!kept) return;
    into.push(this.kept());
    Object.assign(this, kept);
    this.drawHead();
    this.go(this.at);
    touched(this.form);
  }

  insert(n) {
    this.rows.splice(n, 0, this.columns.map(() => ""));
    this.ids.splice(n, 0, "");
  }

  // --- the buttons above ---

  async act(what, button) {
    this.commit();
    const [top, , bottom] = this.block();
    if (what === "insert") this.change(() => this.insert(top));
    if (what === "append") this.change(() => this.insert(this.rows.length));
    if (what === "delete" && this.rows.length) {
      this.change(() => [this.rows, this.ids].forEach((list) => list.splice(top, bottom - top + 1)));
    }
    if (what === "column") await this.addColumn(button);
    if (what === "output") this.addOutput(document.querySelector("[data-grid-output]").value);
    if (what === "drop") this.dropColumn();
    if (what === "undo" || what === "redo") this.back(what);
    this.marks.clear();
    this.drawHead();
    this.go(what === "append" ? [this.rows.length - 1, 0] : this.at);
  }

  async addColumn(button) {
    const field = await pickField(button);
    if (!field || this.columns.some((column) => column.part === "cell" && column.name === field.field)) return;
    const truths = field.kind === "truth" ? ["是", "否"] : [];
    const about = [field.field, field.unit].filter(Boolean).join(" · ");
    const made = { name: field.field, part: "cell", title: field.label, about, options: field.choices.map((code) => field.said[code]).concat(truths) };
    const place = this.columns.findIndex((column) => column.part !== "cell");
    this.widen(made, place);
  }

  addOutput(name) {
    const found = this.outputs.find((column) => column.name === name);
    if (found && !this.columns.some((column) => column.part === "output" && column.name === name)) {
      this.widen(found, this.columns.length);
    }
  }

  widen(column, place) {
    this.change(() => {
      this.columns.splice(place, 0, column);
      this.rows.forEach((row) => row.splice(place, 0, ""));
      this.drawHead();
    });
  }

  dropColumn() {
    const m = this.at[1];
    if (!["cell", "output"].includes(this.columns[m]?.part)) return;
    this.change(() => {
      this.columns.splice(m, 1);
      this.rows.forEach((row) => row.splice(m, 1));
      this.drawHead();
    });
  }

  // --- mistakes ---

  mark(problems) {
    this.marks = new Map();
    for (const { path, message } of problems) {
      const rest = path.startsWith(this.place.dataset.path) ? path.slice(this.place.dataset.path.length) : "";
      const found = /^\.rows\[(\d+)\](?:\.cells\[(\d+)\]|\.set\.([\w.-]+)|\.(outcome|reason))?/.exec(rest);
      if (!found) continue;
      const [, n, m, output, end] = found;
      const column = m !== undefined ? Number(m) : this.columns.findIndex(({ name, part }) => (part === "output" ? name === output : part === end));
      const row = this.marks.get(Number(n)) ?? new Map();
      row.set(column, [...(row.get(column) ?? []), message]);
      this.marks.set(Number(n), row);
    }
    for (const n of this.drawn.keys()) this.markRow(n);
    this.sayMark();
  }

  markRow(n) {
    const found = this.marks.get(n);
    const cells = this.drawn.get(n).children;
    cells[0].classList.toggle("is-wrong", Boolean(found));
    for (let m = 0; m < this.columns.length; m += 1) cells[m + 1].classList.toggle("is-wrong", Boolean(found?.has(m)));
  }

  // What is wrong with the row that the cursor is in.
  sayMark() {
    const found = this.marks.get(this.at[0]);
    const line = document.querySelector("[data-grid-says]");
    const words = found ? [...found.values()].flat() : [];
    line.replaceChildren(...(words.length ? [icon("alert"), ` ${words.join("；")}`] : []));
    line.classList.toggle("text-danger", words.length > 0);
  }
}

// Reads what a spreadsheet puts on the clipboard: tabs, line ends, quotes around both.
function parsed(text) {
  const lines = [[""]];
  let isQuoted = false;
  const source = text.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  for (let i = 0; i < source.length; i += 1) {
    const sign = source[i];
    const line = lines.at(-1);
    if (isQuoted && sign === '"' && source[i + 1] === '"') {
      line[line.length - 1] += '"';
      i += 1;
    } else if (sign === '"' && (isQuoted || line.at(-1) === "")) isQuoted = !isQuoted;
    else if (!isQuoted && sign === "\t") line.push("");
    else if (!isQuoted && sign === "\n") lines.push([""]);
    else line[line.length - 1] += sign;
  }
  return lines;
}

const quoted = (text) => (/["\t\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

document.addEventListener("DOMContentLoaded", () => {
  const place = document.querySelector("[data-grid]");
  if (place) {
    const grid = new Grid(place);
    const { problems } = document.querySelector("[data-editor]").dataset;
    grid.mark(JSON.parse(problems));
  }
});
