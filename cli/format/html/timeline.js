// Draws the timeline. Level of detail: a lane is drawn by pixel; what ends within a pixel that is painted already is jumped over by
// binary search. Calls that wait have stripes, unfinished ones are cut by thin lines of the paper.

const canvas = $('timeline'), ctx = canvas.getContext('2d', {alpha: false});
let ratio = 1, wide = 1, high = 1, image = null, pixels = null, line = null; // device pixels
let labelWidth = 210;
const left = () => Math.round(labelWidth * ratio);
const span = () => state.t1 - state.t0;
const toX = t => labelWidth + (t - state.t0) / span() * (canvas.clientWidth - labelWidth);
const toTime = x => state.t0 + (x - labelWidth) / (canvas.clientWidth - labelWidth) * span();
const MONO = '11px ui-monospace, "DejaVu Sans Mono", Menlo, monospace', SMALL = '11px system-ui, "DejaVu Sans", sans-serif',
  SANS = '12px system-ui, "DejaVu Sans", sans-serif';
let charWidth = 6.6;

function resize() {
  ratio = window.devicePixelRatio || 1;
  labelWidth = canvas.clientWidth < 640 ? 140 : 210;
  wide = Math.max(labelWidth + 50, Math.round(canvas.clientWidth * ratio));
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

// One lane into `line`; calls that have room for text into texts, those with a pattern into patterns.
const WAITS = 1, UNFINISHED = 2;
function paintLane(track, lane, y, texts, patterns) {
  const {laneStart, laneEnd, laneCall, fn} = track, {t0, t1} = state, {names} = state.trace, {colors, edges} = paint;
  const to = track.laneAt[lane + 1], first = left(), scale = (wide - first) / (t1 - t0);
  const textWidth = 26 * ratio;
  let k = firstAbove(laneEnd, track.laneAt[lane], to, t0);
  line.fill(paint.paper, first);
  while (k < to && laneStart[k] < t1) {
    const id = fn[laneCall[k]];
    const x0 = first + (laneStart[k] - t0) * scale, x1 = first + (laneEnd[k] - t0) * scale;
    const a = Math.max(first, Math.floor(x0)), b = Math.min(wide, Math.max(a + 1, Math.round(x1)));
    line.fill(colors[id], a, b);
    if (b - a > 2) {
      if (x0 >= first) line[a] = edges[id];
      if (b - a > textWidth) texts.push(a / ratio, b / ratio, y, id);
      if (names[id].waits) patterns.push(a + 1, b, WAITS);
      else if (track.flags.size && (track.flags.get(laneCall[k]) & FLAG_OPEN)) patterns.push(a + 1, b, UNFINISHED);
      k++;
    } else { // what ends before the next pixel cannot be seen
      const until = t0 + (b - first) / scale;
      k++;
      if (k < to && laneEnd[k] <= until) k = firstAbove(laneEnd, k, to, until);
    }
  }
}

function paintRows(yCss, heightCss, source, gap, patterns) {
  const from = Math.max(Math.round(RULER * ratio), Math.round(yCss * ratio)), first = left();
  const to = Math.min(high, Math.round((yCss + heightCss) * ratio) - gap), period = Math.round(8 * ratio), thick = Math.round(3 * ratio), thin = Math.max(1, Math.round(ratio));
  for (let y = from; y < to; y++) {
    pixels.set(source.subarray(first), y * wide + first);
    for (let i = 0; i < patterns.length; i += 3)
      for (let x = patterns[i]; x < patterns[i + 1]; x++)
        if (patterns[i + 2] === WAITS) {
          if ((x + y) % period < thick) pixels[y * wide + x] = paint.stripe;
        } else if ((x - y + 65536 * period) % period < thin) pixels[y * wide + x] = paint.paper;
  }
}

function drawTracks(texts) {
  const bottom = canvas.clientHeight;
  for (const row of state.rows) {
    const y = RULER + row.y - state.y;
    if (y + row.height < RULER || y > bottom) continue;
    line.fill(paint.band);
    paintRows(y, HEADER, line, 0, []);
    const track = row.track;
    if (!track || track.folded) continue;
    const from = Math.max(0, Math.floor((RULER - y - HEADER) / LANE));
    const to = Math.min(track.depths, Math.ceil((bottom - y - HEADER) / LANE));
    for (let lane = from; lane < to; lane++) {
      const at = y + HEADER + lane * LANE, patterns = [];
      paintLane(track, lane, at, texts, patterns);
      paintRows(at, LANE, line, 1, patterns);
    }
  }
}

function drawTexts(texts) {
  ctx.font = MONO;
  ctx.fillStyle = theme['call-ink'];
  ctx.textBaseline = 'middle';
  for (let i = 0; i < texts.length; i += 4) {
    const room = Math.floor((texts[i + 1] - texts[i] - 6) / charWidth), name = state.trace.names[texts[i + 3]];
    if (room < 2) continue;
    const text = fitName(name.short, room), y = texts[i + 2];
    if (name.waits) { // the stripes would run through the letters
      ctx.fillStyle = theme.wait;
      ctx.fillRect(texts[i] + 2, y, text.length * charWidth + 2, LANE - 1);
      ctx.fillStyle = theme['call-ink'];
    }
    ctx.fillText(text, texts[i] + 3, y + LANE / 2);
  }
}

// Gaps, marks and garbage collections stand in the band of their thread.
function drawMarks(track, y) {
  const {t0, t1} = state;
  let since = null;
  for (const c of track.counters) {
    if (c.collecting) since = c.ns;
    else if (since !== null) {
      const a = Math.max(toX(since), labelWidth), b = toX(c.ns);
      ctx.fillStyle = theme.gc;
      if (b >= labelWidth && since <= t1) ctx.fillRect(a, y + HEADER - 6, Math.max(b - a, 1.5), 4);
      since = null;
    }
  }
  ctx.fillStyle = theme.mark;
  for (const mark of track.marks)
    if (mark.ns >= t0 && mark.ns <= t1) {
      const x = toX(mark.ns);
      ctx.beginPath();
      ctx.moveTo(x, y + 4), ctx.lineTo(x + 4, y + 8), ctx.lineTo(x, y + 12), ctx.lineTo(x - 4, y + 8);
      ctx.fill();
    }
  ctx.fillStyle = theme.gap;
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
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, RULER, labelWidth, canvas.clientHeight);
  ctx.textBaseline = 'middle';
  for (const row of state.rows) {
    const y = RULER + row.y - state.y;
    if (y + row.height < RULER || y > canvas.clientHeight) continue;
    ctx.fillStyle = row.process ? theme.process : theme.band;
    ctx.fillRect(0, y, labelWidth, HEADER);
    ctx.fillStyle = theme.ink;
    ctx.font = (row.process ? 'bold ' : '') + SANS;
    if (row.process) {
      ctx.fillText(cut(`${plain(row.process.name) || 'process'} ${row.process.pid}`, labelWidth - 16), 8, y + HEADER / 2);
      continue;
    }
    if (row.idle) {
      ctx.fillStyle = theme.quiet;
      ctx.fillText((row.of.idleOpen ? '\u25be ' : '\u25b8 ') + plural(row.idle.length, 'idle thread'), 8, y + HEADER / 2);
      continue;
    }
    const track = row.track, indent = track.tasks ? 22 : 8, fold = track.folded ? '\u25b8 ' : '\u25be ';
    ctx.fillStyle = theme.quiet;
    ctx.textAlign = 'right';
    ctx.font = SMALL;
    const note = track.tasks ? 'asyncio' : track.pool ? `${track.pool.length} threads` : String(track.tid), used = ctx.measureText(note).width;
    ctx.fillText(note, labelWidth - 8, y + HEADER / 2);
    ctx.textAlign = 'left';
    ctx.fillStyle = track.idle ? theme.quiet : theme.ink;
    ctx.font = SANS;
    ctx.fillText(fold + cut(track.label, labelWidth - used - 32 - indent), indent, y + HEADER / 2);
  }
}

