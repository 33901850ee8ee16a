import { openTokenizers, type Tokenizers } from '@atelier/checkpoint';

/** How many T5 tokens a text has; 0 where it has no more than are trained on. */
export type TokenCounter = (text: string) => Promise<number>;

/** A tokenizer may put one in front of the text, and ends it with another. */
const AROUND = 2;
/** Longer texts are counted roughly: the tokenizer's time grows with the square of a word's length. Characters. */
const LONGEST = 20_000;

/** @param checkpoint its folder; the tokenizer is opened for the first text that may be too long */
export function tokenCounter(checkpoint: string, textTokens: number): TokenCounter {
  let opened: Promise<Tokenizers> | undefined;
  return async (text) => {
    if (text.length + AROUND <= textTokens) return 0; // no token is shorter than a character
    opened ??= openTokenizers(checkpoint);
    const tokens = (await opened).t5.count(text.slice(0, LONGEST));
    return tokens > textTokens ? tokens : 0;
  };
}
