import { Inject, Injectable } from '@nestjs/common';
import { buckets, type Run } from '@atelier/contracts';
import { Superseded, type HeldRun } from '@atelier/jobs';
import { isStoreFull, isUnanswered, LOGGER, Mesh, throughOutage, type Logger, type Patience } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { LocalStates } from './local-states';
import { picturesSchema, type TrainingState } from './training-state';

/** A full store is passed on: whoever trains can go on without a saved state, and save later. */
const unlessFull: Patience = (ask, options) => throughOutage(ask, { full: 'pass on', ...options });

const BUCKET = buckets.blobs.checkpoints;

/**
 * The training states of runs. Each is an object of its own that is never written over, named by the run, the fencing
 * token of the trainer that saved it, and its step; the run's entry says which one counts, by compare-and-set. So a run
 * has at every moment one whole state, the earlier or the later, and a trainer that has lost the run cannot put an
 * older one in its place (docs/decisions/0037-a-run-is-written-by-who-took-it-last.md).
 */
@Injectable()
export class TrainingStates {
  private readonly blobs: BlobStore;

  constructor(
    mesh: Mesh,
    private readonly local: LocalStates,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.blobs = new BlobStore(mesh, unlessFull);
  }

  /** Throws StoreFull, and Superseded where another has taken the run. */
  async save(held: HeldRun, { engine, step, position, skipped, pictures }: TrainingState): Promise<void> {
    const name = `${held.id}.${held.fence}.${step}`;
    const metadata = { step: String(step), position: String(position), skipped: JSON.stringify(skipped) };
    // Behind the engine's bytes, since a large data set has more of it than metadata may hold.
    const tail = Buffer.from(JSON.stringify(pictures ?? []));
    const bytes = Buffer.concat([engine, tail]);
    await this.blobs.put(BUCKET, name, bytes, { ...metadata, pictures: String(tail.byteLength) });
    try {
      const { former } = await held.stateSaved(name);
      await this.blobs.delete(BUCKET, former || held.id); // what a run had before it had names
    } catch (error) {
      // Of a question without an answer it is not known whether the run goes on from it: it stays, and is found later.
      const named = error instanceof Superseded && error.now.trainingState === name;
      if (!named && !isUnanswered(error)) await this.blobs.delete(BUCKET, name).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Of a service that is asked to stop: first in a file, where neither a mesh that is away nor a store that is full
   * keeps it from being written, then as any other. With the file the run goes on here as if it had been saved.
   */
  async putDown(held: HeldRun, state: TrainingState): Promise<'saved' | 'in a file'> {
    const isInFile = await this.local.keep(held, state);
    try {
      await this.save(held, state);
    } catch (error) {
      if (held.superseded) await this.local.remove(held);
      if (held.superseded || !isInFile) throw error;
      const facts = { runId: held.id, step: state.step, error: (error as Error).message };
      this.logger.warn(facts, 'the training state is kept in a file of this trainer: the store did not take it');
      return 'in a file';
    }
    await this.local.remove(held);
    return 'saved';
  }

  /**
   * What the run goes on from. Where this trainer put it down later than the store knows, and nobody has taken it since,
   * that is saved now, and `recovered` says so.
   */
  async load(held: HeldRun): Promise<{ found?: TrainingState; recovered: boolean }> {
    const stored = await this.stored(held);
    const local = await this.local.take(held);
    if (!local || local.step <= (stored?.step ?? 0)) {
      await this.local.remove(held);
      if (stored) this.logger.info({ runId: held.id, step: stored.step }, 'goes on from what was saved');
      return { found: stored, recovered: false };
    }
    try {
      await this.save(held, local);
      await this.local.remove(held);
    } catch (error) {
      if (!isStoreFull(error)) throw error; // the file stays, for the next time
    }
    this.logger.info({ runId: held.id, step: local.step }, 'goes on from what was kept in a file');
    return { found: local, recovered: true };
  }

  /** None, too, where it cannot be read: the run then begins anew, which costs time but changes nothing of the result. */
  private async stored({ run, fence }: HeldRun): Promise<TrainingState | undefined> {
    const name = nameOf(run);
    await this.clear(run.id, (other) => other !== name && fenceOf(other) < fence);
    const info = await this.blobs.info(BUCKET, name);
    if (!info) return undefined;
    try {
      const bytes = await this.blobs.get(BUCKET, name);
      const { step, position, skipped, pictures } = info.metadata;
      const end = bytes.byteLength - whole(pictures ?? 0);
      return {
        engine: bytes.subarray(0, end),
        pictures: pictures ? picturesSchema.parse(JSON.parse(Buffer.from(bytes.subarray(end)).toString())) : [],
        step: whole(step),
        position: whole(position),
        skipped: (JSON.parse(skipped ?? '') as unknown[]).map(whole),
      };
    } catch (error) {
      if ((error as Error).name === 'NatsError') throw error; // the mesh is away, the state may be whole
      this.logger.warn(
        { runId: run.id, error: (error as Error).message },
        'the training state is damaged: the run begins anew',
      );
      await this.discard(run);
      return undefined;
    }
  }

  /** The one that was there when the run was taken: it is of no use. */
  async discard(run: Run): Promise<void> {
    await this.blobs.delete(BUCKET, nameOf(run));
  }

  /** All of a run that is over. */
  async remove(runId: string): Promise<void> {
    await this.clear(runId, () => true);
  }

  private async clear(runId: string, isDue: (name: string) => boolean): Promise<void> {
    const ofRun = (await this.blobs.names(BUCKET)).filter((name) => name === runId || name.startsWith(`${runId}.`));
    for (const name of ofRun.filter(isDue)) await this.blobs.delete(BUCKET, name);
  }
}

const nameOf = ({ id, trainingState }: Run): string => trainingState || id;

/** The token in a name; 0 of one that has none. */
const fenceOf = (name: string): number => Number(name.split('.').at(-2)) || 0;

function whole(value: unknown): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${JSON.stringify(value)} where a count is needed`);
  return number;
}
