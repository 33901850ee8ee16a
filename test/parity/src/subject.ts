// What every part of the suite is given.
import type { BaseQuant, Engine, Transformer } from '@atelier/engine';
import type { Fixtures } from './fixtures';
import type { Table } from './table';

export class Subject {
  private readonly loaded = new Map<BaseQuant, Promise<Transformer>>();

  constructor(
    readonly fixtures: Fixtures,
    readonly engine: Engine,
    readonly table: Table,
    /** An empty folder for files that a check writes. */
    readonly scratch: string,
  ) {}

  /** The checkpoint's transformer, loaded once for each way of keeping its weights. */
  transformer(quant: BaseQuant): Promise<Transformer> {
    const model =
      this.loaded.get(quant) ??
      this.engine.loadTransformer(this.fixtures.checkpoint.component('transformer'), { quant });
    this.loaded.set(quant, model);
    return model;
  }
}
