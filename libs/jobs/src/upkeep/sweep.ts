import { buckets, RunState, toDate, type BlobBucket, type Run } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import {
  AdapterStore,
  BlobStore,
  clearLoose,
  clearTensor,
  surveyBucket,
  surveyTensors,
  type BucketSurvey,
  type SurveyedObject,
  type SurveyedTensor,
} from '@atelier/store';
import { Deletion } from '../deletion';
import { isGenerationOver, isRunOver } from '../states';
import { Naming, type Named } from './named';
import { FAILED_KEPT_MS, kinds, ownerOf, pictureOf, runOf, type SweepRules } from './rules';
import { Tally, type Clearing, type Counted } from './tally';

/** What is cleared between two looks at what is named. */
const BATCH = 100;

const { pictures, manifests, checkpoints, samples, adapters } = buckets.blobs;

/**
 * Clears what nothing names any more. Safe beside everything else: first is looked at what is stored, then at what is
 * named, so that what came in between is not known here; what may yet be named has the grace; and encodings are looked
 * up again shortly before they go (docs/decisions/0044-the-sweep-clears-what-nothing-names.md).
 */
export class Sweep {
  private readonly naming: Naming;
  private readonly blobs: BlobStore;
  private readonly tally: Tally;

  /** @param onBatch is told that it goes on */
  constructor(
    private readonly mesh: Mesh,
    private readonly rules: SweepRules,
    { dryRun = false, onBatch }: { dryRun?: boolean; onBatch?: () => Promise<void> } = {},
  ) {
    this.naming = new Naming(mesh);
    this.blobs = new BlobStore(mesh);
    this.tally = new Tally(dryRun, onBatch);
  }

  /** @returns what was cleared, by kind; in a dry run, what would be */
  async run(): Promise<Counted[]> {
    const tensors = await surveyTensors(this.mesh);
    const surveys = new Map<BlobBucket, BucketSurvey>();
    for (const bucket of Object.values(buckets.blobs)) surveys.set(bucket, await surveyBucket(this.mesh, bucket));
    const named = await this.naming.look();
    const objects = (bucket: BlobBucket): SurveyedObject[] => surveys.get(bucket)!.objects;

    await this.drawingsOverLimit(objects(samples), named);
    await this.clearObjects(
      samples,
      kinds.drawings,
      objects(samples).filter((each) => this.isNobodys(each, named)),
    );
    await this.previews(objects(samples), named);
    await this.clearObjects(
      checkpoints,
      kinds.states,
      objects(checkpoints).filter((each) => this.isEnded(each, named)),
    );
    await this.uploads(objects(pictures), named);
    await this.clearObjects(
      manifests,
      kinds.manifests,
      objects(manifests).filter((each) => !named.manifests.has(each.name) && this.isOld(each)),
    );
    await this.adapterFiles(objects(adapters));
    await this.encodings(tensors, objects(pictures));
    for (const [bucket, { loose }] of surveys) await this.loose(bucket, loose);
    return this.tally.counted;
  }

  private isOld({ written }: { written: Date }, ms = this.rules.graceMs): boolean {
    return Date.now() - written.getTime() >= ms;
  }

  /** A picture whose run or drawing was deleted: both are written before their pictures. */
  private isNobodys(object: SurveyedObject, { runs, generations }: Named): boolean {
    const owner = ownerOf(object);
    return !runs.has(owner) && !generations.has(owner) && this.isOld(object);
  }

  /** A training state that no run goes on from. What one that failed had come to is kept for a while. */
  private isEnded(state: SurveyedObject, { runs }: Named): boolean {
    const run = runs.get(runOf(state));
    if (!run) return this.isOld(state);
    if (!isRunOver(run)) return false;
    return run.state !== RunState.RUN_STATE_FAILED || isEndedFor(run, FAILED_KEPT_MS);
  }

  /** Files of data sets that were deleted, and of uploads that never ended: of which nothing has come for the grace. */
  private async uploads(objects: SurveyedObject[], { datasets }: Named): Promise<void> {
    const uploaded = objects.filter(({ name }) => pictureOf(name).kind === 'uploads');
    const growing = new Set(uploaded.filter((each) => !this.isOld(each)).map(({ name }) => pictureOf(name).id));
    const isDue = ({ name }: SurveyedObject): boolean => {
      const { id } = pictureOf(name);
      return !datasets.has(id) && !growing.has(id);
    };
    await this.clearObjects(pictures, kinds.uploads, uploaded.filter(isDue));
  }

