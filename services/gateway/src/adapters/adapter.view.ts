import type { AdapterInfo } from '@atelier/contracts';
import { z } from 'zod';
import { unixSeconds } from '../datasets/dataset.view';

export const adapterView = z.strictObject({
  name: z.string(),
  object: z.literal('adapter'),
  run: z.string().nullable(),
  rank: z.int(),
  alpha: z.number(),
  bytes: z.int(),
  base_fingerprint: z.string().nullable().describe('Fingerprint of the transformer it was trained on.'),
  created_at: z.int().nullable(),
});

export function viewAdapter(info: AdapterInfo): z.output<typeof adapterView> {
  return {
    name: info.name,
    object: 'adapter',
    run: info.runId || null,
    rank: info.rank,
    alpha: info.alpha,
    bytes: info.size,
    base_fingerprint: info.baseFingerprint || null,
    created_at: unixSeconds(info.createdAt),
  };
}
