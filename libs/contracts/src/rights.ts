// What each service may do on the mesh: the only place where it is said. Who takes work is in names.ts, who answers a
// call in calls.ts. libs/mesh makes nats-server's permissions of it.
import { calls } from './calls';
import { eventFilters } from './event-subjects';
import { subjects, workTakenBy, type BlobBucket, type StateBucket, type TensorKind, type WorkSubject } from './names';

/** Those that take work. */
export const workers = ['ingest', 'latents', 'prompts', 'trainer', 'inference'] as const;
export type Worker = (typeof workers)[number];

/**
 * Everybody on the mesh. The gateway and the command line do all that a person may ask for. `admin` is whoever looks
 * after the mesh, and may do anything: it makes streams and buckets, and says what room the disk has.
 */
export const meshUsers = [...workers, 'gateway', 'cli', 'admin'] as const;
export type MeshUser = (typeof meshUsers)[number];

/** To know by name what is there; beside that, to read it, or to make it. */
export type TensorAccess = 'count' | 'read' | 'make';

export const tensorGrants: Readonly<Record<TensorKind, Readonly<Partial<Record<Worker, TensorAccess>>>>> = {
  latents: { ingest: 'count', latents: 'make', prompts: 'count', trainer: 'read' },
  prompts: { ingest: 'count', latents: 'count', prompts: 'make', trainer: 'read', inference: 'read' },
};

/**
 * Each has what those before it have: to read what is there; to write it; to take single things away for good, which
 * nothing but deletion does. A blob's writer may take away what it wrote, since a write that fails does.
 */
export type Access = 'read' | 'write' | 'clear';
type Grants = Readonly<Partial<Record<Worker, Access>>>;

export const blobGrants: Readonly<Record<BlobBucket, Grants>> = {
  pictures: { ingest: 'write', latents: 'read' },
  manifests: { ingest: 'write', latents: 'read', prompts: 'read', trainer: 'read' },
  adapters: { trainer: 'clear', inference: 'read' },
  checkpoints: { trainer: 'clear' },
  samples: { trainer: 'write', inference: 'write' },
};

/** Not of the attempts: whoever takes work has those of its own (workTakenBy). */
export const stateGrants: Readonly<Record<Exclude<StateBucket, 'attempts'>, Grants>> = {
  datasets: { ingest: 'write' },
  runs: { ingest: 'write', latents: 'write', prompts: 'write', trainer: 'write' },
  // A trainer takes adapters by step away that its run does not keep.
  adapters: { trainer: 'clear', inference: 'read' },
  // Whether a drawing uses an adapter that is to go.
  generations: { inference: 'write', trainer: 'read' },
  leases: { latents: 'write', prompts: 'write', trainer: 'write', inference: 'write' },
  encodings: { ingest: 'write', latents: 'write', prompts: 'write' },
  refusals: { ingest: 'write', latents: 'write', prompts: 'write' },
  sweeps: {},
  idempotency: {},
  webhooks: {},
  deliveries: {},
};

/** Who puts work on a queue, looks whether it still waits there, or both. */
export type Asking = 'ask' | 'look' | 'both';
/** `person`: the gateway, and the command line. */
type Asked = Readonly<Partial<Record<Worker | 'person', Asking>>>;

export const workGrants: Readonly<Record<WorkSubject, Asked>> = {
  [subjects.work.ingest]: { person: 'both', ingest: 'both', trainer: 'ask' },
  [subjects.work.latents]: { ingest: 'both' },
  [subjects.work.prompts]: { ingest: 'both', inference: 'ask' },
  // An encoder that settles a run's last encoding sends it on; a trainer looks for runs whose message is gone.
  [subjects.work.train]: { person: 'ask', ingest: 'both', latents: 'ask', prompts: 'ask', trainer: 'look' },
  [subjects.work.generate]: { person: 'ask' },
};

/** Of what each one's events are; of dead letters all workers tell. `person`: the gateway, and the command line. */
export const told: Readonly<Record<Worker | 'person', readonly string[]>> = {
  person: [
    eventFilters.dataset('*'),
    eventFilters.run('*'),
    eventFilters.generation('*'),
    eventFilters.word('adapter'),
    eventFilters.word('webhook'),
  ],
  ingest: [eventFilters.dataset('*'), eventFilters.run('*')],
  latents: [eventFilters.encoder('latents'), eventFilters.run('*')],
  prompts: [eventFilters.encoder('prompts'), eventFilters.run('*')],
  trainer: [eventFilters.run('*'), eventFilters.word('adapter')],
  inference: [eventFilters.generation('*')],
};

/** What a worker follows: events, by their filters, and the dead letters of work that it waits for. */
export const followed: Readonly<Record<Worker, { events: readonly string[]; deadLetters: readonly WorkSubject[] }>> = {
  ingest: { events: [], deadLetters: [] },
  latents: { events: [], deadLetters: [] },
  prompts: { events: [], deadLetters: [] },
  trainer: { events: [], deadLetters: [] },
  inference: { events: [eventFilters.encoder('prompts')], deadLetters: [subjects.work.prompts] },
};

/** Whom a worker asks; every user may ask what room there is. */
export const asked: Readonly<Record<Worker, readonly string[]>> = {
  ingest: [calls.status('latents').subject, calls.status('prompts').subject],
  latents: [],
  prompts: [],
  trainer: [],
  inference: [],
};

/** Calls that each answers. What room there is says whoever started nats-server, as admin. */
export const answered: Readonly<Record<Worker, readonly string[]>> = {
  ingest: [calls.status('ingest').subject],
  latents: [calls.status('latents').subject],
  prompts: [calls.status('prompts').subject],
  trainer: [calls.status('trainer').subject, calls.plan.subject],
  inference: [calls.status('inference').subject],
};

/** Who sends events to webhooks: takes them of durable consumers, which are the webhooks' own, and settles them. */
export const deliverer = 'gateway' satisfies MeshUser;

/** The work that a service takes. */
export const workOf = (worker: Worker): WorkSubject[] =>
  (Object.keys(workTakenBy) as WorkSubject[]).filter((subject) => workTakenBy[subject] === worker);
