// The service's side of a reader process, with a reader that dies on purpose.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import pino from 'pino';
import { waitFor } from '@atelier/testing';
import { DatasetRefused } from '../src/dataset-refused';
import type { ReaderLimits } from '../src/reading/deaths';
import { Reading, type Taker } from '../src/reading/reading';
import { SpoolFolder } from '../src/reading/spool-folder';
import { childrenOf } from './children';
import { limits } from './memory-files';

const MIB = 2 ** 20;
const dying = join(__dirname, 'fixtures', 'dying-reader.js');

let parent: string;
let folder: SpoolFolder;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'reading-spec-'));
  folder = await SpoolFolder.create(parent);
});
afterEach(async () => {
  await folder.remove();
  expect(await readdir(parent)).toEqual([]);
  expect(childrenOf(process.pid)).toEqual([]);
  await rm(parent, { recursive: true });
});

function read(
  names: string[],
  told: string[],
  more: Partial<ReaderLimits> = {},
  signal = new AbortController().signal,
): Promise<void> {
  const taker: Taker = {
    rejected: (name, reason) => void told.push(`${name}: ${reason}`),
    note: () => undefined,
    wanted: () => Promise.resolve([]),
    take: () => Promise.resolve(),
  };
  const uploads = names.map((name) => ({ name, size: 0, open: () => Promise.resolve(Readable.from([])) }));
  const text = { trigger: '', column: '', textTokens: 512, checkpoint: '' };
  const wanted = { limits, parallel: 2, sizes: [], flip: false, vaeFingerprint: '', ...text };
  const reader = { memoryBytes: 600 * MIB, fileSeconds: 30, program: dying, ...more };
  return new Reading(uploads, wanted, reader, folder, pino({ level: 'silent' })).run(taker, signal);
}

describe('a file that a reader dies over is left out, with the reason, and the others are read', () => {
  it.each<[string, Partial<ReaderLimits>, RegExp]>([
    ['trap', {}, /^ends the program that reads it \(SIGTRAP\): it is damaged/],
    ['abort', {}, /^ends the program that reads it \(SIGABRT\)/],
    [
      'heap',
      { memoryBytes: 160 * MIB },
      /^needs more than the 160 MiB of memory that reading may take: .* ATELIER_INGEST_MAX_MEMORY_MIB$/,
    ],
    ['native', {}, /^needs more than the 600 MiB of memory/],
    [
      'loop',
      { fileSeconds: 1 },
      /^took more than the 1 seconds that one file may take: .* ATELIER_INGEST_MAX_FILE_SECONDS$/,
    ],
    ['stray', {}, /^ends the program that reads it \(code 1\)/],
    ['thrown', {}, /^ends the program that reads it \(code 1\)/],
    ['exit', {}, /^ends the program that reads it \(code 3\)/],
    ['killed', {}, /^was being read when the system ended the reader \(SIGKILL\), twice/],
  ])('%s', async (way, more, reason) => {
    const told: string[] = [];
    await read(['a', way, 'z'], told, more);
    expect(told).toEqual(['a: fine', `${way}: ${told[1]!.slice(way.length + 2)}`, 'z: fine']);
    expect(told[1]!.slice(way.length + 2)).toMatch(reason);
  });

  it('of two in hand it is found out which, and neither is blamed for the other', async () => {
    const told: string[] = [];
    await read(['a', 'two-exit', 'b', 'two-exit.again', 'z'], told);
    expect(told.map((each) => each.replace(/ends the program.*/, 'dead'))).toEqual([
      'a: fine',
      'two-exit: dead',
      'b: fine',
      'two-exit.again: dead',
      'z: fine',
    ]);
  });
});

it('what was taken before is not read again', async () => {
  const told: string[] = [];
  await read(['a', 'exit', 'exit.2', 'exit.3', 'z'], told);
  expect(told.map((each) => each.split(':')[0])).toEqual(['a', 'exit', 'exit.2', 'exit.3', 'z']);
});

it('a data set of many such files is refused, with the first of them', async () => {
  const names = Array.from({ length: 12 }, (_, at) => `exit.${at}`);
  const reading = read(names, []);
  await expect(reading).rejects.toBeInstanceOf(DatasetRefused);
  await expect(reading).rejects.toThrow(
    /^11 of its files cannot be read without harm, the first of them exit\.0, which ends the program/,
  );
});

it('a reader that dies with nothing in hand is trouble of ours, and no file is blamed', async () => {
  await expect(read(['at-once'], [])).rejects.toThrow('a reader process ended (code 4) 4 times');
  await expect(read(['a'], [], { program: join(__dirname, 'no-such-program.js') })).rejects.toThrow(
    /Cannot find module/,
  );
});

it('a signal ends it, whatever it is at', async () => {
  const stop = new AbortController();
  const told: string[] = [];
  const reading = read(['a', 'loop'], told, {}, stop.signal);
  await waitFor('the loop', () => told.length === 1);
  stop.abort(new Error('no longer wanted'));
  await expect(reading).rejects.toThrow('no longer wanted');
});

it('a reader whose service was killed ends, even one that hears of nothing', async () => {
  const job = "{ files: [{ name: 'loop' }], taken: 0, parallel: 1, without: new Map() }";
  const script = `
    const { fork } = require('node:child_process');
    const args = ['${600 * MIB}', String(process.pid)];
    const reader = fork(${JSON.stringify(dying)}, args, { serialization: 'advanced' });
    reader.on('message', () => console.log(reader.pid));
    reader.send({ kind: 'job', job: ${job} });`;
  const service = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((resolve) =>
    service.stdout.once('data', (data: Buffer) => resolve(Number(data))),
  );
  const ended = new Promise((resolve) => service.once('exit', resolve));
  service.kill('SIGKILL');
  await ended;
  await waitFor('the reader to end', () => !existsSync(`/proc/${pid}`), 3000);
});
