"use strict";
(() => {
  const LIFETIME = 120_000; // of a challenge, from the server's issue
  const MARGIN = 5_000; // so that an answer arrives while the challenge lives
  const RETURN_WINDOW = 60_000;
  const MEMORY = 600_000;
  const RELOADS = 2;
  const SOLVER = "{{solver}}";

  const $ = (id) => document.getElementById(id);
  let workers = [];
  let ticker = 0;
  let over = false;

  function say(text) {
    // An unchanged live region is not read again, and need not be.
    if ($("status").textContent !== text) $("status").textContent = text;
  }

  function stop() {
    over = true;
    clearInterval(ticker);
    for (const worker of workers) worker.terminate();
    workers = [];
  }

  function ask(title, text, label, action) {
    stop();
    document.title = $("title").textContent = title;
    $("work").hidden = true;
    $("status").className = "notice";
    say(text);
    $("retry").textContent = label;
    $("retry").onclick = action;
    $("retry").hidden = false;
  }

  function seconds(s) {
    if (s < 1.5) return "about a second";
    if (s < 90) return `about ${Math.round(s)} seconds`;
    return `about ${Math.round(s / 60)} minutes`;
  }

  function start() {
    const task = JSON.parse($("windscreen-challenge").textContent);
    const { challenge, difficulty, count, rounds, verify, site } = task;
    const key = `windscreen:${site}`;
    const issued = performance.timeOrigin || Date.now() - performance.now();
    // Wall time on purpose: other clocks stand still while a laptop sleeps.
    const left = () => issued + LIFETIME - MARGIN - Date.now();

    $("site").textContent = site;
    $("request").textContent = task.request_id;
    $("footer").hidden = false;

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
    function again() {
      remember({});
      location.reload();
    }

    const past = recall();
    const failures = past.failures || 0;

    // Without storage nothing would count the reloads, so a person does.
    function fail(text, wait = 3) {
      if (failures < RELOADS && wait <= 30 && remember({ failures: failures + 1 })) {
        stop();
        $("work").hidden = true;
        $("status").className = "notice";
        say(`${text} Trying again by itself in ${wait} seconds.`);
        setTimeout(() => location.reload(), wait * 1000);
      } else {
        ask("The check did not work", text, "Try again", again);
      }
    }

    if (!navigator.cookieEnabled) {
      ask("A cookie is needed", "Your browser does not accept cookies from this site. One cookie keeps the result of the check for an hour; without it every page would have to ask again. Please allow cookies for this site, then try again.", "Try again", again);
      return;
    }
    // The same address, because another page of the site may well ask for more.
    if (past.solved === location.href && Math.abs(Date.now() - past.at) < RETURN_WINDOW) {
      remember({});
      ask("A cookie is needed", "Your browser passed the check but was then asked again. Most likely it did not keep the cookie that holds the result, for instance because of a privacy setting or an extension. Please allow cookies for this site, then try again.", "Try again", again);
      return;
    }

    // Somebody who opens ten logs at once should wait for one calculation.
    const tabs = window.BroadcastChannel && new BroadcastChannel(key);
    if (tabs) tabs.onmessage = () => { if (!over) { stop(); location.reload(); } };

    async function submit(nonces) {
      $("retry").hidden = true;
      $("status").className = "";
      say("Calculation done. Asking for the page.");
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
        ask("The site did not answer", "The calculation is done, but the site could not be reached to hand in the result. Please check your network connection, then try again.", "Try again",
          () => left() > 0 ? submit(nonces) : again());
        return;
      } finally {
        clearTimeout(timer);
      }
      if (answer.status === 204) {
        if (tabs) tabs.postMessage(0);
        say("Done. Loading the page.");
        if (remember({ solved: location.href })) location.reload();
        else ask("Done", "Your browser passed the check.", "Continue to the page", () => location.reload());
        return;
      }
      const detail = typeof problem.detail === "string" && problem.detail.slice(0, 400);
      fail(
        detail ? `The site did not accept the result: ${detail}` : `The site did not accept the result (answer ${answer.status}).`,
        Math.max(3, Math.ceil(answer.headers.get("Retry-After")) || 0),
      );
    }

    const began = performance.now();
    const found = [];
    let trials = 0;
    let spoken = 0;

    function show() {
      const elapsed = (performance.now() - began) / 1000;
      // Every trial has the same chance, so what is left does not depend on luck so far.
      const rest = (count - found.length) * difficulty * elapsed / trials;
      const rate = Math.round(trials / elapsed);
      $("detail").textContent = `${found.length} of ${count} found, ` + (elapsed < 0.3 || !trials
        ? "measuring speed"
        : `${rate.toLocaleString("en")} tries a second, ${seconds(rest)} left`);
      if (elapsed > 2 && trials && rest > 5 && elapsed - spoken > 15) {
        spoken = elapsed;
        say(`Calculating, ${seconds(rest)} left.`);
      }
      // A device that is hopelessly slow learns it before its battery is empty.
      if (left() <= 0 || (elapsed > 20 && rest * 1000 > 3 * left())) fail("The calculation takes longer here than the two minutes it may take. It may help to close other programs and keep this tab in front.");
    }

    document.title = $("title").textContent = "Checking your browser";
    $("progress").max = count;
    $("work").hidden = false;
    say("Calculating. The page loads by itself when this is done.");
    show();
    ticker = setInterval(show, 250);

    try {
      const code = URL.createObjectURL(new Blob([SOLVER], { type: "text/javascript" }));
      const step = Math.max(1, Math.min(4, navigator.hardwareConcurrency || 2));
      for (let first = 0; first < step; first++) {
        const worker = new Worker(code);
        workers.push(worker);
        worker.onerror = () => {
          if (!over) ask("The check could not run", "The calculation stopped with an error. An extension or a setting may keep this page from working in the background.", "Try again", again);
        };
        worker.onmessage = ({ data }) => {
          if (over) return;
          trials += data.trials;
          found.push(...data.found);
          $("progress").value = Math.min(found.length, count);
          if (found.length < count) return;
          show();
          if (over) return;
          stop();
          const nonces = found.slice(0, count).sort((a, b) => a - b);
          $("detail").textContent = `${count} of ${count} found`;
          submit(nonces);
        };
        worker.postMessage({ challenge, difficulty, rounds, first, step });
      }
    } catch {
      ask("The check could not run", "Your browser does not let this page calculate in the background. Please try a newer browser, or ask the operator of this site for another way.", "Try again", again);
    }
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
