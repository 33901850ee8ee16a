import { join } from 'node:path';
import { type ClipTokenizer, openClipTokenizer } from './clip-tokenizer';
import { openT5Tokenizer, type T5Tokenizer } from './t5-tokenizer';

export interface Tokenizers {
  /** Caption or prompt to CLIP's ids, always its full length (77). */
  clip: ClipTokenizer;
  /** Caption or prompt to exactly `maxLength` T5 ids. */
  t5: T5Tokenizer;
}

/** Both tokenizers of a checkpoint folder, from its own files. */
export async function openTokenizers(checkpoint: string): Promise<Tokenizers> {
  const [clip, t5] = await Promise.all([
    openClipTokenizer(join(checkpoint, 'tokenizer')),
    openT5Tokenizer(join(checkpoint, 'tokenizer_2')),
  ]);
  return { clip, t5 };
}
