import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Fingerprints, Tensor } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import type { PromptEmbeds } from '@atelier/drawing';
import { BatchLease } from '@atelier/lease';
import { LOGGER, Mesh, type Logger } from '@atelier/mesh';
import { leasePriorities, ModelHost, weightFileBytes } from '@atelier/models';
import { setImmediate as turn } from 'node:timers/promises';
import { Gather } from './gather';
import { PromptsConfig } from './prompts.config';

/** For activations: T5-XXL's largest over 512 tokens are its attention scores (64 MiB) and its feed-forward's hidden rows (20 MiB each). Not measured. */
const WORKING_BYTES = 512 * 2 ** 20;
/** More of that on a card: what its driver and the engine's workspace take (550 MB in the engine's plans), and what captions that are encoded together add. */
const CARD_BYTES = 768 * 2 ** 20;

interface Caption {
  text: string;
  maxLength: number;
  signal?: AbortSignal;
}

/** Both text encoders: loaded when first used, within a lease where the device's memory is counted, let go when idle or when someone more urgent waits. */
@Injectable()
export class CaptionEncoder implements OnApplicationShutdown {
  private readonly host: ModelHost;
  private readonly lease?: BatchLease;
  private readonly captions: Gather<Caption, PromptEmbeds>;
  /** Bytes of the card; undefined on the CPU. */
  private readonly card?: number;
  /** Of what is loaded: asked for again when it has been let go, since the files may be others by then. */
  private known?: Promise<Fingerprints>;

  constructor(mesh: Mesh, config: PromptsConfig, @Inject(LOGGER) logger: Logger) {
    const { model, compute, threads, idleMs, device, deviceBytes } = config;
    this.captions = new Gather(config.together, (captions) => this.encodeAll(captions));
    this.card = config.card ? deviceBytes : undefined;
    this.host = new ModelHost({
      model,
      compute,
      threads,
      idleMs,
      t5Bytes: async () => (await this.bytes()).t5,
      onOpened: (computing) => logger.info({ computing }, 'device'),
      onFreed: () => this.freed(),
    });
    if (!config.deviceShared) return;
    this.lease = new BatchLease(
      mesh,
      { device, capacity: deviceBytes, owner: 'prompts', priority: leasePriorities.encoding },
      () => void this.host.release(),
    );
  }

  /** Of encoders and tokenizers in effect, as it stands in prompts keys. */
  async fingerprint(): Promise<string> {
    this.known ??= this.host
      .checkpoint()
      .then((checkpoint) => checkpoint.fingerprints())
      .catch((error: unknown) => {
        this.known = undefined;
        throw error;
      });
    return (await this.known).text;
  }

  /**
   * Captions that wait meanwhile are encoded together; each fails alone.
   * @param text in NFC
   * @param maxLength T5 tokens: shorter captions are padded to it, and the padding is attended to, as FLUX.1 does
   * @returns (maxLength, jointDim) and (pooledDim)
   */
  async encode(text: string, maxLength: number, signal?: AbortSignal): Promise<PromptEmbeds> {
    const embeds = await this.captions.run({ text, maxLength, signal });
    for (const [name, { data }] of Object.entries(embeds)) {
      if (!(data as Float32Array).every(Number.isFinite))
        throw new AtelierError(
          'DATA_LOSS',
          `the text encoders give ${name} that are not finite: their weights are damaged, download the checkpoint again`,
        );
    }
    return embeds;
  }

  private async encodeAll(captions: readonly Caption[]): Promise<PromptEmbeds[]> {
    const ids = await this.tokenize(captions);
    const bytes = this.lease ? (await this.bytes()).all : 0;
    if (this.lease && !this.lease.covers(bytes)) await this.host.release();
    const embeds = await this.host.use(async (models) => {
      await this.lease?.cover(bytes, AbortSignal.any(captions.flatMap(({ signal }) => signal ?? [])));
      const clip = await models.clip();
      const pooled: Tensor[] = [];
      for (const { clip: clipIds } of ids) pooled.push((await clip.encode(clipIds)).pooled);
      const promptEmbeds = await (await models.t5()).encode(ids.map(({ t5 }) => t5));
      return pooled.map((vector, at) => ({ promptEmbeds: promptEmbeds[at]!, pooled: vector }));
    });
    if (this.lease?.unwelcome) await this.host.release();
    return embeds;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.host.release();
  }

  private async freed(): Promise<void> {
    this.known = undefined;
    await this.lease?.release();
  }

  private async tokenize(captions: readonly Caption[]): Promise<{ clip: Int32Array; t5: Int32Array }[]> {
    const { clip, t5 } = await (await this.host.checkpoint()).tokenizers();
    const ids = [];
    for (const { text, maxLength } of captions) {
      await turn(); // a long caption takes seconds: between two the mesh hears of us
      ids.push({ clip: clip(text), t5: t5(text, maxLength) });
    }
    return ids;
  }

  /** What both encoders take, and T5 alone: on a card no more than it has, since T5's layers can be fetched. */
  private async bytes(): Promise<{ all: number; t5: number }> {
    const checkpoint = await this.host.checkpoint();
    const [clip, t5] = await Promise.all([
      weightFileBytes(checkpoint, 'text_encoder'),
      weightFileBytes(checkpoint, 'text_encoder_2'),
    ]);
    const all =
      this.card === undefined ? clip + t5 + WORKING_BYTES : Math.min(clip + t5 + WORKING_BYTES + CARD_BYTES, this.card);
    return { all, t5: Math.max(1, all - clip) };
  }
}
