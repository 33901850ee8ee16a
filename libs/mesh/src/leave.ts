import { setTimeout as sleep } from 'node:timers/promises';
import type { Mesh } from './mesh';
import { isFull } from './store-room';
import { within } from './within';

const LOOK_MS = 1500;
const ANSWER_MS = 1500;
/**
 * So long in a row has it to be so. A nats-server that is being restarted is back sooner; a step ends, and its state
 * goes into the reserve.
 */
const DEAF_MS = 10_000;
const FULL_MS = 40_000;

/**
 * Waits for work in hand to come to its end, as long as that can come. Who waits for a mesh that does not answer, or
 * that takes nothing more, would wait until killed: its connection is closed after a while, which ends every question,
 * and what was in hand comes again later.
 */
export async function closeWhenDeaf(
  mesh: Mesh,
  inHand: Promise<unknown>,
  onClose: (reason: string) => void,
): Promise<void> {
  let over = false;
  const ended = inHand.finally(() => (over = true));
  const watch = async (): Promise<void> => {
    for (let well = Date.now(); !over; await Promise.race([ended, sleep(LOOK_MS, undefined, { ref: false })])) {
      const found = await deafness(mesh);
      if (!found) well = Date.now();
      else if (!over && Date.now() - well > found.patienceMs) {
        onClose(found.reason);
        return mesh.nc.close();
      }
    }
  };
  await Promise.all([ended, watch()]);
}

async function deafness(mesh: Mesh): Promise<{ reason: string; patienceMs: number } | undefined> {
  try {
    const store = await within(ANSWER_MS, 'nats-server', mesh.room.look());
    return isFull(store) ? { reason: 'the store is full', patienceMs: store.room > 0 ? FULL_MS : DEAF_MS } : undefined;
  } catch (error) {
    return { reason: (error as Error).message, patienceMs: DEAF_MS };
  }
}
