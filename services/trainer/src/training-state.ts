import { z } from 'zod';

/** Of PictureLosses, as it is kept. */
export const picturesSchema = z.array(z.array(z.number()));

/** What a run goes on from: the engine's state, and where it was in its order. */
export interface TrainingState {
  /** Optimizer steps taken. */
  step: number;
  /** The next position of the order. */
  position: number;
  /** Indices of samples that are left out. */
  skipped: number[];
  /** PictureLosses.saved; an earlier version kept none. */
  pictures?: number[][];
  /** Trainer.saveState. */
  engine: Uint8Array;
}
