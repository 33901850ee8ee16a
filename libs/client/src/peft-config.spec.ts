import { parseTensorFile, encodeTensors } from '@atelier/checkpoint';
import { withPeftConfig } from './peft-config';

const tensors = { a: { shape: [3], data: Float32Array.of(1, 2, 3) } };

describe('withPeftConfig', () => {
  test('puts the settings into the metadata as diffusers does, and leaves tensors and other words as they are', () => {
    const bytes = encodeTensors(tensors, { note: 'naïve', lora_adapter_metadata: '{"transformer.lora_alpha": 9}' });
    const unaligned = Buffer.concat([Buffer.from('xyz'), bytes]).subarray(3);
    const config = '\uFEFF{"r": 2, "alpha_pattern": {"b": 1, "a": 2}}';
    const { metadata, tensors: kept } = parseTensorFile(withPeftConfig(unaligned, config));
    expect(metadata['note']).toBe('naïve');
    expect(metadata['lora_adapter_metadata']).toBe('{"transformer.r":2,"transformer.alpha_pattern":{"b":1,"a":2}}');
    expect(Buffer.from(kept.get('a')!.bytes)).toEqual(Buffer.from(parseTensorFile(bytes).tensors.get('a')!.bytes));
  });

  test.each(['no JSON', '[]', 'null'])('refuses %s', (config) => {
    expect(() => withPeftConfig(encodeTensors(tensors), config)).toThrow(/^adapter_config\.json is not/);
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a zip', Buffer.from('PK\x03\x04 and more than a header')],
    ['a header that is no JSON', Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('[[')])],
  ])('leaves %s as it is, for the engine to say what it is', (_, bytes) => {
    expect(withPeftConfig(bytes, '{}')).toBe(bytes);
  });
});
