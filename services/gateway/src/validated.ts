import { invalidArgument } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { z } from 'zod';

/** A JSON body or a query as its schema says, or one refusal that names every bad field. */
export function validated<T extends z.ZodType>(schema: T, value: unknown, what = 'body'): z.output<T> {
  if (value === undefined || value === null)
    throw new AtelierError('INVALID_ARGUMENT', `the ${what} is missing: send JSON with content-type application/json`);
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidArgument(what, parsed.error);
  return parsed.data;
}
