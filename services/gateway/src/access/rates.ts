import { isIPv6 } from 'node:net';
import { Injectable } from '@nestjs/common';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { GatewayConfig } from '../gateway.config';
import { TooManyRequests } from '../http-error';

/** What a page asks for as it opens, or a script in one go, comes at once: it is counted over this long. */
const WINDOW_SECONDS = 10;
const KINDS = {
  reads: { setting: 'ATELIER_READS_PER_SECOND', what: 'questions' },
  writes: { setting: 'ATELIER_WRITES_PER_SECOND', what: 'changes' },
} as const;

/**
 * How many requests one token, or one address where no token is known, may send to this gateway. What only asks and
 * what changes or draws are counted apart, so that a page that polls never keeps its reader from cancelling.
 */
@Injectable()
export class Rates {
  private readonly limiters: Readonly<Record<keyof typeof KINDS, RateLimiterMemory | undefined>>;

  constructor(private readonly config: GatewayConfig) {
    const limiter = (keyPrefix: string, perSecond: number): RateLimiterMemory | undefined =>
      perSecond === 0
        ? undefined
        : new RateLimiterMemory({ keyPrefix, points: Math.ceil(perSecond * WINDOW_SECONDS), duration: WINDOW_SECONDS });
    this.limiters = { reads: limiter('r', config.readsPerSecond), writes: limiter('w', config.writesPerSecond) };
  }

  /** Counts one. Throws TooManyRequests. */
  async take(kind: keyof typeof KINDS, who: string): Promise<void> {
    try {
      await this.limiters[kind]?.consume(who);
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused;
      const { setting, what } = KINDS[kind];
      const most = kind === 'reads' ? this.config.readsPerSecond : this.config.writesPerSecond;
      const seconds = Math.max(1, Math.ceil(refused.msBeforeNext / 1000));
      throw new TooManyRequests(
        `these are more than ${most} ${what} a second from ${who}: go on in ${seconds} s, or raise ${setting}`,
        seconds,
      );
    }
  }
}

/** Whom an address stands for: in IPv6 everybody has 2^64 of them. */
export function addressee(address = 'nowhere'): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = '', tail] = address.toLowerCase().split('%', 1)[0]!.split('::');
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : []);
  const [before, after] = [groups(head), groups(tail)];
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0');
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`;
}
