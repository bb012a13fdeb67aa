// The page works without this; with it, it follows what happens and is quicker to use.
"use strict";

const PERIOD_MS = 1000;
const UNITS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const sent = new Map(); // what the server last sent for each live part, before this script touched it

function ago(element) {
  const seconds = (new Date(element.dateTime) - Date.now()) / 1000;
  const unit = UNITS.find(([, length]) => Math.abs(seconds) >= length);
  element.textContent = unit ? words.format(Math.round(seconds / unit[1]), unit[0]) : "just now";
}

function dress(root) {
  root.querySelectorAll("time").forEach(ago);
  if (window.mermaid) {
    const drawings = [...root.querySelectorAll("pre.mermaid:not([data-processed])")];
    if (drawings.length) window.mermaid.run({ nodes: drawings, suppressErrors: true });
  }
}

function parts(root) {
  return [...root.querySelectorAll("[data-live]")];
}

function replace(old, fresh) {
  const open = [...old.querySelectorAll("details")].map((one) => one.open);
  fresh.querySelectorAll("details").forEach((one, index) => { if (open[index] !== undefined) one.open = open[index]; });
  old.replaceWith(fresh);
}

function merge(page) {
  const stream = document.querySelector("[data-stream]");
  const fresh = new Map(parts(page).map((one) => [one.dataset.live, one]));
  for (const old of parts(document)) {
    if (!fresh.has(old.dataset.live)) old.remove();
  }
  let last = null;
  for (const [key, one] of fresh) {
    const text = one.outerHTML;
    const old = document.querySelector(`[data-live="${CSS.escape(key)}"]`);
    const node = old && sent.get(key) === text ? old : document.adoptNode(one);
    if (!old && stream && last && last.parentElement === stream) last.after(node);
    else if (!old && stream) stream.prepend(node);
    else if (old && node !== old) replace(old, node);
    if (node !== old) dress(node);
    sent.set(key, text);
    last = node;
  }
}

async function follow(mark) {
  let known = Number(mark.dataset.revision);
  for (;;) {
    await new Promise((done) => setTimeout(done, PERIOD_MS));
    if (document.hidden) continue;
    try {
      const now = (await (await fetch(mark.dataset.revisionUrl)).json()).revision;
      if (now === known) continue;
      const text = await (await fetch(location.pathname)).text();
      merge(new DOMParser().parseFromString(text, "text/html"));
      known = now;
    } catch {
      // The playground is away, perhaps restarting: ask again.
    }
  }
}

parts(document).forEach((one) => sent.set(one.dataset.live, one.outerHTML));
if (window.mermaid) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: dark ? "dark" : "neutral" });
}
dress(document);
setInterval(() => document.querySelectorAll("time").forEach(ago), 20000);
document.querySelectorAll("[data-submit]").forEach((one) => one.addEventListener("change", () => one.form.submit()));
document.querySelectorAll("[data-talk]").forEach((form) => {
  const box = form.querySelector("textarea");
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.querySelectorAll("[data-line]").forEach((chip) => chip.addEventListener("click", () => {
    box.value = box.value ? `${box.value.trimEnd()}\n${chip.dataset.line}` : chip.dataset.line;
    box.focus();
  }));
});
const mark = document.querySelector("[data-revision]");
if (mark) follow(mark);
