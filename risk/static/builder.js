// Builds a condition: groups (all, any, none) of statements about fields.
// Values stay as typed; the server reads them by the kind and unit of their field.
import { h, icon, root, say } from "./dom.js";
import { mark, touched } from "./editor.js";
import { pickField } from "./picker.js";

const COMPARING = new Set(["below", "at_most", "above", "at_least", "equals", "differs"]);
const MANY = new Set(["one_of", "none_of"]);
const LISTED = new Set(["in_list", "not_in_list"]);
const PRESENCE = new Set(["missing", "present"]);
const JOINS = ["all", "any", "none"];

class Builder {
  constructor(place) {
    this.place = place;
    this.form = place.closest("form");
    this.tree = JSON.parse(place.dataset.tree);
    this.operators = JSON.parse(place.dataset.operators);
    this.operatorsOf = JSON.parse(place.dataset.operatorsOf);
    this.matches = JSON.parse(place.dataset.matches);
    this.isLocked = place.closest("fieldset")?.disabled ?? false;
    this.form.addEventListener("formdata", ({ formData }) => {
      formData.set(place.dataset.name ?? "when", JSON.stringify(this.tree));
    });
    this.draw();
  }

  draw() {
    this.place.replaceChildren(this.group(this.tree, this.place.dataset.path, null));
  }

  changed({ redraw = true } = {}) {
    touched(this.form);
    if (redraw) this.draw();
  }

  // The place of a part in the document: a group of one is written as that one.
  pathOf(group, path, n) {
    if (group.parts.length === 1) return group.join === "none" ? `${path}.not` : path;
    return `${path}${{ all: ".all", any: ".any", none: ".not.any" }[group.join]}[${n}]`;
  }

  group(group, path, remove) {
    const join = h(
      "select",
      {
        class: "form-select form-select-sm risk-join",
        "aria-label": say("join"),
        onchange: (event) => {
          group.join = event.target.value;
          this.changed();
        },
      },
      ...JOINS.map((each) => h("option", { value: each, selected: each === group.join }, say(each))),
    );
    const parts = group.parts.map((part, n) => {
      const take = () => {
        group.parts.splice(n, 1);
        this.changed();
      };
      const inner = this.pathOf(group, path, n);
      return part.join ? this.group(part, inner, take) : this.statement(part, inner, take);
    });
    const add = (made) => () => {
      group.parts.push(made());
      this.changed();
    };
    return h(
      "div",
      { class: `risk-group risk-group-${group.join}`, "data-place": path, "data-place-inside": true },
      h("div", { class: "risk-group-head" }, join, remove && this.remover(remove)),
      ...parts,
      h(
        "div",
        { class: "risk-group-foot" },
        this.adder(say("addCondition"), async (event) => {
          const field = await pickField(event.currentTarget);
          if (field) add(() => ({ ...field, is: this.operatorsOf[field.kind][0], values: [""] }))();
        }),
        this.adder(say("addGroup"), add(() => ({ join: group.join === "all" ? "any" : "all", parts: [] }))),
      ),
    );
  }

  adder(words, act) {
    return h("button", { type: "button", class: "btn btn-sm btn-ghost-primary", onclick: act }, icon("plus"), words);
  }

  remover(act) {
    return h(
      "button",
      { type: "button", class: "btn btn-sm btn-icon btn-ghost-secondary ms-auto", "aria-label": say("remove"), onclick: act },
      icon("x"),
    );
  }

  statement(part, path, remove) {
    const field = h(
      "button",
      {
        type: "button",
        class: "btn btn-sm risk-field",
        title: `${part.field} · ${part.about ?? ""}`,
        onclick: async (event) => {
          const found = await pickField(event.currentTarget);
          if (!found) return;
          if (found.kind !== part.kind) Object.assign(part, { is: this.operatorsOf[found.kind][0], values: [""], other: undefined });
          Object.assign(part, found);
          this.changed();
        },
      },
      h("span", {}, part.label || say("pickField")),
      part.supporting ? h("span", { class: "badge bg-azure-lt ms-1" }, say("supporting")) : null,
    );
    const operator = h(
      "select",
      {
        class: "form-select form-select-sm risk-operator",
        "aria-label": say("operator"),
        onchange: (event) => {
          part.is = event.target.value;
          if (part.is === "between") part.values = [part.values?.[0] ?? "", part.values?.[1] ?? ""];
          if (!COMPARING.has(part.is)) delete part.other;
          this.changed();
        },
      },
      ...[...new Set([...this.operatorsOf[part.kind], part.is])].map((each) =>
        h("option", { value: each, selected: each === part.is }, this.operators[each] ?? each),
      ),
    );
    const row = h("div", { class: "risk-statement" }, field, operator, ...this.value(part), this.remover(remove));
    return h("div", { class: "risk-statement-box", "data-place": path, "data-place-inside": true }, row);
  }

