import { z } from 'zod';
import { MOST_PRIORITY, trainOptionsSchema, trainOptionValue, type TrainOptionsInput } from '@atelier/client';
import { trainOptionsJson, trainOptionSpecs, type Run } from '@atelier/contracts';
import { bestStep, memoryPlanView, runStatus, runWarnings, waitsFor } from '@atelier/jobs';
import type { StoreState } from '@atelier/mesh';
import { unixSeconds } from '../datasets/dataset.view';
import { pictureUrl } from '../images/picture-url';

/** Other names of options: `steps` is short for total_steps. */
const ALIASED = trainOptionSpecs.flatMap((spec) => (spec.alias ? [{ spec, alias: spec.alias }] : []));
const aliases = Object.fromEntries(
  ALIASED.map(({ spec, alias }) => [alias, trainOptionValue(spec).optional().describe(`Short for ${spec.name}.`)]),
);

const priority = z
  .int()
  .min(-MOST_PRIORITY)
  .max(MOST_PRIORITY)
  .describe('Of runs that wait for a trainer the largest goes first.');

/** A fine-tune as it is asked for: training options beside the data set and a name. */
export const finetuneBody = trainOptionsSchema
  .extend({
    ...aliases,
    dataset: z.string().min(1).max(100).describe('Id or name of a data set.'),
    name: z.string().max(100).optional().describe("Name of the adapter. Default: the data set's."),
    priority: priority.default(0),
    replace: z.boolean().default(false).describe('Let the new adapter take the place of one of the same name.'),
  })
  .superRefine((body, context) => {
    const given = body as Record<string, unknown>;
    for (const { spec, alias } of ALIASED) {
      const [short, long] = [given[alias], given[spec.name]];
      if (short === undefined || long === spec.default || short === long) continue;
      const message = `${alias} and ${spec.name} differ: give one of them`;
      context.addIssue({ code: 'custom', path: [alias], message });
    }
  });

/** The options that a body names, each under its own name: what it leaves out is for its recipe to say. */
export function optionsOf(body: unknown): TrainOptionsInput {
  const given = body as Record<string, unknown>;
  return Object.fromEntries(
    trainOptionSpecs.map(({ name, alias }) => [name, (alias ? given[alias] : undefined) ?? given[name]]),
  );
}

/** What of a run can be changed. */
export const finetuneChange = z.strictObject({
  priority,
});

const planView = z.strictObject({
  arena_bytes: z.int(),
  weight_bytes: z.int(),
  state_bytes: z.int(),
  workspace_bytes: z.int(),
  context_bytes: z.int().describe("A card's driver."),
  total_bytes: z.int(),
  parked_bytes: z.int().describe('Page-locked memory of the host, not in the total.'),
  choice: z
    .strictObject({
      keep_input: z.int().describe('Blocks of which backward has the input and makes the rest again.'),
      keep_attention: z.int().describe('Blocks whose attention is kept too.'),
      keep_all: z.int(),
      parked_blocks: z.int().describe('Of those, blocks whose kept tensors wait in host memory.'),
      resident_blocks: z.int().describe("Blocks whose weights stay on the device; the others' are fetched."),
      widened_blocks: z.int().describe('Resident blocks whose NF4 weights are kept as bf16.'),
      modulation_resident: z.boolean(),
      micro_steps_together: z.int().describe('Samples of one shape that pass the blocks at once.'),
    })
    .nullable()
    .describe('What the memory is spent on; null in a plan of version 0.1.0.'),
  predicted: z
    .strictObject({
      micro_step_ms: z.number(),
      forward_ms: z.number(),
      backward_ms: z.number(),
      again_ms: z.number().describe('Of backward: what was not kept.'),
      forward_fetch_ms: z.number(),
      backward_fetch_ms: z.number(),
      park_ms: z.number(),
    })
    .nullable()
    .describe("A micro-step by a card's published rates, never measured; null on the CPU."),
});

