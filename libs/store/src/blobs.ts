import { AtelierError, type BlobBucket } from '@atelier/contracts';
import { isStoreFull, orStoreFull, type Mesh, type Purpose } from '@atelier/mesh';
import type { JetStreamClient, ObjectStore } from 'nats';
import { pipeline, Readable, Transform } from 'node:stream';

export interface BlobInfo {
  name: string;
  size: number;
  metadata: Record<string, string>;
}

/** Larger things in JetStream's object stores: chunked and digested by the client, replaced whole. */
export class BlobStore {
  private readonly open = new Map<string, Promise<ObjectStore>>();
  private readonly js: JetStreamClient;

  constructor(private readonly mesh: Mesh) {
    this.js = heard(mesh.js);
  }

  /**
   * On disk when it resolves; an older object of that name is there until then. Throws StoreFull, as soon as that is
   * known.
   */
  async put(
    bucket: BlobBucket,
    name: string,
    data: Uint8Array | Readable,
    metadata: Record<string, string> = {},
    purpose: Purpose = 'accepted work',
  ): Promise<void> {
    const store = await this.bucket(bucket);
    const { room } = this.mesh;
    const roomFor = (bytes: number): Promise<void> => room.require(bytes, purpose);
    if (data instanceof Uint8Array) await roomFor(data.byteLength);
    const stream =
      data instanceof Uint8Array
        ? oneChunk(data)
        : (Readable.toWeb(pipeline(data, measured(roomFor), () => undefined)) as ReadableStream<Uint8Array>);
    await orStoreFull(() =>
      store.put({ name, metadata, options: { max_chunk_size: 512 * 1024 } }, stream, { timeout: 60_000 }),
    );
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
    found.error.then(
      (error) => error && readable.destroy(error),
      () => undefined,
    );
    return readable;
  }

  async info(bucket: BlobBucket, name: string): Promise<BlobInfo | null> {
    const info = await (await this.bucket(bucket)).info(name);
    return info && !info.deleted ? { name: info.name, size: info.size, metadata: info.metadata ?? {} } : null;
  }

  async has(bucket: BlobBucket, name: string): Promise<boolean> {
    return (await this.info(bucket, name)) !== null;
  }

  /**
   * In a full store, too, which has no room for the note of it: the entry goes before its chunks, as it would with one.
   */
  async delete(bucket: BlobBucket, name: string): Promise<void> {
    if (!(await this.has(bucket, name))) return;
    const store = await this.bucket(bucket);
    try {
      await store.delete(name);
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      const info = await store.info(name);
      const purge = (filter: string): Promise<unknown> => this.mesh.jsm.streams.purge(`OBJ_${bucket}`, { filter });
      await purge(`$O.${bucket}.M.${Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`);
      if (info) await purge(`$O.${bucket}.C.${info.nuid}`);
    }
  }

  async list(bucket: BlobBucket): Promise<BlobInfo[]> {
    const all = await (await this.bucket(bucket)).list();
    return all
      .filter((info) => !info.deleted)
      .map((info) => ({ name: info.name, size: info.size, metadata: info.metadata ?? {} }));
  }

  private bucket(name: string): Promise<ObjectStore> {
    let store = this.open.get(name);
    if (!store) this.open.set(name, (store = this.js.views.os(name)));
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

/** The stream as it is, until there is no room for what comes next. */
function measured(roomFor: (bytes: number) => Promise<void>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      roomFor(chunk.length).then(() => done(null, chunk), done);
    },
  });
}

/**
 * The client of JetStream, but a publish that fails is heard by someone. The object store looks at its publishes only
 * when its source has ended; one that is refused while the source is slow would be a rejection that nobody handles,
 * which ends the process.
 */
function heard(js: JetStreamClient): JetStreamClient {
  const publish: JetStreamClient['publish'] = (...given) => {
    const published = js.publish(...given);
    published.catch(() => undefined);
    return published;
  };
  return Object.create(js, { publish: { value: publish } }) as JetStreamClient;
}
