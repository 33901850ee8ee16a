import { buckets, Dataset, Generation, Run } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { AdapterStore, BlobStore, StateStore } from '@atelier/store';

/** The stores a person's requests read and write, over one connection. */
export class Connection {
  readonly blobs: BlobStore;
  readonly datasets: StateStore<Dataset>;
  readonly runs: StateStore<Run>;
  readonly adapters: AdapterStore;
  readonly generations: StateStore<Generation>;

  constructor(readonly mesh: Mesh) {
    this.blobs = new BlobStore(mesh);
    this.datasets = new StateStore(mesh, buckets.state.datasets, Dataset);
    this.runs = new StateStore(mesh, buckets.state.runs, Run);
    this.adapters = new AdapterStore(mesh);
    this.generations = new StateStore(mesh, buckets.state.generations, Generation);
  }
}
