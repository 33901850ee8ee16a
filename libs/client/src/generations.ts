import type { Readable } from 'node:stream';
import { z } from 'zod';
import {
  AtelierError,
  buckets,
  GenerateWork,
  Generation,
  GenerationState,
  newestFirst,
  pictureFormatFields,
  pictureFormats,
  timestamp,
} from '@atelier/contracts';
import { generationEvents, generationStatus, isGenerationOver, type StreamedEvent } from '@atelier/jobs';
import { findAdapter } from './adapters';
import type { Connection } from './connection';
import { isKey, newId, type Repeatable } from './names';
import { invalidArgument } from './options';

const side = z
  .int()
  .min(16)
  .max(4096)
  .refine((value) => value % 16 === 0, 'must be a multiple of 16');

/** Each picture after the first has the next seed; beyond this, numbers of JSON are no longer exact. */
const LAST_SEED = Number.MAX_SAFE_INTEGER;

export const generateSchema = z.strictObject({
  prompt: z.string().min(1).max(32_768),
  adapters: z
    .array(z.strictObject({ name: z.string(), weight: z.number().min(-10).max(10).default(1) }))
    .max(16)
    .default([]),
  width: side.default(512),
  height: side.default(512),
  steps: z.int().min(1).max(1000).default(28),
  guidance: z.number().min(0).max(100).default(3.5),
  seed: z.int().min(0).optional(),
  count: z.int().min(1).max(10).default(1),
  fused: z.boolean().default(false),
  format: z.enum(pictureFormats).default('png'),
});

export type GenerateRequest = z.input<typeof generateSchema>;

/** A picture as it is, which no format makes larger by much. */
const BYTES_PER_PIXEL = 3;

/**
 * Queues pictures to be drawn; it resolves when the request is on disk. Without a seed one is drawn and told. Throws
 * StoreFull.
 * @param once of a request that may be asked once more
 */
export async function generate(
  connection: Connection,
  request: GenerateRequest,
  once?: Repeatable,
): Promise<Generation> {
  const parsed = generateSchema.safeParse(request);
  if (!parsed.success) throw invalidArgument('request', parsed.error);
  requireSeeds(parsed.data);
  const made = once && (await askedBefore(connection, once));
  if (made) return made;
  await Promise.all(parsed.data.adapters.map(({ name }) => findAdapter(connection, name)));
  const { count, width, height } = parsed.data;
  await connection.mesh.room.require(count * width * height * BYTES_PER_PIXEL, 'new work');
  const id = once?.id ?? newId('gen');
  const seed = parsed.data.seed ?? Math.floor(Math.random() * 2 ** 32);
  const { format, ...asked } = parsed.data;
  const work = GenerateWork.create({ ...asked, ...pictureFormatFields(format), seed, id });
  const generation = Generation.create({
    id,
    work,
    state: GenerationState.GENERATION_STATE_QUEUED,
    createdAt: timestamp(),
  });
  await connection.generations.queue(generation);
  return generation;
}

async function askedBefore({ generations }: Connection, { id, done }: Repeatable): Promise<Generation | undefined> {
  const made = await generations.find(id);
  if (!made && done) throw new AtelierError('NOT_FOUND', `drawing ${id}, which this request asked for, was deleted`);
  if (made && !isGenerationOver(made)) await generations.queueAgain(made);
  return made;
}

function requireSeeds({ seed = 0, count }: z.output<typeof generateSchema>): void {
  if (seed + (count - 1) <= LAST_SEED) return;
  const reason = `${count} pictures need seeds up to ${LAST_SEED}, each one more than the last: use ${LAST_SEED - (count - 1)} at most`;
  throw new AtelierError('INVALID_ARGUMENT', `request is not valid: seed: ${reason}`, { seed: reason });
}

export async function findGeneration({ generations }: Connection, id: string): Promise<Generation> {
  const found = isKey(id) ? await generations.find(id) : undefined;
  if (!found) throw new AtelierError('NOT_FOUND', `there is no drawing ${JSON.stringify(id.slice(0, 80))}`);
  return found;
}

export async function listGenerations({ generations }: Connection): Promise<Generation[]> {
  return newestFirst(await generations.list());
}

export interface DrawingProgress {
  step: number;
  totalSteps: number;
}

/** How far a drawing is that is being drawn, over all of its pictures. */
export async function drawingProgress(
  { generations }: Connection,
  { id, state }: Generation,
): Promise<DrawingProgress | undefined> {
  return state === GenerationState.GENERATION_STATE_RUNNING ? generations.told(id) : undefined;
}

/** Follows a drawing to its end and gives its final state; one that failed or was cancelled is an error. */
export async function finishedGeneration(
  connection: Connection,
  id: string,
  { signal, onEvent }: { signal?: AbortSignal; onEvent?: (streamed: StreamedEvent) => void } = {},
): Promise<Generation> {
  for await (const streamed of generationEvents(connection.mesh, connection.generations, id, { signal }))
    onEvent?.(streamed);
  const generation = await findGeneration(connection, id);
  if (generation.state === GenerationState.GENERATION_STATE_FINISHED) return generation;
  if (generation.state === GenerationState.GENERATION_STATE_FAILED) {
    throw new AtelierError('FAILED_PRECONDITION', `the drawing failed: ${generation.error}`);
  }
  throw new AtelierError(
    'CANCELLED',
    `the drawing is ${generationStatus(generation.state)}: it was given up before its end`,
  );
}

export async function cancelGeneration(connection: Connection, id: string): Promise<Generation> {
  await findGeneration(connection, id);
  return connection.generations.cancel(id);
}

/** A drawn picture or a validation picture by its object name. */
export async function pictureFile({ blobs }: Connection, name: string): Promise<Readable> {
  if (!(await blobs.has(buckets.blobs.samples, name))) {
    throw new AtelierError('NOT_FOUND', `there is no picture ${JSON.stringify(name.slice(0, 200))}`);
  }
  return blobs.stream(buckets.blobs.samples, name);
}
