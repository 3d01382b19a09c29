// Shows what the gateway says. Whatever it says is text: nothing here is ever read as HTML.
'use strict';
const POLL = 5000;
const CLASSES = ['ci', 'tool', 'human', 'declared-bot', 'suspect', 'unknown'];
const $ = id => document.getElementById(id);
let last = null;       // what was told last
let unit = 'requests'; // what the chart shows
let token = '';        // of the operator: here, and nowhere else
let timer = 0;

// --- text ---
const number = value => new Intl.NumberFormat('en', {maximumFractionDigits: value < 10 ? 1 : 0}).format(value);
const plural = (count, word) => `${number(count)} ${word}${count === 1 ? '' : 's'}`;
const dollars = value => value === undefined ? '' : `$${value.toFixed(2)}`;
const percent = part => `${number(100 * part)} %`;
function bytes(count) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) { count /= 1000; at += 1; }
  return `${number(count)} ${units[at]}`;
}
const clock = time => new Date(time).toLocaleTimeString('en-GB');
function ago(seconds) {
  if (!seconds) return 'never';
  const passed = Math.max(0, last.now / 1000 - seconds);
  const [count, word] = passed < 90 ? [passed, 'second'] : passed < 5400 ? [passed / 60, 'minute'] :
    passed < 129600 ? [passed / 3600, 'hour'] : [passed / 86400, 'day'];
  return `${plural(Math.round(count), word)} ago`;
}

// --- elements ---
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
const mark = word => make('span', {class: `mark ${CLASSES.includes(word) ? word : ''}`}, word);
const text = value => make('span', {class: 'text'}, value);
const press = (label, about, act) => make('button', {type: 'button', 'aria-label': `${label} ${about}`, onclick: act}, label);

// A table in the element of this id. Columns whose title begins with # hold numbers. It stays as it is while it has the focus.
function table(id, caption, head, rows, empty) {
  const place = $(id);
  const focused = document.activeElement;
  if (place.contains(focused) && focused.tagName === 'BUTTON' && rows.length) return;
  if (!rows.length) {
    place.replaceChildren(...(empty ? [make('p', {class: 'hint'}, `${caption}: ${empty}`)] : []));
    return;
  }
  const scrolled = place.firstElementChild?.scrollLeft ?? 0;
  const kind = title => title.startsWith('#') ? {class: 'number'} : {};
  const cells = row => row.map((cell, column) => {
    const parts = Array.isArray(cell) ? cell : [cell ?? ''];
    return column ? make('td', kind(head[column]), ...parts) : make('th', {scope: 'row'}, ...parts);
  });
  const region = make('div', {class: 'table', role: 'region', tabindex: '0', 'aria-label': caption},
    make('table', {}, make('caption', {}, caption),
      make('thead', {}, make('tr', {}, ...head.map(title => make('th', {scope: 'col', ...kind(title)}, title.replace('#', ''))))),
      make('tbody', {}, ...rows.map(row => make('tr', {}, ...cells(row))))));
  place.replaceChildren(region);
  region.scrollLeft = scrolled;
}

// --- the gateway ---
async function ask(path, body, method) {
  const headers = token ? {Authorization: `Bearer ${token}`} : {};
  if (body) headers['Content-Type'] = 'application/json';
  const options = {method: method ?? (body ? 'POST' : 'GET'), headers, cache: 'no-store', body: body && JSON.stringify(body)};
  const answer = await fetch(`/api/${path}`, options);
  const told = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(told.error ?? answer.statusText), {told});
  return told;
}

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const told = await ask(`now?hours=${$('hours').value}`);
    last = told;
    show(told);
    $('contact').className = '';
    $('contact').textContent = `Updated ${clock(Date.now())}`;
  } catch {
    $('contact').className = 'lost';
    $('contact').textContent = last ? `No contact: this is from ${clock(last.now)}` : 'No contact with the gateway';
  }
  timer = setTimeout(poll, POLL);
}

