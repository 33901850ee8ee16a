// T5's unigram tokenizer, from tokenizer.json or, where a checkpoint ships without it, from spiece.model.
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from './errors';
import { Tokenizer } from './hf-tokenizer';
import { type JsonObject, readJsonObject } from './json-file';
import { readSentencePieceModel, type SentencePieceModel } from './sentencepiece-model';

/** Text to exactly `maxLength` token ids. */
export interface T5Tokenizer {
  (text: string, maxLength: number): Int32Array;
  /** How many ids the whole text has, with the closing </s>. */
  count(text: string): number;
}

const PAD = '<pad>';
const END = '</s>';
const UNKNOWN = '<unk>';

/**
 * @param dir the checkpoint's `tokenizer_2` folder
 * @returns a function giving the text's ids and the closing </s>, padded with <pad>; a longer text is cut before its last id, which stays </s>
 */
export async function openT5Tokenizer(dir: string): Promise<T5Tokenizer> {
  const config = await readJsonObject(join(dir, 'tokenizer_config.json'), "the T5 tokenizer's settings");
  const file = join(dir, 'tokenizer.json');
  const hasDescription = await access(file).then(
    () => true,
    () => false,
  );
  const description = hasDescription
    ? await readJsonObject(file, 'the T5 tokenizer')
    : describe(await readSentencePieceModel(join(dir, 'spiece.model')), extraIds(config));
  const tokenizer = new Tokenizer(description, config);
  const pad = idOf(tokenizer, dir, PAD);
  const end = idOf(tokenizer, dir, END);
  const ids = (text: string, maxLength: number): Int32Array => {
    if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
      throw new CheckpointError(
        'INVALID_ARGUMENT',
        `T5 length ${maxLength}: give a whole number of at least 1 (FLUX.1 uses up to 512)`,
      );
    }
    const { ids: all } = tokenizer.encode(text);
    const padded = new Int32Array(maxLength).fill(pad);
    padded.set(all.slice(0, maxLength));
    if (all.length > maxLength) padded[maxLength - 1] = end;
    return padded;
  };
  return Object.assign(ids, { count: (text: string) => tokenizer.encode(text).ids.length });
}

function extraIds(config: JsonObject): number {
  return typeof config.extra_ids === 'number' ? config.extra_ids : 100;
}

/** The description that transformers derives from a SentencePiece model of T5: its pieces, then <extra_id_n> … <extra_id_0>. */
function describe(model: SentencePieceModel, extra: number): JsonObject {
  const sentinels = Array.from({ length: extra }, (_, i) => `<extra_id_${extra - 1 - i}>`);
  const vocab = [...model.pieces.map(({ text, score }) => [text, score]), ...sentinels.map((text) => [text, 0])];
  const special = [PAD, END, UNKNOWN, ...sentinels].map((content) => ({
    id: vocab.findIndex(([text]) => text === content),
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
  const closing = { SpecialToken: { id: END, type_id: 0 } };
  const first = { Sequence: { id: 'A', type_id: 0 } };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: special,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Precompiled', precompiled_charsmap: model.charsMap.toString('base64') },
        { type: 'Strip', strip_left: false, strip_right: true },
        { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' },
      ],
    },
    pre_tokenizer: metaspace,
    post_processor: {
      type: 'TemplateProcessing',
      single: [first, closing],
      pair: [first, closing, { Sequence: { id: 'B', type_id: 0 } }, closing],
      special_tokens: { [END]: { id: END, ids: [vocab.findIndex(([text]) => text === END)], tokens: [END] } },
    },
    decoder: metaspace,
    model: { type: 'Unigram', unk_id: vocab.findIndex(([text]) => text === UNKNOWN), vocab, byte_fallback: false },
  };
}

function idOf(tokenizer: Tokenizer, dir: string, token: string): number {
  const id = tokenizer.token_to_id(token);
  if (id === undefined)
    throw new CheckpointError(
      'DATA_LOSS',
      `${dir}: the vocabulary lacks the token ${token}; download the tokenizer again`,
    );
  return id;
}
