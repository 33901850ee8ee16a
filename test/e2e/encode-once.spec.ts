// A key is asked for once, and encoded once. "A second run over the same pictures and captions does no encoder work at all, and says so. Change one caption: one prompt is encoded."
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import {
  calls,
  buckets,
  Dataset,
  DatasetState,
  eventSubjects,
  IngestWork,
  Manifest,
  Run,
  RunState,
  streams,
  subjects,
  TrainWork,
  type IEncodeSummary,
  type RunRef,
  type TensorKind,
} from '@atelier/contracts';
import { AtelierClient } from '@atelier/client';
import { callService, consumerName, publishWork, subscribeEvents } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import {
  startServiceProcess,
  startTestMesh,
  tinyCheckpoint,
  waitFor,
  type ServiceProcess,
  type TestMesh,
} from '@atelier/testing';

let test: TestMesh;
let folder: string;
let services: ServiceProcess[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'encode-once-'));
  test = await startTestMesh();
  const env = {
    ATELIER_NATS_URL: test.url,
    ATELIER_MODEL: tinyCheckpoint(),
    ATELIER_INGEST_SPOOL: folder,
    ATELIER_LOG_LEVEL: 'info',
  };
  services = await Promise.all(['ingest', 'latents', 'prompts'].map((name) => startServiceProcess(name, env)));
});
afterEach(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await test.stop();
  await rm(folder, { recursive: true, force: true });
});

const colours = ['tomato', 'seagreen', 'royalblue'];

/** Three pictures with captions, as a run that waits for them. */
async function start(id: string, captions: string[]): Promise<void> {
  const blobs = new BlobStore(test.mesh);
  const files = [];
  for (const [at, colour] of colours.entries()) {
    const png = await sharp({ create: { width: 100, height: 80, channels: 3, background: colour } })
      .png()
      .toBuffer();
    for (const [name, bytes] of [
      [`${at}.png`, png],
      [`${at}.txt`, Buffer.from(captions[at]!)],
    ] as const) {
      const blob = `uploads/${id}/${name}`;
      await blobs.put(buckets.blobs.pictures, blob, bytes);
      files.push({ name, blob, size: bytes.length });
    }
  }
  const dataset = Dataset.create({
    id,
    name: id,
    files,
    transform: { width: 64, height: 64 },
    state: DatasetState.DATASET_STATE_UPLOADED,
  });
  await new StateStore(test.mesh, 'datasets', Dataset).create(id, dataset);
  await new StateStore(test.mesh, 'runs', Run).create(
    id,
    Run.create({ id, name: id, datasetId: id, state: RunState.RUN_STATE_QUEUED }),
  );
  await publishWork(test.mesh, subjects.work.ingest, IngestWork, { datasetId: id, runId: id }, { msgId: id });
}

/** What the run's event says of the encoders, once nothing but its training is left on the queues. */
async function summary(id: string, runs: number): Promise<IEncodeSummary> {
  const told = await summaryOf({ id, datasetId: id });
  await onlyTrainingLeft(runs);
  return told;
}

async function summaryOf(run: RunRef): Promise<IEncodeSummary> {
  const stop = new AbortController();
  let told: IEncodeSummary | undefined;
  for await (const { event } of subscribeEvents(test.mesh, eventSubjects.run(run, 'encoding'), {
    signal: stop.signal,
  })) {
    told = { ...event.encodeSummary };
    break;
  }
  stop.abort();
  return told!;
}

async function onlyTrainingLeft(runs: number): Promise<void> {
  await waitFor('queues with nothing but training', async () => {
    const { state } = await test.mesh.jsm.streams.info(streams.WORK, { subjects_filter: '>' });
    return state.messages === runs && state.subjects?.[subjects.work.train] === runs;
  });
}

