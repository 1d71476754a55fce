// Colours: those of page.css for light or dark as the system is set, and one per function for its calls.

const theme = {};
const dark = window.matchMedia('(prefers-color-scheme: dark)');
function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['paper', 'back', 'ink', 'quiet', 'line', 'accent', 'band', 'process', 'busy', 'match', 'hit', 'gap', 'mark', 'gc', 'call-ink', 'wait', 'stripe', 'shade'])
    theme[name] = style.getPropertyValue('--' + name).trim();
}
// #rrggbb as a pixel of the canvas (ABGR).
function hexPixel(hex) {
  const v = parseInt(hex.slice(1), 16);
  return (255 << 24 | (v & 255) << 16 | (v & 0xff00) | v >> 16) >>> 0;
}
function pixel(h, s, l) {
  const f = n => {
    const k = (n + h / 30) % 12, a = s * Math.min(l, 1 - l);
    return Math.round(255 * (l - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return (255 << 24 | f(4) << 16 | f(8) << 8 | f(0)) >>> 0;
}
function hue(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return (h >>> 0) % 360;
}

// By name: of the inside and of the left edge. paper, band, stripe: pixels of the timeline around them.
const paint = {colors: new Uint32Array(0), edges: new Uint32Array(0), paper: 0, band: 0, stripe: 0};
function makeColors() {
  const {trace, matched} = state;
  for (const name of ['paper', 'band', 'stripe']) paint[name] = hexPixel(theme[name]);
  paint.colors = new Uint32Array(trace.names.length);
  paint.edges = new Uint32Array(trace.names.length);
  trace.names.forEach((name, i) => {
    const [s, l] = matched ? [0.1, dark.matches ? 0.24 : 0.9] : name.c ? [0.18, dark.matches ? 0.36 : 0.8] : [dark.matches ? 0.42 : 0.55, dark.matches ? 0.4 : 0.74];
    const h = hue(name.short), hit = matched && matched[i];
    paint.colors[i] = hit ? hexPixel(theme.match) : name.waits && !matched ? hexPixel(theme.wait) : pixel(h, s, l);
    paint.edges[i] = hit ? pixel(35, 1, 0.42) : pixel(h, s, l - (dark.matches ? 0.1 : 0.16));
  });
}
