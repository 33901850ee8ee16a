import { calls, type IComputing, type IStatusReply, type ITransformerSizes } from '@atelier/contracts';
import { Controller, Inject, Injectable, type Type } from '@nestjs/common';
import { Answers } from './handlers';
import { Mesh } from './mesh';
import { Readiness } from './readiness';
import { describeStore, isFull } from './store-room';
import { within } from './within';

/** Whoever asks waits little longer than this. */
const LOOK_MS = 1000;

/** What a service says of itself when asked; a service sets it as it goes. */
@Injectable()
export class ServiceStatus {
  detail = '';
  /** Of a service that computes: on what. */
  computing?: IComputing;
  /** Of a service that draws: the sizes that an adapter must fit, as its checkpoint has them now; undefined: none is there. */
  transformer: () => ITransformerSizes | undefined = () => undefined;
}

/** A controller that answers rpc.<name>.status. Made per service, since Nest patterns are fixed when a class is decorated. */
export function statusController(name: string, version: string): Type {
  @Controller()
  class StatusController {
    constructor(
      @Inject(ServiceStatus) private readonly status: ServiceStatus,
      @Inject(Mesh) private readonly mesh: Mesh,
      @Inject(Readiness) private readonly readiness: Readiness,
    ) {}

    @Answers(calls.status(name))
    async answer(): Promise<IStatusReply> {
      const looks = [
        within(LOOK_MS, 'the store', this.mesh.room.look()).catch(() => undefined),
        within(LOOK_MS, 'what it needs', this.readiness.unmet()).catch((error: Error) => [error.message]),
      ] as const;
      const [store, unmet] = await Promise.all(looks);
      const full = store && isFull(store) ? `the store is full: ${describeStore(store)}` : '';
      const detail = [...unmet, this.status.detail, full].filter(Boolean).join('; ');
      const { computing, transformer } = this.status;
      return { service: name, version, ready: unmet.length === 0, detail, computing, transformer: transformer() };
    }
  }
  return StatusController;
}
