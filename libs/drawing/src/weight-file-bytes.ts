import type { Checkpoint, ComponentName } from '@atelier/checkpoint';

/** Bytes of a component's weights on disk: what a lease has to be measured by before anything is loaded. */
export function weightFileBytes(checkpoint: Checkpoint, component: ComponentName): Promise<number> {
  return checkpoint.weightBytes(component);
}