export const runView = z.strictObject({
  id: z.string(),
  object: z.literal('finetune'),
  name: z.string().describe('Name of the adapter it makes.'),
  dataset: z.string(),
  status: z.enum(['unspecified', 'queued', 'encoding', 'training', 'paused', 'finished', 'failed', 'cancelled']),
  place: z.int().nullable().describe('Of a run that waits for a trainer: 1 is the next.'),
  priority: z.int().describe('Of runs that wait for a trainer the largest goes first, then who was asked for first.'),
  step: z.int(),
  total_steps: z.int(),
  loss: z.number().nullable(),
  learning_rate: z.number(),
  attempts: z
    .int()
    .describe(
      'Times it was taken up since its training state was last saved: if over one, its trainer crashed or failed.',
    ),
  preemptions: z
    .int()
    .describe('How often it was put down because its trainer was asked to stop. It goes on to the same adapter.'),
  skipped: z.int().describe('Samples left out because they could not be encoded.'),
  cancel_requested: z.boolean(),
  pause_requested: z.boolean().describe('Its trainer will put it down within a step.'),
  error: z.string().nullable(),
  waits_for: z
    .string()
    .nullable()
    .describe('What keeps it from going on just now, such as a full store, or an encoder that is not there.'),
  adapter: z
    .string()
    .nullable()
    .describe('Name of the adapter, once it is there; of a run that was cancelled the last that it kept by step.'),
  samples: z.array(z.string()).describe('Addresses of validation pictures.'),
  held_out: z
    .array(z.strictObject({ step: z.int(), loss: z.number() }))
    .describe('Loss of the pictures that it is not trained on, by step.'),
  held_out_samples: z.int(),
  best_step: z.int().nullable().describe('Of the lowest held-out loss.'),
  stopped_early: z.boolean().describe('The held-out loss fell no more, and ended it.'),
  recipe: z.string().describe('Where options came from that were not set.'),
  options: z.record(z.string(), z.unknown()),
  warnings: z.array(z.string()).describe('What should be known of its options; it is trained all the same.'),
  plan: planView.nullable().describe('Memory of the run, known before it starts.'),
  created_at: z.int().nullable(),
  started_at: z.int().nullable(),
  finished_at: z.int().nullable(),
});

/** What of a run is not in its entry. */
export interface Surroundings {
  store?: StoreState;
  place?: number;
}

export function viewRun(run: Run, { store, place }: Surroundings = {}): z.output<typeof runView> {
  const options = trainOptionsJson(run.options);
  return {
    id: run.id,
    object: 'finetune',
    name: run.name,
    dataset: run.datasetId,
    status: runStatus(run.state) as z.output<typeof runView>['status'],
    place: place ?? null,
    priority: run.priority,
    step: run.step,
    total_steps: options.total_steps,
    loss: run.step > 0 && Number.isFinite(run.loss) ? run.loss : null,
    learning_rate: run.learningRate,
    attempts: run.attempts,
    preemptions: run.preemptions,
    skipped: run.skipped,
    cancel_requested: run.cancelRequested,
    pause_requested: run.pauseRequested,
    error: run.error || null,
    waits_for: waitsFor(run, store) || null,
    adapter: run.adapter || null,
    samples: run.sampleImages.map((image) => pictureUrl(image)),
    held_out: run.heldOut.map(({ step, loss }) => ({ step: step ?? 0, loss: loss ?? 0 })),
    held_out_samples: run.heldOutSamples,
    best_step: bestStep(run.heldOut) ?? null,
    stopped_early: run.stoppedEarly,
    recipe: options.recipe,
    options: { ...options },
    warnings: runWarnings(run),
    plan: run.plan ? memoryPlanView(run.plan) : null,
    created_at: unixSeconds(run.createdAt),
    started_at: unixSeconds(run.startedAt),
    finished_at: unixSeconds(run.finishedAt),
  };
}
