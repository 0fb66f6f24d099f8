"use strict";
// Everything works without this file; it keeps pages fresh, and adds keys and small comforts.
(() => {
  const body = document.body;
  const wait = Number(body.dataset.poll || 0) * 1000;
  const live = document.getElementById("live");
  const announce = document.getElementById("announce");
  const trouble = document.getElementById("trouble");

  // --- Fresh pages: the same address is asked again with the ETag of what is shown. ---
  let tag = null;
  let failures = 0;
  let lastGood = new Date();
  let timer = 0;
  let stopped = false;

  const clock = (at) => `${at.toISOString().slice(11, 19)} UTC`;

  function told(state, text) {
    if (!live) return;
    live.className = `live ${state}`;
    live.textContent = text;
  }

  function bad(text) {
    told("off", text);
    if (trouble.hidden || trouble.textContent !== text) {
      trouble.textContent = text;
      trouble.hidden = false;
    }
  }

  function good() {
    failures = 0;
    lastGood = new Date();
    trouble.hidden = true;
    told("on", `Live, ${clock(lastGood)}`);
  }

  // What a person has opened or is reading stays as it is: known by its words and their order.
  function named(root, selector) {
    const seen = new Map();
    return [...root.querySelectorAll(selector)].map((node) => {
      const words = node.textContent.trim();
      const nth = seen.get(words) || 0;
      seen.set(words, nth + 1);
      return [`${words}#${nth}`, node];
    });
  }

  function keep(old, fresh) {
    const open = named(old, "summary").filter(([, node]) => node.parentElement.open);
    const names = new Set(open.map(([name]) => name));
    for (const [name, node] of named(fresh, "summary")) {
      if (names.has(name)) node.parentElement.open = true;
    }
  }

  // A way back to the node that has the focus, in the text that takes its place.
  function focusKey(old, node) {
    for (const selector of ["a", "summary", "button", "[tabindex]"]) {
      if (!node.matches(selector)) continue;
      const at = named(old, selector).find(([, n]) => n === node);
      if (at) return (made) => (named(made, selector).find(([name]) => name === at[0]) || [])[1];
    }
    return null;
  }

  const incidents = (root) =>
    new Map([...root.querySelectorAll("[data-incident]")].map((n) => [n.dataset.incident, n]));

  function swap(old, fresh) {
    const inside = old.contains(document.activeElement);
    // Somebody who types is not disturbed; the next turn comes.
    if (inside && document.activeElement.matches("input, select, textarea")) return false;
    const again = inside ? focusKey(old, document.activeElement) : null;
    keep(old, fresh);
    const before = incidents(document);
    const news = [...incidents(fresh)].filter(([id]) => !before.has(id)).map(([, n]) => n);
    const made = document.importNode(fresh, true);
    old.replaceWith(made);
    if (again) (again(made) || made).focus({ preventScroll: true });
    for (const n of news) {
      for (const shown of made.querySelectorAll("[data-incident]")) {
        if (shown.dataset.incident === n.dataset.incident) shown.classList.add("fresh");
      }
    }
    if (news.length) {
      announce.textContent = `New: ${news.map((n) => n.dataset.headline || n.dataset.incident).join("; ")}`;
    }
    return true;
  }

  function show(text) {
    const next = new DOMParser().parseFromString(text, "text/html");
    const build = next.body.dataset.build;
    if (build && build !== body.dataset.build) {
      location.reload(); // another version of the program: its own script and style
      return true;
    }
    const ids = (root) => [...root.querySelectorAll("main [data-live]")].map((n) => n.id);
    const now = ids(document);
    const then = ids(next);
    let all = true;
    if (now.join() === then.join()) {
      for (const id of now) {
        const old = document.getElementById(id);
        const fresh = next.getElementById(id);
        if (old.dataset.seen !== fresh.outerHTML) {
          const mark = fresh.outerHTML;
          if (swap(old, fresh)) document.getElementById(id).dataset.seen = mark;
          else all = false;
        }
      }
    } else {
      all = swap(document.getElementById("main"), next.getElementById("main"));
    }
    document.title = next.title;
    return all;
  }

  async function turn() {
    timer = 0;
    if (stopped) return;
    if (!document.hidden) {
      try {
        const headers = { Accept: "text/html" };
        if (tag) headers["If-None-Match"] = tag;
        const answer = await fetch(location.href, {
          headers,
          cache: "no-store",
          credentials: "same-origin",
          redirect: "error",
          signal: AbortSignal.timeout(Math.max(8000, wait)),
        });
        if (answer.status === 401) {
          stopped = true;
          bad("You are signed out. Reload the page to sign in; what you see is old.");
          return;
        }
        if (answer.status === 200) {
          const text = await answer.text();
          if (show(text)) tag = answer.headers.get("ETag");
          good();
        } else if (answer.status === 304) {
          good();
        } else {
          throw new Error(String(answer.status));
        }
      } catch {
        failures += 1;
        if (failures > 1) {
          bad(`Not live since ${clock(lastGood)}: the server does not answer. What you see is old.`);
        }
      }
    }
    plan();
  }

  function plan() {
    if (timer || stopped) return;
    const pause = Math.min(wait * 2 ** Math.min(failures, 3), Math.max(wait, 60000));
    // Many pages that were opened at once do not ask at once.
    timer = setTimeout(turn, pause * (0.9 + Math.random() * 0.2));
  }

  if (wait && document.querySelector("main [data-live]")) {
    for (const n of document.querySelectorAll("main [data-live]")) n.dataset.seen = n.outerHTML;
    told("on", `Live, ${clock(lastGood)}`);
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) {
        clearTimeout(timer);
        timer = 0;
        turn();
      }
    });
    plan();
  }

  // --- Keys; they can be turned off, as WCAG 2.1.4 asks. ---
  const places = { n: "/", i: "/incidents", a: "/advisories", l: "/ledger", s: "/sources", d: "/destinations" };
  const keysOff = () => {
    try {
      return localStorage.getItem("outrider-keys") === "off";
    } catch {
      return false;
    }
  };
  let leader = 0;

  function step(by) {
    const rows = [...document.querySelectorAll("a[data-row]")];
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || keysOff()) return;
    const target = event.target;
    if (target.matches("input, select, textarea, [contenteditable]")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const second = Date.now() - leader < 1500;
    leader = 0;
    if (second && places[event.key]) location.assign(places[event.key]);
    else if (event.key === "g") leader = Date.now();
    else if (event.key === "/") document.getElementById("q")?.focus();
    else if (event.key === "?") location.assign("/help");
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else return;
    event.preventDefault();
  });

  const toggle = document.getElementById("keys");
  if (toggle) {
    const paint = () => {
      toggle.textContent = keysOff() ? "Turn the keys on" : "Turn the keys off";
      toggle.setAttribute("aria-pressed", String(keysOff()));
    };
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
      try {
        localStorage.setItem("outrider-keys", keysOff() ? "on" : "off");
      } catch {
        return;
      }
      paint();
    });
    paint();
  }

  // --- Comforts. ---
  for (const form of document.querySelectorAll("form[data-filter]")) {
    // Empty fields make no long addresses.
    form.addEventListener("formdata", (event) => {
      for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
    });
  }
  for (const button of document.querySelectorAll("button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
})();
