import { Injectable } from '@nestjs/common';
import { leasesOfAll, type DeviceLeases } from '@atelier/lease';
import {
  deadLetterFigures,
  Mesh,
  queueFigures,
  streamFigures,
  within,
  type QueueFigures,
  type StreamFigures,
} from '@atelier/mesh';
import { Gauge, Registry } from 'prom-client';

/** However many scrape, and however often, the mesh is asked once in this time. */
const FRESH_MS = 5000;
const ANSWER_MS = 1500;

const GAUGES = {
  queueMessages: ['atelier_queue_messages', 'Messages of work that are not done, by whether one has them in hand.'],
  queueAge: ['atelier_queue_oldest_message_age_seconds', 'Age of the oldest message that is not done; 0: none.'],
  deadLetters: ['atelier_dead_letters', 'Work that was given up in the last 90 days, and is kept.'],
  streamBytes: ['atelier_store_stream_bytes', 'Bytes of a stream, on each server that keeps it.'],
  streamMessages: ['atelier_store_stream_messages', 'Messages of a stream.'],
  streamLimitBytes: ['atelier_store_stream_limit_bytes', 'Bytes that a stream keeps at most, where it has a limit.'],
  streamLimitMessages: ['atelier_store_stream_limit_messages', 'Messages that a stream keeps at most, where limited.'],
  leaseBytes: [
    'atelier_lease_bytes',
    "Bytes of a device's memory that are leased, by who holds them: what plans set aside, not what a driver says is used.",
  ],
  leaseHolders: ['atelier_lease_holders', "Holders of leases on a device's memory."],
  leaseWaiting: ['atelier_lease_waiting', "How many wait for a lease on a device's memory."],
  leaseLimitBytes: ['atelier_lease_limit_bytes', "Bytes of a device's memory that there are to lease."],
} as const;

const LABELS: Partial<Record<keyof typeof GAUGES, string[]>> = {
  queueMessages: ['subject', 'state'],
  queueAge: ['subject'],
  deadLetters: ['subject'],
  leaseBytes: ['device', 'holder'],
};
const labelsOf = (name: string): string[] =>
  LABELS[name as keyof typeof GAUGES] ?? (name.startsWith('stream') ? ['stream'] : ['device']);

type Gauges = Record<keyof typeof GAUGES, Gauge>;

/**
 * How queues, streams and leases stand. One service says it for all: they are the mesh's figures, and no process's. They
 * are missing while the mesh does not answer.
 */
@Injectable()
export class MeshMetrics {
  private readonly gauges: Gauges;
  private asked?: Promise<void>;
  private askedAt = -Infinity;

  constructor(
    private readonly mesh: Mesh,
    registry: Registry,
  ) {
    const collect = (): Promise<void> => this.fresh();
    const made = Object.entries(GAUGES).map(([key, [name, help]]) => [
      key,
      new Gauge({ name, help, labelNames: labelsOf(key), registers: [registry], collect }),
    ]);
    this.gauges = Object.fromEntries(made) as Gauges;
  }

  /** All gauges of a scrape wait for the same answers. */
  private fresh(): Promise<void> {
    if (!this.asked || performance.now() - this.askedAt >= FRESH_MS) {
      this.askedAt = performance.now();
      this.asked = this.ask();
    }
    return this.asked;
  }

  private async ask(): Promise<void> {
    const { mesh, gauges } = this;
    const asked = Promise.all([queueFigures(mesh), deadLetterFigures(mesh), streamFigures(mesh), leasesOfAll(mesh)]);
    const figures = await within(ANSWER_MS, 'the mesh', asked).catch(() => undefined);
    for (const gauge of Object.values(gauges)) gauge.reset();
    if (!figures) return;
    const [queues, letters, streams, devices] = figures;
    for (const queue of queues) tellQueue(gauges, queue);
    for (const { subject, count } of letters) gauges.deadLetters.set({ subject }, count);
    for (const stream of streams) tellStream(gauges, stream);
    for (const device of devices) tellLeases(gauges, device);
  }
}

function tellQueue({ queueMessages, queueAge }: Gauges, { subject, waiting, inHand, oldest }: QueueFigures): void {
  queueMessages.set({ subject, state: 'waiting' }, waiting);
  queueMessages.set({ subject, state: 'in_hand' }, inHand);
  queueAge.set({ subject }, oldest ? Math.max(0, (Date.now() - oldest.getTime()) / 1000) : 0);
}

function tellStream(gauges: Gauges, { stream, bytes, messages, limitBytes, limitMessages }: StreamFigures): void {
  gauges.streamBytes.set({ stream }, bytes);
  gauges.streamMessages.set({ stream }, messages);
  if (limitBytes !== undefined) gauges.streamLimitBytes.set({ stream }, limitBytes);
  if (limitMessages !== undefined) gauges.streamLimitMessages.set({ stream }, limitMessages);
}

function tellLeases(gauges: Gauges, { device, capacity, holders, waiting }: DeviceLeases): void {
  gauges.leaseLimitBytes.set({ device }, capacity);
  gauges.leaseHolders.set({ device }, holders.length);
  gauges.leaseWaiting.set({ device }, waiting);
  // A trainer's says behind its kind which adapter it trains: of those there is no end.
  for (const { owner, bytes } of holders) gauges.leaseBytes.inc({ device, holder: owner.split(' ')[0] }, bytes);
}
