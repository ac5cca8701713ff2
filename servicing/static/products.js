// What the product pages do in the browser: rows to add, orders to move, a text to point into.
(() => {
  "use strict";
  const changed = (element) => element.dispatchEvent(new Event("input", { bubbles: true }));

  // --- rows: a template in a container of rows; its number stands for __n__ (a tier's for __k__) ---
  function nextNumber() {
    const names = [...document.querySelectorAll("[name]")].map((field) => field.name);
    const numbers = names.flatMap((name) => [...name.matchAll(/_(\d+)(?=_)/g)].map((found) => Number(found[1])));
    return String(Math.max(-1, ...numbers) + 1);
  }
  function add(rows) {
    const number = nextNumber();
    const mark = rows.dataset.rows;
    const row = rows.querySelector(":scope > template").content.cloneNode(true);
    for (const element of row.querySelectorAll("*")) put(element, mark, number);
    rows.append(row);
    prepare(rows.lastElementChild);
    rows.lastElementChild.querySelector("input")?.focus();
  }
  function put(element, mark, number) {
    for (const { name, value } of [...element.attributes]) {
      if (value.includes(mark)) element.setAttribute(name, value.replaceAll(mark, number));
    }
    if (element.tagName !== "TEMPLATE") return;
    for (const inner of element.content.querySelectorAll("*")) put(inner, mark, number);
  }
  document.addEventListener("click", (event) => {
    const adds = event.target.closest("[data-add]");
    if (adds) add(document.getElementById(adds.dataset.add));
    const removes = event.target.closest("[data-remove]");
    if (removes) {
      const row = removes.closest("[data-row]");
      const rows = row.parentElement;
      row.remove();
      changed(rows);
    }
  });

  // --- orders: a field of items between commas, shown as a list whose items move ---
  function drawOrder(field) {
    const labels = JSON.parse(field.dataset.order);
    let list = field.nextElementSibling;
    if (!list?.matches("ol")) {
      list = document.createElement("ol");
      list.className = "list-group list-group-numbered product-order";
      field.type = "hidden";
      field.after(list);
    }
    const items = field.value.split(",");
    const moved = (from, by) => {
      items.splice(from + by, 0, ...items.splice(from, 1));
      field.value = items.join(",");
      drawOrder(field);
      list.children[from + by].querySelector(by < 0 ? "button" : "button:last-child").focus();
      changed(field);
    };
    const button = (label, sign, isOff, act) => {
      const made = document.createElement("button");
      made.type = "button";
      made.className = "btn btn-sm btn-icon btn-ghost-secondary";
      made.setAttribute("aria-label", label);
      made.textContent = sign;
      made.disabled = isOff;
      made.addEventListener("click", act);
      return made;
    };
    list.replaceChildren(
      ...items.map((item, at) => {
        const said = item.split(":").map((part) => labels[part] ?? part).join(" · ");
        const line = document.createElement("li");
        line.className = "list-group-item d-flex align-items-center py-1";
        const words = document.createElement("span");
        words.className = "ms-2 me-auto";
        words.textContent = said;
        const up = button(`${field.dataset.up} ${said}`, "↑", at === 0, () => moved(at, -1));
        const down = button(`${field.dataset.down} ${said}`, "↓", at === items.length - 1, () => moved(at, 1));
        line.append(words, up, down);
        return line;
      }),
    );
  }

  // --- what is shown only for some choices: data-shown-when="name=value|value" ---
  function showWhatFits(root) {
    for (const place of root.querySelectorAll("[data-shown-when]")) {
      const [name, values] = place.dataset.shownWhen.split("=");
      const field = place.closest("form").elements[name];
      const value = field.type === "checkbox" ? (field.checked ? "on" : "off") : field.value;
      place.hidden = !values.split("|").includes(value);
    }
  }

  // --- what a named profile does where nothing else is chosen ---
  function sayDefaults(named) {
    const words = JSON.parse(named.dataset.defaults)[named.value] ?? {};
    for (const [name, said] of Object.entries(words)) {
      const field = named.form.elements[name];
      const blank = field.options?.[0];
      if (blank) blank.textContent = `${named.dataset.usual}${said}`;
      else field.placeholder = said;
    }
  }

  // --- a text and the lines that are wrong in it ---
  document.addEventListener("click", (event) => {
    const place = event.target.closest("[data-line]");
    const text = document.querySelector("[data-document]");
    if (!place || !text) return;
    const lines = text.value.split("\n");
    const from = lines.slice(0, place.dataset.line - 1).reduce((sum, line) => sum + line.length + 1, 0);
    text.focus();
    text.setSelectionRange(from, from + (lines[place.dataset.line - 1] ?? "").length);
    text.scrollTop = Math.max(0, (place.dataset.line - 5) * (text.scrollHeight / lines.length));
  });
  document.addEventListener("change", async (event) => {
    if (!event.target.matches("[data-reads-into]")) return;
    const text = document.querySelector(event.target.dataset.readsInto);
    text.value = await event.target.files[0].text();
    changed(text);
  });

  function prepare(root) {
    for (const field of root.querySelectorAll("[data-order]")) drawOrder(field);
    for (const named of root.querySelectorAll("[data-defaults]")) sayDefaults(named);
    showWhatFits(root);
  }
  document.addEventListener("input", (event) => {
    if (event.target.matches("[data-defaults]")) sayDefaults(event.target);
    showWhatFits(document);
  });
  document.addEventListener("DOMContentLoaded", () => prepare(document));
})();
