// Thousands of small damaged files through the real reader process. Each may cost itself, in words; none may end the
// process, take its time or its memory, or be blamed on us. The seeds are fixed: what is found once is found again.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import pino from 'pino';
import sharp from 'sharp';
import type { ReadSample } from '../src/reading/messages';
import { Reading, type Taker } from '../src/reading/reading';
import { SpoolFolder } from '../src/reading/spool-folder';
import { gzip, makeTar, makeZip } from './archives';
import { limits } from './memory-files';
import { mutate, random } from './mutations';

const MIB = 2 ** 20;
const A_FORM = Number(process.env['ATELIER_FUZZ_FILES'] ?? 150);
const SEED = Number(process.env['ATELIER_FUZZ_SEED'] ?? 1);
/** The words of a death of the reader, whatever its cause. */
const DEATH = /ends the program|needs more than the|took more than the|was being read when/;

let parent: string;
let picture: Buffer;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'fuzz-spec-'));
  picture = await sharp({ create: { width: 24, height: 16, channels: 3, background: 'teal' } })
    .png()
    .toBuffer();
});
afterAll(async () => {
  expect(await readdir(parent)).toEqual([]);
  await rm(parent, { recursive: true });
});

const entries = async () => ({
  'a.png': picture,
  'a.txt': 'an a',
  'deep/b.png': picture,
  'deep/metadata.jsonl': '{"file_name":"b.png","text":"a b"}\n',
});
const metadata = Array.from({ length: 20 }, (_, at) =>
  JSON.stringify({ file_name: `${at}.png`, text: `caption ${at} \u00e9` }),
).join('\n');
const fixture = (name: string) => readFile(join(__dirname, 'fixtures', name));

const forms: [string, (at: number) => string, () => Promise<Buffer[]>][] = [
  [
    'parquet',
    (at) => `${at}.parquet`,
    () => Promise.all(['huggingface', 'captions', 'plain'].map((name) => fixture(`${name}.parquet`))),
  ],
  ['zip', (at) => `${at}.zip`, async () => [await makeZip(await entries())]],
  ['tar', (at) => `${at}.tar`, async () => [await makeTar(await entries(), { 'link.png': 'a.png' })]],
  ['tar.gz', (at) => `${at}.tar.gz`, async () => [await gzip(await makeTar(await entries()))]],
  [
    'jsonl',
    (at) => `${at}/metadata.jsonl`,
    () => Promise.resolve([Buffer.from(metadata), Buffer.from(`\ufeff${metadata}`, 'utf16le')]),
  ],
  [
    'pictures',
    (at) => `${at}.png`,
    () =>
      Promise.all(
        (['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const).map((kind) =>
          sharp(picture).toFormat(kind).toBuffer(),
        ),
      ),
  ],
];

it.each(forms)(
  '%s',
  async (form, nameOf, make) => {
    const whole = await make();
    const next = random(SEED * 1000 + form.length);
    const files = Array.from({ length: A_FORM }, (_, at) => ({
      name: nameOf(at),
      bytes: mutate(whole[at % whole.length]!, next),
    }));
    const told: { name: string; reason: string }[] = [];
    const samples: ReadSample[] = [];
    const taker: Taker = {
      rejected: (name, reason) => void told.push({ name, reason }),
      note: () => undefined,
      wanted: ({ views }) => Promise.resolve(views.map(({ key }) => key)),
      take: (sample, pictures) => {
        expect(pictures.map(({ key }) => key)).toEqual(sample.views.map(({ key }) => key));
        return Promise.resolve(void samples.push(sample));
      },
    };
    const folder = await SpoolFolder.create(parent);
    try {
      const uploads = files.map(({ name, bytes }) => ({
        name,
        size: bytes.length,
        open: () => Promise.resolve(Readable.from([bytes])),
      }));
      const wanted = {
        limits: { ...limits, files: 100_000 },
        parallel: 2,
        trigger: 'x',
        column: '',
        textTokens: 512,
        checkpoint: '',
        sizes: [{ width: 32, height: 32 }],
        flip: false,
        vaeFingerprint: 'v',
      };
      await new Reading(
        uploads,
        wanted,
        { memoryBytes: 400 * MIB, fileSeconds: 20 },
        folder,
        pino({ level: 'silent' }),
      ).run(taker, new AbortController().signal);
    } finally {
      await folder.remove();
    }
    expect(told.filter(({ reason }) => DEATH.test(reason))).toEqual([]);
    expect(told.filter(({ reason }) => !/^[a-z"\u2026]/.test(reason))).toEqual([]);
    expect(samples.length + told.length).toBeGreaterThan(0);
  },
  120_000,
);
