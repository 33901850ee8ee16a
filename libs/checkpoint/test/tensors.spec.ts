import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeTensors, encodeTensors, parseTensorFile } from '../src';
import { GOLDENS } from './fixtures';

/** A file with any header, for lies that encodeTensors cannot tell. */
function fileWith(header: unknown, bodyBytes: number): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, Buffer.alloc(bodyBytes)]);
}

/** A file whose header has a byte in the place of its question mark. */
function broken(header: string, byte: number): Uint8Array {
  const bytes = Buffer.from(fileWith(header, 0));
  bytes[bytes.indexOf('?')] = byte;
  return bytes;
}

const vector = (offsets: number[], over: object = {}) => ({ dtype: 'F32', shape: [2], data_offsets: offsets, ...over });

describe('tensor sets', () => {
  it('come back as they went in, with their metadata', () => {
    const set = {
      pooled: { shape: [2], data: Float32Array.of(1, -0) },
      embeds: { shape: [2, 2], data: Float32Array.of(1, 2, 3, NaN) },
      scalar: { shape: [], data: Float32Array.of(7) },
    };
    const bytes = encodeTensors(set, { caption: 'naïve' });
    expect(decodeTensors(bytes)).toEqual(set);
    expect(parseTensorFile(bytes).metadata).toEqual({ caption: 'naïve' });
  });

  it('give equal bytes whatever the order of the names', () => {
    const a = { shape: [1], data: Float32Array.of(1) };
    const b = { shape: [1], data: Float32Array.of(2) };
    expect(encodeTensors({ a, b })).toEqual(encodeTensors({ b, a }));
  });

  it('decode from bytes at any alignment', () => {
    const bytes = encodeTensors({ x: { shape: [3], data: Float32Array.of(1, 2, 3) } });
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(decodeTensors(shifted.subarray(1)).x!.data).toEqual(Float32Array.of(1, 2, 3));
  });

  it('read what the reference library wrote', () => {
    const file = parseTensorFile(readFileSync(join(GOLDENS, 'bnb_linear4bit.safetensors')));
    const manifest = JSON.parse(readFileSync(join(GOLDENS, 'manifest.json'), 'utf8')) as {
      files: Record<string, Record<string, { shape: number[] }>>;
    };
    const shapes = Object.fromEntries([...file.tensors].map(([name, { shape }]) => [name, shape]));
    expect(shapes).toEqual(
      Object.fromEntries(
        Object.entries(manifest.files['bnb_linear4bit.safetensors']!).map(([name, { shape }]) => [name, shape]),
      ),
    );
  });

  it('take whatever UTF-8 and whole pairs write', () => {
    const text = '{"__metadata__":{"a":"\\ud83d\\ude00 é 1.5e3 -1","b":"\\\\ud83d"}}';
    expect(parseTensorFile(fileWith(text, 0)).metadata).toEqual({ a: '😀 é 1.5e3 -1', b: '\\ud83d' });
  });

  it('refuse to encode a shape that does not fit the data', () => {
    expect(() => encodeTensors({ x: { shape: [2, 2], data: new Float32Array(3) } })).toThrow(
      /tensor x: shape \[2, 2\] holds 4 values, the data 3/,
    );
  });

  it('refuse to decode another dtype as float32', () => {
    expect(() => decodeTensors(fileWith({ x: { dtype: 'I32', shape: [2], data_offsets: [0, 8] } }, 8))).toThrow(
      /tensor x is I32/,
    );
  });

  it.each([
    ['too short', Buffer.alloc(7), /has 7 bytes/],
    ['a header longer than the file', Buffer.from('ffffffff00000000', 'hex'), /claims a header of 4294967295 bytes/],
    ['a header that is not JSON', fileWith('{nope', 0), /header is not JSON/],
    ['a header that is not UTF-8', broken('{"__metadata__":{"format":"?t"}}', 0xff), /header is not UTF-8/],
    [
      'a name that is not UTF-8',
      broken('{"?":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}', 0xc3),
      /header is not UTF-8/,
    ],
    ['half of a surrogate pair', fileWith('{"__metadata__":{"a":"\\ud83d?"}}', 0), /has half of a surrogate pair/],
    ['a name with half of a surrogate pair', fileWith('{"a\\uDE00":1}', 0), /has half of a surrogate pair/],
    ['metadata that is a list', fileWith('{"__metadata__":["a"]}', 0), /__metadata__/],
    [
      'a count with a point',
      fileWith('{"x":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}', 8),
      /2\.0 where a whole number/,
    ],
    [
      'a count with an exponent',
      fileWith('{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8e0]}}', 8),
      /8e0 where a whole number/,
    ],
    [
      'a count of minus zero',
      fileWith('{"x":{"dtype":"F32","shape":[2],"data_offsets":[-0,8]}}', 8),
      /-0 where a whole number/,
    ],
    [
      'a shape whose product is too large before its 0',
      fileWith({ x: vector([0, 0], { shape: [2 ** 40, 2 ** 40, 0] }) }, 0),
      /needs NaN/,
    ],
    ['a header that is a list', fileWith('[]', 0), /not a JSON object/],
    ['metadata that is not text', fileWith({ __metadata__: { a: 1 } }, 0), /__metadata__/],
    ['an unknown dtype', fileWith({ x: vector([0, 8], { dtype: 'F3' }) }, 8), /x has the unknown dtype F3/],
    ['a negative dimension', fileWith({ x: vector([0, 8], { shape: [-2] }) }, 8), /x has no valid shape/],
    [
      'a shape that overflows',
      fileWith({ x: vector([0, 8], { shape: [2 ** 40, 2 ** 40] }) }, 8),
      /needs .* bytes and has 8/,
    ],
    ['offsets behind the end', fileWith({ x: vector([0, 16]) }, 8), /lies at bytes 0 to 16 of 8/],
    ['offsets backwards', fileWith({ x: vector([8, 0]) }, 8), /lies at bytes 8 to 0/],
    ['fractional offsets', fileWith({ x: vector([0, 8.5]) }, 16), /no valid data_offsets/],
    [
      'overlapping tensors',
      fileWith({ x: vector([0, 8]), y: vector([4, 12]) }, 12),
      /y starts at byte 4, the one before it ends at 8/,
    ],
    ['a hole between tensors', fileWith({ x: vector([0, 8]), y: vector([12, 20]) }, 20), /y starts at byte 12/],
    ['bytes that no tensor covers', fileWith({ x: vector([0, 8]) }, 9), /end at byte 8 of 9/],
    ['an entry that is null', fileWith({ x: null }, 0), /x has the unknown dtype/],
  ])('refuse bytes with %s', (_, bytes, message) => {
    expect(() => parseTensorFile(bytes, 'message 7')).toThrow(
      expect.objectContaining({ code: 'DATA_LOSS', message: expect.stringMatching(message) }) as Error,
    );
  });
});
