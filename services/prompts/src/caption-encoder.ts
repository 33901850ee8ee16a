import { Injectable } from '@nestjs/common';
import type { Tensor } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import type { PromptEmbeds } from '@atelier/drawing';
import type { ClipText, T5Text } from '@atelier/engine';
import { inSpan, origin, type Origin, type SpanSettings } from '@atelier/mesh';
import { LeasedModels, type Models } from '@atelier/models';
import { setImmediate as turn } from 'node:timers/promises';
import { Gather } from './gather';
import { PromptsConfig } from './prompts.config';

interface Ids {
  clip: Int32Array;
  t5: Int32Array;
}

interface Caption {
  text: string;
  maxLength: number;
  signal?: AbortSignal;
  /** Those that are encoded together are each part of something else. */
  origin: Origin;
}

/** Both text encoders, within the memory that the engine says captions take. */
@Injectable()
export class CaptionEncoder {
  private readonly captions: Gather<Caption, PromptEmbeds>;

  constructor(
    private readonly config: PromptsConfig,
    private readonly models: LeasedModels,
  ) {
    this.captions = new Gather(config.together, (captions) => this.encodeAll(captions));
  }

  /** Of encoders and tokenizers in effect, as it stands in prompts keys. */
  async fingerprint(): Promise<string> {
    return (await this.models.fingerprints()).text;
  }

  /**
   * Captions that wait meanwhile are encoded together; each fails alone.
   * @param text in NFC
   * @param maxLength T5 tokens: shorter captions are padded to it, and the padding is attended to, as FLUX.1 does
   * @returns (maxLength, jointDim) and (pooledDim)
   */
  async encode(text: string, maxLength: number, signal?: AbortSignal): Promise<PromptEmbeds> {
    const embeds = await this.captions.run({ text, maxLength, signal, origin: origin() });
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
    return this.models.use(
      (models) => this.need(models, ids),
      ({ clip, t5 }) =>
        inSpan('encode captions', togetherOf(captions), async () => {
          const pooled: Tensor[] = [];
          for (const { clip: clipIds } of ids) pooled.push((await clip.encode(clipIds)).pooled);
          const promptEmbeds = await t5.encode(ids.map(({ t5: t5Ids }) => t5Ids));
          return pooled.map((vector, at) => ({ promptEmbeds: promptEmbeds[at]!, pooled: vector }));
        }),
      AbortSignal.any(captions.flatMap(({ signal }) => signal ?? [])),
    );
  }

  /** Both encoders, and what the longest caption takes in them: on a card no more than it has, since T5's layers can be fetched. */
  private async need(models: Models, ids: readonly Ids[]): Promise<{ clip: ClipText; t5: T5Text; bytes: number }> {
    const { card, deviceBytes, baseBytes } = this.config;
    const longest = (which: keyof Ids): number => Math.max(...ids.map((each) => each[which].length));
    const clip = await models.clip();
    const clipBytes = clip.encodeBytes(longest('clip'));
    const t5 = await models.t5(card ? Math.max(1, deviceBytes - clip.weightBytes - clipBytes) : undefined);
    const encoding = Math.max(clipBytes, t5.encodeBytes(longest('t5')));
    const bytes = baseBytes + clip.weightBytes + t5.weightBytes + encoding;
    return { clip, t5, bytes: card ? Math.min(bytes, deviceBytes) : bytes };
  }

  private async tokenize(captions: readonly Caption[]): Promise<Ids[]> {
    const { clip, t5 } = await (await this.models.checkpoint()).tokenizers();
    const ids = [];
    for (const { text, maxLength } of captions) {
      await turn(); // a long caption takes seconds: between two the mesh hears of us
      ids.push({ clip: clip(text), t5: t5(text, maxLength) });
    }
    return ids;
  }
}

function togetherOf(captions: readonly Caption[]): SpanSettings {
  const [first, ...others] = captions.map(({ origin }) => origin);
  const attributes = { 'atelier.captions': captions.length };
  return { attributes, parent: first?.within, links: others.flatMap(({ link }) => link ?? []) };
}
