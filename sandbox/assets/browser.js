// WeChat's browser in the phone: a frame, the bridge that WeChat gives to pages, and the pay sheet.
import { byId, get, local, post, toast, yuan } from './api.js';

const frame = byId('browser-frame');
let person = null;
let isOpen = false;

export function use(chosen) {
  person = chosen;
  close();
}

export function open(url) {
  const target = local(url);
  if (!target || !/^https?:/.test(target)) return;
  isOpen = true;
  byId('browser').hidden = false;
  byId('browser-title').textContent = '';
  byId('browser-progress').classList.add('is-on');
  frame.src = target;
}

// Out of sight while the person reads a short message; the page stays as it is.
export function hide(isHidden) {
  byId('browser').hidden = isHidden || !isOpen;
}

export function close() {
  isOpen = false;
  byId('browser').hidden = true;
  byId('cover').hidden = true;
  frame.src = 'about:blank';
}

frame.addEventListener('load', () => {
  byId('browser-progress').classList.remove('is-on');
  try {
    const inside = frame.contentWindow;
    if (inside.location.href === 'about:blank') return;
    byId('browser-title').textContent = inside.document.title;
    inside.WeixinJSBridge = { invoke, call: (name) => invoke(name), on() {} };
    inside.document.dispatchEvent(new inside.Event('WeixinJSBridgeReady'));
  } catch {
    byId('browser-title').textContent = '站外页面';
  }
});

byId('browser-close').addEventListener('click', close);
byId('browser-back').addEventListener('click', () => {
  try { frame.contentWindow.history.back(); } catch { close(); }
});

function invoke(name, params = {}, done = () => {}) {
  if (name === 'getBrandWCPayRequest') {
    pay(params, done);
  } else if (name === 'closeWindow') {
    done({ err_msg: 'closeWindow:ok' });
    close();
  } else {
    done({ err_msg: `${name}:ok` });
  }
}

async function pay(params, done) {
  const answer = (outcome) => {
    byId('cover').hidden = true;
    done({ err_msg: `get_brand_wcpay_request:${outcome}` });
  };
  const prepayId = String(params.package || '').replace('prepay_id=', '');
  let order;
  try {
    order = await get(`orders/${encodeURIComponent(prepayId)}`);
  } catch {
    toast('支付参数有误：没有这个订单');
    answer('fail');
    return;
  }
  show(order);
  const settle = async (outcome) => {
    byId('pay-confirm').disabled = true;
    const told = await post('pay', { prepay_id: prepayId, openid: person.openid, params, outcome });
    const result = told.err_msg.split(':').pop();
    if (result === 'fail') {
      byId('pay-note').textContent = told.reason || '支付失败';
      setTimeout(() => answer('fail'), 1800);
    } else if (result === 'ok') {
      byId('pay-merchant').textContent = '支付成功';
      document.querySelector('.sheet').classList.add('is-done');
      setTimeout(() => answer('ok'), 900);
    } else {
      answer(result);
    }
  };
  byId('pay-confirm').onclick = () => settle('success');
  byId('pay-cancel').onclick = () => settle('cancel');
  byId('pay-later').onclick = () => settle('cancel');
}

function show(order) {
  byId('pay-merchant').textContent = order.merchant;
  byId('pay-amount').textContent = `¥${yuan(order.total_fen)}`;
  byId('pay-what').textContent = order.description;
  byId('pay-note').textContent = '';
  byId('pay-confirm').disabled = false;
  document.querySelector('.sheet').classList.remove('is-done');
  byId('cover').hidden = false;
}
