// The only place where the subjects of events are spelled: under which each is told, and under which they are read.
import type { IRun } from './messages';
import type { TensorKind } from './names';

export type DatasetEvent = 'ingested' | 'encoding' | 'state';
export type RunEventName = 'encoding' | 'planned' | 'state' | 'step' | 'sample' | 'held-out';
export type EncoderEvent = 'ready' | 'failed';
export type GenerationEvent = 'state' | 'progress';
export type WebhookEvent = 'ping' | 'replay';

/** What a run's events name. */
export type RunRef = Pick<IRun, 'id' | 'datasetId'>;

/**
 * Events of runs and of encoders end with their data set, so that one filter has all that the reader of a run wants.
 * Without one (a prompt that is to be drawn) they end before it, as all of version 0.1.0 did.
 */
const ofDataset = (subject: string, datasetId: string | null | undefined): string =>
  datasetId ? `${subject}.${datasetId}` : subject;

/** Where each event is told. */
export const eventSubjects = {
  dataset: (id: string, what: DatasetEvent): string => `events.dataset.${id}.${what}`,
  run: ({ id, datasetId }: RunRef, what: RunEventName): string => ofDataset(`events.run.${id}.${what}`, datasetId),
  encoder: (kind: TensorKind, key: string, what: EncoderEvent, datasetId?: string | null): string =>
    ofDataset(`events.${kind}.${key}.${what}`, datasetId),
  generation: (id: string, what: GenerationEvent): string => `events.generate.${id}.${what}`,
  adapter: (name: string): string => `events.adapter.${name}.changed`,
  webhook: (id: string, what: WebhookEvent): string => `events.webhook.${id}.${what}`,
  /** @param sequence of the message in stream WORK */
  deadLetter: (sequence: number): string => `events.dead.${sequence}.letter`,
} as const;

/** What to subscribe to for all events of one kind, or of one thing. */
export const eventFilters = {
  all: 'events.>',
  dataset: (id: string): string => `events.dataset.${id}.>`,
  run: (id: string): string => `events.run.${id}.>`,
  /** Those of a run that name no data set: an older version told them. */
  runWithoutDataset: (id: string): string => `events.run.${id}.*`,
  /** What runs and encoders tell of one data set. */
  workOnDataset: (id: string): string => `events.*.*.*.${id}`,
  encoder: (kind: TensorKind): string => `events.${kind}.>`,
  generation: (id: string): string => `events.generate.${id}.>`,
  deadLetters: 'events.dead.>',
  /** By the first word of their subjects: run, dataset, generate, adapter … */
  word: (word: string): string => `events.${word}.>`,
  thing: (word: string, id: string): string => `events.${word}.${id}.>`,
  ofId: (id: string): string => `events.*.${id}.>`,
} as const;

/** Whether an event is a run's own, rather than another's on the same data set. */
export function isOfRun(subject: string, runId: string): boolean {
  return subject.startsWith(`events.run.${runId}.`);
}
