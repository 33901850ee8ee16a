import { type Generation } from '@atelier/contracts';
import { generationStatus } from '@atelier/jobs';
import { z } from 'zod';
import { unixSeconds } from '../datasets/dataset.view';
import { pictureUrl } from './picture-url';

/** Which drawing an answer is about, whatever became of it. */
export const GENERATION_HEADER = 'x-atelier-generation';

/** A drawing however far it has come. */
export const drawingView = z.strictObject({
  id: z.string(),
  status: z.enum(['queued', 'running', 'finished', 'failed', 'cancelled', 'unspecified']),
  created: z.int(),
  progress: z
    .strictObject({ step: z.int(), total_steps: z.int() })
    .nullable()
    .describe('Of one that is being drawn, over all of its pictures; told of a drawing that is asked for alone.'),
  data: z.array(z.strictObject({ url: z.string() })).describe('Its pictures, once it is finished.'),
  seed: z.int(),
  size: z.string(),
  preemptions: z.int().describe('How often it was put down because its service was asked to stop.'),
  cancel_requested: z.boolean(),
  error: z.string().describe('Why it failed; empty where it did not.'),
});

interface Progress {
  step: number;
  totalSteps: number;
}

export function viewDrawing(drawing: Generation, address: string, progress?: Progress): z.output<typeof drawingView> {
  const { id, work, state, createdAt, images, preemptions, cancelRequested, error } = drawing;
  return {
    id,
    status: generationStatus(state) as z.output<typeof drawingView>['status'],
    created: unixSeconds(createdAt) ?? 0,
    progress: progress ? { step: progress.step, total_steps: progress.totalSteps } : null,
    data: images.map((image) => ({ url: pictureUrl(image, address) })),
    seed: work?.seed ?? 0,
    size: `${work?.width ?? 0}x${work?.height ?? 0}`,
    preemptions,
    cancel_requested: cancelRequested,
    error,
  };
}
