import { timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { readTokens, tokenDigest, type Scope } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import { GatewayConfig } from '../gateway.config';

/** Whom a request is from, as far as its token says. */
export interface TokenHolder {
  name: string;
  scopes: readonly Scope[];
}

interface KnownToken extends TokenHolder {
  digest: Buffer;
}

/** How long a token that was taken out of the file may still be let in. */
const LOOK_MS = 1000;
const FILE = 'ATELIER_API_TOKENS_FILE';

/** The tokens that are let in: the one of the settings, which may do everything, and those of the file, as it is now. */
@Injectable()
export class Tokens implements OnModuleInit {
  private readonly logger = new Logger('gateway');
  private readonly own: readonly KnownToken[];
  private ofFile: readonly KnownToken[] = [];
  private version = '';
  private lookedAt = -Infinity;
  private looking?: Promise<void>;
  private trouble = '';

  constructor(private readonly config: GatewayConfig) {
    const { apiToken } = config;
    this.own =
      apiToken === undefined ? [] : [{ name: 'ATELIER_API_TOKEN', scopes: ['admin'], digest: tokenDigest(apiToken) }];
  }

  /** Whether requests need a token at all. A file with none in it lets nobody in, rather than everybody. */
  get required(): boolean {
    return this.config.apiToken !== undefined || this.config.tokensFile !== undefined;
  }

  /** A gateway whose tokens cannot be read does not start. */
  async onModuleInit(): Promise<void> {
    const { tokensFile } = this.config;
    if (tokensFile === undefined) return;
    try {
      await this.read(tokensFile);
    } catch (error) {
      throw new AtelierError('FAILED_PRECONDITION', unreadable(tokensFile, error), {}, { cause: error });
    }
  }

  /** Every token is compared with, so that the time it takes tells nothing of any. */
  async find(given: string): Promise<TokenHolder | undefined> {
    await this.look();
    const digest = tokenDigest(given);
    let found: TokenHolder | undefined;
    for (const token of [...this.own, ...this.ofFile]) if (timingSafeEqual(digest, token.digest)) found = token;
    return found;
  }

  /**
   * Whether what was set up with a token may still be told anything: not once that was withdrawn, or lost its right to
   * read. Where no tokens are asked for everybody may.
   */
  async mayRead(name: string): Promise<boolean> {
    if (!this.required) return true;
    await this.look();
    const token = [...this.own, ...this.ofFile].find((known) => known.name === name);
    return token !== undefined && ['read', 'admin'].some((scope) => token.scopes.some((has) => has === scope));
  }

  private async look(): Promise<void> {
    const { tokensFile } = this.config;
    if (tokensFile === undefined || performance.now() - this.lookedAt < LOOK_MS) return;
    this.looking ??= this.read(tokensFile)
      .then(() => {
        this.trouble = '';
      })
      .catch((error: unknown) => {
        // Half a file, as an editor may leave it for a moment, must not shut everybody out.
        const trouble = `${unreadable(tokensFile, error)}. Until it can, those that it had before are let in`;
        if (trouble !== this.trouble) this.logger.error(trouble);
        this.trouble = trouble;
      })
      .finally(() => {
        this.lookedAt = performance.now();
        this.looking = undefined;
      });
    await this.looking;
  }

  private async read(file: string): Promise<void> {
    const { mtimeMs, ctimeMs, size, ino } = await stat(file);
    const version = [mtimeMs, ctimeMs, size, ino].join(' ');
    if (version === this.version) return;
    this.ofFile = readTokens(await readFile(file, 'utf8')).map(({ sha256, ...holder }) => ({
      ...holder,
      digest: Buffer.from(sha256, 'hex'),
    }));
    this.version = version;
  }
}

function unreadable(file: string, error: unknown): string {
  return `the tokens in ${file} (${FILE}) cannot be used: ${(error as Error).message}`;
}
