// Moving over the timeline, and what stands where on it: rows, calls, marks, callers and neighbours of a call.

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
  reveal(track);
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
  if (!row || !row.track || row.track.folded || x < labelWidth) return null;
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

