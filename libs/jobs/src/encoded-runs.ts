import {
  AwaitedEncodings,
  AwaitingRun,
  buckets,
  EncodingRefusal,
  Manifest,
  trainOptionsJson,
  type IAwaitingRun,
  type ISample,
  type Run,
  type TensorKind,
} from '@atelier/contracts';
import { isPermanent, type Mesh } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { EncodingScan, type Fate } from './encoding-scan';
import { OneAfterTheOther } from './one-after-the-other';
import type { Runs } from './runs';

/** What an encoder was asked for, and by which message. */
export interface AskedEncoding {
  readonly datasetId: string;
  readonly kind: TensorKind;
  readonly key: string;
  /** Its place in the queue's stream. */
  readonly sequence: number;
}

/** A run that still waits for encodings, and of which kinds. */
export interface UnencodedRun {
  readonly runId: string;
  readonly kinds: readonly TensorKind[];
}

/**
 * Kept at once, a few megabytes each for ten thousand samples: those of runs that another saw to would stay for ever. One
 * that is let go is begun anew.
 */
const MOST_SCANS = 16;

interface Scanned {
  readonly samples: readonly ISample[];
  readonly scans: Record<TensorKind, EncodingScan>;
}

const refusalKey = ({ datasetId, kind, key }: Omit<AskedEncoding, 'sequence'>): string => `${datasetId}.${kind}.${key}`;
const nameOf = (datasetId: string, { runId, turn }: AwaitingRun): string => `${datasetId}.${runId}.${turn}`;

/**
 * Puts a run on the trainers' queue when the last of its encodings is there or refused. Everybody who may have brought
 * that about looks: an encoder after each of its keys, ingest after it has noted the run. Each writes first and looks
 * then, so of several at once the last sees all; nothing is counted, so whatever comes twice changes nothing; and a run
 * stays noted until it is on the queue, so who dies in between is followed by whoever gets the message next
 * (docs/decisions/0041-encode-then-train.md).
 */
export class EncodedRuns {
  private readonly awaited: StateStore<AwaitedEncodings>;
  private readonly refusals: StateStore<EncodingRefusal>;
  private readonly tensors: TensorStore;
  private readonly blobs: BlobStore;
  private readonly scanned = new Map<string, Promise<Scanned>>();
  private readonly looks = new OneAfterTheOther<UnencodedRun[]>();

  constructor(
    mesh: Mesh,
    private readonly runs: Runs,
  ) {
    this.awaited = new StateStore(mesh, buckets.state.encodings, AwaitedEncodings);
    this.refusals = new StateStore(mesh, buckets.state.refusals, EncodingRefusal);
    this.tensors = new TensorStore(mesh);
    this.blobs = new BlobStore(mesh);
  }

  /** An encoder was asked for a key: what a message before this one came to counts no more. Before a run is noted. */
  async asked(asked: AskedEncoding): Promise<void> {
    const key = refusalKey(asked);
    if (!(await this.refusals.get(key))) return;
    await this.refusals.update(key, ({ workSequence }) =>
      workSequence < asked.sequence ? EncodingRefusal.create({ workSequence: asked.sequence }) : null,
    );
  }

  /** Notes a run that waits; all that its manifest lacks has been asked for. */
  async add(datasetId: string, run: IAwaitingRun): Promise<void> {
    await this.awaited.put(datasetId, (former) => {
      const others = former?.runs.filter(({ runId }) => runId !== run.runId) ?? [];
      return AwaitedEncodings.create({ runs: [...others, run] });
    });
  }

  /** An encoder will not make a key. */
  async refused(asked: AskedEncoding, reason: string): Promise<void> {
    const refusal = EncodingRefusal.create({ workSequence: asked.sequence, reason });
    await this.refusals.put(refusalKey(asked), (former) =>
      former && former.workSequence > asked.sequence ? null : refusal,
    );
    await this.look(asked.datasetId);
  }

  /**
   * Sees whether runs on a data set wait for nothing any more, and puts those on the trainers' queue. After whatever may
   * have settled a key was written.
   * @returns those that still wait
   */
  look(datasetId: string): Promise<UnencodedRun[]> {
    return this.looks.run(datasetId, async () => {
      const waiting = (await this.awaited.get(datasetId))?.value.runs ?? [];
      const left: UnencodedRun[] = [];
      for (const run of waiting) {
        const awaiting = AwaitingRun.create(run);
        const kinds = await this.pending(datasetId, awaiting);
        if (kinds.length > 0) left.push({ runId: awaiting.runId, kinds });
      }
      return left;
    });
  }

  /**
   * A data set that is deleted: nothing of it is waited for, nor remembered. A run that began on it at that moment fails
   * with that reason, rather than wait for ever.
   */
  async forgetDataset(datasetId: string): Promise<void> {
    const refused = (await this.refusals.keys()).filter((key) => key.startsWith(`${datasetId}.`));
    const anyhow = (): void => undefined;
    for (const key of refused) await this.refusals.take(key, anyhow);
    const noted = await this.awaited.take(datasetId, anyhow);
    for (const { runId } of noted?.runs ?? [])
      await this.runs.failed(runId ?? '', 'its data set was deleted: start the run again on another');
  }