  value(part) {
    if (PRESENCE.has(part.is)) return [];
    if (LISTED.has(part.is)) return this.listed(part);
    if (part.other) return [this.other(part), this.switcher(part, false)];
    part.values ??= [""];
    if (part.is === "between") {
      return [h("span", {}, "≥"), this.input(part, 0), h("span", {}, "<"), this.input(part, 1), this.unit(part)];
    }
    if (part.kind === "truth") return [this.choice(part, [["是", say("yes")], ["否", say("no")]])];
    if (part.choices.length && MANY.has(part.is)) return [this.chips(part)];
    if (part.choices.length) return [this.choice(part, part.choices.map((each) => [each, part.said[each]]))];
    const inputs = [this.input(part, 0), this.unit(part)];
    return COMPARING.has(part.is) ? [...inputs, this.switcher(part, true)] : inputs;
  }

  input(part, n) {
    const isDay = part.kind === "day" && !MANY.has(part.is);
    return h("input", {
      class: `form-control form-control-sm ${MANY.has(part.is) || part.kind === "text" ? "risk-long" : "risk-short"}`,
      type: isDay ? "date" : "text",
      inputmode: part.kind === "number" && !MANY.has(part.is) ? "decimal" : false,
      value: part.values[n] ?? "",
      placeholder: MANY.has(part.is) ? say("many") : false,
      "aria-label": say("value"),
      oninput: (event) => {
        part.values[n] = event.target.value;
        this.changed({ redraw: false });
      },
    });
  }

  unit(part) {
    return part.unit ? h("span", { class: "text-secondary" }, part.unit) : null;
  }

  choice(part, options) {
    const empty = options.some(([value]) => value === part.values[0]) ? [] : [h("option", { value: "" }, "")];
    return h(
      "select",
      {
        class: "form-select form-select-sm risk-short",
        "aria-label": say("value"),
        onchange: (event) => {
          part.values = [event.target.value];
          this.changed();
        },
      },
      ...empty,
      ...options.map(([value, words]) => h("option", { value, selected: value === part.values[0] }, words)),
    );
  }

  chips(part) {
    const on = new Set((part.values[0] ?? "").split("、").filter(Boolean));
    const toggle = (value) => () => {
      if (!on.delete(value)) on.add(value);
      part.values = [part.choices.filter((each) => on.has(each)).join("、")];
      this.changed();
    };
    const chip = (value) =>
      h("button", { type: "button", class: `btn btn-sm ${on.has(value) ? "btn-primary" : ""}`, "aria-pressed": String(on.has(value)), onclick: toggle(value) }, part.said[value]);
    return h("div", { class: "btn-list" }, ...part.choices.map(chip));
  }

  listed(part) {
    part.match ??= "exact";
    return [
      h("input", {
        class: "form-control form-control-sm risk-long",
        value: part.list ?? "",
        placeholder: say("listName"),
        "aria-label": say("listName"),
        oninput: (event) => {
          part.list = event.target.value;
          this.changed({ redraw: false });
        },
      }),
      h(
        "select",
        {
          class: "form-select form-select-sm risk-short",
          "aria-label": say("match"),
          onchange: (event) => {
            part.match = event.target.value;
            this.changed({ redraw: false });
          },
        },
        ...Object.entries(this.matches).map(([value, words]) => h("option", { value, selected: value === part.match }, words)),
      ),
    ];
  }

  other(part) {
    return h("button", {
      type: "button",
      class: "btn btn-sm risk-field",
      onclick: async (event) => {
        const found = await pickField(event.currentTarget);
        if (found) part.other = found;
        this.changed();
      },
    }, part.other.label);
  }

  // Compare with another field instead of a value, or the other way round.
  switcher(part, toField) {
    const words = toField ? say("toField") : say("toValue");
    return h("button", {
      type: "button",
      class: "btn btn-sm btn-ghost-secondary risk-switcher",
      onclick: async (event) => {
        if (toField) part.other = (await pickField(event.currentTarget)) ?? undefined;
        else delete part.other;
        this.changed();
      },
    }, words);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const place of document.querySelectorAll("[data-builder]")) new Builder(place);
  mark(JSON.parse(root().dataset.problems));
});
