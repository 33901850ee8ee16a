import { toDate, type AdapterInfo } from '@atelier/contracts';
import { bytes, when } from './output';

export function viewAdapter(adapter: AdapterInfo): object {
  const { ranks, modules, notes, base, triggerWords, training } = adapter.contents ?? {};
  return {
    name: adapter.name,
    run: adapter.runId || null,
    rank: adapter.rank,
    alpha: adapter.alpha,
    bytes: adapter.size,
    base_fingerprint: adapter.baseFingerprint || null,
    created_at: toDate(adapter.createdAt)?.toISOString() ?? null,
    ranks: ranks ?? [],
    modules: (modules ?? []).map(({ blocks, names }) => ({ blocks: blocks || null, names: names ?? [] })),
    notes: notes ?? [],
    base: base || null,
    trigger_words: triggerWords ?? [],
    training: training ?? {},
  };
}

/** Rank and alpha for a table: the most common, with a "+" where others are beside it. */
export function ranksText({ rank, alpha, contents }: AdapterInfo): [string, string] {
  const more = (contents?.ranks?.length ?? 0) > 1 ? '+' : '';
  return [`${rank}${more}`, `${alpha}${more}`];
}

/** All that is known of an adapter, for people. */
export function contentsLines(info: AdapterInfo): string[] {
  const { ranks, modules, notes, base, triggerWords, training } = info.contents ?? {};
  const told: [string, string][] = [
    ['adapter', info.name],
    ['made', `${when(toDate(info.createdAt))} UTC, ${info.runId ? `by run ${info.runId}` : 'imported'}`],
    ['size', bytes(info.size)],
    ['base', [base, info.baseFingerprint && `fingerprint ${info.baseFingerprint}`].filter(Boolean).join(', ')],
    ['trigger', (triggerWords ?? []).join(', ')],
    ...(ranks ?? [info]).map((each): [string, string] => [
      'rank',
      `${each.rank}, alpha ${each.alpha}${'modules' in each ? `, ${each.modules} modules` : ''}`,
    ]),
    ...(modules ?? []).map(({ blocks, names }): [string, string] => [blocks || 'outside', (names ?? []).join(', ')]),
    ...(notes ?? []).map((note): [string, string] => ['note', note]),
    ...Object.entries(training ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
  ];
  const shown = told.filter(([, text]) => text !== '');
  const width = Math.max(...shown.map(([what]) => what.length));
  return shown.map(([what, text]) => `${what.padEnd(width)}  ${text}`);
}
