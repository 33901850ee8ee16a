import { encodeTensors } from '@atelier/checkpoint';
import { describeAdapter } from '../src';
import { adapterBytes } from './fixtures';

const matrix = (rows: number, columns: number, fill = 0.5) => ({
  shape: [rows, columns],
  data: new Float32Array(rows * columns).fill(fill),
});

describe('describeAdapter', () => {
  test('tells rank, and alpha where the file has it', () => {
    expect(describeAdapter('x', adapterBytes({ rank: 2 }))).toEqual({ rank: 2, alpha: 2 });
    const metadata = { lora_adapter_metadata: JSON.stringify({ 'transformer.lora_alpha': 8 }) };
    expect(describeAdapter('x', adapterBytes({ rank: 2, metadata }))).toEqual({ rank: 2, alpha: 8 });
    const kohya = encodeTensors({
      'lora_unet_a.lora_down.weight': matrix(4, 8),
      'lora_unet_a.lora_up.weight': matrix(8, 4),
      'lora_unet_a.alpha': { shape: [], data: Float32Array.of(3) },
    });
    expect(describeAdapter('x', kohya)).toEqual({ rank: 4, alpha: 3 });
  });

  test('reads a part of a larger buffer that is not aligned', () => {
    const bytes = adapterBytes({ rank: 2 });
    const larger = Buffer.alloc(bytes.byteLength + 3, 0xff);
    larger.set(bytes, 3);
    expect(describeAdapter('x', larger.subarray(3))).toEqual({ rank: 2, alpha: 2 });
  });

  const header = (text: string, claimed = text.length): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(claimed));
    return Buffer.concat([length, Buffer.from(text)]);
  };
  /** The same file with another byte in its header, in the place of the first of a text's. */
  const withByte = (bytes: Uint8Array, text: string, byte: number): Buffer => {
    const changed = Buffer.from(bytes);
    changed[changed.indexOf(text)] = byte;
    return changed;
  };
  const entry = (begin: number, end: number) =>
    JSON.stringify({ 'a.lora_A.weight': { dtype: 'F32', shape: [2, 2], data_offsets: [begin, end] } });

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', Buffer.alloc(0), /0 bytes/],
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\n and more bytes', 'latin1'), /header/],
    ['a header longer than the file', header('{}', 1e6), /header/],
    ['a header that is no JSON', header('{oops'), /JSON/],
    ['a header that is not UTF-8', withByte(adapterBytes({ metadata: { note: '?' } }), '?', 0xff), /not UTF-8/],
    ['a name that is not UTF-8', withByte(adapterBytes({ metadata: {} }), 'to_q', 0xc3), /not UTF-8/],
    ['offsets past the end', header(entry(0, 16)), /a\.lora_A\.weight/],
    [
      'offsets that disagree with the shape',
      Buffer.concat([header(entry(0, 8)), Buffer.alloc(8)]),
      /a\.lora_A\.weight/,
    ],
    ['a checkpoint that is no LoRA', encodeTensors({ 'x_embedder.weight': matrix(2, 2) }), /pairs/],
    ['a lora_A without its lora_B', encodeTensors({ 'a.lora_A.weight': matrix(2, 2) }), /pairs/],
    [
      'two halves of different pairs',
      encodeTensors({ 'a.lora_A.weight': matrix(2, 2), 'b.lora_B.weight': matrix(2, 2) }),
      /a\.lora_A\.weight has no partner a\.lora_B\.weight/,
    ],
    [
      'settings that are no JSON',
      adapterBytes({ metadata: { lora_adapter_metadata: 'no JSON' } }),
      /lora_adapter_metadata is not JSON/,
    ],
    [
      'a number that is not finite',
      encodeTensors({ 'a.lora_A.weight': matrix(2, 2, NaN), 'a.lora_B.weight': matrix(2, 2) }),
      /not a finite number/,
    ],
    [
      'a vector for a matrix',
      encodeTensors({ 'a.lora_A.weight': { shape: [4], data: new Float32Array(4) }, 'a.lora_B.weight': matrix(2, 2) }),
      /matrix/,
    ],
  ])('refuses %s and says why', (_what, bytes, reason) => {
    expect(() => describeAdapter('style.safetensors', bytes)).toThrow(reason);
    expect(() => describeAdapter('style.safetensors', bytes)).toThrow(/style\.safetensors cannot be used/);
  });
});
