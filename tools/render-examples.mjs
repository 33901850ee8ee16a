// Renders the pictures of examples/art-nouveau: twelve small scenes with captions, in the three formats people have most.
// They are the project's own drawings (public domain, CC0). Run: node tools/render-examples.mjs
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

const out = join(import.meta.dirname, '..', 'examples', 'art-nouveau');
const W = 384;
const H = 512;

const palettes = [
  { sky: '#f1dfb6', far: '#c9b98a', near: '#7f8f5f', ink: '#3b2b20', accent: '#b4512f' },
  { sky: '#e6d3c0', far: '#a9a28e', near: '#5f7a74', ink: '#2d2a2c', accent: '#c98b2d' },
  { sky: '#d8d7b8', far: '#9fae8a', near: '#4f6b58', ink: '#31301f', accent: '#a8453f' },
];

const subjects = {
  heron: (p) =>
    `<path d="M196 380 q-10 -70 6 -110 q14 -34 -8 -62 q-12 -18 6 -30 l34 8 l-26 6 q-8 10 4 26 q22 32 6 74 q34 14 44 50 q-34 18 -66 38z" fill="${p.sky}" stroke="${p.ink}" stroke-width="5"/><path d="M200 380 v54 M214 376 v58" stroke="${p.ink}" stroke-width="5"/>`,
  lily: (p) =>
    `<path d="M192 440 q-6 -90 0 -150" stroke="${p.near}" stroke-width="9" fill="none"/>${[-60, -30, 0, 30, 60].map((a) => `<path transform="rotate(${a} 192 290)" d="M192 290 q-26 -50 0 -104 q26 54 0 104z" fill="${p.accent}" stroke="${p.ink}" stroke-width="4"/>`).join('')}<circle cx="192" cy="284" r="12" fill="${p.far}" stroke="${p.ink}" stroke-width="4"/>`,
  cat: (p) =>
    `<path d="M140 430 q-8 -84 34 -112 q-26 -26 -12 -66 l22 22 q10 -4 20 0 l22 -22 q14 40 -12 66 q44 30 36 112z" fill="${p.ink}"/><path d="M250 420 q52 -10 40 -64 q-6 -26 -26 -18" fill="none" stroke="${p.ink}" stroke-width="13" stroke-linecap="round"/><circle cx="180" cy="290" r="4" fill="${p.accent}"/><circle cx="208" cy="290" r="4" fill="${p.accent}"/>`,
  lighthouse: (p) =>
    `<path d="M168 430 l10 -190 h32 l10 190z" fill="${p.sky}" stroke="${p.ink}" stroke-width="5"/><path d="M176 300 h36 l3 44 h-42z M172 380 h44 l2 40 h-48z" fill="${p.accent}"/><path d="M172 240 h44 l-8 -30 h-28z" fill="${p.accent}" stroke="${p.ink}" stroke-width="5"/><path d="M216 222 l144 -34 v58z" fill="#fff8e0" opacity=".8"/>`,
  tree: (p) =>
    `<path d="M180 440 q14 -90 -6 -150 q22 20 24 50 q8 -40 34 -56 q-22 40 -18 156z" fill="${p.ink}"/>${[
      [150, 240, 52],
      [206, 214, 62],
      [254, 256, 46],
      [190, 280, 44],
    ]
      .map(([x, y, r]) => `<circle cx="${x}" cy="${y}" r="${r}" fill="${p.near}" stroke="${p.ink}" stroke-width="4"/>`)
      .join('')}`,
  moth: (p) =>
    `<g stroke="${p.ink}" stroke-width="4"><path d="M192 300 q-100 -90 -116 0 q-4 70 116 40z" fill="${p.accent}"/><path d="M192 300 q100 -90 116 0 q4 70 -116 40z" fill="${p.accent}"/><path d="M192 330 q-70 30 -50 76 q30 20 50 -50z" fill="${p.far}"/><path d="M192 330 q70 30 50 76 q-30 20 -50 -50z" fill="${p.far}"/><circle cx="126" cy="290" r="14" fill="${p.sky}"/><circle cx="258" cy="290" r="14" fill="${p.sky}"/></g><rect x="186" y="280" width="12" height="96" rx="6" fill="${p.ink}"/>`,
};

const grounds = {
  'by a pond': (p) =>
    `<path d="M0 420 q100 -24 200 0 t200 0 v100 h-400z" fill="${p.near}"/><path d="M40 450 q60 -10 120 0 M210 470 q60 -10 120 0" stroke="${p.sky}" stroke-width="4" fill="none"/>`,
  'on a hill': (p) => `<path d="M0 460 q190 -110 384 0 v60 h-384z" fill="${p.near}"/>`,
};

const lights = {
  'at dawn': (p) => `<circle cx="92" cy="150" r="44" fill="${p.accent}" opacity=".85"/>`,
  'under the moon': (p) =>
    `<circle cx="300" cy="130" r="38" fill="#fff8e0"/><circle cx="284" cy="122" r="34" fill="${p.sky}"/>`,
};

const frame = (
  p,
) => `<path fill-rule="evenodd" fill="${p.far}" stroke="${p.ink}" stroke-width="6" d="M0 0 h${W} v${H} h-${W}z M30 ${H - 30} h${W - 60} v-330 q0 -120 -${(W - 60) / 2} -120 q-${(W - 60) / 2} 0 -${(W - 60) / 2} 120z"/>
${[0, 1].map((side) => `<g transform="${side ? `translate(${W} 0) scale(-1 1)` : ''}"><path d="M14 120 q30 -70 100 -90 M20 90 q6 -50 60 -66" stroke="${p.near}" stroke-width="5" fill="none"/><circle cx="34" cy="40" r="13" fill="${p.accent}" stroke="${p.ink}" stroke-width="3"/></g>`).join('')}`;

const scene = (subject, ground, light, p) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${W}" height="${H}"><rect width="${W}" height="${H}" fill="${p.sky}"/><path d="M0 360 q90 -70 180 -20 t204 -10 v190 h-384z" fill="${p.far}"/>${lights[light](p)}${grounds[ground](p)}${subjects[subject](p)}${frame(p)}</svg>`;

await mkdir(out, { recursive: true });
let index = 0;
for (const [place, subject] of Object.keys(subjects).entries()) {
  for (const variant of [0, 1]) {
    const ground = Object.keys(grounds)[variant];
    const light = Object.keys(lights)[(variant + place) % 2];
    const image = sharp(Buffer.from(scene(subject, ground, light, palettes[index % palettes.length])));
    const format = ['png', 'jpeg', 'webp'][index % 3];
    const name = `${String(index + 1).padStart(2, '0')}-${subject}`;
    const bytes = await (format === 'png' ? image.png({ palette: true }) : image[format]({ quality: 88 })).toBuffer();
    await writeFile(join(out, `${name}.${format === 'jpeg' ? 'jpg' : format}`), bytes);
    await writeFile(join(out, `${name}.txt`), `a ${subject} ${ground} ${light}, art nouveau style\n`);
    index += 1;
  }
}
console.log(`${index} pictures in ${out}`);
