import { totalmem } from 'node:os';
import { Engine, type Card } from '@atelier/engine';

/** Of trainer, inference, latents and prompts, those beside the one that asks. */
const OTHER_SERVICES = 3;

/** The memory that services share out among themselves, and the name that everybody who shares it counts it under. */
export interface ComputeMemory {
  /** `cpu`, `cuda:0`, … */
  name: string;
  bytes: number;
  card: boolean;
  /** What a service takes of it beside its models: on a card the driver's context and the engine's workspace. */
  baseBytes: number;
}

/**
 * Of what `device` would open: the card it names, for `auto` the first one, else the machine. A card that is not there
 * counts as the machine: opening it says so. Of a card the other services' contexts and workspaces are not shared out:
 * each has them on it from its first work to its end, whoever holds leases.
 */
export function computeMemory(device: string, cards = device === 'cpu' ? [] : Engine.cards()): ComputeMemory {
  const index = Number(/^cuda:(\d+)/.exec(device)?.[1] ?? 0);
  const card = cards[index];
  if (!card) return { name: 'cpu', bytes: totalmem(), card: false, baseBytes: 0 };
  const baseBytes = beside(card);
  return { name: `cuda:${index}`, bytes: Math.max(1, card.bytes - OTHER_SERVICES * baseBytes), card: true, baseBytes };
}

function beside({ contextBytes, workspaceBytes }: Card): number {
  return contextBytes + workspaceBytes;
}
