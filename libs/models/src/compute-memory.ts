import { totalmem } from 'node:os';
import { Engine } from '@atelier/engine';

/**
 * What plans do not count on a card: three other services that compute have each a driver's context (0.45 GB) and a workspace (0.1 GB) on it, from
 * their first work to their end. Not measured.
 */
const OTHER_SERVICES_BYTES = 3 * 550e6;

/** The memory that services share out among themselves, and the name that everybody who shares it counts it under. */
export interface ComputeMemory {
  /** `cpu`, `cuda:0`, … */
  name: string;
  bytes: number;
  card: boolean;
}

/** Of what `device` would open: the card it names, for `auto` the first one, else the machine. A card that is not there counts as the machine: opening it says so. */
export function computeMemory(device: string): ComputeMemory {
  const cards = device === 'cpu' ? [] : Engine.cards();
  const index = Number(/^cuda:(\d+)/.exec(device)?.[1] ?? 0);
  const card = cards[index];
  return card
    ? { name: `cuda:${index}`, bytes: Math.max(1, card.bytes - OTHER_SERVICES_BYTES), card: true }
    : { name: 'cpu', bytes: totalmem(), card: false };
}
