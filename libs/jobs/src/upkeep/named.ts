import { buckets, Manifest, RunState, type Dataset, type Generation, type Run } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { Datasets } from '../datasets';
import { Generations } from '../generations';
import { Runs } from '../runs';
import { isDatasetOver, isRunOver } from '../states';

/** What present data sets and runs in work name, as of one look. */
export interface Named {
  datasets: ReadonlyMap<string, Dataset>;
  runs: ReadonlyMap<string, Run>;
  generations: ReadonlyMap<string, Generation>;
  manifests: ReadonlySet<string>;
  latents: ReadonlySet<string>;
  prompts: ReadonlySet<string>;
  /** What is being read now will name encodings that it has found already: none may go meanwhile. */
  isReading: boolean;
}

/** Looks at what is named, as often as it is asked; a manifest, which never changes, is read once. */
export class Naming {
  private readonly manifests = new Map<string, Manifest>();
  private readonly datasets: Datasets;
  private readonly runs: Runs;
  private readonly generations: Generations;
  private readonly blobs: BlobStore;

  constructor(mesh: Mesh) {
    this.datasets = new Datasets(mesh);
    this.runs = new Runs(mesh);
    this.generations = new Generations(mesh);
    this.blobs = new BlobStore(mesh);
  }

  async look(): Promise<Named> {
    const [datasets, runs, generations] = await Promise.all([
      this.datasets.list(),
      this.runs.list(),
      this.generations.list(),
    ]);
    const working = runs.filter((run) => !isRunOver(run));
    const manifests = new Set([...datasets, ...working].map(({ manifest }) => manifest).filter(Boolean));
    const latents = new Set<string>();
    const prompts = new Set(working.flatMap(({ promptsKeys }) => promptsKeys));
    for (const name of manifests) {
      for (const { latentsKey, promptsKey } of (await this.manifest(name)).samples) {
        latents.add(latentsKey ?? '');
        prompts.add(promptsKey ?? '');
      }
    }
    return {
      datasets: byId(datasets),
      runs: byId(runs),
      generations: byId(generations),
      manifests,
      latents,
      prompts,
      isReading:
        datasets.some((dataset) => !isDatasetOver(dataset)) ||
        working.some(({ state, manifest }) => state === RunState.RUN_STATE_QUEUED && manifest === ''),
    };
  }

  /** One that is gone names nothing. */
  private async manifest(name: string): Promise<Manifest> {
    const known = this.manifests.get(name);
    if (known) return known;
    if (!(await this.blobs.has(buckets.blobs.manifests, name))) return Manifest.create();
    const manifest = Manifest.decode(await this.blobs.get(buckets.blobs.manifests, name));
    this.manifests.set(name, manifest);
    return manifest;
  }
}

const byId = <T extends { id: string }>(items: T[]): Map<string, T> => new Map(items.map((item) => [item.id, item]));
