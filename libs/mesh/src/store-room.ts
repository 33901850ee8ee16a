import { calls, type StoreReply } from '@atelier/contracts';
import type { JetStreamManager, NatsConnection } from 'nats';
import { setTimeout as sleep } from 'node:timers/promises';
import { callService } from './calls';
import { hasNoResponders } from './nats-errors';
import { REMEDY, StoreFull } from './store-full';
import { within } from './within';

/** How much more nats-server's store takes. Bytes. */
export interface StoreState {
  /** The folder, where whoever looks after it says so. */
  path: string;
  /** What may still be written; Infinity where nobody knows. */
  room: number;
  /** What the store keeps at most; Infinity where it has no limit that a client can see. */
  limit: number;
  /** Of the room, what is kept for work that was accepted: new work is refused that would leave less. */
  reserve: number;
}

/**
 * Who writes decides how much must be left: states and results of accepted work may go into the reserve, new work may
 * not.
 */
export type Purpose = 'new work' | 'accepted work';

const LARGEST_RESERVE = 2 * 1024 ** 3;
/** The reserve's last quarter is for states and events: a run must be able to say that it waits for room. */
const LAST_SHARE = 4;
const FRESH_MS = 1000;
const ANSWER_MS = 5000;
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;

/** Of a disk or a limit of so many bytes. */
export const reserveOf = (capacity: number): number => Math.min(LARGEST_RESERVE, Math.floor(capacity / 10));

export const isFull = ({ room, reserve }: StoreState): boolean => room < reserve;

/** In words for people, with the numbers; for a store that is not full as well. */
export function describeStore({ path, room, limit, reserve }: StoreState): string {
  if (room === Infinity) return 'how much the store still takes is not known here';
  const of = Number.isFinite(limit) ? ` of ${mebibytes(limit)}` : '';
  return `${mebibytes(room)}${of} may still be written${path ? ` to ${path}` : ''}, and ${mebibytes(reserve)} are kept for work under way`;
}

/**
 * Knows before a write whether there is room for it. JetStream tells what is used, and the limit where the account has
 * one; whoever started nats-server ("atelier up") tells what its disk has. Where neither is known nothing is refused
 * here, and nats-server's own refusal counts.
 */
export class StoreRoom {
  private last?: { state: Promise<StoreState>; at: number };
  /** Bytes let through since the last look. */
  private taken = 0;

  constructor(
    private readonly nc: NatsConnection,
    private readonly jsm: JetStreamManager,
  ) {}

  /** As of a second ago at most. Rejects when nats-server does not answer. */
  look(): Promise<StoreState> {
    if (this.last && Date.now() - this.last.at <= FRESH_MS) return this.last.state;
    return this.ask();
  }

  /**
   * Throws StoreFull, with the numbers, where writing so many bytes would leave less than what is kept from this
   * purpose.
   */
  async require(bytes: number, purpose: Purpose): Promise<void> {
    // Whoever has accepted work may try its write where nobody can say: nats-server's own answer to that counts.
    const look = (fresh: boolean): Promise<StoreState | undefined> => {
      const asked = fresh ? this.ask() : this.look();
      return purpose === 'new work' ? asked : asked.catch(() => undefined);
    };
    const fits = ({ room, reserve }: StoreState): boolean =>
      bytes <= room - this.taken - (purpose === 'new work' ? reserve : reserve / LAST_SHARE);
    let state = await look(false);
    if (state && !fits(state)) state = await look(true);
    if (state && !fits(state)) throw refusal(state, bytes);
    this.taken += bytes;
  }

  /** Resolves when accepted work may try again to write: there is room, or nobody knows. At the signal as well. */
  async until(signal: AbortSignal): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      const state = await this.look().catch(() => undefined);
      if (!state || state.room > state.reserve / LAST_SHARE) return;
    }
  }

  private ask(): Promise<StoreState> {
    const state = this.measure();
    const last = { state, at: Date.now() };
    this.last = last;
    this.taken = 0;
    state.catch(() => this.last === last && (this.last = undefined));
    return state;
  }

  private async measure(): Promise<StoreState> {
    const [{ storage, limits }, keeper] = await Promise.all([
      within(ANSWER_MS, 'JetStream', this.jsm.getAccountInfo()),
      this.keeper(),
    ]);
    const limit = keeper ? keeper.limitBytes : limits.max_storage > 0 ? limits.max_storage : Infinity;
    const free = keeper?.freeBytes ?? Infinity;
    return {
      path: keeper?.path ?? '',
      room: Math.max(0, Math.min(limit - storage, free)),
      limit,
      reserve: keeper?.reserveBytes ?? (limit === Infinity ? 0 : reserveOf(limit)),
    };
  }

  /** Nobody answers where nats-server was started by other means. */
  private async keeper(): Promise<StoreReply | undefined> {
    try {
      return await callService({ nc: this.nc }, calls.room, {}, { timeoutMs: ANSWER_MS });
    } catch (error) {
      if (hasNoResponders((error as Error).cause)) return undefined;
      throw error;
    }
  }
}

function refusal(state: StoreState, bytes: number): StoreFull {
  const { path, room, limit, reserve } = state;
  const needed = bytes > 0 ? `; ${mebibytes(bytes)} are needed` : '';
  const numbers = {
    free_bytes: String(room),
    needed_bytes: String(bytes),
    reserve_bytes: String(reserve),
    ...(Number.isFinite(limit) && { limit_bytes: String(limit) }),
  };
  return new StoreFull(`the store is full: ${describeStore(state)}${needed}. ${REMEDY}`, {
    ...numbers,
    ...(path && { path }),
  });
}

const mebibytes = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(bytes < 1024 ** 3 ? 1 : 0)} MiB`;
