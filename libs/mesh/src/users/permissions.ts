// What nats-server lets each user do, made of what contracts say of it. A subject of JetStream's API names a stream or a
// consumer and what is done with it, so that rights on streams and buckets are rights on subjects as well.
import {
  answered,
  asked,
  backing,
  blobGrants,
  buckets,
  calls,
  deliverer,
  eventFilters,
  followed,
  stateGrants,
  streams,
  subjects,
  tensorGrants,
  told,
  workers,
  workGrants,
  workOf,
  workSubjects,
  type Access,
  type Asking,
  type BlobBucket,
  type MeshUser,
  type StateBucket,
  type TensorAccess,
  type TensorKind,
  type Worker,
  type WorkSubject,
} from '@atelier/contracts';
import { inboxOf } from '../credentials';
import { consumerName } from '../consumer-name';

export interface Permissions {
  publish: string[];
  subscribe: string[];
}

const API = '$JS.API';
const levels: readonly Access[] = ['read', 'write', 'clear'];
const atLeast = (access: Access, wanted: Access): boolean => levels.indexOf(access) >= levels.indexOf(wanted);
const tensorKinds = Object.keys(tensorGrants) as TensorKind[];
const blobBuckets = Object.keys(buckets.blobs) as BlobBucket[];
const stateBuckets = Object.keys(buckets.state) as StateBucket[];
/** What workers settle among themselves. */
const ofWorkers: ReadonlySet<StateBucket> = new Set(['attempts', 'leases']);
const isWorker = (user: MeshUser): user is Worker => (workers as readonly MeshUser[]).includes(user);

/** Undefined: all of it. */
export function permissionsOf(user: MeshUser): Permissions | undefined {
  if (user === 'admin') return undefined;
  const everybodys = [`${API}.INFO`, calls.room.subject];
  const own = isWorker(user)
    ? workersSubjects(user)
    : [...personsSubjects(), ...(user === deliverer ? delivering() : [])];
  const answers = isWorker(user) ? answered[user] : []; // where a question came from nats-server lets it reply by itself
  return { publish: inOrder([...everybodys, ...own]), subscribe: [`${inboxOf(user)}.>`, ...answers] };
}

function workersSubjects(user: Worker): string[] {
  return [
    ...workOf(user).flatMap(taking),
    ...workSubjects.flatMap((subject) => asking(subject, workGrants[subject][user])),
    ...told[user],
    ...followed[user].events.flatMap((filter) => following(streams.EVENTS, filter)),
    ...followed[user].deadLetters.flatMap((subject) => following(streams.DEAD, subjects.dead(subject))),
    ...asked[user],
    ...tensorKinds.flatMap((kind) => onTensors(kind, tensorGrants[kind][user])),
    ...blobBuckets.flatMap((bucket) => onBlobs(bucket, blobGrants[bucket][user])),
    ...stateBuckets.flatMap((bucket) => (bucket === 'attempts' ? [] : onState(bucket, stateGrants[bucket][user]))),
  ];
}

/**
 * All that a person may ask for: everything is read, and cleared. Work is put on queues where the gateway does so, and
 * taken off none.
 */
function personsSubjects(): string[] {
  return [
    ...workSubjects.flatMap((subject) => asking(subject, workGrants[subject].person)),
    `${API}.CONSUMER.INFO.${streams.WORK}.*`,
    ...[streams.WORK, streams.EVENTS, streams.DEAD].map((stream) => `${API}.STREAM.INFO.${stream}`),
    `${API}.STREAM.LIST`, // what each holds is among the gateway's figures
    ...told.person,
    ...following(streams.EVENTS, eventFilters.all),
    `${API}.STREAM.MSG.GET.${streams.EVENTS}`, // how far a drawing is: the last that was told of it
    ...following(streams.DEAD, subjects.all.dead),
    subjects.rpc('*', '*'),
    ...following(streams.TENSORS, subjects.all.tensors),
    `${API}.STREAM.PURGE.${streams.TENSORS}`,
    ...blobBuckets.flatMap((bucket) => [
      ...onBlobs(bucket, 'clear'),
      ...walking(backing.blobStream(bucket), `$O.${bucket}.>`),
    ]),
    ...stateBuckets.flatMap((bucket) => onState(bucket, ofWorkers.has(bucket) ? 'read' : 'clear')),
  ];
}

