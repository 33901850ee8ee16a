// The only place where subjects (those of events: event-subjects.ts), streams, buckets, headers are spelled, and what a
// person's name for a thing may be.
import type { EncodedKindName } from './enum-names';

export type TensorKind = EncodedKindName;

export const subjects = {
  work: {
    ingest: 'work.ingest',
    latents: 'work.latents',
    prompts: 'work.prompts',
    train: 'work.train',
    generate: 'work.generate',
  },
  tensors: (kind: TensorKind, key: string): string => `tensors.${kind}.${key}`,
  dead: (subject: string): string => `dead.${subject}`,
  rpc: (service: string, method: string): string => `rpc.${service}.${method}`,
  /** All of a stream; of EVENTS: event-subjects.ts. */
  all: { work: 'work.>', tensors: 'tensors.>', dead: 'dead.>' },
} as const;

export type WorkSubject = (typeof subjects.work)[keyof typeof subjects.work];

/** The one service that takes each kind of work: held to at its start. */
export const workTakenBy = {
  [subjects.work.ingest]: 'ingest',
  [subjects.work.latents]: 'latents',
  [subjects.work.prompts]: 'prompts',
  [subjects.work.train]: 'trainer',
  [subjects.work.generate]: 'inference',
} as const satisfies Record<WorkSubject, string>;

export const workSubjects = Object.values(subjects.work);

export function isWorkSubject(subject: string): subject is WorkSubject {
  return subject in workTakenBy;
}

export const streams = { WORK: 'WORK', EVENTS: 'EVENTS', TENSORS: 'TENSORS', DEAD: 'DEAD' } as const;

export const buckets = {
  blobs: {
    pictures: 'pictures',
    manifests: 'manifests',
    adapters: 'adapters',
    checkpoints: 'checkpoints',
    samples: 'samples',
  },
  state: {
    datasets: 'datasets',
    runs: 'runs',
    adapters: 'adapters',
    generations: 'generations',
    leases: 'leases',
    attempts: 'attempts',
    encodings: 'encodings',
    refusals: 'refusals',
    sweeps: 'sweeps',
    idempotency: 'idempotency',
    webhooks: 'webhooks',
    deliveries: 'deliveries',
  },
} as const;

export type BlobBucket = keyof typeof buckets.blobs;
export type StateBucket = keyof typeof buckets.state;

/** What JetStream keeps buckets in, for the few questions that its clients for buckets cannot ask. */
export const backing = {
  blobStream: (bucket: BlobBucket): string => `OBJ_${bucket}`,
  stateStream: (bucket: StateBucket): string => `KV_${bucket}`,
  stateSubject: (bucket: StateBucket, key: string): string => `$KV.${bucket}.${key}`,
} as const;

export const headers = {
  messageId: 'Nats-Msg-Id',
  /** What the message is part of: https://www.w3.org/TR/trace-context/. */
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  /** The place in its stream of a message that was fetched. */
  sequence: 'Nats-Sequence',
  /** Of a dead letter: why. */
  reason: 'atelier-reason',
  /** Of an answer to a call that is an Error: its code. */
  error: 'atelier-error',
} as const;

/** Names people choose (data sets, adapters): safe as a file name, a URL segment, a NATS subject token and a KV key. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const NAME_RULE =
  'lower-case letters, digits, "-" and "_", starting with a letter or digit, at most 63 characters';

export function isName(text: string): boolean {
  return NAME_PATTERN.test(text);
}

const OF_A_RUN = /^([a-z0-9][a-z0-9_-]{0,62})@([1-9][0-9]{0,6}|ema)$/;

/** What an adapter can be asked for by: a name, or one that a run gave to what it kept beside its last (`herons@200`). */
export const isAdapterName = (text: string): boolean => isName(text) || OF_A_RUN.test(text);

/** What a run that makes `name` calls the adapter of a step, or its moving average. */
export const adapterAt = (name: string, step: number | 'ema'): string => `${name}@${step}`;

/** Of an adapter by step: its step. */
export function adapterStep(name: string): number | undefined {
  const at = OF_A_RUN.exec(name)?.[2];
  return at === undefined || at === 'ema' ? undefined : Number(at);
}

/** Whether a run kept it beside its last, so that it goes with the run. */
export const isKeptBeside = (name: string): boolean => OF_A_RUN.test(name);

/** By which OpenAI's image route means the checkpoint as it is, with no adapter. No adapter is given the name. */
export const BASE_MODEL = 'base';

/** A message larger than this does not go through NATS as one: what is larger is a blob. Room for 512 x 4096 float32 prompt embeds. Bytes. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024 + 64 * 1024;
