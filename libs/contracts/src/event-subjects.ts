// The only place where the subjects of events are spelled: under which each is told, and under which they are read.
import type { TensorKind } from './names';

export type DatasetEvent = 'ingested' | 'encoding' | 'state';
export type RunEventName = 'encoding' | 'planned' | 'state' | 'step' | 'sample';
export type EncoderEvent = 'ready' | 'failed';
export type GenerationEvent = 'state' | 'progress';

/** Where each event is told. */
export const eventSubjects = {
  dataset: (id: string, what: DatasetEvent): string => `events.dataset.${id}.${what}`,
  run: (id: string, what: RunEventName): string => `events.run.${id}.${what}`,
  encoder: (kind: TensorKind, key: string, what: EncoderEvent): string => `events.${kind}.${key}.${what}`,
  generation: (id: string, what: GenerationEvent): string => `events.generate.${id}.${what}`,
  /** @param sequence of the message in stream WORK */
  deadLetter: (sequence: number): string => `events.dead.${sequence}.letter`,
} as const;

/** What to subscribe to for all events of one kind, or of one thing. */
export const eventFilters = {
  all: 'events.>',
  dataset: (id: string): string => `events.dataset.${id}.>`,
  run: (id: string): string => `events.run.${id}.>`,
  encoder: (kind: TensorKind): string => `events.${kind}.>`,
  generation: (id: string): string => `events.generate.${id}.>`,
  deadLetters: 'events.dead.>',
} as const;
