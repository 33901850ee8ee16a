import { AtelierError } from '@atelier/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from './logging';
import { Mesh, type MeshConfig } from './mesh';
import { isMeshAway, isRefusedForGood } from './nats-errors';
import { provisionMesh } from './provision';
import { requireProvisioned } from './users/provisioned';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;
/** Between two lines in the log that say the same. */
const REMINDER_MS = 60_000;

export interface FirstConnectOptions {
  logger?: Logger;
  /** Servers that keep each stream and bucket. */
  replicas?: number;
  /** Told each time why not yet. */
  onWait?: (reason: string) => void;
}

/**
 * The mesh with its streams, waited for as long as it takes: services and nats-server start in any order, and where
 * JetStream elects a leader it comes later than the connection. Credentials that are refused are not waited for.
 */
export async function firstConnect(
  config: MeshConfig,
  { logger, replicas, onWait }: FirstConnectOptions = {},
): Promise<Mesh> {
  let said = -Infinity;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await once({ ...config, onRefused: refusals(config, logger) }, replicas);
    } catch (error) {
      if (!mayCome(error as Error)) throw error;
      // The client's own words: ours have the address, which may hold a password, and probes are answered to anybody.
      const reason = ((error as Error).cause as Error | undefined)?.message ?? (error as Error).message;
      onWait?.(reason);
      if (Date.now() - said >= REMINDER_MS) {
        said = Date.now();
        logger?.warn({ url: config.url, reason }, 'waits for nats-server');
      }
    }
    await sleep(pause);
  }
}

/** What Mesh.connect says has the client's error as its cause; the making of streams throws the client's own. */
function mayCome(error: Error): boolean {
  if (!(error instanceof AtelierError)) return isMeshAway(error);
  return error.code !== 'INVALID_ARGUMENT' && !isRefusedForGood(error.cause);
}

/** A connection that is refused again and again says so now and then. */
function refusals({ url }: MeshConfig, logger?: Logger): (reason: string) => void {
  const said = new Map<string, number>();
  return (reason) => {
    if (Date.now() - (said.get(reason) ?? -Infinity) < REMINDER_MS) return;
    said.set(reason, Date.now());
    logger?.error({ url, reason }, 'refused by nats-server');
  };
}

async function once(config: MeshConfig, replicas?: number): Promise<Mesh> {
  const mesh = await Mesh.connect(config);
  try {
    // A user of its own makes no streams: whoever looks after the mesh has, or will.
    if (config.credentials?.seedFile && config.user) await requireProvisioned(mesh, config.user);
    else await provisionMesh(mesh, { replicas });
    return mesh;
  } catch (error) {
    await mesh.close().catch(() => undefined);
    throw error;
  }
}