  /** Data sets with runs that wait. */
  async datasets(): Promise<string[]> {
    const ids = await this.awaited.keys();
    const waiting = await Promise.all(ids.map(async (id) => (await this.awaited.get(id))?.value.runs.length));
    return ids.filter((_id, index) => waiting[index]);
  }

  /** What cannot be done about one run is that run's fault, and no reason to fail who looks. */
  private async pending(datasetId: string, awaiting: AwaitingRun): Promise<TensorKind[]> {
    try {
      const scanned = await this.scan(datasetId, awaiting);
      const { latents, prompts } = scanned.scans;
      const kinds: TensorKind[] = [];
      if (!(await latents.isSettled())) kinds.push('latents');
      if (!(await prompts.isSettled())) kinds.push('prompts');
      if (kinds.length === 0) await this.settle(datasetId, awaiting, scanned);
      return kinds;
    } catch (error) {
      if (!isPermanent(error)) throw error;
      await this.runs.failed(awaiting.runId, `what it waits for cannot be found out: ${error.message}`);
      await this.forget(datasetId, awaiting);
      return [];
    }
  }

  /** The run is noted until all of this is done. */
  private async settle(datasetId: string, awaiting: AwaitingRun, { samples, scans }: Scanned): Promise<void> {
    const { runId, turn } = awaiting;
    const run = await this.runs.find(runId);
    if (run) {
      const leftOut = samples.flatMap((sample, index) => (refusalOf(sample, scans) === undefined ? [] : [index]));
      const reason = leftOut.length > 0 ? whyNot(run, samples, leftOut, scans) : undefined;
      if (reason) await this.runs.failed(runId, reason);
      else await this.runs.encoded(runId, turn, leftOut);
    }
    await this.forget(datasetId, awaiting);
  }

  private async forget(datasetId: string, awaiting: AwaitingRun): Promise<void> {
    const { runId, turn } = awaiting;
    this.scanned.delete(nameOf(datasetId, awaiting));
    if (!(await this.awaited.get(datasetId))) return; // it went with its data set
    await this.awaited.update(datasetId, ({ runs }) => {
      const others = runs.filter((other) => other.runId !== runId || other.turn !== turn);
      return others.length === runs.length ? null : AwaitedEncodings.create({ runs: others });
    });
  }

  private scan(datasetId: string, awaiting: AwaitingRun): Promise<Scanned> {
    const name = nameOf(datasetId, awaiting);
    const known = this.scanned.get(name);
    if (known) return known;
    const scanned = this.begin(datasetId, awaiting);
    this.scanned.set(name, scanned);
    if (this.scanned.size > MOST_SCANS) this.scanned.delete(this.scanned.keys().next().value!);
    scanned.catch(() => this.scanned.delete(name));
    return scanned;
  }

  private async begin(datasetId: string, { runId, manifest }: AwaitingRun): Promise<Scanned> {
    const promptsKeys = (await this.runs.find(runId))?.promptsKeys ?? [];
    const { samples } = Manifest.decode(await this.blobs.get(buckets.blobs.manifests, manifest));
    const scanOf = (kind: TensorKind, keys: string[]): EncodingScan =>
      new EncodingScan([...new Set(keys)], (key) => this.fate({ datasetId, kind, key }));
    const latents = samples.map(({ latentsKey }) => latentsKey ?? '');
    const prompts = [...samples.map(({ promptsKey }) => promptsKey ?? ''), ...promptsKeys];
    return { samples, scans: { latents: scanOf('latents', latents), prompts: scanOf('prompts', prompts) } };
  }

  private async fate(of: Omit<AskedEncoding, 'sequence'>): Promise<Fate> {
    if (await this.tensors.has(of.kind, of.key)) return 'there';
    const refused = (await this.refusals.get(refusalKey(of)))?.value.reason;
    return refused ? { refused } : 'pending';
  }
}

function refusalOf(
  { name, latentsKey, promptsKey }: ISample,
  { latents, prompts }: Scanned['scans'],
): string | undefined {
  const picture = latents.refused.get(latentsKey ?? '');
  if (picture !== undefined) return `picture ${name}: ${picture}`;
  const caption = prompts.refused.get(promptsKey ?? '');
  return caption === undefined ? undefined : `caption of ${name}: ${caption}`;
}

/** Why a run cannot do without the samples that are left out, if so. */
function whyNot(
  run: Run,
  samples: readonly ISample[],
  leftOut: readonly number[],
  scans: Scanned['scans'],
): string | undefined {
  const first = refusalOf(samples[leftOut[0]!]!, scans);
  if (leftOut.length === samples.length)
    return `none of the ${samples.length} samples could be encoded; the first one: ${first}. Look at the encoders' reasons and upload the data set again`;
  if (trainOptionsJson(run.options).on_bad_sample === 'skip') return undefined;
  return `a sample could not be encoded: ${first}. Replace it, or start the run with on_bad_sample "skip"`;
}
