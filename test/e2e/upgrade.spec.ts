// A data folder that version 0.1.0 left, with a run in the middle and one behind it, is gone on with (fixtures/README.md).
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '@atelier/testing';
import type { Finetune } from '../support/api';
import { Atelier } from '../support/atelier';

interface Left {
  dataset: string;
  /** That was over. */
  run: string;
  /** That was trained when 0.1.0 was stopped, and the one behind it. */
  going: string;
  waiting: string;
  drawing: string;
  /** SHA-256 of files, and of what an undisturbed 0.1.0 came to. */
  digests: { picture: string; shapes: string; imported: string; goingTensors: string; waitingTensors: string };
}

const FIXTURES = join(__dirname, 'fixtures');
const left = JSON.parse(readFileSync(join(FIXTURES, 'data-0.1.0.json'), 'utf8')) as Left;

let atelier: Atelier;
beforeAll(async () => {
  atelier = await Atelier.start({}, (data) => {
    execFileSync('tar', ['-xzf', join(FIXTURES, 'data-0.1.0.tar.gz'), '-C', data]);
  });
});
afterAll(() => atelier?.stop());

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** Of a safetensors file: what its header says of its origin is not the same in all versions. */
const tensors = (file: Buffer): Buffer => file.subarray(8 + Number(file.readBigUInt64LE(0)));
const names = async (path: string): Promise<string[]> =>
  (await atelier.api.json<{ data: { id: string; name?: string }[] }>(path)).data.map(({ id, name }) => name ?? id);

test('what was there is there: data sets, runs, drawings, and adapters to the byte', async () => {
  expect(await names('/v1/datasets')).toEqual(['shapes']);
  const { data: runs } = await atelier.api.json<{ data: Finetune[] }>('/v1/finetunes');
  expect(runs.map(({ id }) => id)).toEqual([left.waiting, left.going, left.run]);
  expect(runs.at(-1)).toMatchObject({ status: 'finished', step: 6, adapter: 'shapes' });
  expect(await names('/v1/images/generations')).toEqual([left.drawing]);
  for (const name of ['shapes', 'imported'] as const)
    expect(digest(await atelier.api.bytes(`/v1/adapters/${name}`))).toBe(left.digests[name]);
});

test('the run in the middle and the one behind it come to the adapters that they would have come to', async () => {
  for (const id of [left.going, left.waiting])
    await waitFor('a run to end', async () => {
      const { status, error } = await atelier.api.json<Finetune>(`/v1/finetunes/${id}`);
      if (status === 'failed') throw new Error(error ?? status);
      return status === 'finished';
    });
  for (const name of ['going', 'waiting'] as const)
    expect(digest(tensors(await atelier.api.bytes(`/v1/adapters/${name}`)))).toBe(left.digests[`${name}Tensors`]);
});

test('its adapter draws the picture that it drew', async () => {
  const drawn = await atelier.api.draw({
    prompt: 'a teal square',
    model: 'shapes',
    seed: 3,
    response_format: 'b64_json',
  });
  expect(digest(Buffer.from(drawn.data[0]!.b64_json!, 'base64'))).toBe(left.digests.picture);
});

test('all of it can be deleted', async () => {
  for (const id of await names('/v1/images/generations')) await atelier.client.delete('drawing', id);
  for (const id of [left.run, left.going, left.waiting]) await atelier.client.delete('run', id);
  await atelier.client.delete('dataset', left.dataset);
  for (const name of await names('/v1/adapters')) await atelier.client.delete('adapter', name);
  for (const path of ['datasets', 'finetunes', 'images/generations', 'adapters'])
    expect(await names(`/v1/${path}`)).toEqual([]);
});
