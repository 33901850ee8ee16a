// @huggingface/tokenizers ships a CommonJS build and types for ES modules only; this file joins the two.
type Library = typeof import('@huggingface/tokenizers', { with: { 'resolution-mode': 'import' } });

// eslint-disable-next-line @typescript-eslint/no-require-imports
export const { Tokenizer } = require('@huggingface/tokenizers') as Library;
export type Tokenizer = InstanceType<Library['Tokenizer']>;
