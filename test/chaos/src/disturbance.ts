import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICES } from '@atelier/client';
import type { Atelier } from '../../support/atelier';
import { childrenOf } from '../../support/children';
import type { Random } from './random';

/** What "atelier up" looks after, and up itself. */
const TARGETS = [...SERVICES, 'gateway', 'nats-server', 'up'] as const;
const SIGNALS = ['SIGKILL', 'SIGTERM', 'SIGSTOP'] as const;

export interface Disturbance {
  /** Seconds into the round. */
  at: number;
  target: (typeof TARGETS)[number];
  signal: (typeof SIGNALS)[number];
  /** Seconds for which it stands still; 0 for what ends it. */
  still: number;
}

export interface Bounds {
  /** Disturbances in a round. */
  most: number;
  /** Seconds within which they begin. */
  within: number;
  /** Seconds that a process stands still at most. */
  longestStill: number;
}

/** The disturbances of one round, in their order. */
export function drawDisturbances(random: Random, { most, within, longestStill }: Bounds): Disturbance[] {
  const drawn = Array.from({ length: random.whole(1, most) }, (): Disturbance => {
    const target = random.pick(TARGETS);
    const at = random.between(0, within);
    // Of up itself only its death is tried: stopping it politely stops everything, which is no disturbance but the end.
    const signal = target === 'up' ? 'SIGKILL' : random.pick(SIGNALS);
    return { at, target, signal, still: signal === 'SIGSTOP' ? random.between(0.5, longestStill) : 0 };
  });
  return drawn.sort((a, b) => a.at - b.at);
}

export function describeDisturbance({ at, target, signal, still }: Disturbance): string {
  return `${at.toFixed(1)} s ${signal} ${target}${still ? ` for ${still.toFixed(1)} s` : ''}`;
}

/** Carries them out, each at its time. Resolves when the last is over: what stood still goes on, and an up that was killed is there again. */
export async function disturb(atelier: Atelier, disturbances: readonly Disturbance[]): Promise<void> {
  const start = Date.now();
  const still: Promise<void>[] = [];
  for (const disturbance of disturbances) {
    await sleep(Math.max(0, start + disturbance.at * 1000 - Date.now()));
    if (disturbance.target === 'up') {
      await Promise.all(still); // what stands still does not hear that up is gone, and would be left over
      await atelier.dieAndStart();
    } else {
      still.push(strike(atelier, disturbance));
    }
  }
  await Promise.all(still);
}

/** One that is just being started again is not there to be hit: its own death was a moment ago. */
async function strike(atelier: Atelier, { target, signal, still }: Disturbance): Promise<void> {
  const pid = childrenOf(atelier.pid).get(target);
  if (pid === undefined || !signalled(pid, signal) || signal !== 'SIGSTOP') return;
  await sleep(still * 1000);
  signalled(pid, 'SIGCONT');
}

function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // gone by itself
  }
}
