import { AtelierError, backing, type StateBucket } from '@atelier/contracts';
import {
  atOnce,
  isConflict,
  isStoreFull,
  orStoreFull,
  type Mesh,
  type MessageType,
  type OutageOptions,
  type Patience,
} from '@atelier/mesh';
import type { KV, KvEntry } from 'nats';

/** Of an entry that is there and cannot be read. */
export const isJunk = (error: unknown): boolean => error instanceof AtelierError && error.code === 'DATA_LOSS';

/** What comes after what is there. It may look elsewhere first: what changes here meanwhile has it asked again. */
type Make<T> = (former: T | null) => T | null | Promise<T | null>;

export interface Stored<T> {
  value: T;
  revision: number;
}

/**
 * State in a KV bucket as one protobuf message a key; every change is a compare-and-set on the revision. Only what may
 * be done twice is asked with patience: all but create, whose first try may have come to be without an answer.
 */
export class StateStore<T> {
  private opened?: Promise<KV>;
  private leaders?: Promise<KV>;

  constructor(
    private readonly mesh: Mesh,
    private readonly bucket: StateBucket,
    private readonly type: MessageType<NoInfer<T>, T>,
    private readonly patience: Patience = atOnce,
  ) {}

  get(id: string): Promise<Stored<T> | null> {
    return this.patience(() => this.read(id));
  }

  private async read(id: string): Promise<Stored<T> | null> {
    const entry = await this.entry(id);
    return entry && { value: this.decode(entry), revision: entry.revision };
  }

  private async entry(id: string): Promise<KvEntry | null> {
    const found = await (await this.kv()).get(id);
    if (found && this.isThere(found)) return found;
    // Any replica answers that, also one that has not heard of it yet: the leader knows for sure.
    const known = await (await this.leader()).get(id);
    return known && this.isThere(known) ? known : null;
  }

  /** Throws ALREADY_EXISTS, StoreFull. */
  async create(id: string, value: T): Promise<void> {
    try {
      await orStoreFull(async () => (await this.kv()).create(id, this.encode(value)));
    } catch (error) {
      if (isConflict(error))
        throw new AtelierError('ALREADY_EXISTS', `${this.bucket} has ${id} already`, {}, { cause: error });
      throw error;
    }
  }

  /**
   * Reads, changes, writes; again when someone else wrote in between. `mutate` gets a copy of its own and may be called several times;
   * null leaves the state as it is. Resolves with the state that is then stored. Throws NOT_FOUND, StoreFull.
   */
  async update(id: string, mutate: (value: T) => T | null, options?: OutageOptions): Promise<T> {
    const make = (former: T | null): T | null => {
      if (former === null) throw new AtelierError('NOT_FOUND', `${this.bucket} has no ${id}`);
      return mutate(former);
    };
    return this.put(id, make, options);
  }

  /**
   * Creates what is not there, takes the place of what is. `make` gets a copy of what is there, or null, and may be
   * called several times; it may throw to refuse, and return null to leave what is there. Resolves with what is stored.
   */
  put(id: string, make: Make<T>, options?: OutageOptions): Promise<T> {
    return this.patience(() => this.write(id, make), options);
  }

