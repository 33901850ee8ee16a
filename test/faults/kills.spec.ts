// Whatever is killed in the middle of a job, nothing that was acknowledged is lost, and the job ends with the very bytes it would have had.
// "atelier up" starts again what dies, as it would for anyone.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { streams, subjects } from '@atelier/contracts';
import { syntheticPictures } from '@atelier/testing';
import type { Dataset, Files, Finetune } from '../support/api';
import { Atelier } from '../support/atelier';

const TRAINING = {
  steps: 60,
  accumulation: 2,
  rank: 2,
  seed: 7,
  learning_rate: 1e-3,
  lr_schedule: 'cosine',
  checkpoint_every: 7,
};
const DRAWING = {
  prompt: 'a tomato circle',
  model: 'undisturbed',
  n: 2,
  steps: 60,
  seed: 5,
  response_format: 'b64_json',
};
const PICTURES = 8;
/** A killed service's message comes again after ten seconds; the rest is for a slow machine. */
const PATIENCE_MS = 90_000;

let atelier: Atelier;
let pictures: Files;
let undisturbed: { adapter: Buffer; drawing: unknown };
const acknowledged: string[] = [];

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kills-pictures-'));
  await syntheticPictures(folder, PICTURES);
  pictures = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  rmSync(folder, { recursive: true });
  atelier = await Atelier.start();
  const adapter = await adapterOf(await start('undisturbed'));
  undisturbed = { adapter, drawing: (await atelier.api.draw(DRAWING)).data };
});
afterAll(async () => {
  const violations = atelier?.violations;
  await atelier?.stop();
  expect(violations).toEqual([]); // whatever died, what came in its place was let do it
});

/** The whole job from its pictures on, with nothing encoded yet. */
async function start(name: string): Promise<Finetune> {
  await atelier.client.mesh.jsm.streams.purge(streams.TENSORS);
  await atelier.api.upload({ name }, pictures);
  acknowledged.push(name);
  return atelier.api.finetune({ dataset: name, ...TRAINING });
}

async function adapterOf({ id }: Finetune): Promise<Buffer> {
  for await (const event of atelier.api.follow(id))
    if (event.type === 'failed') throw new Error(String(event['message']));
  const { status, adapter } = await atelier.api.json<Finetune>(`/v1/finetunes/${id}`);
  expect(status).toBe('finished');
  return atelier.api.bytes(`/v1/adapters/${adapter}`);
}

async function reached({ id }: Finetune, step: number): Promise<void> {
  for await (const event of atelier.api.follow(id)) if (event.type === 'step' && Number(event['step']) >= step) return;
}

describe('killed in the middle of a job', () => {
  test.each(['ingest', 'prompts', 'latents'] as const)(
    '%s: its work comes again, and the adapter is the same byte for byte',
    async (service) => {
      atelier.hold(service);
      const run = await start(service);
      await atelier.killAtWork(service, subjects.work[service]);
      expect((await adapterOf(run)).equals(undisturbed.adapter)).toBe(true);
    },
    PATIENCE_MS,
  );

  test(
    'the trainer: the run goes on from its last save to the same adapter',
    async () => {
      const run = await start('trainer');
      await reached(run, 20);
      await atelier.kill(atelier.pids['trainer']!);
      const { status, step } = await atelier.api.json<Finetune>(`/v1/finetunes/${run.id}`);
      expect(status).toBe('training');
      expect(step).toBeLessThan(TRAINING.steps);
      expect((await adapterOf(run)).equals(undisturbed.adapter)).toBe(true);
    },
    PATIENCE_MS,
  );

  test(
    'nats-server: an upload and a run acknowledged a moment before are there, and a run that is training comes to the same adapter',
    async () => {
      const training = await start('nats-server');
      await reached(training, 20);
      await atelier.api.upload({ name: 'a-moment-before' }, pictures);
      acknowledged.push('a-moment-before');
      const waiting = await atelier.api.finetune({ dataset: 'a-moment-before', ...TRAINING });
      await atelier.kill(atelier.natsPid);
      expect((await adapterOf(training)).equals(undisturbed.adapter)).toBe(true);
      expect((await adapterOf(waiting)).equals(undisturbed.adapter)).toBe(true);
    },
    PATIENCE_MS,
  );

  test(
    'inference: the drawing comes again and is the same, and a run that trains beside it as well',
    async () => {
      const run = await start('inference');
      atelier.hold('inference');
      const drawing = atelier.api.draw(DRAWING);
      await atelier.killAtWork('inference', subjects.work.generate);
      expect((await drawing).data).toEqual(undisturbed.drawing);
      expect((await adapterOf(run)).equals(undisturbed.adapter)).toBe(true);
    },
    PATIENCE_MS,
  );
});

test('nothing that was acknowledged is lost, nothing is left over, and each was started again once', async () => {
  const { data } = await atelier.api.json<{ data: (Dataset & { name: string })[] }>('/v1/datasets');
  expect(data.map(({ name, status, samples }) => `${name}: ${status}, ${samples}`).sort()).toEqual(
    acknowledged.map((name) => `${name}: ingested, ${PICTURES}`).sort(),
  );
  await atelier.idle();
  expect((await atelier.client.mesh.jsm.streams.info(streams.DEAD)).state.messages).toBe(0);
  expect(atelier.restarts.map((line) => line.split(' ')[0]).sort()).toEqual([
    'inference',
    'ingest',
    'latents',
    'nats-server',
    'prompts',
    'trainer',
  ]);
  expect((await atelier.api.bytes('/v1/adapters/undisturbed')).equals(undisturbed.adapter)).toBe(true);
});