// --- what is shown ---
const STATES = {
  off: ['off', 'Protection is switched off by an operator.'],
  observe: ['watching', 'Observing: nobody is stopped, all is recorded.'],
  sampling: ['watching', 'Sampling: a share of strangers is challenged, nobody else is stopped.'],
  waiting: ['waiting', 'On call: protection waits for evidence.'],
  active: ['on', 'Protection is on, by the evidence.'],
  enforce: ['on', 'Protection is on.'],
};

function show(told) {
  const {policy} = told;
  $('policy').title = policy.name;
  $('policy').textContent = `${policy.name.split('/').pop()} · mode ${policy.mode} · ${plural(policy.rules, 'rule')} · loaded ${ago(policy.loaded)}`;
  $('version').textContent = `windscreen ${told.version}${told.stopping ? ', stopping' : ''}`;
  const [kind, sentence] = STATES[told.state];
  $('answer').className = kind;
  $('state').textContent = sentence;
  const conditions = told.auto?.conditions ?? [];
  $('evidence').replaceChildren(...conditions.map(({part, words}) => make('li', {},
    make('progress', {max: 1, value: Math.min(1, part), 'aria-label': words}), `${percent(part)} of what switches protection on: ${words}`)));
  if (told.auto?.since) $('evidence').append(make('li', {}, `since ${told.auto.since}`));
  if (told.sample) $('evidence').append(make('li', {}, sampled(told.sample)));
  $('refused').hidden = !told.refused;
  if (told.refused) {
    $('refused').replaceChildren(make('p', {}, `The configuration was refused at ${told.refused.at}; the one before it is in force.`),
      make('ul', {}, ...told.refused.because.map(line => make('li', {}, make('code', {}, line)))));
  }
  tiles(told);
  chart(told.history);
  traffic(told);
  health(told);
  operators(told);
}

function sampled({sessions, solvers}) {
  const all = sum(Object.values(sessions));
  const basis = `of ${plural(all, 'session')} that the sample of the last day challenged`;
  if (solvers.estimate === undefined) return `${basis.replace('of ', '')}: too few to tell how many solve`;
  return `${percent(solvers.estimate)} ${basis} solved (95 % sure: ${percent(solvers.low)} to ${percent(solvers.high)})`;
}

const sum = list => list.reduce((all, one) => all + one, 0);
const recent = list => sum(list.slice(-7)); // a minute, and the running step

function tiles(told) {
  const {history} = told;
  const seconds = Math.max(1, Math.min(6, history.steps) * history.step_seconds + history.running_seconds);
  const all = series => sum(Object.values(series).map(recent));
  const requests = all(history.requests);
  const rate = value => requests ? percent(value / requests) : '–';
  const errors = sum(history.origin_errors);
  const entries = [
    ['requests / s', number(requests / seconds)],
    ['sent / s', bytes(all(history.bytes) / seconds)],
    ['stopped', rate(recent(history.stopped))],
    ['would stop', rate(recent(history.would_be))],
    ['in flight', number(told.in_flight)],
    ['connections', number(told.connections.open)],
    ['live passes', number(told.passes.live)],
    ['origin errors, 1 h', number(errors), errors > 0],
  ];
  $('tiles').replaceChildren(...entries.map(([name, value, bad]) =>
    make('div', {}, make('dt', {}, name), make('dd', bad ? {class: 'bad'} : {}, value))));
}

