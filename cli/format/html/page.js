// The timeline: drawing, moving, choosing, searching. All text of a trace goes through textContent or fillText.
// Level of detail: a lane is drawn by pixel; what ends within a pixel that is painted already is jumped over by binary search.

const $ = id => document.getElementById(id);
const LABELS = 210, RULER = 26, HEADER = 20, LANE = 17, PAD = 5; // css pixels
const SHORTEST = 20;                                              // ns in view at least
const state = {
  trace: null, t0: 0, t1: 1, y: 0, height: 0, rows: [], selected: null, hover: null, range: null,
  query: '', matched: null, nmatches: 0, sort: 'self', function: -1, dirty: true, overview: null,
};

// ---- text ----
const group = n => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, ',');
const plural = (n, what) => `${group(n)} ${what}${n === 1 ? '' : 's'}`;
function timeText(ns) {
  const a = Math.abs(ns);
  if (a >= 1e9) return (ns / 1e9).toFixed(a >= 1e10 ? 2 : 3) + ' s';
  if (a >= 1e6) return (ns / 1e6).toFixed(a >= 1e8 ? 1 : a >= 1e7 ? 2 : 3) + ' ms';
  if (a >= 1e3) return (ns / 1e3).toFixed(a >= 1e5 ? 1 : 2) + ' \u00b5s';
  return Math.round(ns) + ' ns';
}
function add(parent, tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  parent.append(e);
  return e;
}

