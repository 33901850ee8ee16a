import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  AdapterInfo,
  AtelierError,
  buckets,
  isAdapterName,
  timestamp,
  toDate,
  type IReplacedFile,
} from '@atelier/contracts';
import { atOnce, isStoreFull, isUnanswered, type Mesh, type Patience } from '@atelier/mesh';
import { BlobStore } from './blobs';
import { StateStore, type Stored } from './state';

/** What is to be known of a file that gets a name. */
export type AdapterFacts = Pick<AdapterInfo, 'name' | 'rank' | 'alpha'> &
  Partial<Pick<AdapterInfo, 'runId' | 'baseFingerprint' | 'contents'>>;

export interface AdapterStoreOptions {
  patience?: Patience;
  /** How long a file that was replaced stays for those who are reading it. */
  keepReplacedMs?: number;
}

export interface AdapterPutOptions {
  /** Whether it may take the place of another's. */
  replace?: boolean;
  /**
   * Throws where the writer may not write any more. Asked between reading the entry and its compare-and-set, so that
   * whoever writes there after the answer has this one asked again.
   */
  require?: () => Promise<void>;
}

const BUCKET = buckets.blobs.adapters;
const HOUR = 60 * 60 * 1000;

/** KV's keys have no "@", and names no "=". */
const keyOf = (name: string): string => name.replace('@', '=');

/**
 * Adapters by the name that people use: the file in blob bucket `adapters`, its entry in KV `adapters`. A file gets an
 * id of its own that nothing else will ever have, and is whole before an entry names it, by compare-and-set. So an
 * entry always names a whole file that is its own, whoever else writes under the name
 * (docs/decisions/0025-an-adapters-file-is-never-written-over.md).
 */
export class AdapterStore {
  private readonly entries: StateStore<AdapterInfo>;
  private readonly blobs: BlobStore;
  private readonly ask: Patience;
  private readonly keepReplacedMs: number;

  constructor(mesh: Mesh, { patience = atOnce, keepReplacedMs = HOUR }: AdapterStoreOptions = {}) {
    this.entries = new StateStore(mesh, buckets.state.adapters, AdapterInfo);
    this.blobs = new BlobStore(mesh);
    this.ask = patience;
    this.keepReplacedMs = keepReplacedMs;
  }

  list(): Promise<AdapterInfo[]> {
    return this.ask(() => this.entries.list());
  }

  /** What the name stands for now: a reader holds on to this. Throws NOT_FOUND. */
  async find(name: string): Promise<Stored<AdapterInfo>> {
    const found = isAdapterName(name) ? await this.ask(() => this.entries.get(keyOf(name))) : null;
    if (found) return found;
    throw new AtelierError(
      'NOT_FOUND',
      `there is no adapter ${JSON.stringify(name.slice(0, 80))}: list them to see what there is`,
    );
  }

  /** The file that was found; where it was replaced so long ago that it is gone, what the name stands for now. */
  async read({ value }: Stored<AdapterInfo>): Promise<Uint8Array> {
    return this.whereItIs(value, (blob) => this.ask(() => this.blobs.get(BUCKET, blob)));
  }

  /** The same chunk by chunk. */
  async stream({ value }: Stored<AdapterInfo>): Promise<Readable> {
    return this.whereItIs(value, (blob) => this.ask(() => this.blobs.stream(BUCKET, blob)));
  }

  /**
   * Gives a file a name. A name that is taken is refused with ALREADY_EXISTS unless `replace` says otherwise; what a
   * run has put under it already stays, so that a run may do it twice. Resolves with the entry that is then there; a
   * file that no entry came to name is gone again.
   */
  async put(
    facts: AdapterFacts,
    bytes: Uint8Array,
    { replace = false, require = async () => undefined }: AdapterPutOptions = {},
  ): Promise<AdapterInfo> {
    const info = AdapterInfo.create({ ...facts, blob: randomUUID(), size: bytes.byteLength, createdAt: timestamp() });
    const decide = (former: AdapterInfo | null): AdapterInfo | null => succeed(former, info, replace);
    // Before a byte is written, which may be many; what counts is what is there when the entry is.
    const there = await this.ask(() => this.entries.get(keyOf(info.name)));
    if (there && decide(there.value) === null) return there.value;
    const stored = await this.write(info, bytes, async (former) => {
      await require();
      return decide(former);
    });
    if (stored.blob !== info.blob) await this.discard(info.blob);
    else await this.clearReplaced().catch(() => undefined); // what it leaves, the next one finds
    return stored;
  }

  /**
   * Deletes the files that were replaced so long ago that nobody can be reading them any more. A full store has no room
   * to note that they are gone, which then is noted the next time: nobody reads a file by that list.
   */
  async clearReplaced(): Promise<void> {
    const isDue = ({ replacedAt }: IReplacedFile): boolean =>
      (toDate(replacedAt)?.getTime() ?? 0) + this.keepReplacedMs <= Date.now();
    for (const { name, replaced } of await this.list()) {
      const due = replaced.filter(isDue);
      if (due.length === 0) continue;
      await this.deleteUnnamed(due.map(({ blob }) => blob ?? ''));
      const gone = new Set(due.map(({ blob }) => blob));
      await this.ask(async () => {
        const stay = (entry: AdapterInfo): AdapterInfo =>
          Object.assign(entry, { replaced: entry.replaced.filter(({ blob }) => !gone.has(blob)) });
        await this.entries.update(keyOf(name), stay).catch(unlessFull);
      });
    }
  }

