// The loss of a run as a picture: every step as a dot, and their running mean as a line. Loss differs from step to step by the noise level
// that the step happened to draw, so the dots scatter; the line is what falls.
import sharp from 'sharp';
import { letters, textWidth } from './letters.mjs';

const W = 960;
const H = 480;
const LEFT = 84;
const RIGHT = 24;
const TOP = 64;
const BOTTOM = 56;

/** @param steps {step, loss}[], in order */
export async function lossCurve(steps, title) {
  const mean = runningMean(
    steps.map(({ loss }) => loss),
    Math.max(1, Math.round(steps.length / 12)),
  );
  const last = steps.at(-1).step;
  const ticks = niceTicks(Math.max(...steps.map(({ loss }) => loss)));
  const top = ticks.at(-1);
  const x = (step) => LEFT + ((W - LEFT - RIGHT) * step) / last;
  const y = (loss) => H - BOTTOM - ((H - TOP - BOTTOM) * loss) / top;
  const parts = [letters(title, LEFT, 22)];
  for (const tick of ticks) {
    const text = String(Number(tick.toPrecision(3)));
    parts.push(
      `<path d="M${LEFT} ${y(tick)}H${W - RIGHT}" stroke="#ddd8cc"/>`,
      letters(text, LEFT - 10 - textWidth(text), y(tick) - 7, { fill: '#777' }),
    );
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const text = String(Math.round(last * part));
    parts.push(
      letters(text, Math.min(x(last * part) - textWidth(text) / 2, W - RIGHT - textWidth(text)), H - BOTTOM + 12, {
        fill: '#777',
      }),
    );
  }
  parts.push(
    letters('step', W / 2 - textWidth('step') / 2, H - 22, { fill: '#777' }),
    letters('loss', 10, TOP - 32, { fill: '#777' }),
  );
  parts.push(
    ...steps.map(
      ({ step, loss }) => `<circle cx="${x(step).toFixed(1)}" cy="${y(loss).toFixed(1)}" r="2.5" fill="#b9b2a0"/>`,
    ),
  );
  parts.push(
    `<polyline fill="none" stroke="#b4512f" stroke-width="3" stroke-linejoin="round" points="${steps.map(({ step }, i) => `${x(step).toFixed(1)},${y(mean[i]).toFixed(1)}`).join(' ')}"/>`,
  );
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${W}" height="${H}"><rect width="100%" height="100%" fill="#fbf9f4"/>${parts.join('')}</svg>`;
  return sharp(Buffer.from(svg)).png().toBuffer();
}

/** Over the values up to `half` before and after each. */
function runningMean(values, half) {
  return values.map((_value, i) => {
    const near = values.slice(Math.max(0, i - half), i + half + 1);
    return near.reduce((sum, value) => sum + value, 0) / near.length;
  });
}

/** Round numbers from 0 to the first that is not below the largest value. */
function niceTicks(largest) {
  const rough = largest / 5;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((candidate) => candidate >= rough);
  return Array.from({ length: Math.ceil(largest / step) + 1 }, (_tick, i) => i * step);
}
