// Writes into the formula of a line: a field out of the picker, a sign or a function, at the caret.
import { touched } from "./editor.js";
import { pickField } from "./picker.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-insert], [data-insert-field]");
  if (!button) return;
  const formula = button.closest("[data-line]").querySelector("[data-formula]");
  if (button.dataset.insert) return write(formula, button.dataset.insert);
  const field = await pickField(button);
  if (field) write(formula, field.formula);
  return null;
});

function write(formula, text) {
  formula.setRangeText(text, formula.selectionStart, formula.selectionEnd, "end");
  formula.focus();
  touched(formula.form);
}
