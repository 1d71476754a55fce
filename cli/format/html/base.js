// What all parts of the page share: its state, and how numbers, times and names become text. All text of a trace goes through
// textContent or fillText.

const $ = id => document.getElementById(id);
const RULER = 26, HEADER = 20, LANE = 17, PAD = 5; // css pixels
const SHORTEST = 20;                               // ns in view at least
// query: what the search box says, found: the names it finds; function: the one chosen in the table, -1 = none; matched: what is
// highlighted, by name, of the one or the other.
const state = {
  trace: null, t0: 0, t1: 1, y: 0, height: 0, rows: [], selected: null, hover: null, range: null,
  query: '', exact: false, cased: false, found: null, matched: null, nmatches: 0, sort: 'self', function: -1, dirty: true, overview: null,
};

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

// The date and time after a word; nothing when the trace does not say.
function wallTime(before, ns) {
  if (!state.trace.base) return '';
  const ms = (state.trace.base + state.trace.start + ns) / 1e6;
  return before + new Date(ms).toISOString().replace('T', ' ').replace('Z', ' UTC');
}

// A name in at most `room` characters: outer qualifiers go first, then the middle of the nearest one; what is left keeps its beginning.
function fitName(text, room) {
  if (text.length <= room) return text;
  const parts = text.split('.').filter(part => part !== '<locals>'), last = parts[parts.length - 1];
  if (parts.length < 2) return text.slice(0, Math.max(1, room - 1)) + '\u2026';
  const owner = parts[parts.length - 2], near = owner + '.' + last, keep = room - last.length - 2;
  if (near.length < room) return '\u2026' + near;
  if (near.length === room) return near;
  if (keep >= 2) return `${owner.slice(0, keep)}\u2026.${last}`;
  return near.slice(0, Math.max(1, room - 1)) + '\u2026';
}
// The file of a path, with its folder where the name alone says little.
function shortPlace(name) {
  const parts = name.place.split('/'), file = parts[parts.length - 1];
  return `${/^__\w+__\.py$/.test(file) && parts.length > 1 ? parts[parts.length - 2] + '/' : ''}${file}:${name.line}`;
}
