import { AtelierError } from '@atelier/contracts';
import { Engine } from '@atelier/engine';
import { cardPresence } from './card-presence';

/** On what a process would compute, and what a person should know of it. */
export interface Computing {
  /** "cuda: NVIDIA GeForce RTX 4090, 24 GB", or "cpu". */
  device: string;
  /** Of the card, bytes; 0: none is taken. */
  cardBytes: number;
  /** What of CUDA is in this engine: "CUDA 13.0 for 8.9", or "no CUDA". */
  engine: string;
  /** Why the CPU computes although a card is there; empty where there is nothing to know. */
  note: string;
}

/**
 * What ATELIER_COMPUTE comes to on this machine, without taking anything on a card.
 *
 * @param root where /proc, /dev and /sys are looked for
 * @throws AtelierError UNIMPLEMENTED, with the reason and the remedy, where it names a card that cannot be had
 */
export function computing(compute: string, root?: string): Computing {
  const { build, card, description, bytes, refusal } = Engine.outlook(compute);
  const seen = { device: description, cardBytes: bytes, engine: build, note: '' };
  if (card >= 0 || compute === 'cpu') return seen;
  if (compute !== 'auto')
    throw new AtelierError(
      'UNIMPLEMENTED',
      `ATELIER_COMPUTE is ${JSON.stringify(compute)}, which cannot be had here: ${refusal}. Or set it to auto or cpu, to compute on the CPU`,
    );
  const present = cardPresence(root) ?? Engine.cards()[0]?.name;
  return present === undefined ? seen : { ...seen, note: onCpuBeside(present, refusal) };
}

/** The one sentence for a card that is there and not used. */
export function onCpuBeside(present: string, refusal: string): string {
  return `the CPU computes although ${present} is there: ${refusal}. ATELIER_COMPUTE=cpu says that this is meant`;
}

/** The engine's own words, behind the description of a CPU that `auto` took although a card could be expected. */
const REFUSED = '; not on a card: ';

/** An open device's description as the engine gives it, taken apart: what computes, and why it is no card, if that is to be told. */
export function describedDevice(description: string): { device: string; refusal: string } {
  const [device = '', ...refusals] = description.split(REFUSED);
  return { device, refusal: refusals.join('; ') };
}

/** The same put together, of a CPU that was taken for another reason than the engine knows. */
export const insteadOfCard = (device: string, refusal: string): string => `${device}${REFUSED}${refusal}`;

/** What is known once a device is open: where memory was short, less than was expected. */
export function opened(expected: Computing, description: string): Computing {
  const { device, refusal } = describedDevice(description);
  if (!refusal) return { ...expected, device };
  const present = expected.cardBytes > 0 ? expected.device.replace(/^cuda: /, '') : 'a card';
  return { ...expected, device, cardBytes: 0, note: onCpuBeside(present, refusal) };
}