/** Messages that an encoder got from its queue; none was delivered twice where all went well. */
async function asked(kind: TensorKind): Promise<number> {
  const { delivered } = await test.mesh.jsm.consumers.info(streams.WORK, consumerName(subjects.work[kind]));
  return delivered.consumer_seq;
}

const status = async (service: string): Promise<string> =>
  (await callService(test.mesh, calls.status(service), {})).detail;
const tensors = async (): Promise<number> => (await test.mesh.jsm.streams.info(streams.TENSORS)).state.last_seq;

it('a second run does no encoder work at all and says so; with one caption changed, one prompt is encoded', async () => {
  const captions = ['a heron', 'two herons', 'a pond'];
  await start('first', captions);
  expect(await summary('first', 1)).toMatchObject({
    latentsTotal: 3,
    latentsCached: 0,
    promptsTotal: 3,
    promptsCached: 0,
  });
  expect(await status('latents')).toBe('3 encoded, 0 there already, 0 failed');
  expect(await status('prompts')).toBe('3 encoded, 0 there already, 0 failed');
  expect(await tensors()).toBe(6);

  await start('second', captions);
  expect(await summary('second', 2)).toMatchObject({
    latentsTotal: 3,
    latentsCached: 3,
    promptsTotal: 3,
    promptsCached: 3,
  });
  expect(await status('latents')).toBe('3 encoded, 0 there already, 0 failed'); // not even asked
  expect(await status('prompts')).toBe('3 encoded, 0 there already, 0 failed');
  expect(await tensors()).toBe(6);

  await start('third', ['a heron', 'two herons', 'a frozen pond']);
  expect(await summary('third', 3)).toMatchObject({
    latentsTotal: 3,
    latentsCached: 3,
    promptsTotal: 3,
    promptsCached: 2,
  });
  expect(await status('latents')).toBe('3 encoded, 0 there already, 0 failed');
  expect(await status('prompts')).toBe('4 encoded, 0 there already, 0 failed');
  expect(await tensors()).toBe(7);
});

it('every key of the manifest that a run trains on has its tensors when the queues are empty', async () => {
  await start('run', ['a heron', 'two herons', 'a pond']);
  await summary('run', 1);
  const { data } = await test.mesh.jsm.streams.getMessage(streams.WORK, { last_by_subj: subjects.work.train });
  const { manifest } = TrainWork.decode(data);
  const { samples } = Manifest.decode(await new BlobStore(test.mesh).get(buckets.blobs.manifests, manifest));
  const store = new TensorStore(test.mesh);
  expect(samples).toHaveLength(3);
  for (const { latentsKey, promptsKey } of samples) {
    expect([await store.has('latents', latentsKey!), await store.has('prompts', promptsKey!)]).toEqual([true, true]);
  }
});

it('a fine-tune on six pictures asks the encoders for six pictures and six captions, whenever the run is started', async () => {
  const client = new AtelierClient(test.mesh);
  const backgrounds = ['tomato', 'seagreen', 'royalblue', 'gold', 'white', 'black'];
  const pictures = await Promise.all(
    backgrounds.map(async (background, at) => [
      {
        name: `${at}.png`,
        data: await sharp({ create: { width: 80, height: 80, channels: 3, background } })
          .png()
          .toBuffer(),
      },
      { name: `${at}.txt`, data: Buffer.from(`picture ${at}`) },
    ]),
  );
  const { id } = await client.createDataset({ name: 'six', width: 64, height: 64, files: pictures.flat() });
  const atOnce = await client.startFinetune({ dataset: id, name: 'at-once' });
  await summaryOf(atOnce);
  const later = await client.startFinetune({ dataset: id, name: 'later' });
  await summaryOf(later);
  await onlyTrainingLeft(2);
  expect(await asked('latents')).toBe(6);
  expect(await asked('prompts')).toBe(6);
  expect(await status('latents')).toBe('6 encoded, 0 there already, 0 failed');
  expect(await status('prompts')).toBe('6 encoded, 0 there already, 0 failed');
});
