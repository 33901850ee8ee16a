import { SetMetadata } from '@nestjs/common';
import type { Scope } from '@atelier/client';

const NEEDS = 'atelier:needs';

/** The scopes that a token must have for this route, all of them. Every route has this or @Public. */
export const Needs = (...scopes: [Scope, ...Scope[]]): MethodDecorator => SetMetadata(NEEDS, scopes);

/** A route that needs no token even where others do. */
export const Public = (): MethodDecorator => SetMetadata(NEEDS, []);

/** None of them: it is public. Undefined: it was forgotten. */
export function needsOf(handler: object): readonly Scope[] | undefined {
  return Reflect.getMetadata(NEEDS, handler) as readonly Scope[] | undefined;
}
