import * as contracts from '@atelier/contracts';
import { Enum, Root, type Type } from 'protobufjs';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(__dirname, '..', '..', '..', 'proto');

describe('the contracts', () => {
  const files = readdirSync(join(folder, 'atelier', 'v1')).map((name) => join(folder, 'atelier', 'v1', name));
  const root = new Root();
  root.resolvePath = (_origin, target) => (target.startsWith('/') ? target : join(folder, target));
  root.loadSync(files).resolveAll();
  const declared = root.lookup('atelier.v1') as unknown as { nestedArray: (Type | Enum)[] };

  it('export every message and enum of proto/ by its name', () => {
    const missing = declared.nestedArray.filter(({ name }) => !(name in contracts)).map(({ name }) => name);
    expect(missing).toEqual([]);
  
  });

  it('name enum values after their enum, with zero unspecified', () => {
    for (const item of declared.nestedArray) {
      if (!(item instanceof Enum)) continue;
      const prefix = item.name.replace(/([a-z])([A-Z])/g, '$1_$2').toUpperCase();
      for (const value of Object.keys(item.values)) expect(value.startsWith(`${prefix}_`)).toBe(true);
      expect(item.valuesById[0]).toBe(`${prefix}_UNSPECIFIED`);
    }
  });

  it('keep 64-bit numbers as numbers', () => {
    const bytes = contracts.SourceFile.encode({ name: 'a', size: 2 ** 40 + 1 }).finish();
    expect(contracts.SourceFile.decode(bytes).size).toBe(2 ** 40 + 1);
  });

  it('decode the bytes of messages as they were first released', () => {
    const golden: [string, { decode(bytes: Uint8Array): object }, string, object][] = [
      ['IngestWork', contracts.IngestWork, '0a0464732d311205722d3031', { datasetId: 'ds-1' }],
      ['LatentsWork', contracts.LatentsWork, '0a026b3112027031', { key: 'k1', picture: 'p1' }],
      ['RunStateChanged', contracts.RunStateChanged, '0a0272311004', { runId: 'r1', state: contracts.RunState.RUN_STATE_FINISHED }],
      ['AdapterUse', contracts.AdapterUse, '0a016111000000000000e03f', { name: 'a', weight: 0.5 }],
    ];
    for (const [name, type, hex, expected] of golden) {
      expect({ name, ...type.decode(Buffer.from(hex, 'hex')) }).toMatchObject(expected);
    }
  });

  it('give the same caption one key however it is composed, and another model another', () => {
    const key = (caption: string, textFingerprint = 'f') => contracts.promptsKey({ caption, maxLength: 77, textFingerprint });
    expect(key('caf\u00e9')).toBe(key('cafe\u0301'));
    expect(key('cafe')).not.toBe(key('caf\u00e9'));
    expect(key('cafe', 'g')).not.toBe(key('cafe'));
    const pixels = new Uint8Array(12);
    const latents = (width: number, height: number) => contracts.latentsKey({ pixels, width, height, transform: {}, vaeFingerprint: 'v' });
    expect(latents(4, 1)).not.toBe(latents(2, 2));
  });
});
