// Saves forms in place, marks every mistake where it is, and keeps what was typed whatever happens.
import { h, root, say } from "./dom.js";
import { pickField } from "./picker.js";

// --- mistakes: each at the element whose data-place is the longest beginning of its path ---
export function mark(problems) {
  document.querySelectorAll(".risk-mark").forEach((mark) => mark.remove());
  document.querySelectorAll(".is-invalid").forEach((place) => place.classList.remove("is-invalid"));
  for (const problem of problems) {
    const place = placeOf(problem.path);
    if (!place) continue;
    place.classList.add("is-invalid");
    const words = h("div", { class: "risk-mark" }, problem.message);
    if (place.matches("[data-place-inside]")) place.append(words);
    else place.after(words);
  }
  list(problems);
  document.dispatchEvent(new CustomEvent("risk:problems", { detail: problems }));
}

function placeOf(path) {
  let best = null;
  for (const place of document.querySelectorAll("[data-place]")) {
    const from = place.dataset.place;
    const rest = path.slice(from.length);
    const fits = path.startsWith(from) && (rest === "" || rest[0] === "." || rest[0] === "[");
    if (fits && from.length > (best?.dataset.place.length ?? 0)) best = place;
  }
  return best;
}

function list(problems) {
  const panel = document.querySelector("[data-problem-list]");
  if (!panel) return;
  panel.closest(".card").classList.toggle("is-clean", problems.length === 0);
  document.querySelector("[data-problem-count]").textContent = problems.length || "";
  panel.replaceChildren(
    ...problems.map((problem) =>
      h(
        "a",
        { class: "list-group-item list-group-item-action", href: problem.url },
        h("div", { class: "small text-secondary" }, problem.place),
        h("div", {}, problem.message),
      ),
    ),
  );
}

// --- saving ---
let unsaved = false;

const EXPIRED = new Set([400, 401]);

async function save(form, { isRetry = false, by = null } = {}) {
  const status = form.querySelector("[data-status]");
  const button = form.querySelector("[data-save]");
  tell(form, null);
  if (button) button.disabled = true;
  if (status) status.textContent = say("saving");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new FormData(form, by),
      headers: { "HX-Request": "true" },
    });
    if (EXPIRED.has(answer.status) && !isRetry && (await renewed())) {
      await save(form, { isRetry: true, by });
      return;
    }
    await take(form, answer, by);
  } catch {
    tell(form, say("offline"));
  }
  if (button) button.disabled = false;
  if (status && status.textContent === say("saving")) status.textContent = "";
}

async function take(form, answer, by) {
  const isData = answer.headers.get("Content-Type")?.includes("json");
  if (EXPIRED.has(answer.status)) return tell(form, say("expired"));
  if (!isData) return tell(form, h("div", { class: "risk-refusal" }, await wordsOf(answer)));
  const found = await answer.json();
  if (answer.status === 409) return conflict(form, found, by);
  if (!answer.ok) return tell(form, found.message ?? say("offline"));
  unsaved = false;
  document.querySelectorAll("input[name=base]").forEach((base) => {
    base.value = found.version;
  });
  if (found.then) {
    const isHere = new URL(found.then, window.location.href).href === window.location.href;
    // The same page is drawn again where it was scrolled to.
    if (isHere) window.location.reload();
    else window.location.assign(found.then);
    return null;
  }
  const status = form.querySelector("[data-status]");
  if (status) status.textContent = found.message;
  const badge = h("span", { class: "badge bg-azure-lt" }, found.message);
  document.querySelector("[data-draft]").replaceChildren(badge);
  return mark(found.problems);
}

// After a new login in another tab the forms here need that session's token.
async function renewed() {
  const answer = await fetch(window.location.href);
  if (!answer.ok || answer.redirected) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const token = page.querySelector("input[name=csrf_token]")?.value;
  if (!token) return false;
  document.querySelectorAll("input[name=csrf_token]").forEach((field) => {
    field.value = token;
  });
  return true;
}

async function wordsOf(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return page.body.textContent.trim() || say("offline");
}

