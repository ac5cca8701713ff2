// What steers the phone: people, the development clock, failures.
import { avatar, byId, element, get, post, toast } from './api.js';

const PRESETS = [
  ['支付通知丢失', 'notify.payment', 'lost'],
  ['支付通知重复 5 次', 'notify.payment', 'duplicate', 5],
  ['通知并发 5 份', 'notify.payment', 'parallel', 5],
  ['通知金额被改', 'notify.payment', 'wrong_amount'],
  ['下单：系统繁忙', 'pay.order', 'error', 'SYSTEM_ERROR'],
  ['下单成功但答复丢失', 'pay.order', 'lost_answer'],
  ['客服消息超时限', 'wechat.custom', 'error', 45015],
  ['令牌失效一次', 'wechat', 'error', 40001],
  ['模板消息：系统繁忙', 'wechat.template', 'error', -1],
  ['短信被限流', 'sms.send', 'error', 'isv.BUSINESS_LIMIT_CONTROL'],
];

let people = [];
let chosen = '';
let choose = () => {};

export async function start(onChoose) {
  choose = onChoose;
  byId('people-search').addEventListener('input', drawPeople);
  byId('newcomer').addEventListener('click', newcomer);
  byId('panel-open').addEventListener('click', () => byId('panel').classList.add('is-open'));
  byId('panel-close').addEventListener('click', shut);
  for (const button of document.querySelectorAll('[data-move]')) {
    button.addEventListener('click', () => move(button));
  }
  byId('knobs').addEventListener('toggle', drawKnobs);
  byId('knob-list').append(...PRESETS.map(([label, feature, fault, value]) => element('button', {
    type: 'button',
    title: `${feature} · ${fault}`,
    onclick: async () => {
      await post('knobs', { feature, fault, value, times: 1 });
      toast(`下一次：${label}`);
      drawKnobs();
    },
  }, label)));
  await refreshPeople();
  setInterval(refreshPeople, 10000);
}

export function shut() {
  byId('panel').classList.remove('is-open');
}

export function showClock(iso) {
  const [day, time] = iso.split('T');
  const week = new Date(`${day}T00:00:00Z`).toLocaleDateString('zh-CN', { weekday: 'short', timeZone: 'UTC' });
  byId('clock-time').textContent = byId('status-time').textContent = time.slice(0, 5);
  byId('clock-date').textContent = `${day} ${week}`;
}

async function move(button) {
  button.disabled = true;
  try {
    const told = await post('clock', JSON.parse(button.dataset.move));
    showClock(told.shanghai);
    toast(`现在是 ${told.shanghai.slice(0, 10)} ${told.shanghai.slice(11, 16)}`);
  } finally {
    button.disabled = false;
  }
}

async function refreshPeople() {
  const told = await get('people');
  if (JSON.stringify(told.people) === JSON.stringify(people)) return;
  people = told.people;
  drawPeople();
  const remembered = localStorage.getItem('sandbox_openid');
  const first = people.find((person) => person.openid === remembered) || people[0];
  if (!chosen && first) pick(first);
}

function pick(person) {
  chosen = person.openid;
  localStorage.setItem('sandbox_openid', chosen);
  drawPeople();
  shut();
  choose(person);
}

function drawPeople() {
  const wanted = byId('people-search').value.trim();
  const shown = people.filter((person) => !wanted || Object.values(person).join(' ').includes(wanted));
  const rows = shown.slice(0, 200).map((person) => element(
    'li', { class: person.openid === chosen ? 'is-on' : '' },
    element('button', { type: 'button', onclick: () => pick(person) }, avatar(person.name, 'small'), element(
      'div', {}, element('b', {}, person.name || '访客'),
      element('small', { title: person.note }, [person.note, person.phone].filter(Boolean).join(' · ')),
    )),
  ));
  if (!rows.length) rows.push(element('li', { class: 'nobody' }, people.length ? '没有匹配的人' : '还没有演示借款人，可以先做一位新访客。'));
  byId('people').replaceChildren(...rows);
}

async function newcomer() {
  const letters = crypto.getRandomValues(new Uint8Array(12));
  const openid = `oNew${[...letters].map((n) => n.toString(16).padStart(2, '0')).join('')}`;
  const number = people.filter((person) => person.openid.startsWith('oNew')).length + 1;
  const person = { openid, name: `新访客${number}`, phone: '', note: '未绑定' };
  await post('people', [person]);
  people.push(person);
  pick(person);
  await post('push', { openid, kind: 'follow' });
}

async function drawKnobs() {
  const { active } = await get('knobs');
  const rows = active.map((knob) => element(
    'p', {}, `${knob.feature} · ${knob.fault} · ${knob.times === null ? '一直' : `还有 ${knob.times} 次`}`,
  ));
  if (rows.length) {
    rows.push(element('button', {
      type: 'button',
      onclick: async () => { await post('knobs', { clear: true }); drawKnobs(); },
    }, '全部关闭'));
  }
  byId('knob-active').replaceChildren(...rows);
}
