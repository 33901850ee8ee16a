import {
  AdapterInfo,
  buckets,
  Dataset,
  DatasetState,
  eventSubjects,
  GenerateWork,
  Generation,
  GenerationState,
  IngestWork,
  PictureStanding,
  Run,
  RunState,
  subjects,
  type WorkSubject,
} from '@atelier/contracts';
import { done, publishEvent, runWorker, type Mesh, type MessageType } from '@atelier/mesh';
import { BlobStore, StateStore } from '@atelier/store';
import { adapterBytes } from './adapter-bytes';

/** Of a run that asks for a held-out share. */
const FAKE_PICTURES = [
  { name: 'b.png', visits: 9, loss: 1.4, first: 1.4, latest: 1.4, standing: PictureStanding.PICTURE_STANDING_STUCK },
  { name: 'a.png', visits: 9, loss: 0.9, first: 1, latest: 0.8, standing: PictureStanding.PICTURE_STANDING_LEARNT },
];
export const FAKE_PICTURE = Buffer.from('fake picture');

/**
 * Stand-ins for ingest, trainer and inference, for tests of the gateway alone: they take the real work from the real queues
 * and leave what the services would, but read no picture and train nothing.
 */
export function playServices(mesh: Mesh): { stop(): Promise<void> } {
  const stop = new AbortController();
  const blobs = new BlobStore(mesh);
  const datasets = new StateStore(mesh, buckets.state.datasets, Dataset);
  const runs = new StateStore(mesh, buckets.state.runs, Run);
  const adapters = new StateStore(mesh, buckets.state.adapters, AdapterInfo);
  const generations = new StateStore(mesh, buckets.state.generations, Generation);

  const train = async (id: string): Promise<void> => {
    const run = (await runs.get(id))!.value;
    const { name, options } = run;
    const total = options?.totalSteps ?? 0;
    await runs.update(id, (current) =>
      Object.assign(current, { state: RunState.RUN_STATE_TRAINING, attempts: 1, preemptions: 3 }),
    );
    await publishEvent(mesh, eventSubjects.run(run, 'state'), {
      runState: { runId: id, state: RunState.RUN_STATE_TRAINING, preemptions: 3 },
    });
    for (let step = 1; step <= total; step++) {
      const detail = {
        runId: id,
        step,
        totalSteps: total,
        loss: 1 / step,
        learningRate: 1e-4,
        etaSeconds: total - step,
      };
      await publishEvent(mesh, eventSubjects.run(run, 'step'), { runStep: detail });
    }
    const isScored = Boolean(options?.heldOut);
    const heldOut = [0, total].map((step) => ({ step, loss: step ? 0.6 : 0.9 })).filter(() => isScored);
    for (const score of heldOut)
      await publishEvent(mesh, eventSubjects.run(run, 'held-out'), { runHeldOut: { runId: id, ...score, samples: 1 } });
    const image = `${id}/step-${total}.png`;
    await blobs.put(buckets.blobs.samples, image, FAKE_PICTURE);
    await publishEvent(mesh, eventSubjects.run(run, 'sample'), {
      runSample: { runId: id, step: total, prompt: 'a heron', image },
    });
    const bytes = adapterBytes();
    await blobs.put(buckets.blobs.adapters, `${name}.safetensors`, bytes);
    await adapters.create(
      name,
      AdapterInfo.create({ name, runId: id, blob: `${name}.safetensors`, size: bytes.byteLength, rank: 2, alpha: 2 }),
    );
    const beside = { name: `${name}@2`, runId: id, blob: `${name}.safetensors`, size: bytes.byteLength };
    if (isScored) await adapters.create(`${name}=2`, AdapterInfo.create(beside));
    await runs.update(id, (current) =>
      Object.assign(current, {
        state: RunState.RUN_STATE_FINISHED,
        step: total,
        loss: 1 / total,
        adapter: name,
        sampleImages: [image],
        heldOut,
        heldOutSamples: heldOut.length && 1,
        pictures: isScored ? { step: total, pictures: FAKE_PICTURES } : null,
      }),
    );
    await publishEvent(mesh, eventSubjects.run(run, 'state'), {
      runState: { runId: id, state: RunState.RUN_STATE_FINISHED },
    });
  };

  const ingest = async ({ datasetId, runId }: IngestWork): Promise<void> => {
    const { waitingRuns } = await datasets.update(datasetId, (dataset) =>
      Object.assign(dataset, {
        state: DatasetState.DATASET_STATE_INGESTED,
        samples: dataset.files.filter(({ name }) => name?.endsWith('.png')).length,
        rejected: [{ name: 'broken.jpg', reason: 'it is cut short' }],
      }),
    );
    for (const id of runId ? [runId] : waitingRuns) await train(id);
  };

  const draw = async ({ id, count }: GenerateWork): Promise<void> => {
    const images = Array.from({ length: count }, (_, index) => `${id}/${index}.png`);
    for (const image of images) await blobs.put(buckets.blobs.samples, image, FAKE_PICTURE);
    await generations.update(id, (generation) =>
      Object.assign(generation, { state: GenerationState.GENERATION_STATE_FINISHED, images, preemptions: 2 }),
    );
    await publishEvent(mesh, eventSubjects.generation(id, 'state'), {
      generateState: { id, state: GenerationState.GENERATION_STATE_FINISHED, images },
    });
  };

  const work = <T>(
    subject: WorkSubject,
    type: MessageType<never, T>,
    handle: (message: T) => Promise<void>,
  ): Promise<void> =>
    runWorker(mesh, { subject, type, signal: stop.signal }, async (message) => {
      await handle(message);
      return done;
    });

  const workers = [
    work<IngestWork>(subjects.work.ingest, IngestWork, ingest),
    work<GenerateWork>(subjects.work.generate, GenerateWork, draw),
  ];
  return {
    stop: async () => {
      stop.abort();
      await Promise.all(workers);
    },
  };
}
