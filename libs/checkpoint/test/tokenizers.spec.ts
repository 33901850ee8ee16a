import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openTokenizers, type Tokenizers } from '../src';
import { copyOfModel, editJson, GOLDENS, MODEL, scratchFolder } from './fixtures';

const goldens = JSON.parse(readFileSync(join(GOLDENS, 'tokens.json'), 'utf8')) as {
  prompt: string;
  clip: number[];
  t5: number[];
}[];
const scratch = scratchFolder();

describe('tokenizers', () => {
  let tokenizers: Tokenizers;
  beforeAll(async () => {
    tokenizers = await openTokenizers(MODEL);
  });

  it.each(goldens)('give the ids of the reference for $prompt', ({ prompt, clip, t5 }) => {
    expect([...tokenizers.clip(prompt)]).toEqual(clip);
    expect([...tokenizers.t5(prompt, t5.length)]).toEqual(t5);
  });

  it('read spiece.model where tokenizer.json is missing', async () => {
    const model = copyOfModel(scratch);
    rmSync(join(model, 'tokenizer_2/tokenizer.json'));
    const fromPieces = await openTokenizers(model);
    for (const { prompt, t5 } of goldens) expect([...fromPieces.t5(prompt, t5.length)]).toEqual(t5);
  });

  it('keep the closing id when a text is cut, and pad to any length', () => {
    const { t5 } = tokenizers;
    const long = goldens.reduce((a, b) => (a.prompt.length > b.prompt.length ? a : b)).prompt;
    expect(t5(long, 8)[7]).toBe(1);
    expect([...t5(long, 1)]).toEqual([1]);
    expect(t5('', 512)).toEqual(Int32Array.of(1, ...Array<number>(511).fill(0)));
    expect(() => t5('x', 0)).toThrow(/T5 length 0/);
  });

  it.each([
    ['a missing vocabulary', (m: string) => rmSync(join(m, 'tokenizer/vocab.json')), /vocab\.json: does not exist/],
    [
      'a vocabulary that is no JSON',
      (m: string) => writeFileSync(join(m, 'tokenizer/vocab.json'), '{'),
      /vocab\.json: not valid JSON/,
    ],
    [
      'a vocabulary without end-of-text',
      (m: string) => editJson(join(m, 'tokenizer/vocab.json'), (v) => delete v['<|endoftext|>']),
      /lacks the token <\|endoftext\|>/,
    ],
    [
      'a missing T5 vocabulary',
      (m: string) => ['spiece.model', 'tokenizer.json'].forEach((f) => rmSync(join(m, 'tokenizer_2', f))),
      /spiece\.model: does not exist/,
    ],
    [
      'a spiece.model of other bytes',
      (m: string) => {
        rmSync(join(m, 'tokenizer_2/tokenizer.json'));
        writeFileSync(join(m, 'tokenizer_2/spiece.model'), Buffer.alloc(64, 0xff));
      },
      /not a SentencePiece model/,
    ],
    [
      'an empty spiece.model',
      (m: string) => {
        rmSync(join(m, 'tokenizer_2/tokenizer.json'));
        writeFileSync(join(m, 'tokenizer_2/spiece.model'), '');
      },
      /holds no pieces/,
    ],
  ])('name the file of %s', async (_, damage, message) => {
    const model = copyOfModel(scratch);
    damage(model);
    await expect(openTokenizers(model)).rejects.toThrow(message);
  });
});
