// One asynchronous native call: its AbortSignal becomes a cancel flag, its errors become EngineError.
import type { CancelFlagHandle, NativeAddon, NativeCall } from './addon';
import { asEngineError, EngineError } from './errors';
import { addon } from './load';

export interface Progress {
  done: number;
  total: number;
  stage: string;
}

/** What may be added to a long call. An aborted signal rejects it with CANCELLED, within one op of the engine. */
export interface Call {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

const live = new Set<CancelFlagHandle>();
// process.exit() joins the worker threads: they must not compute to the end first.
process.on('exit', () => live.forEach((flag) => addon().raiseCancelFlag(flag)));

/** Runs a native call with what the caller added. */
export async function run<Result>(
  options: Call | undefined,
  start: (native: NativeAddon, call: NativeCall) => Promise<Result>,
): Promise<Result> {
  const native = addon();
  const signal = options?.signal;
  if (signal?.aborted) throw cancelled(signal);
  const cancel = native.createCancelFlag();
  const raise = () => native.raiseCancelFlag(cancel);
  const { onProgress } = options ?? {};
  live.add(cancel);
  signal?.addEventListener('abort', raise, { once: true });
  try {
    return await start(native, {
      cancel,
      ...(onProgress && { onProgress: (done, total, stage) => onProgress({ done, total, stage }) }),
    });
  } catch (error) {
    throw signal?.aborted && (error as { code?: string }).code === 'CANCELLED'
      ? cancelled(signal)
      : asEngineError(error);
  } finally {
    live.delete(cancel);
    signal?.removeEventListener('abort', raise);
  }
}

/** Runs a synchronous native call. */
export function runNow<Result>(call: (native: NativeAddon) => Result): Result {
  try {
    return call(addon());
  } catch (error) {
    throw asEngineError(error);
  }
}

function cancelled(signal: AbortSignal): EngineError {
  return new EngineError('CANCELLED', 'cancelled by the caller', { cause: signal.reason });
}