function chart(history) {
  const BARS = 60, WIDTH = 720, HEIGHT = 160, steps = 6;
  const series = CLASSES.filter(word => history[unit][word]).map(word => {
    const list = history[unit][word];
    const bars = Array(BARS).fill(0);
    list.forEach((count, at) => { bars[BARS - 1 - Math.floor((list.length - 1 - at) / steps)] += count; });
    return [word, bars];
  });
  const totals = Array.from({length: BARS}, (_, bar) => sum(series.map(([, bars]) => bars[bar])));
  const most = Math.max(...totals, 1);
  const below = Array(BARS).fill(0);
  const shapes = [];
  for (const [word, bars] of series) {
    bars.forEach((count, bar) => {
      if (!count) return;
      const high = count / most * HEIGHT;
      below[bar] += high;
      const shape = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
      const place = {class: word, x: bar * WIDTH / BARS + 1, y: HEIGHT - below[bar], width: WIDTH / BARS - 2, height: high};
      for (const [name, value] of Object.entries(place)) shape.setAttribute(name, value);
      shapes.push(shape);
    });
  }
  $('chart').replaceChildren(...shapes);
  const told = unit === 'bytes' ? bytes : count => plural(count, 'request');
  $('peak').textContent = `peak ${told(Math.max(...totals))} a minute`;
  const words = series.map(([word, bars]) => `${word} ${told(sum(bars))}`).join(', ') || 'nothing';
  $('chart').setAttribute('aria-label', `By class in the last hour: ${words}`);
  $('legend').replaceChildren(...series.map(([word, bars]) => make('li', {}, mark(word), ` ${told(sum(bars))}`)));
}

const done = (counts, less) => Object.entries(counts ?? {}).filter(([word]) => word !== less)
  .map(([word, count]) => `${word} ${number(count)}`).join(', ');
const rule = name => name || 'before the policy';

function traffic(told) {
  const {books, scrapers, monthly} = told;
  $('since').textContent = `since ${books.since.slice(11, 16)} UTC`;
  table('classes', 'By class', ['class', '#requests', '#bytes', '#prefixes', 'done', 'would be', '#a month like this day'],
    [...books.classes].sort((a, b) => b.bytes - a.bytes).map(row => [
      [mark(row.class), scrapers[row.class] ? ' (scrapers)' : ''], number(row.requests), bytes(row.bytes), number(row.prefixes),
      done(row.done), done(row.would_be), dollars(monthly[row.class])]), 'no traffic yet');
  const kept = told.ledger?.addresses ?? 'prefix';
  const act = row => kept === 'prefix' ? [
    press('Explain', row.prefix, () => explainTaker(row, told)),
    ...(told.may_decide ? [press('Block', row.prefix, () => propose(row.prefix))] : [])] : [];
  const why = row => row.why ? `${row.why.action} by ${rule(row.why.rule)} (${number(row.why.requests)})` : 'served';
  table('takers', 'Who took most', ['prefix', 'class', 'site', '#requests', '#bytes', 'why', 'do'],
    books.takers.map(row => [row.prefix, [mark(row.class)], row.site, number(row.requests), bytes(row.bytes), why(row), act(row)]),
    kept === 'none' ? 'the ledger keeps no addresses' : 'nobody yet');
  table('rules', 'Verdicts by rule', ['rule', 'verdict', '#requests', '#bytes', '#prefixes'],
    books.rules.map(row => [rule(row.rule), row.held_back ? `would ${row.action}` : row.action, number(row.requests),
      bytes(row.bytes), number(row.prefixes)]));
  table('agents', 'User-Agents', ['sent', 'class', '#requests', '#bytes'],
    books.agents.map(row => [[text(row.user_agent || '(none)')], [mark(row.class)], number(row.requests), bytes(row.bytes)]));
  table('paths', 'Paths', ['below', 'site', '#requests', '#bytes'],
    books.paths.map(row => [[text(row.path)], row.site, number(row.requests), bytes(row.bytes)]));
}

