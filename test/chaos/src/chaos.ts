// Random kills, stops and standstills of everything that "atelier up" looks after, and of up itself, while it works. What was
// acknowledged must be there in the end, with the bytes it would have had.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { streams } from '@atelier/contracts';
import { syntheticPictures } from '@atelier/testing';
import type { Files } from '../../support/api';
import { Atelier } from '../../support/atelier';
import { describeDisturbance, disturb, drawDisturbances, type Bounds } from './disturbance';
import { differences, doJob, train, type Job, type Left, type Results } from './jobs';
import { Patience } from './patience';
import { Random } from './random';
import { leftovers } from './leftovers';
import { Work } from './work';

const PICTURES = 6;
/** The adapter that draws beside every job, and is never disturbed itself. */
const REFERENCE = 'undisturbed';

export interface ChaosOptions {
  rounds: number;
  seed: number;
  bounds: Bounds;
  onRound?: (round: Round) => void;
}

export interface Round {
  round: number;
  disturbances: string[];
  seconds: number;
  /** The longest that anything stood still once nothing disturbed any more. Seconds. */
  longestStill: number;
  /** Tensor sets that were written, and keys they were written under: more than those is work done twice. */
  encoded: number;
  keys: number;
  faults: string[];
}

export interface Figures {
  rounds: Round[];
  /** Faults of the end: what is not there that should be, or the other way, and what a sweep leaves behind. */
  atTheEnd: string[];
  /** Seconds of the job undisturbed. */
  undisturbed: number;
}

export function faultsOf({ rounds, atTheEnd }: Figures): string[] {
  return [...rounds.flatMap(({ round, faults }) => faults.map((fault) => `round ${round}: ${fault}`)), ...atTheEnd];
}

export async function chaos({ rounds, seed, bounds, onRound }: ChaosOptions): Promise<Figures> {
  const atelier = await Atelier.start();
  try {
    const run = new Chaos(atelier, new Random(seed), bounds, await pictures());
    const undisturbed = await run.undisturbed();
    const done: Round[] = [];
    for (let round = 1; round <= rounds; round++) {
      done.push(await run.round(round));
      onRound?.(done.at(-1)!);
    }
    return { rounds: done, atTheEnd: await run.end(), undisturbed };
  } finally {
    await atelier.stop();
  }
}

class Chaos {
  private expected!: Results;
  private readonly there = new Set<string>();
  private readonly deleted = new Set<string>();
  private last?: Left;

  constructor(
    private readonly atelier: Atelier,
    private readonly random: Random,
    private readonly bounds: Bounds,
    private readonly files: Files,
  ) {}

  /** @returns the seconds it took */
  async undisturbed(): Promise<number> {
    const start = Date.now();
    const work = this.calmWork();
    const { left, ...results } = await train(work, REFERENCE, this.files);
    const { id, pictures: drawn } = await work.draw(REFERENCE);
    this.expected = { ...results, pictures: drawn };
    for (const path of [...Object.values(left), `/v1/images/generations/${id}`]) this.there.add(path);
    return (Date.now() - start) / 1000;
  }

  async round(round: number): Promise<Round> {
    const start = Date.now();
    const disturbances = drawDisturbances(this.random, this.bounds);
    const patience = new Patience();
    const work = new Work(this.atelier, patience);
    const before = await this.forget();
    const faults: string[] = [];
    const disturbing = disturb(this.atelier, disturbances).finally(() => patience.calm());
    const tasks = [this.jobOf(work, round), this.deletionOf(work), disturbing];
    for (const outcome of await Promise.allSettled(tasks)) {
      if (outcome.status === 'fulfilled') faults.push(...(outcome.value ?? []));
      else faults.push(outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason));
    }
    await work.drawingsOver().catch((error: Error) => faults.push(error.message));
    const { encoded, keys } = await this.encodings(before);
    if (encoded > keys) faults.push(`${encoded - keys} tensor sets were encoded twice`);
    return {
      round,
      disturbances: disturbances.map(describeDisturbance),
      seconds: (Date.now() - start) / 1000,
      longestStill: patience.longest,
      encoded,
      keys,
      faults,
    };
  }

  /** All that is deleted is gone and all else is there; then all is deleted, and nothing is left after a sweep. */
  async end(): Promise<string[]> {
    const work = this.calmWork();
    const faults: string[] = [];
    for (const path of this.there) if (!(await work.isThere(path))) faults.push(`${path} was acknowledged and is lost`);
    for (const path of this.deleted) if (await work.isThere(path)) faults.push(`${path} was deleted and is there`);
    return [...faults, ...(await leftovers(this.atelier, work))];
  }

  private async jobOf(work: Work, round: number): Promise<string[]> {
    const name = `round-${round}`;
    const { results, left }: Job = await doJob(work, name, this.files, REFERENCE);
    for (const path of Object.values(left)) this.there.add(path);
    this.last = left;
    return differences(name, results, this.expected);
  }

  /** Of what the round before left one thing stays or all goes, as chance decides. */
  private async deletionOf(work: Work): Promise<string[]> {
    const last = this.last;
    if (!last || this.random.next() < 0.3) return [];
    for (const path of [last.run, last.adapter, last.drawing, last.dataset]) {
      await work.remove(path);
      this.there.delete(path);
      this.deleted.add(path);
    }
    return [];
  }

  /** Encodings are made anew in each round. @returns how many were written before it */
  private async forget(): Promise<number> {
    const { jsm } = this.atelier.client.mesh;
    await jsm.streams.purge(streams.TENSORS);
    return (await jsm.streams.info(streams.TENSORS)).state.last_seq;
  }

  private async encodings(before: number): Promise<{ encoded: number; keys: number }> {
    const { state } = await this.atelier.client.mesh.jsm.streams.info(streams.TENSORS);
    return { encoded: state.last_seq - before, keys: state.messages };
  }

  private calmWork(): Work {
    const patience = new Patience();
    patience.calm();
    return new Work(this.atelier, patience);
  }
}

async function pictures(): Promise<Files> {
  const folder = mkdtempSync(join(tmpdir(), 'chaos-pictures-'));
  try {
    await syntheticPictures(folder, PICTURES);
    return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