  /**
   * Takes the name away, then its files: one who is reading them is told that they are gone.
   * @param require throws where it must stay
   * @returns what was there; null: nothing
   */
  async delete(name: string, require: (info: AdapterInfo) => void | Promise<void>): Promise<AdapterInfo | null> {
    const gone = isAdapterName(name) ? await this.entries.take(keyOf(name), require) : null;
    // An entry that could not be read names no files: those are nobody's then, and the sweep's.
    if (gone?.blob) await this.deleteUnnamed([gone.blob, ...gone.replaced.map(({ blob }) => blob ?? '')]);
    return gone;
  }

  /**
   * Gives the file another name, under which it is found before the former is gone: broken off in between both name
   * it, and asked for again it comes to its end. Throws NOT_FOUND, ALREADY_EXISTS, and ABORTED where the former was
   * given another file meanwhile.
   * @param require throws where the former name must stay
   */
  async rename(name: string, to: string, require: () => Promise<void> = async () => undefined): Promise<AdapterInfo> {
    const { value } = await this.find(name);
    if (name === to) return value;
    await require();
    const renamed = await this.entries.put(to, (there) => {
      if (!there) return AdapterInfo.create({ ...value, name: to });
      if (there.blob === value.blob) return null;
      throw taken(to, 'delete it first');
    });
    const changed = new AtelierError('ABORTED', `adapter ${name} was changed while it was renamed: try again`);
    const requireSame = ({ blob }: AdapterInfo): void => {
      if (blob !== value.blob) throw changed;
    };
    let mayGo = true;
    try {
      await this.entries.take(keyOf(name), async (former) => {
        mayGo = false;
        requireSame(former);
        await require();
        mayGo = true;
      });
    } catch (error) {
      if (!mayGo) await this.entries.take(to, requireSame);
      throw error;
    }
    return renamed;
  }

  /** Files, but for those that an entry names: one that was renamed halfway has two. */
  private async deleteUnnamed(blobs: readonly string[]): Promise<void> {
    const named = new Set((await this.list()).map(({ blob }) => blob));
    for (const blob of blobs.filter((each) => !named.has(each))) await this.ask(() => this.blobs.delete(BUCKET, blob));
  }

  private async write(
    info: AdapterInfo,
    bytes: Uint8Array,
    decide: (former: AdapterInfo | null) => Promise<AdapterInfo | null>,
  ): Promise<AdapterInfo> {
    let perhapsNamed = false;
    const name = async (): Promise<AdapterInfo> => {
      try {
        return await this.entries.put(keyOf(info.name), decide);
      } catch (error) {
        perhapsNamed ||= isUnanswered(error);
        throw error;
      }
    };
    try {
      await this.ask(() => this.blobs.put(BUCKET, info.blob, bytes));
      return await this.ask(name);
    } catch (error) {
      // An entry of which nothing was heard may be there all the same, and then its file must be.
      const discarded = perhapsNamed ? undefined : this.discard(info.blob);
      if (!isUnanswered(error)) await discarded; // else the mesh is away, and the caller has waited long enough
      throw error;
    }
  }

  private async discard(blob: string): Promise<void> {
    await this.blobs.delete(BUCKET, blob).catch(() => undefined);
  }

  private async whereItIs<T>(found: AdapterInfo, take: (blob: string) => Promise<T>): Promise<T> {
    for (let entry = found; ;) {
      try {
        return await take(entry.blob);
      } catch (error) {
        if ((error as Partial<AtelierError>).code !== 'NOT_FOUND') throw error;
        const { value: now } = await this.find(entry.name);
        if (now.blob === entry.blob) {
          throw new AtelierError(
            'NOT_FOUND',
            `the file of adapter ${entry.name} is gone: bring it in again, with replace`,
            {},
            { cause: error },
          );
        }
        entry = now;
      }
    }
  }
}

function unlessFull(error: unknown): void {
  if (!isStoreFull(error)) throw error;
}

/** The entry that is to come after `former`; null: that one is to stay. */
function succeed(former: AdapterInfo | null, info: AdapterInfo, replace: boolean): AdapterInfo | null {
  if (!former) return info;
  if (former.blob === info.blob) return null; // written before, and the answer was lost
  if (info.runId !== '' && former.runId === info.runId) return null;
  if (!replace) throw taken(info.name, 'ask to replace it');
  return AdapterInfo.create({
    ...info,
    replaced: [...former.replaced, { blob: former.blob, replacedAt: info.createdAt }],
  });
}

const taken = (name: string, otherwise: string): AtelierError =>
  new AtelierError('ALREADY_EXISTS', `there is already an adapter named ${name}: choose another name, or ${otherwise}`);
