"use strict";
// cachewalk-1 in a worker: by WebAssembly, with SIMD where there is some, and
// in plain JS where there is none or it is not allowed.
const WASM = "{{wasm}}";
const SIMD = "{{simd}}";
// The SHA-256 is our own because a page served over plain http has no
// crypto.subtle.
const H = new Int32Array(8);
const K = new Int32Array(64);
const W = new Int32Array(64);
const digest = new Int32Array(8);
const seed = new Int32Array(8);
const V = new Int32Array(32768);

// The constants are digits of roots of primes: deriving them is shorter than
// shipping them, and doubles have 17 bits to spare.
for (let p = 2, n = 0; n < 64; p++) {
  let d = 2;
  while (p % d) d++;
  if (d < p) continue;
  if (n < 8) H[n] = (Math.sqrt(p) % 1) * 2 ** 32;
  K[n++] = (Math.cbrt(p) % 1) * 2 ** 32;
}

// Folds the block in W[0..16] into `digest`.
function compress() {
  for (let i = 16; i < 64; i++) {
    const p = W[i - 15], q = W[i - 2];
    W[i] = W[i - 16] + W[i - 7]
      + ((p >>> 7 | p << 25) ^ (p >>> 18 | p << 14) ^ p >>> 3)
      + ((q >>> 17 | q << 15) ^ (q >>> 19 | q << 13) ^ q >>> 10);
  }
  let a = digest[0], b = digest[1], c = digest[2], d = digest[3];
  let e = digest[4], f = digest[5], g = digest[6], h = digest[7];
  for (let i = 0; i < 64; i++) {
    const s = h + K[i] + W[i] + (g ^ e & (f ^ g))
      + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) | 0;
    const t = (a & b | c & (a | b))
      + ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) | 0;
    h = g; g = f; f = e; e = d + s | 0;
    d = c; c = b; b = a; a = s + t | 0;
  }
  digest[0] += a; digest[1] += b; digest[2] += c; digest[3] += d;
  digest[4] += e; digest[5] += f; digest[6] += g; digest[7] += h;
}

// Pads a single block that holds `words` words, and hashes it.
function finish(words) {
  W[words] = 0x80000000;
  W.fill(0, words + 1, 15);
  W[15] = words * 32;
  digest.set(H);
  compress();
}

function setSeed(challenge) {
  const text = "cw1" + challenge;
  const words = new Int32Array((text.length + 72 >> 6) * 16);
  for (let i = 0; i < text.length; i++) words[i >> 2] |= text.charCodeAt(i) << 24 - i % 4 * 8;
  words[text.length >> 2] |= 0x80 << 24 - text.length % 4 * 8;
  words[words.length - 1] = text.length * 8;
  digest.set(H);
  for (let i = 0; i < words.length; i += 16) {
    W.set(words.subarray(i, i + 16));
    compress();
  }
  seed.set(digest);
}

