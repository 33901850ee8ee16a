import sharp from 'sharp';
import { decodeTensors, openCheckpoint, type Tensor } from '@atelier/checkpoint';
import {
  calls,
  buckets,
  cropFields,
  Event,
  headers,
  latentsKey,
  LatentsWork,
  streams,
  subjects,
  type ILatentsWork,
} from '@atelier/contracts';
import { callService, consumerName, publishWork, startService, type RunningService } from '@atelier/mesh';
import { BlobStore, TensorStore } from '@atelier/store';
import { startTestMesh, tinyCheckpoint, waitFor, type TestMesh } from '@atelier/testing';
import { LatentsConfig } from '../src/latents.config';
import { LatentsModule } from '../src/latents.module';

/** The mesh around the latents service: prepared pictures as ingest leaves them, work, and what came of it. */
export class Harness {
  readonly blobs: BlobStore;
  readonly tensors: TensorStore;
  service?: RunningService;
  private asked = 0;

  private constructor(readonly test: TestMesh) {
    this.blobs = new BlobStore(test.mesh);
    this.tensors = new TensorStore(test.mesh);
  }

  static async start(): Promise<Harness> {
    return new Harness(await startTestMesh());
  }

  env(settings: Record<string, string> = {}): Record<string, string> {
    return {
      ATELIER_NATS_URL: this.test.url,
      ATELIER_MODEL: tinyCheckpoint(),
      ATELIER_LOG_LEVEL: 'silent',
      ATELIER_COMPUTE: 'cpu',
      ...settings,
    };
  }

  async startService(settings: Record<string, string> = {}): Promise<void> {
    const env = this.env(settings);
    this.service = await startService(LatentsModule.with(new LatentsConfig(env)), 'latents', env);
  }

  async stop(): Promise<void> {
    await this.service?.stop();
    await this.test.stop();
  }

  /** A prepared picture in the store, and the work that asks for its latents. */
  async picture(seed: number, size = 64, more: ILatentsWork = {}): Promise<LatentsWork> {
    const pixels = Buffer.from(
      Uint8Array.from({ length: size * size * 3 }, (_, i) => (i * 31 + seed * 97 + ((i * i) >> 9)) & 255),
    );
    const { vae: vaeFingerprint } = await (await openCheckpoint(tinyCheckpoint())).fingerprints();
    const key = latentsKey({
      pixels,
      width: size,
      height: size,
      transform: { ...cropFields('center'), flip: seed % 2 === 1 },
      vaeFingerprint,
    });
    const picture = `prepared/${key}.png`;
    await this.blobs.put(
      buckets.blobs.pictures,
      picture,
      await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
        .png()
        .toBuffer(),
    );
    return LatentsWork.create({
      key,
      picture,
      width: size,
      height: size,
      name: `picture-${seed}.png`,
      datasetId: 'd1',
      ...more,
    });
  }

  async ask(...all: LatentsWork[]): Promise<void> {
    for (const work of all)
      await publishWork(this.test.mesh, subjects.work.latents, LatentsWork, work, { msgId: `test.${this.asked++}` });
  }

  /** Until the queue holds no work any more. */
  async settled(ms = 30_000): Promise<void> {
    await waitFor(
      'an empty queue',
      async () => (await this.test.mesh.jsm.streams.info(streams.WORK)).state.messages === 0,
      ms,
    );
  }

  /** Messages that a service has in hand. */
  async inHand(): Promise<number> {
    return (await this.test.mesh.jsm.consumers.info(streams.WORK, consumerName(subjects.work.latents))).num_ack_pending;
  }

  async latents(key: string): Promise<Record<string, Tensor> | undefined> {
    const bytes = await this.tensors.get('latents', key);
    return bytes ? decodeTensors(bytes) : undefined;
  }

  /** Events so far, oldest first. */
  async events(): Promise<Event[]> {
    return (await this.messages(streams.EVENTS)).map(({ data }) => Event.decode(data));
  }

  /** Dead letters so far: what they ask for, and the reason. */
  async deadLetters(): Promise<{ work: LatentsWork; reason: string }[]> {
    return (await this.messages(streams.DEAD)).map(({ data, reason }) => ({ work: LatentsWork.decode(data), reason }));
  }

  async statusDetail(): Promise<string> {
    return (await callService(this.test.mesh, calls.status('latents'), {})).detail;
  }

  private async messages(stream: string): Promise<{ data: Uint8Array; reason: string }[]> {
    const { state } = await this.test.mesh.jsm.streams.info(stream);
    const found = [];
    for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq += 1) {
      const message = await this.test.mesh.jsm.streams.getMessage(stream, { seq });
      found.push({ data: message.data, reason: message.header?.get(headers.reason) ?? '' });
    }
    return found;
  }
}
