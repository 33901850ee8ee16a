import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const COLOURS = ['crimson', 'seagreen', 'royalblue', 'goldenrod', 'orchid', 'slategray', 'tomato', 'teal'];
const SHAPES = [
  (c: string) => `<circle cx="60" cy="70" r="34" fill="${c}"/>`,
  (c: string) => `<rect x="26" y="40" width="68" height="58" fill="${c}"/>`,
  (c: string) => `<polygon points="60,20 104,104 16,104" fill="${c}"/>`,
];
const NAMES = ['circle', 'square', 'triangle'];

/** Writes `count` different little pictures with captions beside them (`picture-00.png`, `picture-00.txt`) and gives the captions. */
export async function syntheticPictures(folder: string, count: number): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const captions: string[] = [];
  for (let i = 0; i < count; i++) {
    const colour = COLOURS[i % COLOURS.length]!;
    const shape = i % SHAPES.length;
    const tint = 235 - ((i * 37) % 120);
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="140"><rect width="120" height="140" fill="rgb(${tint},${255 - tint / 3},${(i * 53) % 256})"/>${SHAPES[shape]!(colour)}</svg>`;
    const stem = join(folder, `picture-${String(i).padStart(2, '0')}`);
    writeFileSync(`${stem}.png`, await sharp(Buffer.from(svg)).png().toBuffer());
    captions.push(`a ${colour} ${NAMES[shape]}, number ${i}`);
    writeFileSync(`${stem}.txt`, `${captions[i]}\n`);
  }
  return captions;
}
