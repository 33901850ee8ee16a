import * as contracts from '@atelier/contracts';
import { Enum, Root, Type } from 'protobufjs';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(__dirname, '..', '..', '..', 'proto');

describe('the contracts', () => {
  const files = readdirSync(join(folder, 'atelier', 'v1')).map((name) => join(folder, 'atelier', 'v1', name));
  const root = new Root();
  const descriptor = 'google/protobuf/descriptor.proto';
  root.resolvePath = (_origin, target) => {
    if (target === descriptor) return require.resolve(`protobufjs/${descriptor}`);
    return target.startsWith('/') ? target : join(folder, target);
  };
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

  describe('read and write every message as it was released', () => {
    interface Golden {
      value: object;
      bytes: string;
    }
    interface Message {
      decode(bytes: Uint8Array): object;
      encode(message: object): { finish(): Uint8Array };
      fromObject(value: object): object;
      toObject(message: object): object;
    }
    const messages = declared.nestedArray.filter((item): item is Type => item instanceof Type);
    const goldensOf = (name: string): Golden[] =>
      JSON.parse(readFileSync(join(__dirname, 'goldens', `${name}.json`), 'utf8')) as Golden[];

    it.each(messages.map((type) => [type.name, type] as const))('%s', (name, type) => {
      const generated = (contracts as unknown as Record<string, Message>)[name]!;
      const shown = new Set<string>();
      for (const { value, bytes } of goldensOf(name)) {
        expect(generated.toObject(generated.decode(Buffer.from(bytes, 'hex')))).toEqual(value);
        expect(Buffer.from(generated.encode(generated.fromObject(value)).finish()).toString('hex')).toBe(bytes);
        for (const field of Object.keys(value)) shown.add(field);
      }
      // A new field needs a golden: node tools/golden-messages.mjs adds it.
      expect(type.fieldsArray.map((field) => field.name).filter((field) => !shown.has(field))).toEqual([]);
    });
  });

  it('give the same caption one key however it is composed, and another model another', () => {
    const key = (caption: string, textFingerprint = 'f') =>
      contracts.promptsKey({ caption, maxLength: 77, textFingerprint });
    expect(key('caf\u00e9')).toBe(key('cafe\u0301'));
    expect(key('cafe')).not.toBe(key('caf\u00e9'));
    expect(key('cafe', 'g')).not.toBe(key('cafe'));
    const pixels = new Uint8Array(12);
    const latents = (width: number, height: number) =>
      contracts.latentsKey({ pixels, width, height, transform: {}, vaeFingerprint: 'v' });
    expect(latents(4, 1)).not.toBe(latents(2, 2));
  });
});