function drawRuler() {
  const width = canvas.clientWidth - labelWidth, rough = span() / Math.max(2, width / 110);
  let step = 10 ** Math.floor(Math.log10(rough));
  step *= rough / step > 5 ? 10 : rough / step > 2 ? 5 : rough / step > 1 ? 2 : 1;
  step = Math.max(step, 1);
  ctx.fillStyle = theme.back;
  ctx.fillRect(0, 0, canvas.clientWidth, RULER);
  ctx.font = SMALL;
  ctx.textBaseline = 'middle';
  for (let t = Math.ceil(state.t0 / step) * step; t <= state.t1; t += step) {
    const x = toX(t);
    ctx.fillStyle = theme.line;
    ctx.fillRect(x, RULER - 7, 1, 7);
    ctx.fillStyle = theme.shade;
    ctx.fillRect(x, RULER, 1, canvas.clientHeight);
    ctx.fillStyle = theme.quiet;
    ctx.fillText(step >= 1e6 ? timeText(t) : tickText(t, step), x + 3, RULER / 2 - 2);
  }
  ctx.fillStyle = theme.quiet;
  ctx.fillText(timeText(span()) + ' in view', 8, RULER / 2 - 2);
  ctx.fillStyle = theme.line;
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
  ctx.fillStyle = theme.accent + '22';
  ctx.fillRect(a, 0, b - a, canvas.clientHeight);
  ctx.fillStyle = theme.accent;
  ctx.font = 'bold 12px system-ui, "DejaVu Sans", sans-serif';
  ctx.fillText(timeText(Math.abs(state.range[1] - state.range[0])), Math.max(a, labelWidth) + 4, RULER + 10);
}

function outline(call, style, width) {
  if (!call) return;
  const {track, index} = call, y = RULER + track.y - state.y + HEADER + track.depth[index] * LANE;
  const a = Math.max(toX(track.start[index]), labelWidth - 3), b = Math.min(toX(track.start[index] + track.dur[index]), canvas.clientWidth + 3);
  if (track.hidden || track.folded || b < labelWidth || a > canvas.clientWidth) return;
  ctx.strokeStyle = style;
  ctx.lineWidth = width;
  ctx.strokeRect(a, y, Math.max(b - a, 2), LANE - 1);
}

function draw() {
  const texts = [];
  pixels.fill(paint.paper);
  drawTracks(texts);
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.putImageData(image, 0, 0);
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.textAlign = 'left';
  ctx.save();
  ctx.beginPath();
  ctx.rect(labelWidth, RULER, canvas.clientWidth, canvas.clientHeight);
  ctx.clip();
  drawTexts(texts);
  for (const row of state.rows) {
    const y = RULER + row.y - state.y;
    if (row.track && y + row.height >= RULER && y <= canvas.clientHeight) drawMarks(row.track, y);
  }
  outline(state.hover, theme.ink + '88', 1);
  outline(state.selected, theme.ink, 2);
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
