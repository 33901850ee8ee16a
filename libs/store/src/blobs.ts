import { createHash } from 'node:crypto';
import { pipeline, Readable, type Transform } from 'node:stream';
import { AtelierError, backing, headers, type BlobBucket } from '@atelier/contracts';
import { atOnce, isNotFound, isStoreFull, orStoreFull, type Mesh, type Patience, type Purpose } from '@atelier/mesh';
import type { ObjectInfo, ObjectStore } from 'nats';
import { sliced, Sending } from './sending';

export interface BlobInfo {
  name: string;
  size: number;
  metadata: Record<string, string>;
}

interface Chunk {
  data: Uint8Array;
  seq: number;
}

/**
 * Larger things in JetStream's object stores: chunked and digested by the client, replaced whole. Streams are read and
 * written at once: they cannot be gone through twice.
 */
export class BlobStore {
  private readonly open = new Map<string, Promise<ObjectStore>>();

  constructor(
    private readonly mesh: Mesh,
    private readonly patience: Patience = atOnce,
  ) {}

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
    const roomFor = (bytes: number): Promise<void> => this.mesh.room.require(bytes, purpose);
    if (data instanceof Uint8Array) {
      return this.patience(async () => {
        await roomFor(data.byteLength);
        const sending = new Sending(this.mesh.js);
        await this.putStream(bucket, name, piped(sliced(data), sending.measured()), { metadata, sending });
      });
    }
    // Before anything is waited for: a source that fails meanwhile must be heard, and one that has failed would pass
    // for an empty one.
    if (data.errored) throw data.errored;
    const sending = new Sending(this.mesh.js);
    const stream = piped(data, sending.measured(roomFor));
    try {
      await this.putStream(bucket, name, stream, { metadata, sending });
    } catch (error) {
      data.destroy();
      throw error;
    }
  }

  /** Of an object that is replaced meanwhile it gives the later one, whole. */
  get(bucket: BlobBucket, name: string): Promise<Uint8Array> {
    return this.patience(() => this.read(bucket, name));
  }

  private async read(bucket: BlobBucket, name: string): Promise<Uint8Array> {
    for (;;) {
      const info = await this.there(bucket, name);
      const chunks: Uint8Array[] = [];
      try {
        for await (const chunk of this.chunks(bucket, info)) chunks.push(chunk);
        return Buffer.concat(chunks);
      } catch (error) {
        if ((error as Partial<AtelierError>).code !== 'ABORTED') throw error;
      }
    }
  }

  /**
   * Reads no faster than it is read from. It fails when the object is gone before its end (NOT_FOUND), was replaced
   * (ABORTED), or does not fit its digest (DATA_LOSS).
   */
  async stream(bucket: BlobBucket, name: string): Promise<Readable> {
    const readable = Readable.from(this.chunks(bucket, await this.there(bucket, name)), { objectMode: false });
    readable.on('error', () => undefined); // whoever reads it is told; it may fail before anybody does
    return readable;
  }

  async info(bucket: BlobBucket, name: string): Promise<BlobInfo | null> {
    const info = await this.patience(async () => (await this.bucket(bucket)).info(name));
    return info && !info.deleted ? { name: info.name, size: info.size, metadata: info.metadata ?? {} } : null;
  }

  async has(bucket: BlobBucket, name: string): Promise<boolean> {
    return (await this.info(bucket, name)) !== null;
  }

  /**
   * In a full store, too, which has no room for the note of it: the entry goes before its chunks, as it would with one.
   */
  delete(bucket: BlobBucket, name: string): Promise<void> {
    return this.patience(() => this.remove(bucket, name));
  }

  private async remove(bucket: BlobBucket, name: string): Promise<void> {
    const store = await this.bucket(bucket);
    const info = await store.info(name);
    if (!info || info.deleted) return;
    try {
      await store.delete(name);
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      const purge = (filter: string): Promise<unknown> =>
        this.mesh.jsm.streams.purge(backing.blobStream(bucket), { filter });
      await purge(`$O.${bucket}.M.${Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`);
      await purge(`$O.${bucket}.C.${info.nuid}`);
      return;
    }
    // What is left is a note for those who watch the bucket, and nobody does: for names used once they would pile up.
    const note = await store.info(name);
    if (!note?.deleted) return;
    await this.mesh.jsm.streams.deleteMessage(backing.blobStream(bucket), note.revision, false).catch(() => undefined);
  }

  async list(bucket: BlobBucket): Promise<BlobInfo[]> {
    const names = await this.names(bucket);
    return (await Promise.all(names.map((name) => this.info(bucket, name)))).flatMap((info) => info ?? []);
  }

  /** Asked of the stream: the client's own list follows the bucket until it has caught up, perhaps never. */
  async names(bucket: BlobBucket): Promise<string[]> {
    const prefix = `$O.${bucket}.M.`;
    const { state } = await this.patience(() =>
      this.mesh.jsm.streams.info(backing.blobStream(bucket), { subjects_filter: `${prefix}>` }),
    );
    const encoded = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(prefix.length));
    return encoded.map((name) => Buffer.from(name, 'base64url').toString());
  }

  private async there(bucket: BlobBucket, name: string): Promise<ObjectInfo> {
    const info = await (await this.bucket(bucket)).info(name);
    if (!info || info.deleted) throw new AtelierError('NOT_FOUND', `there is no ${JSON.stringify(name)} in ${bucket}`);
    return info;
  }

  /**
   * Each chunk asked for by itself. The client's own reader subscribes to them instead: it takes them all into memory
   * however slow its reader is, and waits for ever where the object is deleted before the last one came.
   */
  private async *chunks(bucket: BlobBucket, info: ObjectInfo): AsyncGenerator<Uint8Array> {
    const subject = `$O.${bucket}.C.${info.nuid}`;
    const hash = createHash('sha256');
    for (let count = 0, seq = 1; count < info.chunks; count++) {
      const message = await this.chunk(bucket, subject, seq);
      if (!message) throw await this.incomplete(bucket, info);
      hash.update(message.data);
      yield message.data;
      seq = message.seq + 1;
    }
    const digest = `SHA-256=${hash.digest('base64url')}`;
    if (info.chunks > 0 && digest !== info.digest.replace(/=+$/, '')) throw await this.incomplete(bucket, info);
  }

  /** The first chunk of an object from a place in the stream on; null: there is none. */
  private async chunk(bucket: BlobBucket, subject: string, from: number): Promise<Chunk | null> {
    const query = { seq: from, next_by_subj: subject };
    // Direct get (NATS ADR-31), as for tensors: no base64. Any replica answers, also one that has not heard of it yet.
    const direct = `$JS.API.DIRECT.GET.${backing.blobStream(bucket)}`;
    const answer = await this.mesh.nc.request(direct, JSON.stringify(query), { timeout: 20_000 });
    const { code = 0, description = '' } = answer.headers ?? {};
    if (code === 0) return { data: answer.data, seq: Number(answer.headers?.get(headers.sequence)) };
    if (code !== 404) throw new AtelierError('UNAVAILABLE', `${bucket} cannot be read: ${description}`);
    try {
      return await this.mesh.jsm.streams.getMessage(backing.blobStream(bucket), query); // the leader knows for sure
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  private async incomplete(bucket: BlobBucket, { name, nuid }: ObjectInfo): Promise<AtelierError> {
    const now = await this.there(bucket, name);
    const label = `${JSON.stringify(name)} in ${bucket}`;
    return now.nuid === nuid
      ? new AtelierError('DATA_LOSS', `${label} is damaged: its bytes do not fit its digest; put it there again`)
      : new AtelierError('ABORTED', `${label} was replaced while it was read: read it again`);
  }

  private async putStream(
    bucket: BlobBucket,
    name: string,
    stream: ReadableStream<Uint8Array>,
    { metadata, sending }: { metadata: Record<string, string>; sending: Sending },
  ): Promise<void> {
    const store = sending.through(await this.bucket(bucket));
    await orStoreFull(() =>
      store.put({ name, metadata, options: { max_chunk_size: 512 * 1024 } }, stream, { timeout: 60_000 }),
    );
  }

  private bucket(name: string): Promise<ObjectStore> {
    let store = this.open.get(name);
    if (!store) this.open.set(name, (store = this.mesh.js.views.os(name)));
    store.catch(() => this.open.delete(name));
    return store;
  }
}

function piped(source: Readable, through: Transform): ReadableStream<Uint8Array> {
  return Readable.toWeb(pipeline(source, through, () => undefined)) as ReadableStream<Uint8Array>;
}
