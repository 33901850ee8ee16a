import { z } from 'zod';

/** What every DELETE answers with, as OpenAI's do. */
export const deletedView = z.strictObject({
  id: z.string(),
  object: z.string(),
  deleted: z.boolean().describe('false: there is none, be it that it was deleted before.'),
});

/** @param gone the id of what was deleted */
export function viewDeleted(object: string, key: string, gone: string | undefined): z.output<typeof deletedView> {
  return { id: gone ?? key, object, deleted: gone !== undefined };
}