  private async write(id: string, make: Make<T>): Promise<T> {
    const kv = await this.kv();
    for (;;) {
      const stored = await this.read(id);
      const next = await make(stored && this.copy(stored.value));
      if (next === null) {
        if (stored) return stored.value;
        throw new AtelierError('INTERNAL', `${this.bucket} has no ${id}, which was to be left as it is`);
      }
      try {
        await orStoreFull(() =>
          stored ? kv.update(id, this.encode(next), stored.revision) : kv.create(id, this.encode(next)),
        );
        return next;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }

  /** In a full store, too, which has no room for the marker that tells watchers of it. */
  delete(id: string): Promise<void> {
    return this.patience(() => this.remove(id));
  }

  private async remove(id: string): Promise<void> {
    try {
      await (await this.kv()).delete(id);
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      await this.purge(id);
    }
  }

  /**
   * Takes away what `require` lets go: it gets what is there, and throws to refuse. What is written meanwhile has it
   * asked again, so that nothing goes that it has not seen. It leaves no marker behind, and a full store does it too.
   * What cannot be read nobody can use or judge: it goes without being asked for.
   * @returns what was there, and an empty one for what could not be read; null: nothing
   */
  take(id: string, require: (value: T) => void | Promise<void>): Promise<T | null> {
    return this.patience(async () => {
      for (;;) {
        const entry = await this.entry(id);
        if (!entry) return null;
        const value = this.unlessJunk(entry);
        if (value) await require(value);
        if (await this.removeAt(id, entry.revision)) return value ?? this.type.decode(new Uint8Array());
      }
    });
  }

  private async removeAt(id: string, revision: number): Promise<boolean> {
    const kv = await this.kv();
    try {
      await kv.delete(id, { previousSeq: revision });
    } catch (error) {
      if (isConflict(error)) return false;
      if (!isStoreFull(error)) throw error;
      await this.purge(id, revision + 1); // what was written later has a later place
      return (await this.entry(id)) === null;
    }
    const marker = await kv.get(id).catch(() => null);
    if (marker?.operation !== 'DEL') return true;
    // For those who watched; of names used once they would pile up.
    const stream = backing.stateStream(this.bucket);
    await this.mesh.jsm.streams.deleteMessage(stream, marker.revision, false).catch(() => undefined);
    return true;
  }

  /** @param seq only what has an earlier place */
  private async purge(id: string, seq?: number): Promise<void> {
    const filter = backing.stateSubject(this.bucket, id);
    await this.mesh.jsm.streams.purge(backing.stateStream(this.bucket), { filter, seq });
  }

  /**
   * What cannot be read is left out.
   * @param under only what has this and a dot before it
   */
  async list(under?: string): Promise<T[]> {
    const ids = await this.patience(() => this.keys(under));
    const found = await Promise.all(ids.map((id) => this.readable(id)));
    return found.filter((value) => value !== null);
  }

  /** Nothing, too, where an entry is junk: of many, one is no reason to show nothing of the others. */
  async readable(id: string): Promise<T | null> {
    try {
      return (await this.get(id))?.value ?? null;
    } catch (error) {
      if (isJunk(error)) return null;
      throw error;
    }
  }

  /**
   * Ids of all that is there, and of what left a marker when it was deleted. Asked of the stream. The client's own list of keys follows the bucket until it has caught up: a key that is written
   * meanwhile comes several times, and where one is written again and again the end may never come.
   */
  async keys(under?: string): Promise<string[]> {
    const prefix = backing.stateSubject(this.bucket, '');
    const { state } = await this.mesh.jsm.streams.info(backing.stateStream(this.bucket), {
      subjects_filter: `${prefix}${under === undefined ? '' : `${under}.`}>`,
    });
    return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
  }

  /** The state now, then every change of it, until the signal. '*': all keys. */
  async *watch(id: string, { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<T> {
    if (signal?.aborted) return;
    const entries = await (await this.kv()).watch({ key: id === '*' ? '>' : id });
    const stop = (): void => entries.stop();
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    try {
      for await (const entry of entries) if (this.isThere(entry)) yield this.decode(entry);
    } finally {
      signal?.removeEventListener('abort', stop);
      entries.stop();
    }
  }

  private kv(): Promise<KV> {
    this.opened ??= this.mesh.js.views.kv(this.bucket, { history: 1 });
    this.opened.catch(() => (this.opened = undefined));
    return this.opened;
  }

  private leader(): Promise<KV> {
    this.leaders ??= this.mesh.js.views.kv(this.bucket, { history: 1, allow_direct: false });
    this.leaders.catch(() => (this.leaders = undefined));
    return this.leaders;
  }

  private isThere(entry: KvEntry): boolean {
    return entry.operation === 'PUT';
  }
  /** Throws DATA_LOSS. */
  private decode({ key, value }: KvEntry): T {
    try {
      return this.type.decode(value);
    } catch (error) {
      const message = `${this.bucket} has ${key}, but what it holds cannot be read: delete it`;
      throw new AtelierError('DATA_LOSS', message, {}, { cause: error });
    }
  }
  private unlessJunk(entry: KvEntry): T | undefined {
    try {
      return this.decode(entry);
    } catch {
      return undefined;
    }
  }
  private copy(value: T): T {
    return this.type.decode(this.encode(value));
  }
  private encode(value: T): Uint8Array {
    return this.type.encode(value).finish();
  }
}
