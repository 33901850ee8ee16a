import { randomUUID } from 'node:crypto';
import { KeyedRequest, timestamp, toDate, type IKeptAnswer } from '@atelier/contracts';
import type { StateStore } from '@atelier/store';

/** A holder that has not been heard of for so long was killed. */
export const SILENT_MS = 20_000;

export type Claim =
  /** It is ours to do, be it for the first time or after a try that came to no answer. */
  | { is: 'ours'; firstAt: Date }
  /** It was done. */
  | { is: 'answered'; firstAt: Date; answer: IKeptAnswer; bodyDigest: string }
  /** Somebody does it at this moment. */
  | { is: 'in flight' }
  /** The key was used for something else. */
  | { is: 'another' };

/** Requests with a key, in KV: of several that come at once, here or at another gateway, one is done. */
export class KeyedRequests {
  /** Of this gateway. */
  private readonly holder = randomUUID();

  constructor(
    private readonly store: StateStore<KeyedRequest>,
    private readonly now: () => number = Date.now,
  ) {}

  async claim(entry: string, fingerprint: string): Promise<Claim> {
    let claim: Claim = { is: 'another' };
    await this.store.put(entry, (former) => {
      claim = this.judge(former, fingerprint);
      if (claim.is !== 'ours') return null;
      const holder = this.holder;
      const [createdAt, aliveAt] = [timestamp(claim.firstAt), timestamp(new Date(this.now()))];
      return KeyedRequest.create({ fingerprint, createdAt, holder, aliveAt });
    });
    return claim;
  }

  private judge(former: KeyedRequest | null, fingerprint: string): Claim {
    if (!former) return { is: 'ours', firstAt: new Date(this.now()) };
    if (former.fingerprint !== fingerprint) return { is: 'another' };
    const firstAt = toDate(former.createdAt) ?? new Date(this.now());
    const { answer, bodyDigest } = former;
    if (answer) return { is: 'answered', firstAt, answer, bodyDigest };
    const heard = toDate(former.aliveAt)?.getTime() ?? 0;
    return former.holder && this.now() - heard < SILENT_MS ? { is: 'in flight' } : { is: 'ours', firstAt };
  }

  /** Whoever does it lives. */
  async alive(entry: string): Promise<void> {
    await this.held(entry, (request) => ({ ...request, aliveAt: timestamp(new Date(this.now())) }));
  }

  async answered(entry: string, answer: IKeptAnswer, bodyDigest: string): Promise<void> {
    await this.held(entry, (request) => ({ ...request, answer, bodyDigest, holder: '' }));
  }

  /** It came to no answer and may have done something: the next try goes on with the same ids. */
  async putDown(entry: string): Promise<void> {
    await this.held(entry, (request) => ({ ...request, holder: '' }));
  }

  /** It was refused and has done nothing: the key is free. */
  async refused(entry: string): Promise<void> {
    await this.store.delete(entry);
  }

  /** One that hung while another took its request over writes nothing any more. */
  private async held(entry: string, mutate: (request: KeyedRequest) => Partial<KeyedRequest>): Promise<void> {
    await this.store.update(entry, (request) =>
      request.holder === this.holder && !request.answer ? KeyedRequest.create(mutate(request)) : null,
    );
  }
}
