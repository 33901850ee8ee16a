import type { Mesh } from '@atelier/mesh';
import type { Grant } from './ledger';

/** What was seen of a grant: how often it had been renewed, and since when it stays so. ms of the monotonic clock. */
interface Sighting {
  renewals: number;
  since: number;
}

/**
 * Which holders live, by the clock of who looks: one whose grant was not renewed for its time while it was looked at is dead. Wall
 * clocks are not compared, as those of two machines differ: one that was 20 s ahead took a whole device from its holder.
 * Who has only just begun to look waits out a dead one's whole time.
 */
export class Sightings {
  private readonly seen = new Map<number, Sighting>();

  /** Those of the grants that live. */
  living(grants: readonly Grant[]): Grant[] {
    const now = performance.now();
    for (const token of this.seen.keys()) if (!grants.some((grant) => grant.token === token)) this.seen.delete(token);
    return grants.filter((grant) => {
      const { token, renewals, ttlMs } = grant;
      const last = this.seen.get(token);
      if (last?.renewals === renewals) return now - last.since < ttlMs;
      this.seen.set(token, { renewals, since: now });
      return true;
    });
  }
}

/** Of everybody in this process together: the longer it looks, the sooner a death is known. */
const sightings = new WeakMap<Mesh, Map<string, Sightings>>();

export function sightingsOf(mesh: Mesh, key: string): Sightings {
  const ofMesh = sightings.get(mesh) ?? new Map<string, Sightings>();
  sightings.set(mesh, ofMesh);
  const ofDevice = ofMesh.get(key) ?? new Sightings();
  ofMesh.set(key, ofDevice);
  return ofDevice;
}
