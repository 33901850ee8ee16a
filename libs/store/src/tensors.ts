import { AtelierError, MAX_MESSAGE_BYTES, streams, subjects, type TensorKind } from '@atelier/contracts';
import { atOnce, isNotFound, orStoreFull, type Mesh, type OutageOptions, type Patience } from '@atelier/mesh';

/** Tensor sets (safetensors bytes) by content key, one message each in stream TENSORS: written once, read by direct get. */
export class TensorStore {
  constructor(
    private readonly mesh: Mesh,
    private readonly patience: Patience = atOnce,
  ) {}

  /** The same key always has the same bytes, so writing it twice changes nothing. Throws StoreFull. */
  async put(kind: TensorKind, key: string, bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength > MAX_MESSAGE_BYTES) {
      throw new AtelierError(
        'RESOURCE_EXHAUSTED',
        `${kind} ${key} take ${bytes.byteLength} bytes, more than a message holds (${MAX_MESSAGE_BYTES}): use smaller pictures or a shorter prompt length`,
      );
    }
    await this.patience(async () => {
      await this.mesh.room.require(bytes.byteLength, 'accepted work');
      await orStoreFull(() => this.mesh.js.publish(subjects.tensors(kind, key), bytes));
    });
  }

  get(kind: TensorKind, key: string, options?: OutageOptions): Promise<Uint8Array | null> {
    return this.patience(() => this.read(kind, key), options);
  }

  private async read(kind: TensorKind, key: string): Promise<Uint8Array | null> {
    // Direct get (NATS ADR-31): no consumer is made, and any replica answers, also one that has not heard of it yet.
    const subject = subjects.tensors(kind, key);
    const direct = `$JS.API.DIRECT.GET.${streams.TENSORS}.${subject}`;
    const answer = await this.mesh.nc.request(direct, undefined, { timeout: 20_000 });
    const { code = 0, description = '' } = answer.headers ?? {};
    if (code === 0) return answer.data;
    if (code !== 404) throw new AtelierError('UNAVAILABLE', `${kind} ${key}: ${description}`);
    try {
      // The leader knows for sure.
      return (await this.mesh.jsm.streams.getMessage(streams.TENSORS, { last_by_subj: subject })).data;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  /** Asks the stream for the subject's count: no tensor travels. */
  async has(kind: TensorKind, key: string): Promise<boolean> {
    const subject = subjects.tensors(kind, key);
    const info = await this.patience(() => this.mesh.jsm.streams.info(streams.TENSORS, { subjects_filter: subject }));
    return (info.state.subjects?.[subject] ?? 0) > 0;
  }
}
