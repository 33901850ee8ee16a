import { Injectable } from '@nestjs/common';
import { AdapterKeeping } from './adapter-keeping';
import { AdapterShelf } from './adapter-shelf';
import { DeviceMemory } from './device-memory';
import { TrainMetrics } from './train.metrics';
import { Validation } from './validation';

/** What every run trains with and writes to. */
@Injectable()
export class Workshop {
  constructor(
    readonly memory: DeviceMemory,
    readonly shelf: AdapterShelf,
    readonly validation: Validation,
    readonly metrics: TrainMetrics,
    readonly keeping: AdapterKeeping,
  ) {}
}
