import type { Request } from 'express';
import type { TokenHolder } from './tokens';

const holders = new WeakMap<object, TokenHolder>();

/** Notes whose token a request was let in by. */
export const letInBy = (request: Request, holder: TokenHolder): void => void holders.set(request, holder);

/** Whose token a request was let in by; undefined: none is asked for here. */
export const holderOf = (request: Request): TokenHolder | undefined => holders.get(request);
