import { Inject, Injectable } from '@nestjs/common';
import { buckets } from '@atelier/contracts';
import { LOGGER, Mesh, throughOutage, type Logger, type Patience } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';

/** A full store is passed on: whoever trains can go on without a saved state, and save later. */
const unlessFull: Patience = (ask, options) => throughOutage(ask, { full: 'pass on', ...options });

/** What a run goes on from: the engine's state, and where it was in its order. */
export interface TrainingState {
  /** Optimizer steps taken. */
  step: number;
  /** The next position of the order. */
  position: number;
  /** Indices of samples that are left out. */
  skipped: number[];
  /** Trainer.saveState. */
  engine: Uint8Array;
}

/**
 * The training state of each run, one object named by the run. The object's entry is written after its chunks and names them, so that it is
 * at every moment one whole state, the earlier or the later, whenever the process dies; the chunks of the earlier go after that.
 */
@Injectable()
export class TrainingStates {
  private readonly blobs: BlobStore;

  constructor(
    mesh: Mesh,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.blobs = new BlobStore(mesh, unlessFull);
  }

  /** Throws StoreFull. */
  async save(runId: string, { engine, step, position, skipped }: TrainingState): Promise<void> {
    const metadata = { step: String(step), position: String(position), skipped: JSON.stringify(skipped) };
    await this.blobs.put(buckets.blobs.checkpoints, runId, engine, metadata);
  }

  /** None, too, where it cannot be read: the run then begins anew, which costs time but changes nothing of the result. */
  async load(runId: string): Promise<TrainingState | undefined> {
    const info = await this.blobs.info(buckets.blobs.checkpoints, runId);
    if (!info) return undefined;
    try {
      const engine = await this.blobs.get(buckets.blobs.checkpoints, runId);
      const { step, position, skipped } = info.metadata;
      return {
        engine,
        step: whole(step),
        position: whole(position),
        skipped: (JSON.parse(skipped ?? '') as unknown[]).map(whole),
      };
    } catch (error) {
      if ((error as Error).name === 'NatsError') throw error; // the mesh is away, the state may be whole
      this.logger.warn(
        { runId, error: (error as Error).message },
        'the training state is damaged: the run begins anew',
      );
      await this.remove(runId);
      return undefined;
    }
  }

  async remove(runId: string): Promise<void> {
    await this.blobs.delete(buckets.blobs.checkpoints, runId);
  }
}

function whole(value: unknown): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${JSON.stringify(value)} where a count is needed`);
  return number;
}