  private async drawingsOverLimit(objects: SurveyedObject[], { generations }: Named): Promise<void> {
    const { drawingsLimit } = this.rules;
    if (drawingsLimit === undefined) return;
    const bytesOf = new Map<string, number>();
    for (const object of objects) {
      const owner = ownerOf(object);
      if (generations.has(owner)) bytesOf.set(owner, (bytesOf.get(owner) ?? 0) + object.bytes);
    }
    let total = [...bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
    const oldest = [...bytesOf.keys()].sort(); // ids begin with the time they were made
    const deletion = new Deletion(this.mesh);
    for (const id of oldest) {
      if (total <= drawingsLimit) return;
      if (!isGenerationOver(generations.get(id)!)) continue;
      total -= bytesOf.get(id)!;
      await this.tally.clear(kinds.drawings, [{ bytes: bytesOf.get(id)!, remove: () => deletion.generation(id) }]);
    }
  }

  private async previews(objects: SurveyedObject[], { runs }: Named): Promise<void> {
    const { previewsKeptMs } = this.rules;
    if (previewsKeptMs === undefined) return;
    const isDue = (object: SurveyedObject): boolean => {
      const run = runs.get(ownerOf(object));
      return run !== undefined && isRunOver(run) && isEndedFor(run, previewsKeptMs);
    };
    const deletion = new Deletion(this.mesh);
    const due = objects.filter(isDue).map(({ name, bytes }) => ({ bytes, remove: () => deletion.picture(name) }));
    await this.tally.clear(kinds.previews, due);
  }

  private async adapterFiles(objects: SurveyedObject[]): Promise<void> {
    const store = new AdapterStore(this.mesh);
    if (!this.tally.dryRun) await store.clearReplaced();
    const entries = await store.list();
    const namedFiles = new Set(entries.flatMap(({ blob, replaced }) => [blob, ...replaced.map((file) => file.blob)]));
    const due = objects.filter((each) => !namedFiles.has(each.name) && this.isOld(each));
    await this.clearObjects(adapters, kinds.adapters, due);
  }

  /**
   * Tensor sets that no manifest names, and prepared pictures that nobody is to encode any more. Who begins meanwhile is
   * seen before the next batch goes; while a data set is read none goes, since it has counted on what it found.
   */
  private async encodings(tensors: SurveyedTensor[], objects: SurveyedObject[]): Promise<void> {
    const encoded = new Set(tensors.filter(({ kind }) => kind === 'latents').map(({ key }) => key));
    const unnamed = ({ kind, key }: SurveyedTensor, named: Named): boolean => !named[kind].has(key);
    const first = await this.naming.look();
    const due = this.dueTensors(tensors.filter((tensor) => unnamed(tensor, first)));
    await this.inBatches(due, (tensor, named) => ({
      kind: kinds[tensor.kind],
      clearing: { bytes: tensor.bytes, remove: () => clearTensor(this.mesh, tensor) },
      isDue: unnamed(tensor, named),
    }));
    const prepared = objects.filter((each) => pictureOf(each.name).kind === 'prepared' && this.isOld(each));
    await this.inBatches(prepared, ({ name, bytes }, named) => {
      const { id: key } = pictureOf(name);
      const remove = (): Promise<void> => this.blobs.delete(pictures, name);
      const isDue = encoded.has(key) || !named.latents.has(key);
      return { kind: kinds.prepared, clearing: { bytes, remove }, isDue };
    });
  }

  /** Of those that nothing names: latents after the grace; prompts, which are drawings', later, or over their limit. */
  private dueTensors(unnamed: SurveyedTensor[]): SurveyedTensor[] {
    const { promptsKeptMs, promptsLimit = Infinity } = this.rules;
    const due = unnamed.filter((tensor) => tensor.kind === 'latents' && this.isOld(tensor));
    let total = 0;
    const prompts = unnamed.filter(({ kind }) => kind === 'prompts').sort((a, b) => b.sequence - a.sequence);
    for (const prompt of prompts) {
      total += prompt.bytes;
      if (this.isOld(prompt, promptsKeptMs) || (total > promptsLimit && this.isOld(prompt, USED_MS))) due.push(prompt);
    }
    return due;
  }

  private async inBatches<T>(
    items: readonly T[],
    judge: (item: T, named: Named) => { kind: string; clearing: Clearing; isDue: boolean },
  ): Promise<void> {
    for (let at = 0; at < items.length; at += BATCH) {
      const named = await this.naming.look();
      if (named.isReading) return;
      for (const item of items.slice(at, at + BATCH)) {
        const { kind, clearing, isDue } = judge(item, named);
        if (isDue) await this.tally.clear(kind, [clearing]);
      }
    }
  }

  private async loose(bucket: BlobBucket, chunks: BucketSurvey['loose']): Promise<void> {
    const due = chunks.filter((each) => this.isOld(each));
    await this.tally.clear(
      kinds.loose,
      due.map((each) => ({ bytes: each.bytes, remove: () => clearLoose(this.mesh, bucket, each) })),
    );
  }

  private async clearObjects(bucket: BlobBucket, kind: string, objects: SurveyedObject[]): Promise<void> {
    await this.tally.clear(
      kind,
      objects.map(({ name, bytes }) => ({ bytes, remove: () => this.blobs.delete(bucket, name) })),
    );
  }
}

/** What was made a moment ago is about to be read. */
const USED_MS = 10 * 60_000;

function isEndedFor({ finishedAt, createdAt }: Run, ms: number): boolean {
  const ended = toDate(finishedAt) ?? toDate(createdAt) ?? new Date(0);
  return Date.now() - ended.getTime() >= ms;
}
