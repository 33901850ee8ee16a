import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { openCheckpoint, pullModel, type PullProgress } from '../src';
import { MODEL, scratchFolder } from './fixtures';
import { type Faults, StandInHub } from './stand-in-hub';

const REPO = 'someone/tiny-flux';
const scratch = scratchFolder();
const published = Object.fromEntries(
  readdirSync(MODEL, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => [relative(MODEL, file), readFileSync(file)]),
);
const everything = {
  ...published,
  'README.md': Buffer.from('hello'),
  'flux1-dev.safetensors': Buffer.alloc(5000),
  'transformer/preview.png': Buffer.alloc(10),
};
const weights = 'transformer/diffusion_pytorch_model.safetensors';
const totalBytes = Object.values(published).reduce((sum, { length }) => sum + length, 0);

let hub: StandInHub;
const start = async (faults: Faults = {}, files: Record<string, Buffer> = everything) =>
  (hub = await StandInHub.start(REPO, files, faults));
const folder = () => mkdtempSync(join(scratch, 'pull-'));
const pull = (dir: string, over: object = {}) => pullModel(REPO, { dir, endpoint: hub.url, ...over });
afterEach(() => hub?.stop());

describe('pulling a model', () => {
  it('fills a folder that opens as a checkpoint, with the layout files alone', async () => {
    await start({ token: 'hf_secret' });
    const dir = folder();
    const seen: PullProgress[] = [];
    const result = await pull(dir, { token: 'hf_secret', onProgress: (progress: PullProgress) => seen.push(progress) });
    expect(result).toEqual({
      dir,
      commit: hub.commit,
      files: Object.keys(published).length,
      bytes: totalBytes,
      downloaded: totalBytes,
    });
    await openCheckpoint(dir);
    expect(existsSync(join(dir, 'flux1-dev.safetensors'))).toBe(false);
    expect(readdirSync(dir, { recursive: true }).filter((name) => String(name).endsWith('.part'))).toEqual([]);
    expect(seen.at(-1)).toMatchObject({ done: totalBytes, total: totalBytes });
    expect(seen.every(({ done }, i) => i === 0 || done >= seen[i - 1]!.done)).toBe(true);
  });

  it('downloads nothing the second time, and one file again when it was changed', async () => {
    await start();
    const dir = folder();
    await pull(dir);
    expect(await pull(dir)).toMatchObject({ downloaded: 0 });
    const bytes = readFileSync(join(dir, weights));
    bytes[100]! ^= 1;
    writeFileSync(join(dir, weights), bytes);
    expect(await pull(dir)).toMatchObject({ downloaded: bytes.length });
    expect(readFileSync(join(dir, weights)).equals(published[weights]!)).toBe(true);
  });

  it('continues each file where the connection broke', async () => {
    const few = Object.fromEntries(['model_index.json', weights].map((path) => [path, published[path]!]));
    await start({ cutAfter: 1 << 20 }, few);
    const dir = folder();
    await expect(pull(dir)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(readFileSync(join(dir, `${weights}.part`)).length).toBeGreaterThan(0);
    const first = hub.bytesServed;
    const { downloaded } = await pull(dir);
    expect(downloaded).toBeLessThan(published[weights]!.length);
    expect(hub.served.at(-1)!.range).toMatch(/^bytes=[1-9]\d*-/);
    expect(first + downloaded).toBeLessThan(published[weights]!.length * 1.2);
    expect(readFileSync(join(dir, weights)).equals(published[weights]!)).toBe(true);
  });

  it('starts a file again when the part on disk is of other bytes', async () => {
    await start();
    const dir = folder();
    mkdirSync(join(dir, 'transformer'), { recursive: true });
    writeFileSync(join(dir, `${weights}.part`), Buffer.alloc(4096, 7));
    await pull(dir);
    expect(readFileSync(join(dir, weights)).equals(published[weights]!)).toBe(true);
  });

  it('never keeps bytes whose hash is wrong', async () => {
    await start({ corrupt: 1 }, { 'model_index.json': published['model_index.json']! });
    const dir = folder();
    await expect(pull(dir)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('model_index.json'),
    });
    expect(readdirSync(dir)).toEqual([]);
    await expect(pull(dir)).resolves.toMatchObject({ files: 1 });
  });

  it('stops within a file when aborted, and goes on from there', async () => {
    await start({ delayMs: 1 }, { 'model_index.json': published['model_index.json']!, [weights]: published[weights]! });
    const dir = folder();
    const abort = new AbortController();
    const onProgress = ({ file, done }: PullProgress) => file === weights && done > 100_000 && abort.abort();
    await expect(pull(dir, { onProgress, signal: abort.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    const kept = readFileSync(join(dir, `${weights}.part`)).length;
    expect(kept).toBeGreaterThanOrEqual(90_000);
    hub.faults.delayMs = 0;
    expect(await pull(dir)).toMatchObject({ downloaded: published[weights]!.length - kept });
  });

  it.each<[string, Faults, Record<string, Buffer>, string, RegExp]>([
    [
      'a gated model without a token',
      { token: 'hf_secret' },
      everything,
      'PERMISSION_DENIED',
      /accept the model's licence/,
    ],
    [
      'a repository in another layout',
      {},
      { 'flux1-dev.safetensors': Buffer.alloc(1) },
      'FAILED_PRECONDITION',
      /has no model_index\.json/,
    ],
    [
      'a listing that leaves the folder',
      {},
      { ...published, 'vae/../../evil.json': Buffer.alloc(1) },
      'DATA_LOSS',
      /would leave the folder/,
    ],
  ])('refuses %s', async (_, faults, files, code, message) => {
    await start(faults, files);
    await expect(pull(folder())).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('names an unknown model, a wrong name and an unreachable hub', async () => {
    await start();
    const dir = folder();
    await expect(pullModel('someone/other', { dir, endpoint: hub.url })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(pullModel('../etc', { dir, endpoint: hub.url })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(pullModel(REPO, { dir, endpoint: 'http://127.0.0.1:9' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
  });
});
