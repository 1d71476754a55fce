// Input: mouse and keys.

function bind() {
  const point = e => [e.offsetX, e.offsetY];
  let drag = null, inside = 0;
  canvas.addEventListener('wheel', e => {
    e.preventDefault();
    const unit = e.deltaMode === 1 ? 20 : 1, dx = e.deltaX * unit, dy = e.deltaY * unit;
    if (e.altKey || e.offsetX < labelWidth) return moveY(dy || dx);
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
    const by = (drag.x - x) / (canvas.clientWidth - labelWidth) * (drag.t1 - drag.t0);
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
    if (x < labelWidth && row && (row.track || row.idle)) {
      toggleRow(row);
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
  addEventListener('keydown', e => keys(e, () => inside > labelWidth ? toTime(inside) : (state.t0 + state.t1) / 2));
  new ResizeObserver(resize).observe(canvas);
}
function callTip({track, index}) {
  const name = state.trace.names[track.fn[index]], open = (track.flags.get(index) || 0) & FLAG_OPEN;
  return `${name.full.slice(0, 600)}  ${timeText(track.dur[index])}${name.waits ? ', waits' : ''}${open ? ', unfinished' : ''}`;
}
function hover(e, x, y) {
  const call = callAt(x, y), mark = call ? null : markAt(x, y), tip = $('tip'), before = state.hover;
  state.hover = call;
  tip.hidden = !call && !mark;
  if (call) tip.textContent = callTip(call);
  if (mark) tip.textContent = mark;
  tip.style.left = Math.min(e.clientX + 14, Math.max(0, innerWidth - tip.offsetWidth - 8)) + 'px';
  tip.style.top = (e.clientY + 40 > innerHeight ? e.clientY - 34 : e.clientY + 16) + 'px';
  if (!!before !== !!call || (call && (call.track !== before.track || call.index !== before.index))) redraw();
}
function bindPanel() {
  $('search').addEventListener('input', e => search(e.target.value));
  $('next').onclick = () => step(1);
  $('previous').onclick = () => step(-1);
  $('whole').onclick = whole;
  for (const which of ['exact', 'cased']) $(which).onclick = () => setSwitch(which, !state[which]);
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
  follow($('splitter'), e => { // one of both counts: beside each other or below
    const box = $('work').getBoundingClientRect(), room = (size, at) => Math.max(40, Math.min(size - 240, size - at)) + 'px';
    $('panel').style.width = room(box.width, e.clientX - box.left);
    $('panel').style.height = room(box.height, e.clientY - box.top);
  });
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
  if (e.target.tagName === 'BUTTON' && (e.key === 'Enter' || e.key === ' ')) return;
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