/** To make, ask and delete a consumer of EVENTS everybody needs who follows events; to settle what it has is more. */
function delivering(): string[] {
  return [`$JS.ACK.${streams.EVENTS}.>`, `${API}.CONSUMER.LIST.${streams.EVENTS}`];
}

/** A worker's own queue: it gets messages, settles them, counts attempts, and buries what is given up. */
function taking(subject: WorkSubject): string[] {
  const consumer = `${streams.WORK}.${consumerName(subject)}`;
  const attempts = backing.stateStream('attempts');
  const counts = backing.stateSubject('attempts', `${consumerName(subject)}.>`);
  return [
    `${API}.CONSUMER.INFO.${consumer}`,
    `${API}.CONSUMER.MSG.NEXT.${consumer}`,
    `$JS.ACK.${consumer}.>`,
    `${API}.STREAM.INFO.${attempts}`,
    `${API}.DIRECT.GET.${attempts}.${counts}`,
    counts,
    subjects.dead(subject),
    eventFilters.deadLetters,
  ];
}

function asking(subject: WorkSubject, how: Asking | undefined): string[] {
  const looking = [
    `${API}.CONSUMER.INFO.${streams.WORK}.${consumerName(subject)}`,
    `${API}.STREAM.INFO.${streams.WORK}`,
    `${API}.STREAM.MSG.GET.${streams.WORK}`,
  ];
  if (!how) return [];
  return [...(how === 'look' ? [] : [subject]), ...(how === 'ask' ? [] : looking)];
}

/** To read a stream under a filter as it grows, by a consumer of its own. */
function following(stream: string, filter: string): string[] {
  return [...walking(stream, filter), `${API}.STREAM.INFO.${stream}`];
}

function walking(stream: string, filter: string): string[] {
  return [
    `${API}.CONSUMER.CREATE.${stream}.*.${filter}`,
    `${API}.CONSUMER.INFO.${stream}.*`,
    `${API}.CONSUMER.MSG.NEXT.${stream}.*`,
    `${API}.CONSUMER.DELETE.${stream}.*`,
  ];
}

/** Who makes tensor sets reads none: it only has to know which are there. */
function onTensors(kind: TensorKind, access?: TensorAccess): string[] {
  if (!access) return [];
  const all = subjects.tensors(kind, '*');
  const reading = [`${API}.DIRECT.GET.${streams.TENSORS}.${all}`, `${API}.STREAM.MSG.GET.${streams.TENSORS}`];
  return [
    `${API}.STREAM.INFO.${streams.TENSORS}`,
    ...(access === 'read' ? reading : []),
    ...(access === 'make' ? [all] : []),
  ];
}

function onBlobs(bucket: BlobBucket, access?: Access): string[] {
  if (!access) return [];
  const stream = backing.blobStream(bucket);
  return [
    `${API}.STREAM.INFO.${stream}`,
    `${API}.DIRECT.GET.${stream}`,
    `${API}.STREAM.MSG.GET.${stream}`,
    // The client's own put takes away what it replaces, and what it could not finish.
    ...(atLeast(access, 'write') ? [`$O.${bucket}.>`, `${API}.STREAM.PURGE.${stream}`] : []),
    ...(atLeast(access, 'clear') ? [`${API}.STREAM.MSG.DELETE.${stream}`] : []),
  ];
}

function onState(bucket: StateBucket, access?: Access): string[] {
  if (!access) return [];
  const stream = backing.stateStream(bucket);
  const keys = backing.stateSubject(bucket, '>');
  return [
    `${API}.STREAM.INFO.${stream}`,
    `${API}.DIRECT.GET.${stream}.${keys}`,
    `${API}.STREAM.MSG.GET.${stream}`,
    ...watching(stream, keys),
    ...(atLeast(access, 'write') ? [keys] : []),
    ...(atLeast(access, 'clear') ? [`${API}.STREAM.MSG.DELETE.${stream}`, `${API}.STREAM.PURGE.${stream}`] : []),
  ];
}

/**
 * The client follows a bucket by a consumer to which messages are pushed; made anew, after an outage, it may have no
 * name.
 */
function watching(stream: string, keys: string): string[] {
  return [
    `${API}.CONSUMER.CREATE.${stream}`,
    `${API}.CONSUMER.CREATE.${stream}.*.${keys}`,
    `${API}.CONSUMER.INFO.${stream}.*`,
    `${API}.CONSUMER.DELETE.${stream}.*`,
    `$JS.FC.${stream}.>`,
  ];
}

const inOrder = (list: string[]): string[] => [...new Set(list)].sort();