// Unrolled, with the lanes in locals: that is what keeps plain JS within twice
// the time of native code.
function cachewalk(nonce, rounds) {
  const M = 0x9E3779B1 | 0;
  W.set(seed);
  W[8] = nonce;
  finish(9);
  let a = digest[0], b = digest[1], c = digest[2], d = digest[3];
  let e = digest[4], f = digest[5], g = digest[6], h = digest[7];
  for (let i = 0; i < 32768; i += 8) {
    a = a + i | 0;
    V[i] = a = Math.imul(a << 13 | a >>> 19, M) + b | 0;
    V[i + 1] = b = Math.imul(b << 13 | b >>> 19, M) + c | 0;
    V[i + 2] = c = Math.imul(c << 13 | c >>> 19, M) + d | 0;
    V[i + 3] = d = Math.imul(d << 13 | d >>> 19, M) + e | 0;
    V[i + 4] = e = Math.imul(e << 13 | e >>> 19, M) + f | 0;
    V[i + 5] = f = Math.imul(f << 13 | f >>> 19, M) + g | 0;
    V[i + 6] = g = Math.imul(g << 13 | g >>> 19, M) + h | 0;
    V[i + 7] = h = Math.imul(h << 13 | h >>> 19, M) + a | 0;
  }
  for (let r = 0, j = 0, t = 0; r < rounds; r++) {
    j = a >>> 17; t = V[j]; a ^= t; a = Math.imul(a << 13 | a >>> 19, M) + b | 0; V[j] = a ^ t;
    j = b >>> 17; t = V[j]; b ^= t; b = Math.imul(b << 13 | b >>> 19, M) + c | 0; V[j] = b ^ t;
    j = c >>> 17; t = V[j]; c ^= t; c = Math.imul(c << 13 | c >>> 19, M) + d | 0; V[j] = c ^ t;
    j = d >>> 17; t = V[j]; d ^= t; d = Math.imul(d << 13 | d >>> 19, M) + e | 0; V[j] = d ^ t;
    j = e >>> 17; t = V[j]; e ^= t; e = Math.imul(e << 13 | e >>> 19, M) + f | 0; V[j] = e ^ t;
    j = f >>> 17; t = V[j]; f ^= t; f = Math.imul(f << 13 | f >>> 19, M) + g | 0; V[j] = f ^ t;
    j = g >>> 17; t = V[j]; g ^= t; g = Math.imul(g << 13 | g >>> 19, M) + h | 0; V[j] = g ^ t;
    j = h >>> 17; t = V[j]; h ^= t; h = Math.imul(h << 13 | h >>> 19, M) + a | 0; V[j] = h ^ t;
  }
  W[0] = a; W[1] = b; W[2] = c; W[3] = d;
  W[4] = e; W[5] = f; W[6] = g; W[7] = h;
  finish(8);
  return digest[0] >>> 0;
}

// Each search returns those of `count` nonces whose result is at most `most`.
function searchPlainly(nonce, step, count, rounds, most) {
  const found = [];
  for (; count--; nonce += step) if (cachewalk(nonce, rounds) <= most) found.push(nonce);
  return found;
}

function instance(text, imports) {
  const code = Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0));
  return new WebAssembly.Instance(new WebAssembly.Module(code), imports).exports;
}

// The best way that works here, and its search.
function choose(rounds) {
  const ways = [["js", searchPlainly]];
  try {
    const base = instance(WASM);
    // Places are told in cachewalk.wat.
    const tables = new Int32Array(base.memory.buffer, 0x40000);
    tables.set(H);
    tables.set(K, 16);
    tables.set(seed, 80);
    tables[89] = tables[168] = 1 << 31;
    tables[95] = 288;
    tables[175] = 256;
    const by = ({ search }) => (...task) => [...new Uint32Array(base.memory.buffer, 0x40400, search(...task))];
    ways.push(["wasm", by(base)]);
    if (rounds === 4096) ways.push(["simd", by(instance(SIMD, { "": base }))]);
  } catch {
    // Without WebAssembly, without SIMD, or not allowed.
  }
  return ways.pop();
}

self.onmessage = ({ data: { challenge, difficulty, rounds, first, step } }) => {
  const most = Math.floor(2 ** 32 / difficulty) - 1;
  // terminate() takes effect between tasks only, and a message to oneself is
  // the way to end a task that browsers do not slow down.
  const { port1, port2 } = new MessageChannel();
  setSeed(challenge);
  const [way, search] = choose(rounds);
  let nonce = first, count = 1, tried = 0, spent = 0, slow = false;
  port1.onmessage = () => {
    const began = performance.now();
    const found = search(nonce, step, count, rounds, most);
    const time = performance.now() - began;
    const trials = count;
    nonce += step * trials;
    // The first trial waits for the compiler.
    if (tried && tried <= 16) slow = (spent += time) > tried + trials - 1 && tried + trials > 16;
    tried += trials;
    // A task ends after some 10 ms, and after 20 at most.
    if (time > 10) count = Math.ceil(count / 2);
    else if (time < 5 && count < 256) count *= 2;
    self.postMessage({ trials, found, way, slow });
    port2.postMessage(0);
  };
  port2.postMessage(0);
};
