import { join } from 'node:path';
import { type ITransformerSizes } from '@atelier/contracts';
import { transformerDims } from '@atelier/engine';
import { ServiceStatus } from '@atelier/mesh';
import type { ComputeConfig } from './compute-config';

/** Tells in a service's status which sizes its transformer has: whoever brings in an adapter asks whether it fits. */
export class TransformerStatus {
  /** For a service's module. */
  static of({ model }: ComputeConfig) {
    return {
      provide: TransformerStatus,
      useFactory: (status: ServiceStatus) => new TransformerStatus(model, status),
      inject: [ServiceStatus],
    };
  }

  constructor(
    private readonly model: string,
    status: ServiceStatus,
  ) {
    status.transformer = () => this.sizes();
  }

  /** Read anew each time: the folder may get another checkpoint, or may not have one yet. */
  private sizes(): ITransformerSizes | undefined {
    try {
      return transformerDims(join(this.model, 'transformer'));
    } catch {
      return undefined; // what is wrong with it is said by what the service needs
    }
  }
}
