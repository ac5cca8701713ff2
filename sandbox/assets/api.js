// The control API, and the few helpers every part of the window uses.
const ROOT = '/sandbox/api/';

async function call(path, options) {
  const answer = await fetch(ROOT + path, options);
  if (!answer.ok) throw new Error(`${path}: HTTP ${answer.status}`);
  return answer.json();
}

export const get = (path) => call(path);

export const post = (path, body) => call(path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(body),
});

export const byId = (id) => document.getElementById(id);

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'onclick') made.addEventListener('click', value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const TONES = ['#5b8ff9', '#61a88b', '#f08c4b', '#8f7ad6', '#d96c8a', '#4aa3b8', '#b5894c'];

export function avatar(name, more = '') {
  const text = name || '访';
  const tone = [...text].reduce((sum, letter) => sum + letter.codePointAt(0), 0) % TONES.length;
  const made = element('span', { class: `avatar ${more}`, 'aria-hidden': 'true' }, text.slice(-1));
  made.style.background = TONES[tone];
  return made;
}

export const yuan = (fen) => (fen / 100).toLocaleString('zh-CN', {
  minimumFractionDigits: 2, maximumFractionDigits: 2,
});

// The service says its own address; on this page another name of this machine may be in use.
export function local(url) {
  try {
    const target = new URL(url, location.origin);
    const own = new URL(document.body.dataset.publicBaseUrl);
    const isOurs = target.origin === own.origin;
    return isOurs ? location.origin + target.pathname + target.search + target.hash : target.href;
  } catch {
    return '';
  }
}

let timer = 0;
export function toast(text, milliseconds = 1600) {
  const shown = byId('toast');
  shown.textContent = text;
  shown.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { shown.hidden = true; }, milliseconds);
}
