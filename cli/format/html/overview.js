// The strip above the timeline: calls over the whole time, and which part of it is in view.

function drawOverview() {
  const c = $('overview'), g = c.getContext('2d'), w = Math.max(10, c.clientWidth), h = c.clientHeight;
  if (!state.overview || state.overview.width !== w) {
    const bins = new Float64Array(w - labelWidth), hits = new Uint8Array(w - labelWidth), per = bins.length / state.trace.end;
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
  g.fillStyle = theme.paper;
  g.fillRect(0, 0, w, h);
  g.font = SMALL;
  g.fillStyle = theme.quiet;
  g.fillText('calls over time', 8, 18);
  const {bins, hits, most} = state.overview;
  for (let i = 0; i < bins.length; i++) {
    if (!bins[i]) continue;
    const tall = Math.max(1, (h - 8) * Math.sqrt(bins[i] / most));
    g.fillStyle = hits[i] ? theme.match : theme.busy;
    g.fillRect(labelWidth + i, h - tall, 1, tall);
  }
  const x = t => labelWidth + t / state.trace.end * bins.length, a = Math.max(labelWidth, x(state.t0)), b = Math.min(w, Math.max(x(state.t1), a + 2));
  g.fillStyle = theme.ink + '18';
  g.fillRect(labelWidth, 0, a - labelWidth, h);
  g.fillRect(b, 0, w - b, h);
  g.strokeStyle = theme.accent;
  g.strokeRect(a + 0.5, 0.5, Math.max(1, b - a - 1), h - 1);
}

function bindOverview() {
  const c = $('overview'), time = e => (e.offsetX - labelWidth) / (c.clientWidth - labelWidth) * state.trace.end;
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
