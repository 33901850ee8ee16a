// The pictures of before and after as one labelled PNG: a row a prompt, the same seed on both sides.
import sharp from 'sharp';
import { letters, LINE_HEIGHT, wrapped } from './letters.mjs';

const GAP = 16;
const MARGIN = 24;
const DOT = 2;

/**
 * @param rows {prompt, seed, before, after}: pictures as PNG bytes, all of one size
 * @param columns the headings of the two columns
 */
export async function comparison(rows, { title, columns, side }) {
  const { width, height } = await sharp(rows[0].before).metadata();
  const scale = side / Math.max(width, height);
  const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
  const line = LINE_HEIGHT * DOT;
  const labels = rows.map(({ prompt, seed }) => wrapped(`"${prompt}", seed ${seed}`, 2 * w + GAP));
  const titles = wrapped(title, 2 * w + GAP);
  const head = MARGIN + line * (titles.length + 2);
  const total = {
    width: 2 * (MARGIN + w) + GAP,
    height: head + rows.reduce((sum, _row, i) => sum + h + labels[i].length * line + GAP * 2, 0) + MARGIN - GAP,
  };
  const parts = [
    ...titles.map((text, n) => letters(text, MARGIN, MARGIN + n * line, { dot: DOT })),
    ...columns.map((text, i) =>
      letters(text, MARGIN + i * (w + GAP), MARGIN + line * (titles.length + 0.6), { fill: '#777' }),
    ),
  ];
  const pictures = [];
  let top = head;
  for (const [i, row] of rows.entries()) {
    for (const [column, bytes] of [row.before, row.after].entries()) {
      // Small pictures are shown with their pixels as they are, not smoothed into something better than what was drawn.
      const kernel = scale > 1 ? 'nearest' : 'lanczos3';
      pictures.push({
        input: await sharp(bytes).resize(w, h, { kernel }).png().toBuffer(),
        left: MARGIN + column * (w + GAP),
        top,
      });
    }
    labels[i].forEach((text, n) => parts.push(letters(text, MARGIN, top + h + 8 + n * line, { dot: DOT })));
    top += h + labels[i].length * line + GAP * 2;
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${total.width}" height="${total.height}"><rect width="100%" height="100%" fill="#fbf9f4"/>${parts.join('')}</svg>`;
  return sharp(Buffer.from(svg)).composite(pictures).png().toBuffer();
}
