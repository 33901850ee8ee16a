import { totalmem } from 'node:os';
import { Engine } from './engine';

/** What {@link EngineOptions.device} may be. */
export const DEVICE_PATTERN = /^(auto|cpu|cuda(:\d{1,4})?)$/;

/** The memory that a computing device has, and the name that everybody who shares it counts it under. */
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
  return card ? { name: `cuda:${index}`, bytes: card.bytes, card: true } : { name: 'cpu', bytes: totalmem(), card: false };
}
