// The borrower's pages: pay through WeChat's bridge, then ask the server how it went.
(() => {
  const withBridge = (use) => {
    if (window.WeixinJSBridge) use(window.WeixinJSBridge);
    else document.addEventListener("WeixinJSBridgeReady", () => use(window.WeixinJSBridge), { once: true });
  };
  withBridge((bridge) => { if (bridge.call) bridge.call("hideOptionMenu"); });

  const button = document.getElementById("pay");
  const told = document.getElementById("told");

  const pay = async () => {
    button.disabled = true;
    told.textContent = "正在发起支付…";
    const response = await fetch(location.pathname, {
      method: "POST",
      headers: {
        "Idempotency-Key": button.dataset.key,
        "X-CSRFToken": document.querySelector("meta[name=csrf-token]").content,
      },
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.message);
    const next = button.dataset.result.replace("NUMBER", answer.out_trade_no);
    withBridge((bridge) => bridge.invoke("getBrandWCPayRequest", answer.params, (word) => {
      // The word is a hint only: the next page asks WeChat Pay itself.
      if (word.err_msg === "get_brand_wcpay_request:cancel") {
        told.textContent = "您已取消支付";
        button.disabled = false;
        return;
      }
      location.href = next;
    }));
  };

  if (button) {
    button.addEventListener("click", () => pay().catch((error) => {
      told.textContent = error.message || "网络不稳定，请稍后再试";
      button.disabled = false;
    }));
  }

  const result = document.getElementById("result");
  if (result && ["created", "open"].includes(result.dataset.state)) {
    let patience = 20;
    const ask = async () => {
      const response = await fetch(result.dataset.order);
      const { state } = await response.json();
      if (state !== result.dataset.state) location.reload();
      else if (--patience) setTimeout(ask, 1500);
    };
    setTimeout(ask, 1000);
  }
})();