function health(told) {
  const counted = (counts, empty) => Object.entries(counts).filter(([, count]) => count).map(([word, count]) => `${word} ${number(count)}`).join(', ') || empty;
  const busy = told.limits.filter(row => row.refuse + row.pace + row.none + row.keys);
  table('limits', `Limits since the start, ${busy.length} of ${told.limits.length}`, ['limit', '#refused', '#slowed', '#observed', '#keys'],
    busy.map(row => [row.limit, number(row.refuse), number(row.pace), number(row.none), number(row.keys)]), 'nobody is counted');
  const {passes} = told;
  table('passes', 'Challenges and passes since the start', ['what', '#how many'], Object.entries({
    'challenges issued': passes.issued, 'challenges solved': passes.solved, 'solutions refused': passes.failed, 'passes by waiting': passes.waited,
    'passes renewed': passes.renewed, 'passes not honoured': passes.rejected, 'live passes': passes.live,
  }).map(([what, count]) => [what, number(count)]));
  table('origins', 'Origins', ['site', 'origin', 'state', '#requests', '#errors', '#bytes'],
    told.origins.map(row => [row.site, row.origin, row.reachable ? 'reachable' : [make('strong', {class: 'bad'}, 'not reachable')],
      number(row.requests), number(row.errors), bytes(row.bytes)]));
  const {connections, ledger} = told;
  const shared = told.shared_state;
  table('connections', 'Gateway', ['what', 'state'], [
    ['connections refused', counted(connections.refused, 'none')], ['connections cut', counted(connections.cut, 'none')],
    ['requests slowed', number(told.slowed)],
    ['ledger', !ledger ? 'none: only the last day is known' : ledger.up ? `written ${ago(ledger.last_write)}` : 'not written'],
    ['shared state', shared === null ? 'none: this gateway counts alone' : shared ? 'up' : 'down: this gateway counts alone for now']]);
  table('feeds', 'Feeds', ['feed', 'up to date', '#blocks', '#errors'],
    told.feeds.map(row => [row.feed, ago(row.last_success), number(row.prefixes), number(row.errors)]), 'none');
  const soon = told.expire.filter(row => row.at > 0).sort((a, b) => a.at - b.at).slice(0, 10);
  table('expire', 'What expires', ['what', 'when'], soon.map(row =>
    [row.certificate ?? row.credentials ?? row.client, new Date(row.at * 1000).toISOString().slice(0, 16).replace('T', ' ')]));
}

async function report() {
  try {
    const told = await ask('report');
    const month = told.month ? ` This month costs ${dollars(told.month.projected)} for all, ${dollars(told.month.to_date)} of it by now.` : '';
    const today = Object.values(told.today ?? {});
    const day = today.length ? ` Today: ${plural(sum(today.map(row => row.requests)), 'request')}, ${bytes(sum(today.map(row => row.bytes)))}.` : '';
    $('need').textContent = told.headline + month + day;
  } catch { /* The next one may come. */ }
}

// --- operators ---
function operators(told) {
  const {block, allow, off} = told.decisions;
  const held = [block && `${plural(block, 'prefix').replace('prefixs', 'prefixes')} blocked`, allow && `${number(allow)} allowed`, off && 'enforcement off'];
  const words = held.filter(Boolean).join(', ') || 'nothing beside the policy';
  $('decided').textContent = `Decided: ${words}. `;
  $('token-form').hidden = !told.may_decide || Boolean(token);
  if (!told.may_decide) $('decided').append('Nobody may decide here: `windscreen token new --operator --name NAME` makes a token for `admin.tokens`.');
  else if (!token) $('decided').append('Who, until when and why is shown to operators.');
  $('deciding').hidden = !token;
}

async function list() {
  const {decisions} = await ask('decisions');
  table('decisions', 'What holds', ['what', 'about', 'until', 'who', 'why', 'do'], decisions.map(row => {
    const about = row.prefix ?? 'everybody';
    return [row.kind, about, row.until, row.who, row.reason, [press('Remove', about, () => remove(row.prefix ?? 'off'))]];
  }), 'nothing');
}

async function act(deed) {
  try {
    $('decide-said').textContent = await deed();
    document.activeElement?.blur?.();
    await list();
    poll();
  } catch (error) {
    $('decide-said').textContent = `Refused: ${error.message}`;
  }
}

const remove = what => act(async () => {
  await ask(`decisions/${what}`, null, 'DELETE');
  return `${what} is taken back.`;
});

function propose(prefix) {
  $('prefix').value = prefix;
  const next = token ? $('reason') : $('token');
  next.scrollIntoView({block: 'center'});
  next.focus();
}

// --- explain ---
// As the likeliest request of whoever took most: of the path and by the User-Agent that lead its site and its class.
function explainTaker(row, {sites, books}) {
  const site = sites.find(site => site.name === row.site)?.url ?? '';
  const path = books.paths.find(path => path.site === row.site)?.path ?? '/';
  $('address').value = row.address;
  $('url').value = site && site.slice(0, -1) + encodeURI(path) + 'x';
  $('agent').value = books.agents.find(agent => agent.class === row.class)?.user_agent ?? '';
  $('dress').value = $('headers').value = '';
  $('explain').requestSubmit();
}

