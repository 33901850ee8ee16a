import type { Mesh } from '@atelier/mesh';
import { acquireLease, type Lease, type LeaseRequest } from './lease';

/**
 * One lease for a batch of work: taken with its first piece, kept between pieces, let go by its holder when the batch is over. For a holder
 * that works on one piece at a time.
 */
export class BatchLease {
  private held?: Lease;

  constructor(
    private readonly mesh: Mesh,
    private readonly request: Omit<LeaseRequest, 'bytes' | 'signal'>,
    /** Called when it becomes unwelcome: an idle holder lets go now, a busy one after the piece in hand. */
    private readonly onUnwelcome: () => void = () => undefined,
  ) {}

  /** Whether what is held is enough. What is not, is let go (after whatever fills it) before more is asked for: two who both hold and want more would wait for ever. */
  covers(bytes: number): boolean {
    return this.held !== undefined && !this.held.lost.aborted && this.held.bytes >= bytes;
  }

  /** Resolves when `bytes` are held. Throws RESOURCE_EXHAUSTED where the device could never hold them, CANCELLED at the signal. */
  async cover(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.covers(bytes)) return;
    await this.release();
    this.held = await acquireLease(this.mesh, { ...this.request, bytes, signal });
    for (const reason of [this.held.wanted, this.held.lost])
      reason.addEventListener('abort', this.onUnwelcome, { once: true });
  }

  /** Whether someone more urgent waits, or the lease was lost. */
  get unwelcome(): boolean {
    return this.held !== undefined && (this.held.wanted.aborted || this.held.lost.aborted);
  }

  /** May be called at any time. */
  async release(): Promise<void> {
    const held = this.held;
    this.held = undefined;
    await held?.release();
  }
}
