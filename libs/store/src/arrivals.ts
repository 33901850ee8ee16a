import { eventFilters, LatentsWork, PromptsWork, streams, subjects, type TensorKind } from '@atelier/contracts';
import { subscribeDeadLetters, subscribeEvents, throughOutage, type Mesh, type MessageType } from '@atelier/mesh';
import { TensorStore } from './tensors';

/** A tensor set that will not come, and the encoder's reason. */
export class EncodeRefused {
  constructor(readonly reason: string) {}
}

/** From where on refusals count: an older one is another job's, and the encoders have been asked again since. */
export type Since = Date | { events: number; dead: number };

/** How often the store is asked again, should an event be missed. */
const LOOK_AGAIN_MS = 2000;

/**
 * Tensor sets that may still be on their way. One subscription per kind serves all waiting keys, so that waiting for ten thousand costs no
 * more than waiting for one.
 */
export class TensorArrivals {
  private readonly tensors: TensorStore;
  private readonly refused = new Map<string, string>();
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly listening = new Map<string, Promise<void>>();
  private readonly stop = new AbortController();

  constructor(
    private readonly mesh: Mesh,
    private readonly since: Since,
  ) {
    this.tensors = new TensorStore(mesh);
  }

  /** From now on, by the server's count rather than by two machines' clocks. Call it before the encoders are asked. */
  static async fromNow(mesh: Mesh, signal?: AbortSignal): Promise<TensorArrivals> {
    const next = (stream: string): Promise<number> =>
      throughOutage(async () => (await mesh.jsm.streams.info(stream)).state.last_seq + 1, { signal });
    return new TensorArrivals(mesh, { events: await next(streams.EVENTS), dead: await next(streams.DEAD) });
  }

  /** The tensor set's bytes as soon as they are there, or that they will not come. Rejects with the signal's reason. */
  get(kind: TensorKind, key: string, signal?: AbortSignal): Promise<Uint8Array | EncodeRefused> {
    return this.when(() => this.tensors.get(kind, key), kind, key, signal);
  }

  /** The same without the bytes: that they are there. */
  settled(kind: TensorKind, key: string, signal?: AbortSignal): Promise<true | EncodeRefused> {
    return this.when(async () => (await this.tensors.has(kind, key)) || null, kind, key, signal);
  }

  private async when<T>(
    look: () => Promise<T | null>,
    kind: TensorKind,
    key: string,
    signal?: AbortSignal,
  ): Promise<T | EncodeRefused> {
    for (;;) {
      signal?.throwIfAborted();
      const found = await throughOutage(look, { signal });
      if (found !== null) return found;
      const reason = this.refused.get(`${kind}.${key}`);
      if (reason !== undefined) return new EncodeRefused(reason);
      this.listen(kind);
      await this.news(`${kind}.${key}`, signal);
    }
  }

  async close(): Promise<void> {
    this.stop.abort();
    await Promise.allSettled(this.listening.values());
  }

  private listen(kind: TensorKind): void {
    this.follow(`${kind} events`, () => this.followEvents(kind));
    // An encoder that dies over its work every time says nothing itself; its dead letter does.
    this.follow(`${kind} dead`, () => this.followDeadLetters(kind));
  }

  /** A subscription that breaks is made again at the next look. */
  private follow(name: string, read: () => Promise<void>): void {
    if (this.listening.has(name)) return;
    this.listening.set(
      name,
      read()
        .catch(() => undefined)
        .finally(() => this.listening.delete(name)),
    );
  }

  private async followEvents(kind: TensorKind): Promise<void> {
    const from = this.since instanceof Date ? this.since : this.since.events;
    for await (const { event } of subscribeEvents(this.mesh, eventFilters.encoder(kind), {
      from,
      signal: this.stop.signal,
    })) {
      const key = (event.encodeReady ?? event.encodeFailed)?.key;
      if (!key) continue;
      if (event.encodeFailed)
        this.refused.set(`${kind}.${key}`, event.encodeFailed.reason || 'the encoder gave no reason');
      else this.refused.delete(`${kind}.${key}`);
      this.wake(`${kind}.${key}`);
    }
  }

  private async followDeadLetters(kind: TensorKind): Promise<void> {
    const from = this.since instanceof Date ? this.since : this.since.dead;
    const type: MessageType<never, { key: string }> = kind === 'latents' ? LatentsWork : PromptsWork;
    for await (const { work, reason } of subscribeDeadLetters(this.mesh, subjects.work[kind], type, {
      from,
      signal: this.stop.signal,
    })) {
      this.refused.set(`${kind}.${work.key}`, reason);
      this.wake(`${kind}.${work.key}`);
    }
  }

  private wake(name: string): void {
    this.waiting.get(name)?.forEach((wake) => wake());
  }

  private async news(name: string, signal?: AbortSignal): Promise<void> {
    const wakers = this.waiting.get(name) ?? new Set();
    this.waiting.set(name, wakers);
    let wake: () => void = () => undefined;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      wakers.add(wake);
      timer = setTimeout(wake, LOOK_AGAIN_MS);
      signal?.addEventListener('abort', wake, { once: true });
    });
    clearTimeout(timer);
    signal?.removeEventListener('abort', wake);
    wakers.delete(wake);
    if (wakers.size === 0) this.waiting.delete(name);
  }
}
