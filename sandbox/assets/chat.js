// The conversation: draws what the journal says happened, as WeChat would show it.
import { avatar, byId, element, yuan } from './api.js';

const ACCOUNT = '分';
const LABELS = {
  thing: '项目', amount: '金额', time: '时间', date: '日期', phrase: '状态', const: '状态', name: '姓名',
  character_string: '编号', phone_number: '电话', number: '数量', keyword: '内容',
};
const GAP_MS = 5 * 60 * 1000;
const list = byId('messages');
let acts = {};
let templates = {};
let lastAt = 0;

// acts: what taps do: open(url), tapMenu(item), name()
export function prepare(given, known) {
  acts = given;
  templates = known;
}

export function clear(text = '') {
  list.replaceChildren();
  lastAt = 0;
  if (text) list.append(element('div', { class: 'empty' }, ...text));
}

export function add(entries) {
  if (!entries.length) return;
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 120;
  list.querySelector('.empty')?.remove();
  for (const entry of entries) {
    const drawn = (DRAW[entry.kind] || (() => []))(entry.content, entry);
    const nodes = [drawn].flat().filter(Boolean);
    if (nodes.length) list.append(...stamp(entry), ...nodes);
  }
  if (isAtEnd || entries.some((entry) => entry.kind === 'person')) list.scrollTop = list.scrollHeight;
}

export function scrollToEnd() {
  list.scrollTop = list.scrollHeight;
}

function stamp(entry) {
  const at = Date.parse(entry.at);
  const isNear = Math.abs(at - lastAt) < GAP_MS;
  lastAt = at;
  return isNear ? [] : [element('div', { class: 'time' }, whenText(entry.at))];
}

export function whenText(at) {
  return new Date(at).toLocaleString('zh-CN', {
    timeZone: 'Asia/Shanghai', month: 'long', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false,
  });
}

const note = (text, more = '') => element('div', { class: `note ${more}` }, text);

function line(isMine, ...inside) {
  const face = isMine ? avatar(acts.name()) : element('span', { class: 'avatar', 'aria-hidden': 'true' }, ACCOUNT);
  return element('div', { class: `line ${isMine ? 'is-mine' : ''}` }, face, ...inside);
}

const bubble = (isMine, ...inside) => line(isMine, element('div', { class: 'bubble' }, ...inside));

// Text as WeChat shows it: addresses and <a href="…"> can be tapped, nothing else is markup.
export function rich(text) {
  const parts = [];
  const pattern = /<a\s+[^>]*?href=["']([^"']+)["'][^>]*>(.*?)<\/a>|(https?:\/\/[\w\-.~:/?#@!$&*+,;=%]+)/gs;
  let at = 0;
  for (const found of String(text).matchAll(pattern)) {
    parts.push(text.slice(at, found.index));
    parts.push(link(found[1] || found[3], found[2] || found[3]));
    at = found.index + found[0].length;
  }
  parts.push(text.slice(at));
  return parts;
}

function link(target, words) {
  const url = target.replaceAll('&amp;', '&');
  const tap = (event) => {
    event.preventDefault();
    if (url.startsWith('weixin://bizmsgmenu')) {
      const query = new URL(url.replace('weixin://', 'http://')).searchParams;
      acts.tapMenu({ id: query.get('msgmenuid'), content: query.get('msgmenucontent') });
    } else {
      acts.open(url);
    }
  };
  return element('a', { href: '#', onclick: tap }, words);
}

function msgmenu(menu) {
  const items = (menu.list || []).map((item) => element(
    'button', { type: 'button', onclick: () => acts.tapMenu(item) }, item.content,
  ));
  const box = element('div', { class: 'bubble msgmenu' }, ...rich(menu.head_content || ''));
  box.append(...items, ...rich(menu.tail_content || ''));
  return line(false, box);
}

function articles(items) {
  return items.map((item) => element(
    'div', { class: 'article', onclick: () => acts.open(item.Url || item.url) },
    element('b', {}, item.Title || item.title || ''),
    element('span', {}, item.Description || item.description || ''),
  ));
}

function service(name) {
  return element('div', { class: 'service' }, element('span', { class: 'avatar', 'aria-hidden': 'true' }, name.slice(0, 1)), name);
}

function rows(pairs) {
  return element('dl', {}, ...pairs.map(([name, value]) => element(
    'div', {}, element('dt', {}, name), element('dd', {}, value),
  )));
}

function template(content, entry) {
  const known = templates[content.template_id] || {};
  const label = (key) => (known.labels || {})[key] || LABELS[key.replace(/\d+$/, '')] || key;
  const card = element(
    'div', { class: 'ticket' }, service('分期小助手'),
    element('h3', {}, known.title || '服务通知'), element('time', {}, whenText(entry.at)),
    rows(Object.entries(content.fields).map(([key, value]) => [label(key), value])),
  );
  if (content.url) {
    card.append(element('button', { class: 'more', type: 'button', onclick: () => acts.open(content.url) }, '查看详情'));
  }
  if (content.status !== 'success') card.append(note(`平台告知：${content.status}`, 'is-fault'));
  return card;
}

function money(title, fen, pairs) {
  return element(
    'div', { class: 'ticket' }, service('微信支付'), element('h3', {}, title),
    element('p', { class: 'big' }, `¥${yuan(fen)}`), rows(pairs),
  );
}

const MINE = {
  text: (content) => bubble(true, content.text),
  msgmenu: (content) => bubble(true, content.text),
  image: () => line(true, element('div', { class: 'bubble is-picture' }, '▧')),
  voice: (content) => bubble(true, `))) ${content.text ? `“${content.text}”` : '3″'}`),
  location: (content) => bubble(true, `位置：${content.text}`),
  follow: () => note('你已关注「分期小助手」'),
  unfollow: () => note('你已取消关注「分期小助手」'),
  click: (content) => note(`你点了菜单「${content.label || content.key}」`),
  scan: () => note('你扫了二维码'),
};
const HUMAN = { waiting: '正在为你转接人工客服…', open: '客服已接入', close: '客服会话已结束' };

function said(content) {
  const kind = content.MsgType || content.msgtype;
  if (kind === 'text') return bubble(false, ...rich(content.Content ?? content.text.content));
  if (kind === 'msgmenu') return msgmenu(content.msgmenu);
  if (kind === 'news') return articles(content.Articles || content.news.articles);
  return line(false, element('div', { class: 'bubble is-picture' }, '▧'));
}

const DRAW = {
  person: (content) => (MINE[content.kind] || (() => null))(content),
  reply: said,
  custom: said,
  template,
  human: (content) => note(HUMAN[content.event]),
  fault: (content) => note(content.text, 'is-fault'),
  payment: (content) => money('支付成功', content.total_fen, [
    ['收款方', '分期小助手'], ['商品', content.description], ['交易单号', content.transaction_id],
  ]),
  refund: (content) => money('退款到账', content.refund_fen, [['订单', content.out_trade_no]]),
};
