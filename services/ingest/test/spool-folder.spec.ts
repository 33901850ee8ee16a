import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@atelier/testing';
import { removeAbandoned, SpoolFolder } from '../src/reading/spool-folder';
import { childrenOf } from './children';
import { Harness } from './harness';

const DIST = join(__dirname, '..', 'dist', 'reading', 'spool-folder.js');

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'spool-spec-'));
});
afterEach(() => rm(parent, { recursive: true }));

/** Another process that has made a folder and is at work in it. */
async function another(): Promise<{ path: string; kill(): Promise<void> }> {
  const script = `require(${JSON.stringify(DIST)}).SpoolFolder.create(${JSON.stringify(parent)}).then(({ path }) => { console.log(path); setInterval(() => 0, 1000); })`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const path = await new Promise<string>((resolve) =>
    child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim())),
  );
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    path,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

it('the folder of a process that was killed is removed, those of living ones are not', async () => {
  const [mine, living, killed] = [await SpoolFolder.create(parent), await another(), await another()];
  try {
    writeFileSync(join(killed.path, '0'), 'gigabytes');
    await killed.kill();
    expect(await removeAbandoned(parent)).toBe(1);
    expect([mine.path, living.path, killed.path].map((path) => existsSync(path))).toEqual([true, true, false]);
  } finally {
    await living.kill();
    await mine.remove();
  }
  expect(await removeAbandoned(parent)).toBe(1);
  expect(await readdir(parent)).toEqual([]);
});

it('one without a lock goes when nobody has touched it for a day, and what is not of ingest stays', async () => {
  for (const name of ['ingest-aaaaaa', 'ingest-bbbbbb', 'ingest-notes', 'other-aaaaaa']) mkdirSync(join(parent, name));
  writeFileSync(join(parent, 'ingest-cccccc'), 'a file');
  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  for (const name of ['ingest-aaaaaa', 'ingest-notes', 'other-aaaaaa'])
    utimesSync(join(parent, name), yesterday, yesterday);
  expect(await removeAbandoned(parent)).toBe(1);
  expect((await readdir(parent)).sort()).toEqual(['ingest-bbbbbb', 'ingest-cccccc', 'ingest-notes', 'other-aaaaaa']);
});

it('a service removes at its start what a killed one left', async () => {
  const harness = await Harness.withoutService();
  try {
    parent = harness.folder;
    const killed = await another();
    await killed.kill();
    await harness.startService();
    await waitFor('the folder to be gone', () => !existsSync(killed.path));
  } finally {
    await harness.stop();
    parent = await mkdtemp(join(tmpdir(), 'spool-spec-'));
  }
  expect(childrenOf(process.pid)).toEqual([]);
});
