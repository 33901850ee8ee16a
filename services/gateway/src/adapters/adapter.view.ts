import type { AdapterInfo } from '@atelier/contracts';
import { z } from 'zod';
import { unixSeconds } from '../datasets/dataset.view';

const rank = z.strictObject({ rank: z.int(), alpha: z.number(), modules: z.int() });
const modules = z.strictObject({
  blocks: z.string().nullable().describe('"transformer_blocks 0-18"; null: outside of blocks.'),
  names: z.array(z.string()),
});

export const adapterView = z.strictObject({
  name: z.string(),
  object: z.literal('adapter'),
  run: z.string().nullable(),
  rank: z.int().describe('That most of its modules have.'),
  alpha: z.number(),
  bytes: z.int(),
  base_fingerprint: z.string().nullable().describe('Fingerprint of the transformer it was trained on.'),
  created_at: z.int().nullable(),
  ranks: z.array(rank).describe('All ranks and alphas, the most common first.'),
  modules: z.array(modules).describe('What it changes. Empty for one that an earlier version took in.'),
  notes: z.array(z.string()).describe('What of the file is not applied or was assumed.'),
  base: z.string().nullable().describe('The model that the file says it was trained on.'),
  trigger_words: z.array(z.string()),
  training: z.record(z.string(), z.string()).describe("The file's own short words on its training."),
});

export function viewAdapter(info: AdapterInfo): z.output<typeof adapterView> {
  const { ranks = [], modules: found = [], notes = [], base, triggerWords = [], training = {} } = info.contents ?? {};
  return {
    name: info.name,
    object: 'adapter',
    run: info.runId || null,
    rank: info.rank,
    alpha: info.alpha,
    bytes: info.size,
    base_fingerprint: info.baseFingerprint || null,
    created_at: unixSeconds(info.createdAt),
    ranks: (ranks ?? []).map((each) => ({ rank: each.rank ?? 0, alpha: each.alpha ?? 0, modules: each.modules ?? 0 })),
    modules: (found ?? []).map(({ blocks, names }) => ({ blocks: blocks || null, names: names ?? [] })),
    notes: notes ?? [],
    base: base || null,
    trigger_words: triggerWords ?? [],
    training: training ?? {},
  };
}
