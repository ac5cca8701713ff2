// What the workplace's pages do in the browser: dialogs, the minute of a clear field, pictures.
(() => {
  "use strict";
  const echartsAt = document.currentScript.dataset.echarts;
  const colours = ["#0b5fb0", "#2fb1a3", "#f0a429", "#d9534f", "#7b61c9", "#5b8c3a", "#8a97a6"];

  // --- the dialog: whatever is swapped into it opens it ---
  const dialog = () => window.tabler.Modal.getOrCreateInstance("#desk-dialog");
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id === "desk-dialog-content") dialog().show();
    hideInTime(event.detail.target);
    drawCharts(event.detail.target);
  });
  document.addEventListener("desk:done", () => dialog().hide());

  // --- a clear field goes back behind its mask after a minute ---
  const masks = new WeakMap();
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    if (target.classList.contains("desk-masked") && !masks.has(target)) masks.set(target, target.innerHTML);
  });
  function hideInTime(target) {
    const clear = target.querySelector("[data-hide-after]");
    if (!clear || !masks.has(target)) return;
    const end = Date.now() + Number(clear.dataset.hideAfter) * 1000;
    const left = target.querySelector("[data-countdown]");
    const timer = setInterval(() => {
      const seconds = Math.ceil((end - Date.now()) / 1000);
      if (seconds > 0 && clear.isConnected) {
        left.textContent = `${seconds} s`;
        return;
      }
      clearInterval(timer);
      if (!clear.isConnected) return;
      target.innerHTML = masks.get(target);
      window.htmx.process(target);
    }, 250);
  }

  // --- pictures: options stand in data-chart; ECharts is loaded only where there is one ---
  let loading = null;
  function echarts() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = echartsAt;
      script.onload = () => resolve(window.echarts);
      script.onerror = reject;
      document.head.append(script);
    });
    return loading;
  }
  async function drawCharts(root) {
    const places = [...root.querySelectorAll("[data-chart]:not([data-drawn])")];
    if (!places.length) return;
    for (const place of places) place.dataset.drawn = "";
    const library = await echarts();
    const font = getComputedStyle(document.body).fontFamily;
    for (const place of places) {
      const given = JSON.parse(place.dataset.chart);
      const picture = library.init(place);
      picture.setOption({
        color: colours,
        textStyle: { fontFamily: font },
        animation: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
        tooltip: { trigger: "axis" },
        grid: { left: 8, right: 16, top: 40, bottom: 8, containLabel: true },
        ...given,
        legend: { top: 0, ...given.legend },
      });
      picture.on("finished", () => { place.dataset.finished = ""; });
      const links = JSON.parse(place.dataset.links ?? "[]");
      picture.on("click", ({ dataIndex }) => {
        if (links[dataIndex]) window.location.assign(links[dataIndex]);
      });
      new ResizeObserver(() => picture.resize()).observe(place);
    }
  }

  // --- a choice that sends its form ---
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });
  // --- a form is sent once ---
  document.addEventListener("submit", (event) => {
    const { target } = event;
    if (target.hasAttribute("hx-post") || target.method !== "post") return;
    if (target.dataset.sent) event.preventDefault();
    target.dataset.sent = "yes";
    setTimeout(() => delete target.dataset.sent, 5000);
  });

  document.addEventListener("DOMContentLoaded", () => drawCharts(document.body));
})();
