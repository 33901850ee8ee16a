// Small files that once ended ingest or blocked it for everyone. Each is handed to one and the same process, a good
// data set beside it.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { DatasetState } from '@atelier/contracts';
import { startServiceProcess, waitFor, type ServiceProcess } from '@atelier/testing';
import { makeTar, makeZip } from './archives';
import { childrenOf } from './children';
import { Harness, type Files } from './harness';
import { overlappingZip } from './hostile-archives';
import { pngHeader } from './hostile-files';

const MIB = 2 ** 20;
/** Each is told within this, on a machine with other work; most take two seconds. */
const WITHIN_MS = 40_000;

let harness: Harness;
let service: ServiceProcess;
let good: Files;
let asked = 0;

beforeAll(async () => {
  harness = await Harness.withoutService();
  service = await startServiceProcess('ingest', harness.env({ ATELIER_INGEST_MAX_MEMORY_MIB: '256' }));
  good = {
    'good.png': await sharp({ create: { width: 64, height: 64, channels: 3, background: 'teal' } })
      .png()
      .toBuffer(),
    'good.txt': 'good',
  };
});
afterAll(async () => {
  await service?.stop();
  await harness?.stop();
});

async function parquetOfStrays(): Promise<Buffer> {
  const whole = (await readFile(join(__dirname, 'fixtures', 'captions.parquet'))).fill(0xff, 4, 20);
  const schema = whole.lastIndexOf('path%');
  expect(schema).toBeGreaterThan(0);
  whole.write("pa'h%", schema, 'latin1');
  return whole;
}

const lines = async (line: string, megabytes: number): Promise<Buffer> =>
  makeZip({ 'metadata.jsonl': Buffer.alloc(megabytes * MIB, line), 'a.png': good['good.png']!, 'a.txt': 'a' });

const attacks: [string, () => Promise<Buffer> | Buffer, Record<string, RegExp>][] = [
  [
    'newlines.zip',
    () => lines('\n', 190),
    { 'newlines.zip/metadata.jsonl': /^has more than 1,000,000 lines: those after that are not read; / },
  ],
  [
    'badlines.zip',
    () => lines('x\n', 60),
    {
      'badlines.zip/metadata.jsonl:1': /^is not a line of JSON/,
      'badlines.zip/metadata.jsonl:100': /^is not a line of JSON/,
      'badlines.zip/metadata.jsonl': /^(and 999,900 more lines that cannot be used|has more than 1,000,000 lines: .*)$/,
    },
  ],
  ['one-line.zip', () => lines('[', 60), { 'one-line.zip/metadata.jsonl:1': /^is longer than 1000000 characters$/ }],
  [
    'overlap.zip',
    () =>
      overlappingZip(
        Array.from({ length: 1400 }, (_, at) => `${1e5 + at}.png`),
        Buffer.alloc(120 * MIB),
      ),
    { 'overlap.zip': /^is a zip file whose entries overlap: pack it again$/ },
  ],
  [
    'ratio.tgz',
    async () => gzipSync(await makeTar({ 'big.png': Buffer.alloc(300 * MIB) })),
    { 'ratio.tgz': /unpacks to more than 256 MiB, 100 times its size: .*ATELIER_INGEST_MAX_UNPACK_RATIO/ },
  ],
  ['zeros.tar.gz', () => gzipSync(Buffer.alloc(180 * MIB)), { 'zeros.tar.gz': /^holds no files$/ }],
  [
    'stray.parquet',
    parquetOfStrays,
    { 'stray.parquet': /^rows 0 to 0: has a column image\.path that its schema does not know$/ },
  ],
  ['huge.png', () => pngHeader(14_142, 14_142), { 'huge.png': /^cannot be decoded as a picture: / }],
  [
    'memory.webp',
    () =>
      sharp({ create: { width: 8000, height: 8000, channels: 3, background: 'teal' } })
        .webp({ effort: 0 })
        .toBuffer(),
    {
      'memory.webp':
        /^needs more than the 256 MiB of memory that reading may take: make it smaller, or raise ATELIER_INGEST_MAX_MEMORY_MIB$/,
    },
  ],
  [
    'cut.tar.gz',
    async () => gzipSync(await makeTar({ 'a.png': good['good.png']! })).subarray(0, 120),
    { 'cut.tar.gz': /^is not a tar file that can be read: .*Pack it again/ },
  ],
];

it.each(attacks)(
  '%s: a good data set beside it is read, the file is named with its reason at the first try, the service lives',
  async (name, make, reasons) => {
    const id = `attack-${asked++}`;
    await harness.upload(id, { [name]: await make(), ...good }, { trigger: 'x' });
    await harness.upload(`${id}-good`, good);
    await harness.ask(id);
    await harness.ask(`${id}-good`);
    const [attacked, beside] = await Promise.all([
      harness.settled(id, WITHIN_MS),
      harness.settled(`${id}-good`, WITHIN_MS),
    ]);
    expect(beside).toMatchObject({ state: DatasetState.DATASET_STATE_INGESTED, samples: 1 });
    expect(attacked.state).toBe(DatasetState.DATASET_STATE_INGESTED);
    for (const [file, reason] of Object.entries(reasons)) {
      const given = attacked.rejected.filter((rejected) => rejected.name === file).map((rejected) => rejected.reason);
      expect({ file, given }).toEqual({ file, given: expect.arrayContaining([expect.stringMatching(reason)]) });
    }
    expect(attacked.rejected.length).toBeLessThan(110);
    expect(service.log()).not.toContain('handler failed');
    expect(await Promise.race([service.exited, Promise.resolve('lives')])).toBe('lives');
    await waitFor(
      'readers and folders to be gone',
      async () => childrenOf(service.pid).length === 0 && (await readdir(harness.folder)).length === 0,
    );
  },
  120_000,
);

it('a file that takes too long is named, and what is behind it is read', async () => {
  await service.stop();
  service = await startServiceProcess('ingest', harness.env({ ATELIER_INGEST_MAX_FILE_SECONDS: '1' }));
  const slow = await sharp({ create: { width: 12_000, height: 12_000, channels: 3, background: 'teal' } })
    .webp({ effort: 0 })
    .toBuffer();
  await harness.upload('slow', { 'a-slow.webp': slow, ...good }, { trigger: 'x' });
  await harness.ask('slow');
  expect(await harness.settled('slow', WITHIN_MS)).toMatchObject({
    samples: 1,
    rejected: [
      {
        name: 'a-slow.webp',
        reason:
          'took more than the 1 seconds that one file may take: make it smaller, or raise ATELIER_INGEST_MAX_FILE_SECONDS',
      },
    ],
  });
});

it('a data set that takes too long fails with the reason', async () => {
  await service.stop();
  service = await startServiceProcess('ingest', harness.env({ ATELIER_INGEST_MAX_DATASET_MINUTES: '0.0001' }));
  await harness.upload('long', good);
  await harness.ask('long');
  expect(await harness.settled('long')).toMatchObject({
    state: DatasetState.DATASET_STATE_FAILED,
    error:
      'it took more than the 0.0001 minutes that one data set may take: split it, or raise ATELIER_INGEST_MAX_DATASET_MINUTES',
  });
  expect(await readdir(harness.folder)).toEqual([]);
});
