// Puts the window together: one person at a time, polled once a second.
import { byId, element, get, post, toast } from './api.js';
import * as browser from './browser.js';
import * as chat from './chat.js';
import * as panel from './panel.js';

const POLL_MS = 1000;
let person = null;
let cursor = 0;
let isFresh = true; // nothing of this person was shown yet
let isPolling = false;
let isAgain = false;
let follows = true;
let menuText = '';
let writing = 0;

async function choose(chosen) {
  person = chosen;
  cursor = 0;
  isFresh = true;
  menuText = '';
  document.cookie = `sandbox_openid=${encodeURIComponent(person.openid)}; path=/; SameSite=Lax`;
  browser.use(person);
  byId('own-number').value = person.phone;
  byId('sms-list').replaceChildren();
  byId('sms-badge').hidden = true;
  byId('dock').classList.remove('is-off');
  chat.clear([element('b', {}, `你现在是 ${person.name || '访客'}`), '点下面的菜单，或者直接问一句']);
  await poll();
  chat.scrollToEnd();
}

async function poll() {
  if (!person) return;
  if (isPolling) { isAgain = true; return; }
  isPolling = true;
  const asked = person;
  try {
    const phone = byId('own-number').value.trim();
    const told = await get(`timeline?${new URLSearchParams({ openid: person.openid, phone, since: cursor })}`);
    if (asked !== person) return;
    const isFirst = isFresh;
    isFresh = false;
    cursor = told.cursor;
    chat.add(told.entries.filter((entry) => entry.kind !== 'sms'));
    addSms(told.entries.filter((entry) => entry.kind === 'sms'), isFirst);
    panel.showClock(told.now);
    drawMenu(told.menu);
    follows = told.follows;
    byId('chat-title').textContent = titleText();
  } catch {
    byId('chat-title').textContent = '连接已断开，正在重试…';
  } finally {
    isPolling = false;
    if (isAgain) { isAgain = false; poll(); }
  }
}

function titleText() {
  if (writing) return '对方正在输入…';
  return follows ? '分期小助手' : '分期小助手（未关注）';
}

async function act(what) {
  if (!person) return;
  writing += 1;
  byId('chat-title').textContent = titleText();
  setTimeout(poll, 60);
  try {
    await post('push', { openid: person.openid, ...what });
  } catch {
    toast('没有送达，请看服务日志');
  } finally {
    writing -= 1;
    poll();
  }
}

function tap(button) {
  closeMenus();
  if (button.type === 'view') {
    act({ kind: 'view', url: button.url, label: button.name });
    browser.open(button.url);
  } else {
    act({ kind: 'click', key: button.key, label: button.name });
  }
}

function closeMenus() {
  for (const open of byId('menu').querySelectorAll('ul')) open.hidden = true;
}

function drawMenu(menu) {
  const text = JSON.stringify(menu);
  if (text === menuText) return;
  menuText = text;
  const buttons = menu ? menu.button : [];
  byId('dock').classList.toggle('has-menu', buttons.length > 0);
  byId('menu').replaceChildren(...buttons.map((button) => {
    const below = button.sub_button || [];
    const list = element('ul', {}, ...below.map((item) => element(
      'li', {}, element('button', { type: 'button', onclick: () => tap(item) }, item.name),
    )));
    list.hidden = true;
    const onclick = () => {
      const isShut = list.hidden;
      closeMenus();
      if (below.length) list.hidden = !isShut;
      else tap(button);
    };
    const top = element('button', { type: 'button', class: below.length ? 'has-more' : '', onclick }, button.name);
    return element('div', {}, top, ...(below.length ? [list] : []));
  }));
}

function addSms(entries, isFirst) {
  const list = byId('sms-list');
  for (const entry of entries) {
    list.append(
      element('div', { class: 'time' }, `106 3000 0001 · ${chat.whenText(entry.at)}`),
      element('div', { class: 'line' }, element('div', { class: 'bubble' }, entry.content.text)),
    );
  }
  if (!entries.length) return;
  list.scrollTop = list.scrollHeight;
  if (isFirst || !byId('screen-sms').hidden) return;
  byId('sms-badge').hidden = false;
  byId('banner-text').textContent = entries.at(-1).content.text;
  byId('banner').hidden = false;
  setTimeout(() => { byId('banner').hidden = true; }, 9000);
}

function show(screen) {
  const isSms = screen === 'sms';
  byId('screen-sms').hidden = !isSms;
  byId('screen-chat').hidden = isSms;
  byId('tab-sms').classList.toggle('is-on', isSms);
  byId('tab-chat').classList.toggle('is-on', !isSms);
  byId('banner').hidden = true;
  browser.hide(isSms);
  if (isSms) byId('sms-badge').hidden = true;
}

byId('tab-chat').addEventListener('click', () => show('chat'));
byId('tab-sms').addEventListener('click', () => show('sms'));
byId('banner').addEventListener('click', () => { byId('banner').hidden = true; });
byId('own-number').addEventListener('change', () => {
  byId('sms-list').replaceChildren();
  const kept = cursor;
  get(`sent?${new URLSearchParams({ kind: 'sms', phone: byId('own-number').value.trim() || '-' })}`)
    .then((told) => addSms(told.sent.filter((entry) => entry.seq <= kept), true));
});
byId('dock-switch').addEventListener('click', () => {
  closeMenus();
  const isWriting = !byId('dock').classList.toggle('has-menu');
  if (isWriting) byId('writer-text').focus();
});
byId('writer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = byId('writer-text').value.trim();
  byId('writer-text').value = '';
  if (text) act({ kind: 'text', text });
});
byId('follow-toggle').addEventListener('click', () => {
  const words = follows ? '取消关注「分期小助手」？' : '重新关注「分期小助手」？';
  if (confirm(words)) act({ kind: follows ? 'unfollow' : 'follow' });
});
byId('messages').addEventListener('click', closeMenus);

const own = new URL(document.body.dataset.publicBaseUrl);
const isOtherName = own.host !== location.host && own.port === location.port;
if (isOtherName && ['localhost', '127.0.0.1'].includes(location.hostname)) {
  location.replace(own.origin + location.pathname);
} else {
  byId('dock').classList.add('is-off');
  chat.clear([element('b', {}, '先选一位借款人'), '或者做一位新访客']);
  const { templates } = await get('templates');
  chat.prepare({
    open: browser.open,
    tapMenu: (item) => act({ kind: 'msgmenu', id: item.id, text: item.content }),
    name: () => person.name,
  }, templates);
  await panel.start(choose);
  const { shanghai } = await get('clock');
  panel.showClock(shanghai);
  setInterval(poll, POLL_MS);
}
