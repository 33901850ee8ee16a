import {
  AtelierError,
  backing,
  buckets,
  eventFilters,
  MAX_MESSAGE_BYTES,
  streams,
  subjects,
  type StateBucket,
  type WorkSubject,
} from '@atelier/contracts';
import {
  AckPolicy,
  DiscardPolicy,
  nanos,
  RetentionPolicy,
  StorageType,
  type ConsumerConfig,
  type StreamConfig,
} from 'nats';
import { setTimeout as sleep } from 'node:timers/promises';
import { consumerName } from './consumer-name';
import type { Mesh } from './mesh';
import { isConsumerTaken, isShortOfServers, isStreamOverlap, isStreamTaken } from './nats-errors';

const MINUTE = 60_000;

/**
 * What each work subject allows: how long a handler may be silent, how many attempts in a row may come to nothing
 * (attempts.ts says which count).
 */
export interface WorkPolicy {
  ackWaitMs: number;
  maxAttempts: number;
}

/** Generous on purpose: a heartbeat renews ackWait, so it is the time to notice a killed service, not the length of a job. */
export const workPolicies: Record<WorkSubject, WorkPolicy> = {
  [subjects.work.ingest]: { ackWaitMs: 10_000, maxAttempts: 5 },
  [subjects.work.latents]: { ackWaitMs: 10_000, maxAttempts: 4 },
  [subjects.work.prompts]: { ackWaitMs: 10_000, maxAttempts: 4 },
  [subjects.work.train]: { ackWaitMs: 10_000, maxAttempts: 10 },
  [subjects.work.generate]: { ackWaitMs: 10_000, maxAttempts: 4 },
};

/** Counts of attempts go with their message; what a service left that died over its last settlement goes after this. */
const ATTEMPTS_KEPT_MS = 30 * 24 * 60 * MINUTE;

/** How long what is written in a bucket stays; in others for ever. */
const KEPT_MS: Partial<Record<StateBucket, number>> = {
  [buckets.state.attempts]: ATTEMPTS_KEPT_MS,
  [buckets.state.idempotency]: 24 * 60 * MINUTE,
  [buckets.state.deliveries]: 14 * 24 * 60 * MINUTE, // as long as their events
};

/**
 * How long a message of stream WORK is known by its id: what is asked for once more while it waits, be that behind ten
 * thousand pictures, is one message. nats-server holds some 200 bytes for each.
 */
const WORK_REMEMBERED_MS = 24 * 60 * MINUTE;

/**
 * About 850 MB. Counted, since nats-server sets a limit in bytes aside at once: on a disk that has less, neither this
 * stream nor any other could be made, nor be found again at the next start.
 */
const MOST_EVENTS = 2_000_000;

const streamConfigs: (Partial<StreamConfig> & { name: string })[] = [
  {
    name: streams.WORK,
    subjects: [subjects.all.work],
    retention: RetentionPolicy.Workqueue,
    max_msg_size: MAX_MESSAGE_BYTES,
    duplicate_window: nanos(WORK_REMEMBERED_MS),
  },
  {
    name: streams.EVENTS,
    subjects: [eventFilters.all],
    retention: RetentionPolicy.Limits,
    max_age: nanos(14 * 24 * 60 * MINUTE),
    max_bytes: -1,
    max_msgs: MOST_EVENTS,
    discard: DiscardPolicy.Old,
  },
  {
    name: streams.TENSORS,
    subjects: [subjects.all.tensors],
    retention: RetentionPolicy.Limits,
    max_msgs_per_subject: 1,
    allow_direct: true,
    max_msg_size: MAX_MESSAGE_BYTES,
  },
  {
    name: streams.DEAD,
    subjects: [subjects.all.dead],
    retention: RetentionPolicy.Limits,
    max_age: nanos(90 * 24 * 60 * MINUTE),
  },
];

export interface ProvisionOptions {
  /** Copies of each stream and bucket, on as many servers; its consumers have as many. */
  replicas?: number;
}

/**
 * Makes every stream, consumer and bucket that is not there yet, and has those that are do as this version says. Any
 * service may do it at start, several at once too.
 */
export async function provisionMesh(mesh: Mesh, { replicas = 1 }: ProvisionOptions = {}): Promise<void> {
  try {
    for (const config of streamConfigs)
      await besideOthers(() => ensureStream(mesh, { ...config, num_replicas: replicas }));
    for (const [subject, policy] of Object.entries(workPolicies)) await ensureConsumer(mesh, subject, policy);
    for (const bucket of Object.values(buckets.blobs)) {
      await besideOthers(() => mesh.js.views.os(bucket, { storage: StorageType.File, replicas }));
      await holdTo(mesh, backing.blobStream(bucket), { num_replicas: replicas });
    }
    for (const bucket of Object.values(buckets.state)) {
      const ttl = KEPT_MS[bucket] ?? 0;
      await besideOthers(() => mesh.js.views.kv(bucket, { history: 1, storage: StorageType.File, ttl, replicas }));
      await holdTo(mesh, backing.stateStream(bucket), { num_replicas: replicas, max_age: nanos(ttl) });
    }
  } catch (error) {
    if (!isShortOfServers(error)) throw error;
    throw new AtelierError(
      'FAILED_PRECONDITION',
      `ATELIER_NATS_REPLICAS is ${replicas}, and NATS has too few servers for it (${(error as Error).message}): ` +
        'add servers to its cluster, or lower it',
      {},
      { cause: error },
    );
  }
}

/** What an earlier version made, or another setting: the clients for buckets take a bucket as it is. */
async function holdTo(mesh: Mesh, stream: string, wanted: Partial<StreamConfig>): Promise<void> {
  const { config } = await mesh.jsm.streams.info(stream);
  const differs = Object.entries(wanted).some(([key, value]) => config[key as keyof StreamConfig] !== value);
  if (differs) await mesh.jsm.streams.update(stream, wanted);
}

/** How long another service may take to make the same stream. */
const MADE_WITHIN_MS = 3000;

/**
 * Makes a stream that another service may be making at this moment: until it is whole, nats-server tells the second asker that the
 * subjects overlap with another stream's, as it does when they are really taken. Only those that stay taken are an error.
 */
async function besideOthers(make: () => Promise<unknown>): Promise<void> {
  const deadline = Date.now() + MADE_WITHIN_MS;
  for (;;) {
    try {
      await make();
      return;
    } catch (error) {
      if (!isStreamOverlap(error) || Date.now() > deadline) throw error;
    }
    await sleep(50);
  }
}

async function ensureStream(mesh: Mesh, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  try {
    await mesh.jsm.streams.add({ storage: StorageType.File, ...config });
  } catch (error) {
    if (!isStreamTaken(error)) throw error;
    await mesh.jsm.streams.update(config.name, config);
  }
}

async function ensureConsumer(mesh: Mesh, subject: string, policy: WorkPolicy): Promise<void> {
  const config: Partial<ConsumerConfig> = {
    durable_name: consumerName(subject),
    filter_subject: subject,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(policy.ackWaitMs),
    // Without a limit here: runWorker counts, and writes a dead letter where the server would only stop delivering.
    max_deliver: -1,
    max_ack_pending: 1000,
  };
  try {
    await mesh.jsm.consumers.add(streams.WORK, config);
  } catch (error) {
    if (!isConsumerTaken(error)) throw error;
    await mesh.jsm.consumers.update(streams.WORK, consumerName(subject), config);
  }
}