async function explain() {
  const lines = $('headers').value.split('\n').filter(line => line.trim());
  const asked = {
    method: $('method').value, url: $('url').value, address: $('address').value, dress: $('dress').value,
    user_agent: $('agent').value, headers: lines,
  };
  $('steps').hidden = true;
  try {
    const found = await ask('explain', asked);
    const by = found.rule ? ` by ${found.rule}, ${found.sampled ? 'for the sample' : found.enforced ? 'enforced' : 'observed'}` : ', before the policy';
    const held = found.held_back ? `; ${found.held_back.action} by ${found.held_back.rule} is held back` : '';
    const rest = found.decisions ? '' : '; decisions of operators are left out without a token';
    $('explained').textContent = `${found.class ?? 'nobody'}: ${found.action}${by}${held}${rest}.`;
    $('steps').textContent = found.text;
    $('steps').hidden = false;
  } catch (error) {
    $('explained').textContent = `Refused: ${error.message}`;
  }
  $('explained').scrollIntoView({block: 'center'});
  $('explained').focus({preventScroll: true});
}

// --- workbench ---
async function attempt() {
  $('try').disabled = true;
  $('tried').textContent = 'Trying …';
  $('mistakes').replaceChildren();
  $('changes').replaceChildren();
  try {
    const told = await ask('workbench', {policy: $('pasted').value, hours: Number($('bench-hours').value)});
    const changed = sum(told.changes.map(row => row.requests));
    const span = told.from ? ` from ${told.from} to ${told.to}` : '';
    const cut = told.cut ? ` Time was up after ${bytes(told.bytes.read)} of ${bytes(told.bytes.of)}.` : '';
    $('tried').textContent = `${number(changed)} of ${plural(told.judged, 'request')}${span} would be decided otherwise, were both enforced.${cut}`;
    $('mistakes').replaceChildren(...told.warnings.map(line => make('li', {}, make('code', {}, line))));
    const ruled = one => [mark(one.class), ` ${one.action} (${one.rule})`];
    table('changes', 'What changes', ['was', 'becomes', '#requests', '#bytes', '#prefixes', 'one of them'],
      told.changes.map(row => [ruled(row.from), ruled(row.to), number(row.requests), bytes(row.bytes), number(row.prefixes), row.example]));
  } catch (error) {
    $('tried').textContent = `Refused: ${error.message}.`;
    $('mistakes').replaceChildren(...(error.told?.mistakes ?? []).map(line => make('li', {}, make('code', {}, line))));
  }
  $('try').disabled = false;
}

// --- what people do ---
const submitted = (id, act) => $(id).addEventListener('submit', event => { event.preventDefault(); act(event); });
submitted('explain', explain);
submitted('bench', attempt);
submitted('token-form', () => act(async () => {
  token = $('token').value.trim();
  $('token').value = '';
  try { await list(); } catch (error) { token = ''; throw error; }
  operators(last);
  return 'The token is good.';
}));
submitted('decide', event => act(async () => {
  const kind = event.submitter?.value ?? 'block';
  const reason = $('reason').value.trim() || 'by the dashboard';
  const prefix = kind === 'off' ? undefined : $('prefix').value.trim();
  const {decision} = await ask('decisions', {kind, prefix, for: '1h', reason});
  return `${decision.kind} ${decision.prefix ?? 'everybody'} until ${decision.until}.`;
}));
for (const name of ['requests', 'bytes']) {
  $(`show-${name}`).addEventListener('click', () => {
    unit = name;
    for (const other of ['requests', 'bytes']) $(`show-${other}`).setAttribute('aria-pressed', other === name);
    if (last) chart(last.history);
  });
}
$('hours').addEventListener('change', poll);
document.addEventListener('visibilitychange', poll);
poll();
report();
setInterval(() => document.hidden || report(), 600000);
