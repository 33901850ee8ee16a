// @huggingface/tokenizers ships a CommonJS build, and types that resolve for no module system; what is used of them stands here.
export interface Tokenizer {
  encode(text: string, options?: { add_special_tokens?: boolean }): { ids: number[] };
  token_to_id(token: string): number | undefined;
}

interface Library {
  Tokenizer: new (description: object, config: object) => Tokenizer;
}

// eslint-disable-next-line @typescript-eslint/no-require-imports
export const { Tokenizer } = require('@huggingface/tokenizers') as Library;
