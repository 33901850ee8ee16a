import { Injectable } from '@nestjs/common';
import { promptsKey, trainOptionsJson, type IEncodeSummary, type Run } from '@atelier/contracts';
import { EncodedRuns, goOnForRun, Runs } from '@atelier/jobs';
import { EncoderWork, type Missing, type ValidationPrompt } from './encoder-work';
import { Manifests, type StoredManifest } from './manifests';
import type { Identity } from './model-identity';

/** Puts runs on their way once their data set is read: to the encoders, and from there to a trainer. */
@Injectable()
export class RunStart {
  constructor(
    private readonly runs: Runs,
    private readonly encoders: EncoderWork,
    private readonly encoded: EncodedRuns,
    private readonly manifests: Manifests,
  ) {}

  /** Asks the encoders for what a data set lacks. */
  request(missing: Missing, datasetId: string, { maxLength }: Identity): Promise<void> {
    return this.encoders.request(missing, datasetId, maxLength);
  }

  /** What the data set's manifest lacks has been asked for. Done twice, it is done once. */
  async start(id: string, stored: StoredManifest, identity: Identity, summary: IEncodeSummary): Promise<void> {
    if (!(await this.runs.wantsWork(id))) return;
    const asked = await this.runs.get(id);
    await goOnForRun('start run', asked, () => this.encode(asked, stored, identity, summary));
  }

  private async encode(asked: Run, stored: StoredManifest, identity: Identity, summary: IEncodeSummary): Promise<void> {
    const { id } = asked;
    const prompts = validationPrompts(asked, identity);
    const promptsKeys = prompts.map(({ key }) => key);
    const run = await this.runs.startEncoding(id, stored.name, { ...summary, runId: id }, promptsKeys);
    // Who put it further may have died before it was on the trainers' queue.
    if (!run) {
      await this.encoded.look(summary.datasetId ?? '');
      return;
    }
    const { datasetId, manifest, turns: turn } = run;
    await this.encoders.requestPrompts(prompts, datasetId, identity.maxLength);
    if (manifest !== stored.name) await this.requestOwn(run, identity);
    await this.encoded.add(datasetId, { runId: id, turn, manifest });
    await this.encoded.look(datasetId);
  }

  /** A run keeps the manifest that it began with, whatever its data set has been read into since. */
  private async requestOwn({ datasetId, manifest }: Run, { maxLength }: Identity): Promise<void> {
    const missing = await this.encoders.missing(await this.manifests.read(manifest));
    await this.encoders.request(missing, datasetId, maxLength);
  }
}

function validationPrompts({ options }: Run, { maxLength, textFingerprint }: Identity): ValidationPrompt[] {
  const { validation_prompts: texts, validate_every: every } = trainOptionsJson(options);
  if (every === 0) return [];
  return texts.map((text) => {
    const caption = text.normalize('NFC');
    return { caption, key: promptsKey({ caption, maxLength, textFingerprint }) };
  });
}
