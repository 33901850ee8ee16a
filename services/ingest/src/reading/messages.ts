import type { Size } from '../pictures/buckets';
import type { Limits } from '../readers';

/** What a reader process is to do, and what it needs to know for that: it has no settings and no mesh of its own. */
export interface ReadingJob {
  /** Where it may write, and find the files that it asked for. Whoever started it takes it away. */
  readonly folder: string;
  readonly files: readonly { readonly name: string; readonly size: number }[];
  readonly limits: Limits;
  /** Pictures prepared at once. */
  readonly parallel: number;
  /** Put in front of captions that lack it. */
  readonly trigger: string;
  /** The field that holds the captions, where a person named one; else empty. */
  readonly column: string;
  /** How many T5 tokens of a caption are trained on, and the checkpoint's folder, whose tokenizer counts them. */
  readonly textTokens: number;
  readonly checkpoint: string;
  /** Sizes that pictures are brought to the nearest of. */
  readonly sizes: readonly Size[];
  /** Whether each picture comes mirrored as well. */
  readonly flip: boolean;
  readonly vaeFingerprint: string;
  /** Pictures and reports that an earlier reader of the same files has handed over: they are passed over. */
  readonly taken: number;
  /** Files that an earlier reader came to grief over, and the reason to give for them. */
  readonly without: ReadonlyMap<string, string>;
}

/** A picture as it is trained on, without its pixels: its key stands for them. */
export interface View {
  readonly key: string;
  readonly width: number;
  readonly height: number;
  readonly mirrored: boolean;
}

export interface ReadSample {
  readonly name: string;
  /** One sample for each, of the same pixels. */
  readonly captions: readonly ReadCaption[];
  /** How often it counts beside the others. */
  readonly repeats: number;
  /** What a person should know of what was made of it. */
  readonly notes: readonly string[];
  readonly views: readonly View[];
}

export interface ReadCaption {
  readonly text: string;
  /** How many T5 tokens it has; 0 where that is within what is trained on. */
  readonly tokens: number;
}

/** A view's pixels as PNG. */
export interface EncodedView {
  readonly key: string;
  readonly png: Uint8Array;
}

/** To a reader process. `fetched` answers `fetch`, `wanted` answers `sample`. */
export type ToReader =
  | { readonly kind: 'job'; readonly job: ReadingJob }
  | { readonly kind: 'fetched'; readonly file: number; readonly path: string }
  | { readonly kind: 'wanted'; readonly keys: readonly string[] };

/** From a reader process. It says what it begins before it does, so that it can be told what it died over. */
export type FromReader =
  | { readonly kind: 'at'; readonly item: string }
  | { readonly kind: 'past'; readonly item: string }
  | { readonly kind: 'progress' }
  | { readonly kind: 'fetch'; readonly file: number }
  | { readonly kind: 'rejected'; readonly name: string; readonly reason: string; readonly pictures: number }
  | { readonly kind: 'note'; readonly name: string; readonly text: string }
  | { readonly kind: 'sample'; readonly sample: ReadSample }
  | { readonly kind: 'pictures'; readonly pictures: readonly EncodedView[] }
  | { readonly kind: 'end' }
  | { readonly kind: 'trouble'; readonly message: string };
