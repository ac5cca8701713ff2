// The borrower's pages: pay through WeChat's bridge and ask the server how it went, get a code.
(() => {
  const BRIDGE_MS = 6000;
  const POLL_MS = 1500;
  const POLLS = 40;
  // After these the page itself is out of date: its sum, its key or its sign-in.
  const OVER = [
    'wechat-login-refused', 'payment-key-missing', 'payment-already-made', 'payment-order-over',
    'nothing-due', 'idempotency-key-reused',
  ];
  const byId = (id) => document.getElementById(id);
  const token = document.querySelector('meta[name=csrf-token]').content;

  // WeChat puts its bridge into the page some time after it has loaded.
  const bridge = new Promise((found, lost) => {
    if (window.WeixinJSBridge) { found(window.WeixinJSBridge); return; }
    document.addEventListener('WeixinJSBridgeReady', () => found(window.WeixinJSBridge), { once: true });
    setTimeout(() => lost(new Error('outside')), BRIDGE_MS);
  });
  const invoke = (name, params = {}) => bridge.then(
    (ready) => new Promise((answer) => { ready.invoke(name, params, answer); }),
  );
  bridge.then((ready) => (ready.call ? ready.call('hideOptionMenu') : null)).catch(() => {});

  const told = byId('told');
  const tell = (text, isProblem = false) => {
    told.textContent = text;
    told.classList.toggle('is-problem', isProblem);
  };

  const post = async (url, options, offline) => {
    let response;
    try {
      response = await fetch(url, { method: 'POST', ...options });
    } catch {
      throw new Error(offline);
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const problem = new Error(answer.message || offline);
      problem.isOver = OVER.includes(answer.code);
      throw problem;
    }
    return answer;
  };

  document.querySelectorAll('[data-close]').forEach((button) => {
    button.addEventListener('click', () => {
      invoke('closeWindow').catch(() => history.back());
    });
  });

  const pay = byId('pay');
  const chosen = () => document.querySelector('input[name=terms]:checked');
  document.querySelectorAll('input[name=terms]').forEach((choice) => {
    choice.addEventListener('change', () => { byId('sum').textContent = choice.dataset.sum; });
  });
  const payNow = async () => {
    const words = pay.dataset;
    tell(words.opening);
    const headers = { 'Idempotency-Key': (chosen() ?? pay).dataset.key, 'X-CSRFToken': token };
    const body = new URLSearchParams(chosen() ? { terms: chosen().value } : {});
    const order = await post(location.pathname + location.search, { headers, body }, words.offline);
    const answer = await invoke('getBrandWCPayRequest', order.params)
      .catch(() => { throw new Error(words.outside); });
    // The sheet's word is a hint only: the next page asks WeChat Pay itself.
    if (answer.err_msg === 'get_brand_wcpay_request:cancel') {
      tell(words.cancelled);
      return;
    }
    location.href = words.result.replace('NUMBER', order.out_trade_no);
  };
  // What is paid is what was shown; another amount is shown first.
  const typed = byId('yuan');
  typed?.addEventListener('input', () => {
    if (!pay) return;
    pay.disabled = typed.value.trim() !== typed.defaultValue;
    tell(pay.disabled ? pay.dataset.changed : '');
  });
  let isOver = false;
  pay?.addEventListener('click', async () => {
    if (isOver) {
      location.reload();
      return;
    }
    pay.classList.add('weui-btn_loading');
    pay.disabled = true;
    try {
      await payNow();
    } catch (error) {
      tell(error.message, true);
      isOver = Boolean(error.isOver);
      if (isOver) pay.textContent = pay.dataset.again;
    }
    pay.classList.remove('weui-btn_loading');
    pay.disabled = false;
  });

  const waiting = byId('result')?.dataset.order;
  if (waiting) {
    let polls = 0;
    const ask = async () => {
      polls += 1;
      try {
        const response = await fetch(waiting);
        const { state } = await response.json();
        if (response.ok && !['created', 'open'].includes(state)) {
          location.reload();
          return;
        }
      } catch { /* the next question may be answered */ }
      if (polls < POLLS) setTimeout(ask, POLL_MS);
      else byId('waiting').textContent = byId('waiting').dataset.patient;
    };
    setTimeout(ask, POLL_MS / 3);
  }

  const send = byId('send');
  const countDown = (seconds, words) => {
    if (seconds <= 0) {
      send.disabled = false;
      send.textContent = words;
      return;
    }
    send.disabled = true;
    send.textContent = `${seconds} ${send.dataset.wait}`;
    setTimeout(() => countDown(seconds - 1, words), 1000);
  };
  send?.addEventListener('click', async () => {
    const phone = byId('phone');
    if (!phone.value || !phone.checkValidity()) {
      tell(send.dataset.phone, true);
      phone.focus();
      return;
    }
    const words = send.textContent;
    send.disabled = true;
    try {
      const body = new URLSearchParams({ phone: phone.value });
      const headers = { 'X-CSRFToken': token };
      const answer = await post(send.dataset.url, { headers, body }, send.dataset.offline);
      tell(answer.message);
      countDown(answer.wait_s, words);
      byId('code').focus();
    } catch (error) {
      tell(error.message, true);
      send.disabled = false;
    }
  });
})();
