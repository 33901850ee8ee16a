import type { SurveyedObject } from '@atelier/store';

export interface SweepRules {
  /** What nothing names stays so long: longer than any upload, or a service that hangs, may pause. */
  graceMs: number;
  /** Prompt embeds that no manifest names (of drawings) stay so long. */
  promptsKeptMs: number;
  /** Validation pictures of runs that are over stay so long; undefined: as long as their run. */
  previewsKeptMs?: number;
  /** Bytes of drawings beyond which the oldest go; undefined: none do. */
  drawingsLimit?: number;
  /** Bytes of prompt embeds that no manifest names, likewise. */
  promptsLimit?: number;
}

/** A run that failed may have come far; what it came to is kept so long. */
export const FAILED_KEPT_MS = 7 * 24 * 3_600_000;

/** Kinds of things in a store, as people read them. */
export const kinds = {
  uploads: 'uploaded files',
  prepared: 'prepared pictures',
  manifests: 'manifests',
  latents: 'latents',
  prompts: 'prompts',
  adapters: 'adapters',
  states: 'training states',
  previews: 'validation pictures',
  drawings: 'drawings',
  loose: 'unfinished uploads',
  others: 'others',
} as const;

/** Which kind an object of bucket `pictures` is, and of what: an upload's data set, a prepared picture's key. */
export function pictureOf(name: string): { kind: 'uploads' | 'prepared' | 'others'; id: string } {
  const [folder, rest = ''] = name.split('/');
  if (folder === 'uploads') return { kind: 'uploads', id: rest };
  if (folder === 'prepared') return { kind: 'prepared', id: rest.replace(/\.png$/, '') };
  return { kind: 'others', id: '' };
}

/** The run or drawing of an object of bucket `samples`. */
export const ownerOf = ({ name }: Pick<SurveyedObject, 'name'>): string => name.split('/')[0]!;

/** The run of an object of bucket `checkpoints`. */
export const runOf = ({ name }: Pick<SurveyedObject, 'name'>): string => name.split('.')[0]!;