// Somebody was faster: say who, let the two be compared, and offer to save on top of theirs.
function conflict(form, found, by) {
  const again = h("button", { type: "button", class: "btn btn-sm btn-warning" }, say("saveAbove"));
  again.addEventListener("click", () => {
    form.elements.base.value = found.version;
    save(form, { by });
  });
  const compare = h(
    "a",
    { class: "btn btn-sm", href: found.compare, target: "_blank" },
    say("compare"),
  );
  const buttons = h("div", { class: "btn-list mt-2" }, compare, again);
  tell(form, h("div", {}, found.message, buttons), "warning");
}

function tell(form, what, colour = "danger") {
  form.querySelector(":scope > .risk-said")?.remove();
  if (what === null) return;
  form.prepend(h("div", { class: `risk-said alert alert-${colour}`, role: "alert" }, what));
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-saves]")) return;
  event.preventDefault();
  const asks = event.submitter?.dataset.asks ?? event.target.dataset.asks;
  if (asks && !window.confirm(asks)) return;
  save(event.target, { by: event.submitter });
});
document.addEventListener("input", (event) => {
  if (event.target.closest("[data-saves]")) touched(event.target.closest("[data-saves]"));
});
export function touched(form) {
  unsaved = true;
  const status = form.querySelector("[data-status]");
  if (status) status.textContent = say("unsaved");
}
window.addEventListener("beforeunload", (event) => {
  if (unsaved) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey || event.metaKey) || event.key !== "s") return;
  const form = document.querySelector("form[data-saves][data-main]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
});

// --- lists: lines moved up and down, added and taken out ---
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-move], [data-remove-line], [data-add-line], [data-pick-line]");
  if (!button) return;
  const line = button.closest("[data-line]");
  const form = button.closest("form");
  if (button.dataset.move === "up") line.previousElementSibling?.matches("[data-fixed]") || line.previousElementSibling?.before(line);
  if (button.dataset.move === "down") line.nextElementSibling?.matches("[data-fixed]") || line.nextElementSibling?.after(line);
  if (button.hasAttribute("data-remove-line")) line.remove();
  if (button.dataset.addLine) added(button.dataset.addLine).querySelector("input")?.focus();
  if (button.dataset.pickLine) {
    const field = await pickField(button);
    if (!field) return;
    const made = added(button.dataset.pickLine);
    made.querySelector("[data-field-name]").value = field.field;
    made.querySelector("[data-field-label]").textContent = field.label;
  }
  if (button.dataset.move) button.focus();
  touched(form);
});

// --- a part whose field is picked first: the button then sends the form with it ---
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-pick-then]");
  if (!button) return;
  event.preventDefault();
  const field = await pickField(button);
  if (!field) return;
  button.form.querySelector(button.dataset.pickThen).value = field.field;
  button.form.requestSubmit(button);
});

function added(templateId) {
  const template = document.getElementById(templateId);
  const made = template.content.firstElementChild.cloneNode(true);
  template.before(made);
  return made;
}

// --- a stage that is switched off stands back ---
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-switch]")) {
    event.target.closest("[data-line]").classList.toggle("is-off", !event.target.checked);
  }
  if (event.target.matches("[data-lead]") && event.target.value) lead(event.target);
  if (event.target.matches("[data-reason-choice]")) showReason(event.target);
});

// --- a branch: the stage that was chosen is added ---
function lead(choice) {
  choice.form.elements.picked.value = choice.value;
  choice.form.requestSubmit(choice.parentElement.querySelector("[data-lead-act]"));
}

// --- a reason: its words are filled in, a new one is written ---
function showReason(choice) {
  const option = choice.selectedOptions[0];
  const form = choice.form;
  form.elements.code.value = option.value;
  form.elements.code.readOnly = option.value !== "";
  form.elements.internal.value = option.dataset.internal ?? "";
  form.elements.customer.value = option.dataset.customer ?? "";
  if (!option.value) form.elements.code.focus();
}

document.addEventListener("DOMContentLoaded", () => mark(JSON.parse(root().dataset.problems)));
