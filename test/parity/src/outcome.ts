// What a training run leaves behind, and how far two runs lie apart.
import type { Tensor } from '@atelier/checkpoint';
import { distance } from './measure';

export interface Outcome {
  /** One a micro-batch. */
  losses: ArrayLike<number>;
  /** One an update, before clipping. */
  norms: ArrayLike<number>;
  /** `<module path>.lora_A` and `.lora_B` at the end. */
  weights: Record<string, Tensor>;
}

/** Relative distances: of the worst loss, the worst norm, the worst matrix, and of all matrices as one vector. */
export type Gap = Record<'losses' | 'norms' | 'weights' | 'whole', number>;

export function gapBetween(got: Outcome, expected: Outcome): Gap {
  const names = Object.keys(expected.weights);
  return {
    losses: worstOf(got.losses, expected.losses),
    norms: worstOf(got.norms, expected.norms),
    weights: Math.max(0, ...names.map((name) => farthest(got.weights[name]?.data ?? [], expected.weights[name]!.data))),
    whole: distance(joined(got, names), joined(expected, names)).rms,
  };
}

/** All matrices one after the other. */
export function joined({ weights }: Outcome, names: readonly string[]): number[] {
  return names.flatMap((name) => Array.from(weights[name]?.data ?? []));
}

function worstOf(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  return Math.max(0, ...Array.from(expected, (value, i) => farthest([got[i]!], [value])));
}

function farthest(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  const { relative, rms } = distance(got, expected);
  return Math.max(relative, rms);
}
