"use strict";
(() => {
  const LIFETIME = 120_000; // of a challenge, from the server's issue
  const MARGIN = 5_000; // so that an answer arrives while the challenge lives
  const RETURN_WINDOW = 60_000;
  const MEMORY = 600_000;
  const RELOADS = 2;
  const ROUNDS = 3;
  const DAY = 86_400_000;
  const SOLVER = "{{solver}}";

  const $ = (id) => document.getElementById(id);
  const read = (id) => JSON.parse($(id).textContent);
  const lang = document.documentElement.lang;
  let workers = [];
  let ticker = 0;
  let over = false;

  function stop() {
    over = true;
    clearInterval(ticker);
    for (const worker of workers) worker.terminate();
    workers = [];
  }

  function duration(ms) {
    const [size, unit] = [[DAY, "day"], [3_600_000, "hour"], [60_000, "minute"]].find(([size]) => ms >= 1.5 * size) || [1000, "second"];
    const value = Math.max(1, Math.round(ms / size));
    try {
      return value.toLocaleString(lang, { style: "unit", unit, unitDisplay: "long" });
    } catch { // Browsers of before 2021.
      return `${value} ${unit[0]}`;
    }
  }

  function start() {
    const words = read("windscreen-words");
    const task = read("windscreen-challenge");
    const { count, rounds, verify, site, wait } = task;
    let { challenge, difficulty } = task;
    let moved = false;
    const key = `windscreen:${site}`;
    // Both from one clock, which may be wrong and may be set right meanwhile. Wall time on purpose: other clocks stand
    // still while a laptop sleeps.
    let issued = Date.now() - performance.now();
    const left = () => issued + LIFETIME - MARGIN - Date.now();
    const skew = issued - task.now;

    const phrase = (word, values) => words[word].replace(/\{(\w+)\}/g, (_, name) => values[name]);

    function say(text) {
      // An unchanged live region is not read again, and need not be.
      if ($("status").textContent !== text) $("status").textContent = text;
    }

    function notice(text) {
      $("status").className = "notice";
      say(text);
    }

    // The way without a calculation, where there is one.
    function lead() {
      if (!wait) return "";
      $("way").href = wait.href;
      $("way").hidden = false;
      return `\n${phrase("nojs_wait", wait)}`;
    }

    function ask(title, text, more = "", action = again) {
      stop();
      document.title = document.title.replace($("title").textContent, title);
      $("title").textContent = title;
      $("work").hidden = true;
      notice(text + more);
      $("retry").onclick = action;
      $("retry").hidden = false;
    }

    function recall() {
      try {
        const past = JSON.parse(sessionStorage.getItem(key)) || {};
        return Math.abs(Date.now() - past.at) < MEMORY ? past : {};
      } catch {
        return {};
      }
    }
    function remember(state) {
      try {
        sessionStorage.setItem(key, JSON.stringify({ ...state, at: Date.now() }));
        return true;
      } catch {
        return false;
      }
    }
    // Where cookies are switched off, Chromium calls them enabled all the same, and denies both of these.
    function cookies() {
      const probe = "windscreen-probe=1";
      try {
        document.cookie = `${probe}; SameSite=Lax`;
        const kept = document.cookie.includes(probe);
        document.cookie = `${probe}; Max-Age=0`;
        return kept || Boolean(sessionStorage);
      } catch {
        return false;
      }
    }
    function again() {
      remember({});
      location.reload();
    }

    const past = recall();
    const failures = past.failures || 0;
    // The same address, because another page of the site may well ask for more.
    const solved = past.solved === location.href && Date.now() - past.at < RETURN_WINDOW ? past.rounds : 0;

    // Without storage nothing would count the reloads, so a person does.
    function fail(text, wait = 3) {
      if (failures < RELOADS && wait <= 30 && remember({ failures: failures + 1 })) {
        stop();
        $("work").hidden = true;
        notice(`${text} ${phrase("retry_in", { time: duration(wait * 1000) })}`);
        setTimeout(() => location.reload(), wait * 1000);
      } else {
        ask(words.failed, text, lead());
      }
    }

    const clock = Math.abs(skew) > DAY ? `\n${phrase("clock", { time: duration(Math.abs(skew)) })}` : "";
    if (!navigator.cookieEnabled || !cookies()) return ask(words.cookie, words.cookie_off);
    if (solved && !task.brought) {
      // Isolated, since a name may stand in a text that runs from right to left.
      const cookie = `\u2068${task.cookie}\u2069`;
      return ask(words.cookie, phrase("cookie_lost", { cookie }), clock + lead());
    }
    if (solved >= ROUNDS) return ask(words.failed, words.loop, clock + lead());

    // Somebody who opens ten logs at once should wait for one calculation.
    const tabs = window.BroadcastChannel && new BroadcastChannel(key);
    if (tabs) tabs.onmessage = () => { if (!over) { stop(); location.reload(); } };

    async function submit(nonces) {
      $("retry").hidden = $("way").hidden = true;
      $("status").className = "";
      say(words.sending);
      const patience = new AbortController();
      const timer = setTimeout(() => patience.abort(), 20_000);
      let answer;
      let problem = {};
      try {
        answer = await fetch(verify, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          credentials: "same-origin",
          body: JSON.stringify({ challenge, nonces }),
          signal: patience.signal,
        });
        if (answer.status !== 204) problem = await answer.json().catch(() => ({})) || {};
      } catch {
        // A repeated answer earns the same pass, so nothing need be computed anew.
        ask(words.failed, words.offline, "", () => left() > 0 ? submit(nonces) : again());
        return;
      } finally {
        clearTimeout(timer);
      }
      if (answer.status === 204) {
        if (tabs) tabs.postMessage(0);
        say(words.done);
        if (remember({ solved: location.href, rounds: solved + 1 })) {
          location.reload();
        } else {
          $("work").hidden = true;
          $("retry").textContent = words.open;
          $("retry").onclick = () => location.reload();
          $("retry").hidden = false;
        }
        return;
      }
      // Who has come to another network meanwhile gets one that is good in both, once.
      if (problem.challenge && !moved) {
        ({ challenge, difficulty } = problem.challenge);
        [moved, over, issued] = [true, false, Date.now()];
        solve();
        return;
      }
      $("said").textContent = `${answer.status} ${typeof problem.detail === "string" ? problem.detail.slice(0, 400) : ""}`;
      if (moved) ask(words.failed, words.refused, lead());
      else fail(words.refused, Math.max(3, Math.ceil(answer.headers.get("Retry-After")) || 0));
    }

    function solve() {
      const began = performance.now();
      const found = [];
      let trials = 0;
      let spoken = 0;
      let slow = false;
      let told = false;

      function show() {
        const elapsed = performance.now() - began;
        const parts = [phrase("found", { found: found.length.toLocaleString(lang), count: count.toLocaleString(lang) })];
        // Every trial has the same chance, so what is left does not depend on luck so far.
        const rest = (count - found.length) * difficulty * elapsed / trials;
        if (trials && elapsed > 300) {
          const rate = Math.round(trials / elapsed * 1000).toLocaleString(lang);
          const time = phrase("left", { time: duration(rest) });
          parts.push(phrase("rate", { rate }), time);
          if (rest > 5000 && elapsed - spoken > 15_000 && !told) {
            spoken = elapsed;
            say(`${words.work} ${time}`);
          }
        }
        $("detail").textContent = parts.join(" · ");
        // What was slow at first may have been warming up.
        if (slow && !told && elapsed > 1000 && elapsed * workers.length > trials) {
          told = true;
          notice(words.slow + lead());
        }
        // A device that is hopelessly slow learns it before its battery is empty.
        if (left() <= 0 || (elapsed > 20_000 && rest > 3 * left())) fail(phrase("late", { time: duration(LIFETIME) }));
      }

      $("progress").max = count;
      $("progress").value = 0;
      $("work").hidden = false;
      say(words.work);
      show();
      ticker = setInterval(show, 250);

      const blocked = () => over || ask(words.failed, words.blocked, lead());
      try {
        const code = URL.createObjectURL(new Blob([SOLVER], { type: "text/javascript" }));
        const step = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 2));
        for (let first = 0; first < step; first++) {
          const worker = new Worker(code);
          workers.push(worker);
          worker.onerror = blocked;
          worker.onmessage = ({ data }) => {
            if (over) return;
            trials += data.trials;
            found.push(...data.found);
            slow ||= data.slow;
            $("progress").value = Math.min(found.length, count);
            if (found.length < count) return;
            show();
            if (over) return;
            stop();
            submit(found.slice(0, count).sort((a, b) => a - b));
          };
          worker.postMessage({ challenge, difficulty, rounds, first, step });
        }
      } catch {
        blocked();
      }
    }

    solve();
  }

  // A page from the back/forward cache holds a challenge that is old or spent.
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  addEventListener("DOMContentLoaded", () => {
    // A page that the browser loads on a guess should not burn anyone's battery.
    if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
    else start();
  });
})();
