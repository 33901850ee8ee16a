import { AtelierError, type BlobBucket } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import type { ObjectStore } from 'nats';
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
    const store = await this.bucket(bucket);
    const stream = data instanceof Uint8Array ? oneChunk(data) : (Readable.toWeb(data) as ReadableStream<Uint8Array>);
    await store.put({ name, metadata, options: { max_chunk_size: 512 * 1024 } }, stream, { timeout: 60_000 });
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

  private bucket(name: string): Promise<ObjectStore> {
    let store = this.open.get(name);
    if (!store) this.open.set(name, (store = this.mesh.js.views.os(name)));
    store.catch(() => this.open.delete(name));
    return store;
  }
}

function oneChunk(data: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (data.byteLength > 0) controller.enqueue(data);
      controller.close();
    },
  });
}
