import { Datasets, Deletion, Generations, Runs, Webhooks } from '@atelier/jobs';
import type { Mesh } from '@atelier/mesh';
import { AdapterStore, BlobStore } from '@atelier/store';

/** What a person's requests read and write, over one connection. */
export class Connection {
  readonly blobs: BlobStore;
  readonly datasets: Datasets;
  readonly runs: Runs;
  readonly adapters: AdapterStore;
  readonly generations: Generations;
  readonly deletion: Deletion;
  readonly webhooks: Webhooks;

  constructor(readonly mesh: Mesh) {
    this.blobs = new BlobStore(mesh);
    this.datasets = new Datasets(mesh);
    this.runs = new Runs(mesh);
    this.adapters = new AdapterStore(mesh);
    this.generations = new Generations(mesh);
    this.deletion = new Deletion(mesh);
    this.webhooks = new Webhooks(mesh);
  }
}
