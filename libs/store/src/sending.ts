import { Readable, Transform } from 'node:stream';
import type { JetStreamClient, ObjectStore, PubAck } from 'nats';

/** How much may be on its way to the server: what is sent faster than it is taken waits in memory. */
const MOST_BYTES = 8 * 1024 * 1024;
const SLICE_BYTES = 512 * 1024;

/**
 * What one put into an object store has sent and has not heard of yet. The client sends chunk after chunk as fast as
 * they are given to it, and looks at what became of them only when it has read the last: all of a large object would
 * lie in memory beside the connection, and a chunk that is refused meanwhile would be a rejected promise which nobody
 * hears, which ends the process.
 */
export class Sending {
  private bytes = 0;
  private failed?: { error: unknown };
  private readonly js: JetStreamClient;
  private wake: () => void = () => undefined;

  constructor(js: JetStreamClient) {
    const publish: JetStreamClient['publish'] = (subject, payload, options) =>
      this.heard(js.publish(subject, payload, options), payload?.length ?? 0);
    this.js = Object.create(js, { publish: { value: publish } }) as JetStreamClient;
  }

  /** The same object store, sending by this. */
  through(store: ObjectStore): ObjectStore {
    return Object.create(store, { js: { value: this.js } }) as ObjectStore;
  }

  /** The stream as it is, no faster than it is taken, and until there is no room for what comes next. */
  measured(roomFor: (bytes: number) => Promise<void> = async () => undefined): Transform {
    const ready = async (bytes: number): Promise<void> => {
      await roomFor(bytes);
      await this.quiet();
    };
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        ready(chunk.length).then(() => done(null, chunk), done);
      },
    });
  }

  /** Resolves when little enough is on its way; rejects with what has become of it. */
  private async quiet(): Promise<void> {
    while (this.bytes >= MOST_BYTES && !this.failed) await new Promise<void>((resolve) => (this.wake = resolve));
    if (this.failed) throw this.failed.error;
  }

  private heard(published: Promise<PubAck>, bytes: number): Promise<PubAck> {
    this.bytes += bytes;
    const settle = (): void => {
      this.bytes -= bytes;
      this.wake();
    };
    published.then(settle, (error: unknown) => {
      this.failed ??= { error };
      settle();
    });
    return published;
  }
}

/** Bytes in hand as a stream, of which no part is copied. */
export function sliced(data: Uint8Array): Readable {
  function* slices(): Generator<Uint8Array> {
    for (let at = 0; at < data.byteLength; at += SLICE_BYTES) yield data.subarray(at, at + SLICE_BYTES);
  }
  return Readable.from(slices(), { objectMode: false });
}
