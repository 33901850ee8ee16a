import { Injectable } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { within } from '@atelier/mesh';
import { Gauge, Registry } from 'prom-client';

/** All of the store is walked through for it: not at every scrape, and by none while it goes on. */
const USAGE_MS = 30 * 60_000;
const ANSWER_MS = 1500;

/** What takes how much of the store, and what it still takes; missing while the store does not say. */
@Injectable()
export class StoreMetrics {
  private askedAt = -Infinity;
  private asking = false;

  constructor(
    private readonly client: AtelierClient,
    registry: Registry,
  ) {
    const gauge = <L extends string>(name: string, help: string, labelNames: L[], collect?: () => Promise<void>) =>
      new Gauge({ name, help, labelNames, registers: [registry], collect });
    const bytes = gauge('atelier_store_bytes', 'Bytes in the store, by kind.', ['kind']);
    const objects = gauge('atelier_store_objects', 'Things in the store, by kind.', ['kind']);
    const limit = gauge('atelier_store_limit_bytes', 'What the store keeps at most.', []);
    gauge('atelier_store_room_bytes', 'What may still be written to the store.', [], async function (this: Gauge) {
      const set = (to: Gauge, value: number): void => (Number.isFinite(value) ? to.set(value) : to.remove());
      const state = await within(ANSWER_MS, 'the store', ask()).catch(() => undefined);
      set(this, state?.room ?? NaN);
      set(limit, state?.limit ?? NaN);
    });
    const ask = async () => {
      void this.usage(bytes, objects);
      return this.client.store();
    };
  }

  /** What fails is asked again at the next scrape. */
  private async usage(bytes: Gauge<'kind'>, objects: Gauge<'kind'>): Promise<void> {
    if (this.asking || performance.now() - this.askedAt <= USAGE_MS) return;
    this.asking = true;
    try {
      const kinds = await this.client.storeUsage();
      this.askedAt = performance.now();
      for (const metric of [bytes, objects]) metric.reset();
      for (const { kind, ...of } of kinds) {
        bytes.set({ kind }, of.bytes);
        objects.set({ kind }, of.count);
      }
    } catch {
      this.askedAt = -Infinity;
    } finally {
      this.asking = false;
    }
  }
}
