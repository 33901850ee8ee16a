import { reserveOf } from '@atelier/mesh';
import { marginOf, type Disk } from './disk';

export interface Store {
  /** What its streams hold. Bytes. */
  used: number;
  /**
   * What nats-server counts, by which it refuses: before 2.9.15 it does not forget what was purged until it is started
   * anew. Bytes.
   */
  counted: number;
}

export interface Situation {
  disk: Disk;
  /** As last seen. */
  store?: Store;
  /** In force. */
  limit: number;
  /** What the limit would be, were the server started now. */
  wanted: number;
  /**
   * JetStream does not answer though its server takes connections: what it says, and for how long. No words: nobody
   * knows anything.
   */
  trouble?: { what: string; ms: number };
  /** Room that can be given up for a start. Bytes. */
  spare: number;
}

export interface Decision {
  /** kill: it would not hear that it is to end. */
  act: 'restart' | 'kill' | 'wait';
  /** For people; the same as long as nothing changes. */
  why: string;
}

/** A busy server may take its time. */
const HANGS_MS = 10_000;
/** What nats-server writes to start at all. */
const STARTABLE = 2 * 1024 ** 2;

/**
 * Whether nats-server is to be started anew. Its limit cannot be changed while it runs, and JetStream that has met the
 * end of its disk, or been turned off for it, does not come back by itself. What was acknowledged is on disk, and
 * everyone waits out a restart.
 */
export function decide({ disk, store, limit, wanted, trouble, spare }: Situation): Decision | undefined {
  if (trouble) {
    const disabled = /not enabled|no responders|503/i.test(trouble.what);
    if (trouble.what === '' || (!disabled && trouble.ms < HANGS_MS)) return undefined;
    const state = disabled
      ? 'nats-server has turned its JetStream off, as it does when its disk is full'
      : 'nats-server lives, but its JetStream hangs, as it does when its disk is full';
    if (disk.free + spare < STARTABLE)
      return { act: 'wait', why: `${state}: it is started anew once there is room on the disk` };
    return { act: 'kill', why: `${state}: it is started anew` };
  }
  if (!store) return undefined;
  const margin = marginOf(disk.total);
  const reserve = reserveOf(disk.total);
  if (disk.free < margin / 2 && store.counted < limit && wanted < limit) {
    return {
      act: 'restart',
      why: 'the disk is all but full: nats-server is started anew so that it takes no more, and can be read',
    };
  }
  const takes = limit - store.counted;
  if (takes < reserve && wanted - store.used > Math.max(0, takes) + reserve / 2 && disk.free > margin) {
    return {
      act: 'restart',
      why: 'there is more room on the disk than nats-server was told, or counts: it is started anew',
    };
  }
  return undefined;
}
