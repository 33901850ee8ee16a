import { AdapterContents, type IAdapterModules, type IAdapterRank } from '@atelier/contracts';
import { Adapter } from './adapter';
import type { InspectedAdapter, TransformerDims } from './addon';

/** What is to be known of an adapter's file: its most common rank with that one's alpha, and all that it holds. */
export interface AdapterDescription {
  rank: number;
  alpha: number;
  contents: AdapterContents;
}

/** Of the file's own words those that people look for; others are captions and hashes by the thousand. */
const SHOWN_PREFIXES = ['ss_', 'modelspec.'];
const SHOWN_LENGTH = 160;
const SHOWN_COUNT = 64;
const BASE_KEYS = ['modelspec.architecture', 'ss_base_model_version', 'ss_sd_model_name', 'base_model'];
const TRIGGER_KEYS = ['modelspec.trigger_phrase', 'trigger_phrase', 'trigger_words', 'trigger_word', 'instance_prompt'];

/**
 * Judges a file's bytes as the engine will read them, and says what it holds.
 * @param label names them in errors
 * @param dims sizes of the transformer that it must fit; null: of any
 * @throws EngineError for what cannot be used, naming the kind
 */
export async function describeAdapter(
  bytes: Uint8Array,
  label: string,
  dims: TransformerDims | null = null,
): Promise<AdapterDescription> {
  const found = await Adapter.inspect(bytes, label, dims);
  const ranks = ranksOf(found.modules);
  const { rank, alpha } = ranks[0]!;
  return {
    rank: rank ?? 0,
    alpha: alpha ?? 0,
    contents: AdapterContents.create({
      ranks,
      modules: modulesOf(found.modules.map(({ path }) => path)),
      notes: found.notes.map(printable),
      base: firstOf(found.metadata, BASE_KEYS),
      triggerWords: triggerWords(found.metadata),
      training: trainingOf(found.metadata),
    }),
  };
}

function ranksOf(modules: InspectedAdapter['modules']): IAdapterRank[] {
  const counts = new Map<string, { rank: number; alpha: number; modules: number }>();
  for (const { rank, alpha } of modules) {
    const key = `${rank} ${alpha}`;
    const entry = counts.get(key) ?? { rank, alpha, modules: 0 };
    entry.modules++;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((a, b) => b.modules - a.modules || a.rank - b.rank || a.alpha - b.alpha);
}

/** Blocks that have the same modules are told together: "transformer_blocks 0-18". */
function modulesOf(paths: readonly string[]): IAdapterModules[] {
  const blocks = new Map<string, string[]>();
  for (const path of paths) {
    const [, kind = '', index = '', inBlock = path] = /^(\w*transformer_blocks)\.(\d+)\.(.+)$/.exec(path) ?? [];
    const block = kind && `${kind} ${index}`;
    blocks.set(block, [...(blocks.get(block) ?? []), inBlock]);
  }
  const alike = new Map<string, { kind: string; indices: number[]; names: string[] }>();
  for (const [block, found] of blocks) {
    const [kind = '', index] = block.split(' ');
    const names = found.sort();
    const key = `${kind} ${names.join(' ')}`;
    const entry = alike.get(key) ?? { kind, indices: [], names };
    if (index !== undefined) entry.indices.push(Number(index));
    alike.set(key, entry);
  }
  return [...alike.values()].map(({ kind, indices, names }) => ({
    blocks: kind && `${kind} ${ranges(indices)}`,
    names,
  }));
}

/** "0-4, 7" */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}

function firstOf(metadata: Record<string, string>, keys: readonly string[]): string {
  return printable(keys.map((key) => metadata[key]).find((value) => value !== undefined && isTold(value)) ?? '');
}

function triggerWords(metadata: Record<string, string>): string[] {
  const said = TRIGGER_KEYS.map((key) => metadata[key]).filter((value) => value !== undefined && isTold(value));
  return [...new Set(said.map((value) => printable(value!)))];
}

function trainingOf(metadata: Record<string, string>): Record<string, string> {
  const shown = Object.entries(metadata).filter(
    ([key, value]) =>
      SHOWN_PREFIXES.some((prefix) => key.startsWith(prefix)) && key.length <= 64 && value.length <= SHOWN_LENGTH,
  );
  return Object.fromEntries(
    shown
      .filter(([, value]) => isTold(value))
      .slice(0, SHOWN_COUNT)
      .map(([key, value]) => [printable(key), printable(value)]),
  );
}

/** Trainers write None, null and {} for what they do not know. */
const isTold = (value: string): boolean => !['', 'None', 'null', '{}', '[]'].includes(value.trim());

/** On one line, short, and with nothing in it that a terminal would obey. */
const printable = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, SHOWN_LENGTH);
