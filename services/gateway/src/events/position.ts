import { AtelierError } from '@atelier/contracts';
import { z } from 'zod';

/** What every event stream takes. */
export const streamQuery = z.object({
  after: z.string().optional().describe('Only events after this id; the same as the header Last-Event-ID.'),
});

/** Where a reader left off, as its Last-Event-ID says; undefined: nowhere. */
export function position(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text))
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(text.slice(0, 40))} is no event id: send back the id of the last event that came`,
    );
  return Number(text);
}
