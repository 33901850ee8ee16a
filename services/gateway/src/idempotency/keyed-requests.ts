import { randomUUID } from 'node:crypto';
import { AtelierError, KeyedRequest, timestamp, toDate, type IKeptAnswer } from '@atelier/contracts';
import type { StateStore } from '@atelier/store';

/** A holder that has not been heard of for so long was killed. */
export const SILENT_MS = 20_000;

export type Claim =
  /** It is ours to do, be it for the first time or after a try that came to no answer. */
  | { is: 'ours'; firstAt: Date; holder: string }
  /** It was done. */
  | { is: 'answered'; firstAt: Date; answer: IKeptAnswer; bodyDigest: string }
  /** Somebody does it at this moment. */
  | { is: 'in flight' }
  /** The key was used for something else. */
  | { is: 'another' };

/** Requests with a key, in KV: of several that come at once, here or at another gateway, one is done. */
export class KeyedRequests {
  constructor(
    private readonly store: StateStore<KeyedRequest>,
    private readonly now: () => number = Date.now,
  ) {}

  async claim(entry: string, fingerprint: string): Promise<Claim> {
    let claim: Claim = { is: 'another' };
    await this.store.put(entry, (former) => {
      claim = this.judge(former, fingerprint);
      if (claim.is !== 'ours') return null;
      const { holder } = claim;
      const [createdAt, aliveAt] = [timestamp(claim.firstAt), timestamp(new Date(this.now()))];
      return KeyedRequest.create({ fingerprint, createdAt, holder, aliveAt });
    });
    return claim;
  }

  private judge(former: KeyedRequest | null, fingerprint: string): Claim {
    const ours = { is: 'ours', holder: randomUUID() } as const;
    if (!former) return { ...ours, firstAt: new Date(this.now()) };
    if (former.fingerprint !== fingerprint) return { is: 'another' };
    const firstAt = toDate(former.createdAt) ?? new Date(this.now());
    const { answer, bodyDigest } = former;
    if (answer) return { is: 'answered', firstAt, answer, bodyDigest };
    const heard = toDate(former.aliveAt)?.getTime() ?? 0;
    return former.holder && this.now() - heard < SILENT_MS ? { is: 'in flight' } : { ...ours, firstAt };
  }

  /** Whoever does it lives. */
  async alive(entry: string, holder: string): Promise<void> {
    await this.held(entry, holder, (request) => ({ ...request, aliveAt: timestamp(new Date(this.now())) }));
  }

  async answered(entry: string, holder: string, answer: IKeptAnswer, bodyDigest: string): Promise<void> {
    await this.held(entry, holder, (request) => ({ ...request, answer, bodyDigest, holder: '' }));
  }

  /** It came to no answer and may have done something: the next try goes on with the same ids. */
  async putDown(entry: string, holder: string): Promise<void> {
    await this.held(entry, holder, (request) => ({ ...request, holder: '' }));
  }

  /** It was refused and has done nothing: the key is free. */
  async refused(entry: string, holder: string): Promise<void> {
    await this.store.take(entry, (request) => {
      if (!isHeld(request, holder))
        throw new AtelierError('ABORTED', 'another try has taken the request over: its key is not free');
    });
  }

  /** One that hung while another took its request over writes nothing any more. */
  private async held(
    entry: string,
    holder: string,
    mutate: (request: KeyedRequest) => Partial<KeyedRequest>,
  ): Promise<void> {
    await this.store.update(entry, (request) =>
      isHeld(request, holder) ? KeyedRequest.create(mutate(request)) : null,
    );
  }
}

/** Each try holds its request in a name of its own: a gateway may come to the same request twice. */
const isHeld = (request: KeyedRequest, holder: string): boolean => request.holder === holder && !request.answer;
