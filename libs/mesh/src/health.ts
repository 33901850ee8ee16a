import { collectDefaultMetrics, Registry } from 'prom-client';
import { tellBuild } from './build-info';
import type { Mesh } from './mesh';
import type { StoreState } from './store-room';
import { within } from './within';

/** A probe's patience is a few seconds; a round trip to a server that is stopped would take a minute. */
const ANSWER_MS = 1500;

export interface MeshHealth {
  /** nats-server answers, its JetStream too. */
  connected: boolean;
  /** Why not. */
  reason: string;
  /** What the store still takes, where it could be asked. */
  store?: StoreState;
}

/**
 * How the mesh is, within two seconds whatever it does. A full store is no reason to be taken out of service: reading
 * goes on.
 */
export async function meshHealth(mesh: Mesh): Promise<MeshHealth> {
  try {
    const asked = [
      within(ANSWER_MS, 'JetStream', mesh.room.look()),
      within(ANSWER_MS, 'nats-server', mesh.nc.rtt()),
    ] as const;
    const [store] = await Promise.all(asked);
    return { connected: true, reason: '', store };
  } catch (error) {
    return { connected: false, reason: (error as Error).message };
  }
}

export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  tellBuild(registry);
  return registry;
}