// ---- colours ----
function hue(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return (h >>> 0) % 360;
}
function pixel(h, s, l) { // ABGR
  const f = n => {
    const k = (n + h / 30) % 12, a = s * Math.min(l, 1 - l);
    return Math.round(255 * (l - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return (255 << 24 | f(4) << 16 | f(8) << 8 | f(0)) >>> 0;
}
const WHITE = 0xffffffff, BAND = pixel(220, 0.16, 0.955), MATCH = pixel(35, 1, 0.56);
let colors = new Uint32Array(0), edges = new Uint32Array(0);
function makeColors() {
  const {trace, matched} = state;
  colors = new Uint32Array(trace.names.length);
  edges = new Uint32Array(trace.names.length);
  trace.names.forEach((name, i) => {
    const h = hue(name.short), pale = matched && !matched[i];
    const [s, l] = pale ? [0.1, 0.9] : name.c ? [0.18, 0.8] : [0.55, 0.74];
    colors[i] = matched && matched[i] ? MATCH : pixel(h, s, l);
    edges[i] = matched && matched[i] ? pixel(35, 1, 0.42) : pixel(h, s, l - 0.16);
  });
}

// ---- layout ----
function layout() {
  let y = 0;
  state.rows = [];
  state.trace.processes.forEach((process, p) => {
    const tracks = state.trace.tracks.filter(t => t.process === p && (t.n || t.gaps.length || t.marks.length || t.counters.length));
    if (!tracks.length) return;
    if (state.trace.processes.length > 1) {
      state.rows.push({y, height: HEADER, process});
      y += HEADER;
    }
    for (const track of tracks) {
      const height = HEADER + (track.folded ? 0 : track.depths * LANE + PAD);
      track.y = y;
      state.rows.push({y, height, track});
      y += height;
    }
  });
  state.height = y;
}
function orderTracks() {
  const {tracks, processes} = state.trace;
  const rank = t => [t.process, t.tid !== processes[t.process].pid, t.tid, t.tasks !== undefined];
  tracks.sort((a, b) => {
    const x = rank(a), y = rank(b);
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
  });
}

// ---- drawing ----
const canvas = $('timeline'), ctx = canvas.getContext('2d', {alpha: false});
let ratio = 1, wide = 1, high = 1, image = null, pixels = null, line = null; // device pixels
const left = () => Math.round(LABELS * ratio);
const span = () => state.t1 - state.t0;
const toX = t => LABELS + (t - state.t0) / span() * (canvas.clientWidth - LABELS);
const toTime = x => state.t0 + (x - LABELS) / (canvas.clientWidth - LABELS) * span();
const MONO = '11px ui-monospace, "DejaVu Sans Mono", Menlo, monospace', SANS = '12px system-ui, "DejaVu Sans", sans-serif';
let charWidth = 6.6;

function resize() {
  ratio = window.devicePixelRatio || 1;
  wide = Math.max(LABELS + 50, Math.round(canvas.clientWidth * ratio));
  high = Math.max(RULER + 20, Math.round(canvas.clientHeight * ratio));
  canvas.width = wide;
  canvas.height = high;
  image = new ImageData(wide, high);
  pixels = new Uint32Array(image.data.buffer);
  line = new Uint32Array(wide);
  ctx.font = MONO;
  charWidth = ctx.measureText('mmmmmmmmmm').width / 10 || 6.6;
  state.overview = null;
  clampY();
  redraw();
}

// One lane into `line`; calls that have room for text into texts.
function paintLane(track, lane, y, texts) {
  const {laneStart, laneEnd, laneCall, fn} = track, {t0, t1} = state;
  const to = track.laneAt[lane + 1], first = left(), scale = (wide - first) / (t1 - t0);
  const textWidth = 26 * ratio;
  let k = firstAbove(laneEnd, track.laneAt[lane], to, t0);
  line.fill(WHITE, first);
  while (k < to && laneStart[k] < t1) {
    const id = fn[laneCall[k]];
    const x0 = first + (laneStart[k] - t0) * scale, x1 = first + (laneEnd[k] - t0) * scale;
    const a = Math.max(first, Math.floor(x0)), b = Math.min(wide, Math.max(a + 1, Math.round(x1)));
    line.fill(colors[id], a, b);
    if (b - a > 2) {
      if (x0 >= first) line[a] = edges[id];
      if (b - a > textWidth) texts.push(a / ratio, b / ratio, y, id);
      k++;
    } else { // what ends before the next pixel cannot be seen
      const until = t0 + (b - first) / scale;
      k++;
      if (k < to && laneEnd[k] <= until) k = firstAbove(laneEnd, k, to, until);
    }
  }
}

function paint(yCss, heightCss, source, gap) {
  const from = Math.max(Math.round(RULER * ratio), Math.round(yCss * ratio)), first = left();
  const to = Math.min(high, Math.round((yCss + heightCss) * ratio) - gap);
  for (let y = from; y < to; y++) pixels.set(source.subarray(first), y * wide + first);
}

function drawTracks(texts) {
  const bottom = canvas.clientHeight;
  for (const row of state.rows) {
    const y = RULER + row.y - state.y;
    if (y + row.height < RULER || y > bottom) continue;
    line.fill(BAND);
    paint(y, HEADER, line, 0);
    const track = row.track;
    if (!track || track.folded) continue;
    const from = Math.max(0, Math.floor((RULER - y - HEADER) / LANE));
    const to = Math.min(track.depths, Math.ceil((bottom - y - HEADER) / LANE));
    for (let lane = from; lane < to; lane++) {
      const at = y + HEADER + lane * LANE;
      paintLane(track, lane, at, texts);
      paint(at, LANE, line, 1);
    }
  }
}

function drawTexts(texts) {
  ctx.font = MONO;
  ctx.fillStyle = '#1b1f27';
  ctx.textBaseline = 'middle';
  for (let i = 0; i < texts.length; i += 4) {
    const room = Math.floor((texts[i + 1] - texts[i] - 6) / charWidth), name = state.trace.names[texts[i + 3]];
    const text = name.short.length <= room ? name.short : name.last;
    if (room < 2) continue;
    ctx.fillText(text.length <= room ? text : text.slice(0, room - 1) + '\u2026', texts[i] + 3, texts[i + 2] + LANE / 2);
  }
}

// Gaps, marks and garbage collections stand in the band of their thread.
function drawMarks(track, y) {
  const {t0, t1} = state;
  let since = null;
  for (const c of track.counters) {
    if (c.collecting) since = c.ns;
    else if (since !== null) {
      const a = Math.max(toX(since), LABELS), b = toX(c.ns);
      ctx.fillStyle = '#2f9e6e';
      if (b >= LABELS && since <= t1) ctx.fillRect(a, y + HEADER - 6, Math.max(b - a, 1.5), 4);
      since = null;
    }
  }
  ctx.fillStyle = '#7a4cc2';
  for (const mark of track.marks)
    if (mark.ns >= t0 && mark.ns <= t1) {
      const x = toX(mark.ns);
      ctx.beginPath();
      ctx.moveTo(x, y + 4), ctx.lineTo(x + 4, y + 8), ctx.lineTo(x, y + 12), ctx.lineTo(x - 4, y + 8);
      ctx.fill();
    }
  ctx.fillStyle = '#d1242f';
  for (const gap of track.gaps)
    if (gap.ns >= t0 && gap.ns <= t1) {
      const x = toX(gap.ns);
      ctx.fillRect(x, y, 1, track.folded ? HEADER : HEADER + track.depths * LANE);
      ctx.beginPath();
      ctx.moveTo(x - 5, y + 2), ctx.lineTo(x + 6, y + 2), ctx.lineTo(x + 0.5, y + 10);
      ctx.fill();
    }
}

function cut(text, width) {
  if (ctx.measureText(text).width <= width) return text;
  while (text.length > 1 && ctx.measureText(text + '\u2026').width > width) text = text.slice(0, Math.max(1, text.length - 1 - (text.length >> 3)));
  return text + '\u2026';
}

function drawLabels() {
  ctx.fillStyle = '#fff';
  ctx.fillRect(0, RULER, LABELS, canvas.clientHeight);
  ctx.textBaseline = 'middle';
  for (const row of state.rows) {
    const y = RULER + row.y - state.y;
    if (y + row.height < RULER || y > canvas.clientHeight) continue;
    ctx.fillStyle = row.process ? '#dde3ee' : '#eef1f6';
    ctx.fillRect(0, y, LABELS, HEADER);
    ctx.fillStyle = '#1f2430';
    ctx.font = (row.process ? 'bold ' : '') + SANS;
    if (row.process) {
      ctx.fillText(cut(`${plain(row.process.name) || 'process'} ${row.process.pid}`, LABELS - 16), 8, y + HEADER / 2);
      continue;
    }
    const track = row.track, indent = track.tasks ? 22 : 8;
    ctx.fillText((track.folded ? '\u25b8 ' : '\u25be ') + cut(track.label, LABELS - 80 - indent), indent, y + HEADER / 2);
    ctx.fillStyle = '#7b8494';
    ctx.textAlign = 'right';
    ctx.font = '11px system-ui, "DejaVu Sans", sans-serif';
    ctx.fillText(track.tasks ? 'asyncio' : String(track.tid), LABELS - 8, y + HEADER / 2);
    ctx.textAlign = 'left';
  }
}

function drawRuler() {
  const width = canvas.clientWidth - LABELS, rough = span() / Math.max(2, width / 110);
  let step = 10 ** Math.floor(Math.log10(rough));
  step *= rough / step > 5 ? 10 : rough / step > 2 ? 5 : rough / step > 1 ? 2 : 1;
  step = Math.max(step, 1);
  ctx.fillStyle = '#f7f8fa';
  ctx.fillRect(0, 0, canvas.clientWidth, RULER);
  ctx.font = '11px system-ui, "DejaVu Sans", sans-serif';
  ctx.textBaseline = 'middle';
  for (let t = Math.ceil(state.t0 / step) * step; t <= state.t1; t += step) {
    const x = toX(t);
    ctx.fillStyle = '#c3c9d3';
    ctx.fillRect(x, RULER - 7, 1, 7);
    ctx.fillStyle = '#0000000a';
    ctx.fillRect(x, RULER, 1, canvas.clientHeight);
    ctx.fillStyle = '#5d6675';
    ctx.fillText(step >= 1e6 ? timeText(t) : tickText(t, step), x + 3, RULER / 2 - 2);
  }
  ctx.fillStyle = '#5d6675';
  ctx.fillText(timeText(span()) + ' in view', 8, RULER / 2 - 2);
  ctx.fillStyle = '#d6dae1';
  ctx.fillRect(0, RULER - 1, canvas.clientWidth, 1);
}
// Fine ticks: the digits that differ.
function tickText(t, step) {
  const digits = Math.min(6, Math.max(0, Math.ceil(-Math.log10(step / 1e6))));
  return (t / 1e6).toFixed(digits) + ' ms';
}

function drawRange() {
  if (!state.range) return;
  const a = toX(Math.min(...state.range)), b = toX(Math.max(...state.range));
  ctx.fillStyle = '#2457c522';
  ctx.fillRect(a, 0, b - a, canvas.clientHeight);
  ctx.fillStyle = '#2457c5';
  ctx.font = 'bold 12px system-ui, "DejaVu Sans", sans-serif';
  ctx.fillText(timeText(Math.abs(state.range[1] - state.range[0])), Math.max(a, LABELS) + 4, RULER + 10);
}

function outline(call, style, width) {
  if (!call) return;
  const {track, index} = call, y = RULER + track.y - state.y + HEADER + track.depth[index] * LANE;
  const a = Math.max(toX(track.start[index]), LABELS - 3), b = Math.min(toX(track.start[index] + track.dur[index]), canvas.clientWidth + 3);
  if (track.folded || b < LABELS || a > canvas.clientWidth) return;
  ctx.strokeStyle = style;
  ctx.lineWidth = width;
  ctx.strokeRect(a, y, Math.max(b - a, 2), LANE - 1);
}

function drawOverview() {
  const c = $('overview'), g = c.getContext('2d'), w = Math.max(10, c.clientWidth), h = c.clientHeight;
  if (!state.overview || state.overview.width !== w) {
    const bins = new Float64Array(w - LABELS), hits = new Uint8Array(w - LABELS), per = bins.length / state.trace.end;
    for (const track of state.trace.tracks)
      for (let i = 0; i < track.n; i++) {
        const bin = Math.min(bins.length - 1, Math.floor(track.start[i] * per));
        bins[bin]++;
        if (state.matched && state.matched[track.fn[i]]) hits[bin] = 1;
      }
    state.overview = {width: w, bins, hits, most: bins.reduce((a, b) => Math.max(a, b), 1)};
  }
  c.width = Math.round(w * ratio);
  c.height = Math.round(h * ratio);
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.fillStyle = '#fff';
  g.fillRect(0, 0, w, h);
  g.font = '11px system-ui, "DejaVu Sans", sans-serif';
  g.fillStyle = '#7b8494';
  g.fillText('calls over time', 8, 18);
  const {bins, hits, most} = state.overview;
  for (let i = 0; i < bins.length; i++) {
    if (!bins[i]) continue;
    const tall = Math.max(1, (h - 8) * Math.sqrt(bins[i] / most));
    g.fillStyle = hits[i] ? '#ff9f1c' : '#8fa8d6';
    g.fillRect(LABELS + i, h - tall, 1, tall);
  }
  const x = t => LABELS + t / state.trace.end * bins.length, a = Math.max(LABELS, x(state.t0)), b = Math.min(w, Math.max(x(state.t1), a + 2));
  g.fillStyle = '#1f243014';
  g.fillRect(LABELS, 0, a - LABELS, h);
  g.fillRect(b, 0, w - b, h);
  g.strokeStyle = '#2457c5';
  g.strokeRect(a + 0.5, 0.5, Math.max(1, b - a - 1), h - 1);
}

function draw() {
  const texts = [];
  pixels.fill(WHITE);
  drawTracks(texts);
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.putImageData(image, 0, 0);
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.textAlign = 'left';
  ctx.save();
  ctx.beginPath();
  ctx.rect(LABELS, RULER, canvas.clientWidth, canvas.clientHeight);
  ctx.clip();
  drawTexts(texts);
  for (const row of state.rows) {
    const y = RULER + row.y - state.y;
    if (row.track && y + row.height >= RULER && y <= canvas.clientHeight) drawMarks(row.track, y);
  }
  outline(state.hover, '#1f243088', 1);
  outline(state.selected, '#101318', 2);
  ctx.restore();
  drawLabels();
  drawRuler();
  drawRange();
  drawOverview();
  const thumb = $('thumb'), room = canvas.clientHeight - RULER, bar = $('bar').clientHeight;
  thumb.hidden = state.height <= room;
  thumb.style.height = Math.max(20, bar * room / Math.max(1, state.height)) + 'px';
  thumb.style.top = (bar - thumb.clientHeight) * state.y / Math.max(1, state.height - room) + 'px';
}
function redraw() {
  if (state.dirty) return;
  state.dirty = true;
  requestAnimationFrame(() => {
    state.dirty = false;
    draw();
  });
}

// ---- moving ----
function clampY() {
  state.y = Math.max(0, Math.min(state.y, state.height - (canvas.clientHeight - RULER) + 20));
}
function setView(t0, t1) {
  const end = state.trace.end, margin = end * 0.02;
  let length = Math.max(SHORTEST, Math.min(t1 - t0, end + 2 * margin));
  const middle = (t0 + t1) / 2;
  t0 = Math.max(-margin, Math.min(middle - length / 2, end + margin - length));
  state.t0 = t0;
  state.t1 = t0 + length;
  redraw();
}
function zoom(factor, at) {
  setView(at - (at - state.t0) * factor, at + (state.t1 - at) * factor);
}
function moveTime(part) {
  setView(state.t0 + part * span(), state.t1 + part * span());
}
function moveY(px) {
  state.y += px;
  clampY();
  redraw();
}
function whole() {
  setView(0, state.trace.end);
}
function show(call, fit) {
  const {track, index} = call, start = track.start[index], dur = track.dur[index];
  if (track.folded) {
    track.folded = false;
    layout();
  }
  const y = track.y + HEADER + track.depth[index] * LANE, room = canvas.clientHeight - RULER;
  if (y < state.y + LANE || y > state.y + room - 2 * LANE) state.y = y - room / 2;
  clampY();
  if (fit) setView(start - dur * 0.1, start + dur * 1.1);
  else if (start < state.t0 || start > state.t1 || dur < span() / 200 || dur > span()) {
    const length = dur < span() / 200 ? dur * 60 : Math.max(span(), dur * 1.2);
    setView(start + dur / 2 - length / 2, start + dur / 2 + length / 2);
  }
  redraw();
}

// ---- what is where ----
function rowAt(y) {
  const at = y - RULER + state.y;
  return y < RULER ? undefined : state.rows.find(row => at >= row.y && at < row.y + row.height);
}
function callAt(x, y) {
  const row = rowAt(y);
  if (!row || !row.track || row.track.folded || x < LABELS) return null;
  const track = row.track, lane = Math.floor((y - RULER + state.y - row.y - HEADER) / LANE);
  if (lane < 0 || lane >= track.depths) return null;
  const slack = 2 * span() / canvas.clientWidth, t = toTime(x), to = track.laneAt[lane + 1];
  const k = firstAbove(track.laneEnd, track.laneAt[lane], to, t);
  if (k < to && track.laneStart[k] <= t) return {track, index: track.laneCall[k]};
  if (k < to && track.laneStart[k] <= t + slack) return {track, index: track.laneCall[k]};
  if (k > track.laneAt[lane] && track.laneEnd[k - 1] >= t - slack) return {track, index: track.laneCall[k - 1]};
  return null;
}
function markAt(x, y) {
  const row = rowAt(y);
  if (!row || !row.track || y - RULER + state.y - row.y > HEADER) return null;
  const near = list => list.find(m => Math.abs(toX(m.ns) - x) < 6);
  const gap = near(row.track.gaps), mark = near(row.track.marks);
  if (gap) return `${group(gap.count)} events dropped before ${timeText(gap.ns)}: the stack of this thread may be wrong here`;
  if (mark) return markText(mark);
  let since = null;
  for (const c of row.track.counters) {
    if (c.collecting) since = c;
    else if (since && x >= toX(since.ns) - 3 && x <= toX(c.ns) + 3)
      return `garbage collection, ${timeText(c.ns - since.ns)}: ${group(c.collected)} collected, ${group(c.uncollectable)} uncollectable`;
  }
  return null;
}
function markText(mark) {
  const text = utf8.decode(state.trace.bytes.subarray(mark.text[0], mark.text[0] + mark.text[1]));
  try {
    const m = JSON.parse(text);
    return `${m.name} at ${timeText(mark.ns)}${m.args ? ' ' + JSON.stringify(m.args).slice(0, 400) : ''}`;
  } catch (error) {
    return text.slice(0, 400);
  }
}

// Caller, or longest callee.
function callerOf({track, index}) {
  for (let i = index - 1; i >= 0; i--) if (track.depth[i] < track.depth[index]) return {track, index: i};
  return null;
}
function calleeOf({track, index}) {
  let best = null;
  for (let i = index + 1; i < track.n && track.depth[i] > track.depth[index]; i++)
    if (track.depth[i] === track.depth[index] + 1 && (!best || track.dur[i] > track.dur[best.index])) best = {track, index: i};
  return best;
}
// The next call in time with wanted(name), after (step 1) or before (-1) the given one.
function neighbour(from, step, wanted) {
  let best = null, bestKey = Infinity;
  state.trace.tracks.forEach((track, order) => {
    const start = from ? from.track.start[from.index] : step > 0 ? -1 : Infinity, own = from && from.track === track;
    let i = own ? from.index + step : step > 0 ? firstAbove(track.start, 0, track.n, start) : firstAbove(track.start, 0, track.n, start) - 1;
    for (; i >= 0 && i < track.n; i += step) {
      if (!wanted(track.fn[i])) continue;
      const key = Math.abs(track.start[i] - (from ? start : step > 0 ? 0 : state.trace.end)) + order * 1e-3;
      if (key < bestKey) bestKey = key, best = {track, index: i};
      break;
    }
  });
  return best;
}

// ---- panel ----
function select(call) {
  state.selected = call;
  openTab('selection');
  const box = $('details');
  box.textContent = '';
  $('source').textContent = '';
  redraw();
  if (!call) return void add(box, 'p', 'Click a call to see what it is. Wheel: zoom. Drag: move.', 'quiet');
  const {track, index} = call, name = state.trace.names[track.fn[index]], flags = track.flags.get(index) || 0;
  const process = state.trace.processes[track.process], start = track.start[index], dur = track.dur[index];
  add(box, 'h3', name.short);
  const table = add(box, 'table'), row = (key, text, plain) => {
    const tr = add(table, 'tr');
    add(tr, 'td', key);
    add(tr, 'td', text, plain ? '' : 'value');
  };
  row('duration', timeText(dur) + (flags & FLAG_OPEN ? ' (unfinished: still open when tracing ended)' : ''), true);
  row('self time', `${timeText(track.self[index])}${dur ? ` (${(100 * track.self[index] / dur).toFixed(1)} %)` : ''}`, true);
  row('start', `${timeText(start)}${wallTime(', at ', start)}${flags & FLAG_FROM_ATTACH ? ' (was open when tracing began)' : ''}`, true);
  if (flags & FLAG_RAISED) row('left by', 'an exception', true);
  if (!name.c) row('place', `${name.place}:${name.line}`);
  if (track.tasks) row('task', taskOf(track, index), true);
  row('thread', `${track.label}, tid ${track.tid}, pid ${process.pid}, depth ${track.depth[index] + 1}`, true);
  const f = state.trace.functions[track.fn[index]];
  row('function', `${plural(f.calls + f.folded, 'call')}, ${timeText(f.self)} self, ${timeText(f.total)} in all`, true);
  const detail = track.details.get(index);
  if (detail) for (const [key, text] of readDetail(state.trace, detail)) row(key, text);
  const fold = track.folds.get(index);
  if (fold) {
    row('folded', `${plural(fold.calls, 'short call')} below, ${timeText(fold.ns)}, counted but not drawn:`, true);
    const others = fold.calls - fold.functions.reduce((sum, part) => sum + part.calls, 0);
    for (const part of fold.functions) row('', `${group(part.calls)} \u00d7 ${state.trace.names[part.name].short}: ${timeText(part.ns)}`);
    if (others > 0) row('', `${group(others)} \u00d7 other functions`);
  }
  showSource(name);
}
// The date and time after a word; nothing when the trace does not say.
function wallTime(before, ns) {
  if (!state.trace.base) return '';
  const ms = (state.trace.base + state.trace.start + ns) / 1e6;
  return before + new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC');
}
function showSource(name) {
  const box = $('source');
  box.textContent = '';
  const file = !name.c && Object.hasOwn(state.trace.files, name.file) ? state.trace.files[name.file] : null;
  if (!file) return void add(box, 'p', name.c ? 'A function in C: no source here.' : 'The source text is not in this file.', 'quiet');
  add(box, 'div', name.place, 'name');
  const lines = file[0].split('\n'), from = Math.max(0, name.line - 200), to = Math.min(lines.length, name.line + 600);
  let here = null;
  for (let i = from; i < to; i++) {
    const row = add(box, 'div', undefined, i + 1 === name.line ? 'row here' : 'row');
    add(row, 'span', String(i + 1));
    add(row, 'span', lines[i]);
    if (i + 1 === name.line) here = row;
  }
  if (here) box.scrollTop = here.offsetTop - box.offsetTop - 40;
}

const columns = [['self', 'self time'], ['total', 'total'], ['calls', 'calls'], ['average', 'total / call'], ['longest', 'longest'], ['name', 'function']];
function showFunctions() {
  const {trace, matched} = state, head = $('functions').querySelector('thead'), body = $('functions').querySelector('tbody');
  const value = (f, key) => key === 'calls' ? f.calls + f.folded : key === 'average' ? (f.calls ? f.total / f.calls : 0) : f[key];
  const list = trace.functions.filter(f => f.calls + f.folded && (!matched || matched[f.id]));
  if (state.sort === 'name') list.sort((a, b) => trace.names[a.id].short < trace.names[b.id].short ? -1 : 1);
  else list.sort((a, b) => value(b, state.sort) - value(a, state.sort));
  head.textContent = body.textContent = '';
  const titles = add(head, 'tr');
  for (const [key, title] of columns)
    add(titles, 'th', title, key === state.sort ? 'on' : '').onclick = () => {
      state.sort = key;
      showFunctions();
    };
  for (const f of list.slice(0, 1000)) {
    const tr = add(body, 'tr', undefined, f.id === state.function ? 'on' : '');
    for (const [key] of columns.slice(0, -1)) add(tr, 'td', key === 'calls' ? group(value(f, key)) : timeText(value(f, key)));
    const td = add(tr, 'td', trace.names[f.id].short), name = trace.names[f.id];
    if (!name.c) add(td, 'span', `  ${name.place}:${name.line}`, 'place');
    tr.onclick = () => {
      state.function = f.id;
      search(name.full);
      const call = longest(f.id);
      if (call) select(call), show(call, false);
      openTab('functions');
    };
  }
  $('more').textContent = list.length > 1000 ? `and ${group(list.length - 1000)} more: search to narrow them down` : '';
}
function longest(id) {
  let best = null;
  for (const track of state.trace.tracks)
    for (let i = 0; i < track.n; i++)
      if (track.fn[i] === id && (!best || track.dur[i] > best.track.dur[best.index])) best = {track, index: i};
  return best;
}
function openTab(which) {
  for (const tab of ['selection', 'functions']) {
    $('tab-' + tab).classList.toggle('on', tab === which);
    $(tab).hidden = tab !== which;
  }
  if (which === 'functions') showFunctions();
}

// ---- search ----
function search(text) {
  const query = text.trim().toLowerCase(), {trace} = state;
  state.query = query;
  if ($('search').value.trim().toLowerCase() !== query) $('search').value = text;
  state.matched = null;
  state.nmatches = 0;
  if (query) {
    state.matched = Uint8Array.from(trace.names, name => name.full.toLowerCase().includes(query) ? 1 : 0);
    trace.functions.forEach(f => state.nmatches += state.matched[f.id] * f.calls);
  } else state.function = -1;
  $('matches').textContent = query ? group(state.nmatches) : '';
  makeColors();
  state.overview = null;
  if (!$('functions').hidden) showFunctions();
  redraw();
}
function step(direction) {
  if (!state.nmatches) return;
  const wanted = id => state.matched[id] === 1;
  const call = neighbour(state.selected, direction, wanted) || neighbour(null, direction, wanted);
  if (call) select(call), show(call, false);
}

// ---- input ----
function bind() {
  const point = e => [e.offsetX, e.offsetY];
  let drag = null, inside = 0;
  canvas.addEventListener('wheel', e => {
    e.preventDefault();
    const unit = e.deltaMode === 1 ? 20 : 1, dx = e.deltaX * unit, dy = e.deltaY * unit;
    if (e.altKey || e.offsetX < LABELS) return moveY(dy || dx);
    if (e.shiftKey || Math.abs(dx) > Math.abs(dy)) return moveTime((dx || dy) / canvas.clientWidth);
    zoom(Math.exp(Math.max(-200, Math.min(200, dy)) * 0.002), toTime(e.offsetX));
  }, {passive: false});
  canvas.addEventListener('pointerdown', e => {
    if (e.button !== 0) return;
    const [x, y] = point(e);
    canvas.focus();
    canvas.setPointerCapture(e.pointerId);
    drag = {x, y, t0: state.t0, t1: state.t1, top: state.y, moved: false, range: e.shiftKey ? toTime(x) : null};
  });
  canvas.addEventListener('pointermove', e => {
    const [x, y] = point(e);
    inside = x;
    if (!drag) return hover(e, x, y);
    if (Math.abs(x - drag.x) + Math.abs(y - drag.y) > 3) drag.moved = true;
    if (!drag.moved) return;
    $('tip').hidden = true;
    if (drag.range !== null) {
      state.range = [drag.range, toTime(x)];
      return redraw();
    }
    const by = (drag.x - x) / (canvas.clientWidth - LABELS) * (drag.t1 - drag.t0);
    state.y = drag.top + drag.y - y;
    clampY();
    setView(drag.t0 + by, drag.t1 + by);
  });
  canvas.addEventListener('pointerup', e => {
    const [x, y] = point(e), was = drag;
    drag = null;
    if (!was || was.moved) return;
    state.range = null;
    const row = rowAt(y);
    if (x < LABELS && row && row.track) {
      row.track.folded = !row.track.folded;
      layout();
      clampY();
      return redraw();
    }
    select(callAt(x, y));
  });
  canvas.addEventListener('dblclick', e => {
    const call = callAt(...point(e));
    if (call) show(call, true);
  });
  canvas.addEventListener('pointerleave', () => {
    state.hover = null;
    $('tip').hidden = true;
    redraw();
  });
  bindOverview();
  bindPanel();
  addEventListener('keydown', e => keys(e, () => inside > LABELS ? toTime(inside) : (state.t0 + state.t1) / 2));
  new ResizeObserver(resize).observe(canvas);
}
function hover(e, x, y) {
  const call = callAt(x, y), mark = call ? null : markAt(x, y), tip = $('tip'), before = state.hover;
  state.hover = call;
  tip.hidden = !call && !mark;
  if (call) tip.textContent = `${timeText(call.track.dur[call.index])}  ${state.trace.names[call.track.fn[call.index]].full.slice(0, 600)}`;
  if (mark) tip.textContent = mark;
  tip.style.left = Math.min(e.clientX + 14, Math.max(0, innerWidth - tip.offsetWidth - 8)) + 'px';
  tip.style.top = (e.clientY + 40 > innerHeight ? e.clientY - 34 : e.clientY + 16) + 'px';
  if (!!before !== !!call || (call && (call.track !== before.track || call.index !== before.index))) redraw();
}
function bindOverview() {
  const c = $('overview'), time = e => (e.offsetX - LABELS) / (c.clientWidth - LABELS) * state.trace.end;
  let from = null;
  c.addEventListener('pointerdown', e => {
    from = time(e);
    c.setPointerCapture(e.pointerId);
  });
  c.addEventListener('pointermove', e => {
    if (from !== null && Math.abs(time(e) - from) * c.clientWidth > 4 * state.trace.end) setView(Math.min(from, time(e)), Math.max(from, time(e)));
  });
  c.addEventListener('pointerup', e => {
    if (from !== null && Math.abs(time(e) - from) * c.clientWidth <= 4 * state.trace.end) setView(time(e) - span() / 2, time(e) + span() / 2);
    from = null;
  });
}
function bindPanel() {
  $('search').addEventListener('input', e => search(e.target.value));
  $('next').onclick = () => step(1);
  $('previous').onclick = () => step(-1);
  $('whole').onclick = whole;
  $('help-button').onclick = () => $('help').hidden = !$('help').hidden;
  $('tab-selection').onclick = () => openTab('selection');
  $('tab-functions').onclick = () => openTab('functions');
  const follow = (element, move) => element.addEventListener('pointerdown', down => {
    element.setPointerCapture(down.pointerId);
    const step = e => move(e, down), stop = () => {
      element.removeEventListener('pointermove', step);
      element.removeEventListener('pointerup', stop);
    };
    element.addEventListener('pointermove', step);
    element.addEventListener('pointerup', stop);
  });
  follow($('splitter'), e => $('panel').style.height = Math.max(40, Math.min(innerHeight - 260, innerHeight - e.clientY)) + 'px');
  follow($('thumb'), e => moveY(e.movementY * state.height / Math.max(1, $('bar').clientHeight)));
}
function keys(e, pointer) {
  const typing = e.target === $('search');
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === 'Escape') {
    if (typing) $('search').blur();
    $('help').hidden = true;
    state.range = null;
    search('');
    return select(null);
  }
  if (typing) {
    if (e.key === 'Enter') step(e.shiftKey ? -1 : 1);
    return;
  }
  const same = direction => {
    const s = state.selected, id = s && s.track.fn[s.index], call = s && neighbour(s, direction, n => n === id);
    if (call) select(call), show(call, false);
  };
  const go = call => call && (select(call), show(call, false));
  const actions = {
    w: () => zoom(0.7, pointer()), s: () => zoom(1 / 0.7, pointer()), a: () => moveTime(-0.15), d: () => moveTime(0.15),
    ArrowLeft: () => moveTime(-0.15), ArrowRight: () => moveTime(0.15), ArrowUp: () => moveY(-60), ArrowDown: () => moveY(60),
    PageUp: () => moveY(RULER - canvas.clientHeight), PageDown: () => moveY(canvas.clientHeight - RULER),
    f: () => state.selected && show(state.selected, true), 0: whole, Home: whole, ',': () => same(-1), '.': () => same(1),
    p: () => state.selected && go(callerOf(state.selected)), c: () => state.selected && go(calleeOf(state.selected)),
    '/': () => ($('search').focus(), $('search').select()), '?': () => $('help').hidden = !$('help').hidden, Enter: () => step(e.shiftKey ? -1 : 1),
  };
  const action = Object.hasOwn(actions, e.key) ? actions[e.key] : actions[e.key.toLowerCase()];
  if (!action || !state.trace) return;
  e.preventDefault();
  action();
}

// ---- start ----
function describe() {
  const {trace} = state, t = trace.totals, threads = trace.tracks.filter(track => track.n && !track.tasks).length;
  const process = trace.processes[0], notes = [];
  $('title').textContent = process ? `${plain(process.name) || 'Python'} (${trace.processes.length > 1 ? trace.processes.length + ' processes' : 'pid ' + process.pid})` : 'viztracer';
  document.title = $('title').textContent + ' - viztracer';
  $('summary').textContent = `${plural(trace.ncalls, 'call')} on ${plural(threads, 'thread')}, ${timeText(trace.end)}${wallTime(', from ', 0)}`;
  if (t.dropped) notes.push(`${plural(t.dropped, 'event')} dropped: red marks show where`);
  if (t.folded) notes.push(`${plural(t.folded, 'short call')} folded into their callers`);
  if (t.left_out) notes.push(`${plural(t.left_out, 'older call')} left out`);
  if (t.short_calls) notes.push(`${plural(t.short_calls, 'shorter call')} left out`);
  if (trace.limit) notes.push(trace.limit);
  if (trace.cut_off) notes.push('the trace has no end: its writer died');
  if (trace.damage) notes.push('damaged: ' + trace.damage);
  $('warning').textContent = notes.join('; ');
  $('warning').title = notes.join('\n');
}
function told(call) {
  const {track, index} = call, name = state.trace.names[track.fn[index]];
  return {
    name: name.full, file: name.c ? null : name.file, line: name.line, start: track.start[index], duration: track.dur[index],
    self: track.self[index], depth: track.depth[index], tid: track.tid, thread: track.label, task: taskOf(track, index), track: state.trace.tracks.indexOf(track), index,
  };
}
// For tests and for the console: times in ns since the start of the trace.
const viztracer = window.viztracer = {
  error: null,
  ready: null,
  search(text, most = 1000) { // calls of the functions that hold this text, as the search box finds them
    const found = [];
    search(text);
    for (const track of state.trace.tracks)
      for (let i = 0; state.matched && i < track.n && found.length < most; i++) if (state.matched[track.fn[i]]) found.push(told({track, index: i}));
    return found;
  },
  select(track, index) { select({track: state.trace.tracks[track], index}); },
  selection: () => state.selected && told(state.selected),
  next: () => step(1),
  zoom: setView,
  view: () => [state.t0, state.t1],
  place(track, index) { // of a call's left end and its lane, in pixels of the window
    const t = state.trace.tracks[track], box = canvas.getBoundingClientRect();
    return {
      x: box.left + toX(t.start[index]), width: t.dur[index] / span() * (canvas.clientWidth - LABELS),
      y: box.top + RULER + t.y - state.y + HEADER + t.depth[index] * LANE + LANE / 2,
    };
  },
  summary: () => ({calls: state.trace.ncalls, end: state.trace.end, totals: state.trace.totals, matches: state.nmatches,
    tracks: state.trace.tracks.map(t => ({tid: t.tid, name: t.label, calls: t.n, depths: t.depths, gaps: t.gaps.length, marks: t.marks.length}))}),
  functions: () => state.trace.functions.map(f => ({...f, name: state.trace.names[f.id].full})),
  draw() { // one picture now; ms that it took
    const began = performance.now();
    draw();
    return performance.now() - began;
  },
};

async function main() {
  if (typeof DecompressionStream !== 'function') throw new Error('this browser is too old: it has no DecompressionStream');
  state.trace = readTrace(await unpack());
  orderTracks();
  makeColors();
  layout();
  describe();
  state.t1 = state.trace.end;
  state.dirty = false;
  bind();
  whole();
  resize();
}
viztracer.ready = main().then(() => 'ready', error => {
  viztracer.error = String(error);
  $('summary').textContent = '';
  $('warning').textContent = 'The trace in this page cannot be read: ' + (error.message || error);
  throw error;
});
viztracer.ready.catch(() => {});
