import type { OutageOptions } from '@atelier/mesh';

/**
 * How the mesh is asked: throughOutage for long jobs, which a restart of nats-server should not cost. By default at
 * once, so that who asked hears of what is wrong.
 */
export type Patience = <T>(ask: () => Promise<T>, options?: OutageOptions) => Promise<T>;

export const atOnce: Patience = (ask) => ask();

/** How long a service that is asked to stop waits for a mesh that is away. */
export const STOPPING_PATIENCE_MS = 5000;
