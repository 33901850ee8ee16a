// CLIP's byte-level BPE, from tokenizer.json or, as FLUX.1 is published, from vocab.json + merges.txt.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from './errors';
import { Tokenizer } from './hf-tokenizer';
import { type JsonObject, readJsonObject, readText } from './json-file';

/** Text to token ids of a fixed length. */
export type ClipTokenizer = (text: string) => Int32Array;

/**
 * @param dir the checkpoint's `tokenizer` folder
 * @returns a function giving `model_max_length` ids (77): start, at most 75 of the text, end-of-text, padded with the padding token
 */
export async function openClipTokenizer(dir: string): Promise<ClipTokenizer> {
  const config = await readJsonObject(join(dir, 'tokenizer_config.json'), "the CLIP tokenizer's settings");
  const description = (await exists(join(dir, 'tokenizer.json')))
    ? await readJsonObject(join(dir, 'tokenizer.json'), 'the CLIP tokenizer')
    : await describeFromVocabulary(dir, config);
  const tokenizer = new Tokenizer(description, config);
  const length =
    typeof config.model_max_length === 'number' && config.model_max_length < 1e6 ? config.model_max_length : 77;
  const end = idOf(tokenizer, dir, tokenText(config.eos_token, '<|endoftext|>'));
  const pad = idOf(tokenizer, dir, tokenText(config.pad_token, '<|endoftext|>'));
  return (text) => {
    const { ids } = tokenizer.encode(text);
    const padded = new Int32Array(length).fill(pad);
    padded.set(ids.slice(0, length));
    if (ids.length > length) padded[length - 1] = end;
    return padded;
  };
}

/** The description that transformers' CLIPTokenizer builds when it is given vocab.json and merges.txt alone. */
async function describeFromVocabulary(dir: string, config: JsonObject): Promise<JsonObject> {
  const vocab = await readJsonObject(join(dir, 'vocab.json'), "the CLIP tokenizer's vocabulary");
  const lines = (await readText(join(dir, 'merges.txt'), "the CLIP tokenizer's merges")).split('\n');
  const merges = (lines[0]?.startsWith('#version') ? lines.slice(1) : lines).filter((line) => line.trim() !== '');
  const start = tokenText(config.bos_token, '<|startoftext|>');
  const end = tokenText(config.eos_token, '<|endoftext|>');
  const id = (token: string) => {
    if (typeof vocab[token] !== 'number') throw lacks(join(dir, 'vocab.json'), token);
    return vocab[token];
  };
  const special = [...new Set([start, end])].map((content) => ({
    id: id(content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Lowercase' },
      ],
    },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: {
            Regex:
              "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+",
          },
          behavior: 'Removed',
          invert: true,
        },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    },
    post_processor: {
      type: 'RobertaProcessing',
      sep: [end, id(end)],
      cls: [start, id(start)],
      trim_offsets: false,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: tokenText(config.unk_token, end),
      continuing_subword_prefix: '',
      end_of_word_suffix: '</w>',
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges,
    },
  };
}

/** Tokens are given as plain text or as an object with `content`. */
function tokenText(token: unknown, fallback: string): string {
  if (typeof token === 'string') return token;
  const content = (token as { content?: unknown } | null | undefined)?.content;
  return typeof content === 'string' ? content : fallback;
}

function idOf(tokenizer: Tokenizer, dir: string, token: string): number {
  const id = tokenizer.token_to_id(token);
  if (id === undefined) throw lacks(dir, token);
  return id;
}

function lacks(where: string, token: string): CheckpointError {
  return new CheckpointError(
    'DATA_LOSS',
    `${where}: the vocabulary lacks the token ${token}; download the tokenizer again`,
  );
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
