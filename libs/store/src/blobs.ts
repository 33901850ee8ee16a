import { AtelierError, type BlobBucket } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import type { JetStreamClient, ObjectStore } from 'nats';
import { Readable } from 'node:stream';

export interface BlobInfo {
  name: string;
  size: number;
  metadata: Record<string, string>;
}

/** Larger things in JetStream's object stores: chunked and digested by the client, replaced whole. */
export class BlobStore {
  private readonly open = new Map<string, Promise<ObjectStore>>();

  constructor(private readonly mesh: Mesh) {}

  /** On disk when it resolves; an older object of that name is there until then. */
  async put(bucket: BlobBucket, name: string, data: Uint8Array | Readable, metadata: Record<string, string> = {}): Promise<void> {
    if (data instanceof Uint8Array) return this.putStream(bucket, name, oneChunk(data), metadata);
    // Before anything is waited for: a source that fails meanwhile must be heard, and one that has failed would pass
    // for
    // an empty one.
    if (data.errored) throw data.errored;
    const stream = Readable.toWeb(data) as ReadableStream<Uint8Array>;
    try {
      await this.putStream(bucket, name, stream, metadata);
    } catch (error) {
      data.destroy();
      throw error;
    }
  }

  async get(bucket: BlobBucket, name: string): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await this.stream(bucket, name)) chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks);
  }

  /** The stream fails at its end when the digest does not fit. */
  async stream(bucket: BlobBucket, name: string): Promise<Readable> {
    const found = await (await this.bucket(bucket)).get(name);
    if (!found) throw new AtelierError('NOT_FOUND', `there is no ${JSON.stringify(name)} in ${bucket}`);
    const readable = Readable.fromWeb(found.data as never);
    readable.on('error', () => undefined); // whoever reads it is told; it may fail before anybody does
    found.error.then((error) => error && readable.destroy(error), () => undefined);
    return readable;
  }

  async info(bucket: BlobBucket, name: string): Promise<BlobInfo | null> {
    const info = await (await this.bucket(bucket)).info(name);
    return info && !info.deleted ? { name: info.name, size: info.size, metadata: info.metadata ?? {} } : null;
  }

  async has(bucket: BlobBucket, name: string): Promise<boolean> {
    return (await this.info(bucket, name)) !== null;
  }

  async delete(bucket: BlobBucket, name: string): Promise<void> {
    if (await this.has(bucket, name)) await (await this.bucket(bucket)).delete(name);
  }

  async list(bucket: BlobBucket): Promise<BlobInfo[]> {
    const all = await (await this.bucket(bucket)).list();
    return all.filter((info) => !info.deleted).map((info) => ({ name: info.name, size: info.size, metadata: info.metadata ?? {} }));
  }

  private async putStream(
    bucket: BlobBucket,
    name: string,
    stream: ReadableStream<Uint8Array>,
    metadata: Record<string, string>,
  ): Promise<void> {
    const store = await this.bucket(bucket);
    await store.put({ name, metadata, options: { max_chunk_size: 512 * 1024 } }, stream, { timeout: 60_000 });
  }

  private bucket(name: string): Promise<ObjectStore> {
    let store = this.open.get(name);
    if (!store) this.open.set(name, (store = heard(this.mesh.js).views.os(name)));
    store.catch(() => this.open.delete(name));
    return store;
  }
}

/**
 * The object store sends chunk after chunk and looks at what became of them only when it has read the last. One that is
 * refused before that is a rejected promise which nobody hears yet, and would end the process. Its failure is still the
 * put's own, at the end.
 */
function heard(js: JetStreamClient): JetStreamClient {
  const publish: JetStreamClient['publish'] = (...message) => {
    const published = js.publish(...message);
    published.catch(() => undefined);
    return published;
  };
  return Object.create(js, { publish: { value: publish } }) as JetStreamClient;
}

function oneChunk(data: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (data.byteLength > 0) controller.enqueue(data);
      controller.close();
    },
  });
}
