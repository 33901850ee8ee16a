import { openCheckpoint } from '@atelier/checkpoint';
import {
  calls,
  Event,
  headers,
  promptsKey,
  PromptsWork,
  streams,
  subjects,
  type IPromptsWork,
} from '@atelier/contracts';
import { decodePromptEmbeds, type PromptEmbeds } from '@atelier/drawing';
import { callService, consumerName, publishWork, startService, type RunningService } from '@atelier/mesh';
import { TensorStore } from '@atelier/store';
import { startTestMesh, tinyCheckpoint, waitFor, type TestMesh } from '@atelier/testing';
import { PromptsConfig } from '../src/prompts.config';
import { PromptsModule } from '../src/prompts.module';

/** The mesh around the prompts service: captions as ingest leaves them, work, and what came of it. */
export class Harness {
  readonly tensors: TensorStore;
  service?: RunningService;
  private asked = 0;

  private constructor(readonly test: TestMesh) {
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
    this.service = await startService(PromptsModule.with(new PromptsConfig(env)), 'prompts', env);
  }

  async stop(): Promise<void> {
    await this.service?.stop();
    await this.test.stop();
  }

  /** The work that asks for a caption's prompt embeds. */
  async caption(caption: string, more: IPromptsWork = {}): Promise<PromptsWork> {
    const maxLength = more.maxLength ?? 512;
    const { text: textFingerprint } = await (await openCheckpoint(tinyCheckpoint())).fingerprints();
    const key = promptsKey({ caption, maxLength, textFingerprint });
    return PromptsWork.create({ key, caption, maxLength, name: 'cat.png', datasetId: 'd1', ...more });
  }

  async ask(...all: PromptsWork[]): Promise<void> {
    for (const work of all)
      await publishWork(this.test.mesh, subjects.work.prompts, PromptsWork, work, { msgId: `test.${this.asked++}` });
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
    return (await this.test.mesh.jsm.consumers.info(streams.WORK, consumerName(subjects.work.prompts))).num_ack_pending;
  }

  async embeds(key: string): Promise<PromptEmbeds | undefined> {
    const bytes = await this.tensors.get('prompts', key);
    return bytes ? decodePromptEmbeds(bytes, key) : undefined;
  }

  /** Events so far, oldest first. */
  async events(): Promise<Event[]> {
    return (await this.messages(streams.EVENTS)).map(({ data }) => Event.decode(data));
  }

  /** Dead letters so far: what they ask for, and the reason. */
  async deadLetters(): Promise<{ work: PromptsWork; reason: string }[]> {
    return (await this.messages(streams.DEAD)).map(({ data, reason }) => ({ work: PromptsWork.decode(data), reason }));
  }

  async statusDetail(): Promise<string> {
    return (await callService(this.test.mesh, calls.status('prompts'), {})).detail;
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
