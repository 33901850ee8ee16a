import type { ComponentReport } from './addon';
import { type Call, run } from './call';

/** Per component of a checkpoint its tensors, bytes and dtype. Rejects with what loading would say. */
export function inspectCheckpoint(dir: string, call?: Call): Promise<ComponentReport[]> {
  return run(call, (native, options) => native.inspectCheckpoint(dir, options));
}
