import { Injectable } from '@nestjs/common';
import { buckets, Sample, type IEncodeSummary, type Manifest } from '@atelier/contracts';
import { EncodedRuns } from '@atelier/jobs';
import { Mesh } from '@atelier/mesh';
import { askForLatents, askForPrompts, BlobStore, TensorStore } from '@atelier/store';
import { mapConcurrently } from './in-order';
import { preparedPicture } from './sample-collection';

/** Questions to the store in flight at once. */
const IN_FLIGHT = 16;

/** What a person is told of a prompt. */
const MOST_OF_PROMPT = 60;

export interface ValidationPrompt {
  readonly key: string;
  /** In NFC. */
  readonly caption: string;
}

/** What a manifest still needs of the encoders: one sample for each missing key. */
export interface Missing {
  readonly latents: Sample[];
  readonly prompts: Sample[];
  readonly latentsTotal: number;
  readonly promptsTotal: number;
}

/** Finds the keys that have no tensors yet and asks the encoders for those, and for no others. */
@Injectable()
export class EncoderWork {
  constructor(
    private readonly mesh: Mesh,
    private readonly tensors: TensorStore,
    private readonly blobs: BlobStore,
    private readonly runs: EncodedRuns,
  ) {}

  async missing({ samples }: Manifest): Promise<Missing> {
    const byLatents = [...new Map(samples.map((sample) => [sample.latentsKey ?? '', Sample.create(sample)])).values()];
    const byPrompts = [...new Map(samples.map((sample) => [sample.promptsKey ?? '', Sample.create(sample)])).values()];
    const absent = async (kind: 'latents' | 'prompts', all: Sample[], key: (sample: Sample) => string) => {
      const there = await mapConcurrently(all, IN_FLIGHT, (sample) => this.tensors.has(kind, key(sample)));
      return all.filter((_sample, index) => !there[index]);
    };
    return {
      latents: await absent('latents', byLatents, (sample) => sample.latentsKey),
      prompts: await absent('prompts', byPrompts, (sample) => sample.promptsKey),
      latentsTotal: byLatents.length,
      promptsTotal: byPrompts.length,
    };
  }

  /** Whether every picture that is to be encoded is there in its prepared form. */
  async canEncode({ latents }: Missing): Promise<boolean> {
    const there = await mapConcurrently(latents, IN_FLIGHT, ({ latentsKey }) =>
      this.blobs.has(buckets.blobs.pictures, preparedPicture(latentsKey)),
    );
    return there.every(Boolean);
  }

  /** Puts what is missing on the queues, unless it is there already. */
  async request({ latents, prompts }: Missing, datasetId: string, maxLength: number): Promise<void> {
    await mapConcurrently(prompts, IN_FLIGHT, (sample) => this.requestCaption(sample, datasetId, maxLength));
    await mapConcurrently(latents, IN_FLIGHT, async ({ latentsKey: key, width, height, name }) => {
      const work = { key, picture: preparedPicture(key), width, height, name, datasetId };
      const sequence = await askForLatents(this.mesh, work);
      await this.runs.asked({ datasetId, kind: 'latents', key, sequence });
    });
  }

  /** A run's validation prompts: they are encoded before a trainer has the run, as its pictures are. */
  async requestPrompts(prompts: readonly ValidationPrompt[], datasetId: string, maxLength: number): Promise<void> {
    for (const { key, caption } of prompts) {
      if (await this.tensors.has('prompts', key)) continue;
      const name = `validation prompt ${JSON.stringify(caption.slice(0, MOST_OF_PROMPT))}`;
      await this.requestCaption({ promptsKey: key, caption, name }, datasetId, maxLength);
    }
  }

  private async requestCaption(
    { promptsKey: key, caption, name }: Pick<Sample, 'promptsKey' | 'caption' | 'name'>,
    datasetId: string,
    maxLength: number,
  ): Promise<void> {
    const sequence = await askForPrompts(this.mesh, { key, caption, maxLength, name, datasetId });
    await this.runs.asked({ datasetId, kind: 'prompts', key, sequence });
  }
}

/** In numbers for people: with nothing missing, no encoder does anything. */
export function summarize(missing: Missing, datasetId: string, runId: string): IEncodeSummary {
  return {
    datasetId,
    runId,
    latentsTotal: missing.latentsTotal,
    latentsCached: missing.latentsTotal - missing.latents.length,
    promptsTotal: missing.promptsTotal,
    promptsCached: missing.promptsTotal - missing.prompts.length,
  };
}
