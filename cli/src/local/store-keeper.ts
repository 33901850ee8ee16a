import { setTimeout as sleep } from 'node:timers/promises';
import { calls, StoreReply } from '@atelier/contracts';
import {
  describeStore,
  isFull,
  Mesh,
  reserveOf,
  takesConnections,
  within,
  type Credentials,
  type StoreState,
} from '@atelier/mesh';
import { diskOf, marginOf, reservedBy, SpareRoom, storeLimit, type Disk } from './disk';
import type { LocalNats } from './nats';
import { decide, type Store } from './store-decision';

const LOOK_MS = 1000;
const ANSWER_MS = 3000;
/** A restarted server is given this long before it is judged again. */
const SETTLE_MS = 10_000;

/**
 * Looks after the disk under nats-server, which cannot: tells every service what room there is, has nats-server refuse
 * what would not fit before the disk is full, and brings it back by itself when it has come to harm or there is room
 * again.
 */
export class StoreKeeper {
  private readonly ending = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private store?: Store;
  private silentSince?: number;
  private restartedAt = 0;
  private full = false;
  /** The trouble that was told of, so that it is told once. */
  private told?: string;

  private readonly spare: SpareRoom;

  private constructor(
    private readonly nats: LocalNats,
    private readonly mesh: Mesh,
    private readonly say: (text: string) => void,
  ) {
    this.spare = new SpareRoom(nats.store);
  }

  /** @param credentials of user admin */
  static async start(nats: LocalNats, say: (text: string) => void, credentials?: Credentials): Promise<StoreKeeper> {
    const { url } = nats;
    const mesh = await Mesh.connect({ url, name: 'store-keeper', user: 'admin', credentials });
    const keeper = new StoreKeeper(nats, mesh, say);
    keeper.answer();
    keeper.running = keeper.watch();
    return keeper;
  }

  async stop(): Promise<void> {
    this.ending.abort();
    await this.mesh.nc.close();
    await this.running;
  }

  private answer(): void {
    this.mesh.nc.subscribe(calls.room.subject, {
      callback: (error, message) => {
        if (error) return;
        try {
          message.respond(StoreReply.encode(this.reply(diskOf(this.nats.store))).finish());
        } catch (trouble) {
          this.tell(`the disk of ${this.nats.store} cannot be asked: ${(trouble as Error).message}`);
        }
      },
    });
  }

  private reply({ total, free }: Disk): { path: string; freeBytes: number; limitBytes: number; reserveBytes: number } {
    return {
      path: this.nats.store,
      freeBytes: Math.max(0, free - marginOf(total)),
      limitBytes: this.nats.limit,
      reserveBytes: reserveOf(total),
    };
  }

  private async watch(): Promise<void> {
    const { signal } = this.ending;
    while (!signal.aborted) {
      await this.look().catch((error: Error) => this.tell(`the store cannot be looked after: ${error.message}`));
      await sleep(LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  private async look(): Promise<void> {
    const disk = diskOf(this.nats.store);
    const trouble = await this.probe();
    if (this.ending.signal.aborted) return;
    if (!trouble && this.store) {
      this.announce(disk, this.store);
      this.spare.keep(disk);
    }
    if (Date.now() - this.restartedAt < SETTLE_MS) return;
    const wanted = storeLimit(disk, this.store?.used ?? 0, reservedBy(this.nats.store));
    const decision = decide({
      disk,
      store: this.store,
      limit: this.nats.limit,
      wanted,
      trouble,
      spare: this.spare.bytes,
    });
    if (!decision) return void (this.told = undefined);
    this.tell(decision.why);
    if (decision.act === 'wait') return;
    if (disk.free < marginOf(disk.total)) this.spare.giveUp();
    await this.nats.restart(this.store?.used, decision.act);
    this.restartedAt = Date.now();
    this.silentSince = undefined;
  }

  /** What JetStream holds; or, where it does not say, since when and what is wrong with it. */
  private async probe(): Promise<{ what: string; ms: number } | undefined> {
    try {
      this.store = await within(ANSWER_MS, 'JetStream', this.measure());
      this.silentSince = undefined;
      return undefined;
    } catch (error) {
      this.silentSince ??= Date.now();
      // Stopped, or not there: then its process is another's affair.
      if (!(await takesConnections(this.nats.url))) {
        this.silentSince = undefined;
        return { what: '', ms: 0 };
      }
      return { what: (error as Error).message, ms: Date.now() - this.silentSince };
    }
  }

  /** Of every stream, since one of them may hang alone; and by nats-server's own count, by which it refuses. */
  private async measure(): Promise<Store> {
    let used = 0;
    for await (const { state } of this.mesh.jsm.streams.list()) used += state.bytes;
    return { used, counted: (await this.mesh.jsm.getAccountInfo()).storage };
  }

  private announce(disk: Disk, { counted }: Store): void {
    const { path, freeBytes, limitBytes: limit, reserveBytes: reserve } = this.reply(disk);
    const state: StoreState = { path, limit, reserve, room: Math.max(0, Math.min(limit - counted, freeBytes)) };
    if (!this.full && isFull(state)) {
      this.full = true;
      this.say(
        `the store is full: ${describeStore(state)}. Uploads, imports, runs and drawings are refused until there is ` +
          'room: free space on that disk, or delete what is no longer needed',
      );
    } else if (this.full && state.room > reserve * 1.1) {
      this.full = false;
      this.say(`there is room in the store again: ${describeStore(state)}`);
    }
  }

  private tell(text: string): void {
    if (text !== this.told) this.say(text);
    this.told = text;
  }
}
