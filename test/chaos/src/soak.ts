// What a long life costs: memory and handles of every process, and the store, while one thing after another is done.
import { readdirSync, readFileSync } from 'node:fs';
import { streams } from '@atelier/contracts';
import sharp from 'sharp';
import type { Atelier } from '../../support/atelier';
import { childrenOf } from '../../support/children';
import { leftovers } from './leftovers';
import { Patience } from './patience';
import { Work } from './work';

const MiB = 1024 ** 2;
const SIZE = 32;

/** A row of the table. */
export interface Reading {
  after: string;
  /** Resident, MiB, by process. */
  memory: Record<string, number>;
  /** Open files and sockets of all processes together. */
  handles: number;
  /** Bytes that the store counts, MiB. */
  store: number;
  /** Tensor sets that were ever written. */
  encoded: number;
}

export class Soak {
  readonly readings: Reading[] = [];
  private readonly work: Work;

  constructor(
    private readonly atelier: Atelier,
    private readonly onReading: (reading: Reading) => void,
  ) {
    const patience = new Patience();
    patience.calm();
    this.work = new Work(atelier, patience);
  }

  async read(after: string): Promise<void> {
    const children = [...childrenOf(this.atelier.pid)].sort(([a], [b]) => a.localeCompare(b));
    const usage = await this.atelier.client.storeUsage();
    const reading: Reading = {
      after,
      memory: Object.fromEntries(children.map(([name, pid]) => [name, residentOf(pid)])),
      handles: children.reduce((sum, [, pid]) => sum + readdirSync(`/proc/${pid}/fd`).length, 0),
      store: usage.reduce((sum, { bytes }) => sum + bytes, 0) / MiB,
      encoded: (await this.atelier.client.mesh.jsm.streams.info(streams.TENSORS)).state.last_seq,
    };
    this.readings.push(reading);
    this.onReading(reading);
  }

  /** Runs over the same pictures, and between them drawings of old and new prompts. */
  async runsAndDrawings(runs: number, drawings: number): Promise<void> {
    const files = await smallPictures(8);
    const { id } = await this.work.upload('soak', files);
    await this.work.ingested(id);
    await this.read('start');
    for (let run = 1; run <= runs; run++) {
      const { id: started } = await this.work.start(`soak-${run}`, id);
      const { status, error } = await this.work.finished(started);
      if (status !== 'finished') throw new Error(`run ${run} is ${status}: ${error}`);
      const [from, to] = [run - 1, run].map((at) => Math.round((drawings * at) / runs)) as [number, number];
      for (let drawing = from; drawing < to; drawing++)
        await this.atelier.api.draw({ prompt: `circle ${drawing % 100}`, model: `soak-${run}`, seed: drawing });
      if (run % Math.max(1, Math.round(runs / 5)) === 0) await this.read(`${run} runs, ${to} drawings`);
    }
  }

  /** One data set of many small pictures, each with a caption of its own, and two runs over it. */
  async manySamples(count: number): Promise<void> {
    await this.read('start');
    const timed = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
      const start = Date.now();
      const result = await act();
      await this.read(`${what} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
      return result;
    };
    const files = await smallPictures(count);
    const { client, api } = this.atelier;
    const upload = Object.entries(files).map(([name, data]) => ({ name, data: Buffer.from(data) }));
    const request = { name: 'many', width: 64, height: 64, files: upload };
    const { id } = await timed(`${count} samples uploaded`, () => client.createDataset(request));
    await timed('read', () => this.work.ingested(id));
    for (const name of ['first', 'second']) {
      const { id: run } = await this.work.start(name, id);
      await timed(`${name} run`, async () => {
        const { status, error } = await this.work.finished(run);
        if (status !== 'finished') throw new Error(`${name} run is ${status}: ${error}`);
      });
    }
    await timed('list of data sets', () => api.json('/v1/datasets'));
    await timed('list of runs', () => api.json('/v1/finetunes'));
    await timed('the data set', () => api.json(`/v1/datasets/${id}`));
    await timed('status', () => client.status());
  }

  /** @returns what is left, in words */
  async end(): Promise<string[]> {
    const left = await leftovers(this.atelier, this.work);
    await this.read('all deleted, and swept');
    return left;
  }
}

function residentOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib ?? 0) / 1024;
}

async function smallPictures(count: number): Promise<Record<string, string | Uint8Array>> {
  const files: Record<string, string | Uint8Array> = {};
  for (let at = 0; at < count; at++) {
    const background = { r: at % 256, g: Math.floor(at / 256) % 256, b: 128 };
    const picture = sharp({ create: { width: SIZE, height: SIZE, channels: 3, background } });
    files[`${at}.png`] = await picture.png({ compressionLevel: 1 }).toBuffer();
    files[`${at}.txt`] = `a square, number ${at}`;
  }
  return files;
}
