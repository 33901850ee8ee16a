import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTensorFile } from '@atelier/checkpoint';
import { metadataOf, modulesOf } from '../../../test/parity/src/models';
import { useTestingAddon } from '../../../test/parity/src/testing-addon';
import { Adapter, type EngineError } from '@atelier/engine';
import { ADAPTER, LORA, TINY } from './tiny';

useTestingAddon();

describe('an adapter as bytes', () => {
  const bytes = readFileSync(ADAPTER);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'adapter-bytes-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is the adapter of the file that has them', async () => {
    const [fromBytes, fromFile] = [await Adapter.fromBytes(bytes), await Adapter.load(ADAPTER)];
    expect(modulesOf(fromBytes)).toEqual(modulesOf(fromFile));
    expect(metadataOf(fromBytes)).toEqual(metadataOf(fromFile));
    await Promise.all([fromBytes.dispose(), fromFile.dispose()]);
  });

  it.each(['diffusers', 'kohya'] as const)('written for %s is read again', async (format) => {
    const adapter = await Adapter.fromBytes(bytes);
    const written = await adapter.toBytes(format);
    expect(
      [...parseTensorFile(written).tensors.keys()].every((name) =>
        name.startsWith(format === 'kohya' ? 'lora_unet_' : 'transformer.'),
      ),
    ).toBe(true);
    const again = await Adapter.fromBytes(written);
    expect(Object.keys(modulesOf(again))).toEqual(Object.keys(modulesOf(adapter)));
    await Promise.all([adapter.dispose(), again.dispose()]);
  });

  it('has the metadata that was added, and the adapter stays as it was', async () => {
    const adapter = await Adapter.fromBytes(bytes);
    const { metadata } = parseTensorFile(await adapter.toBytes('diffusers', { base_fingerprint: 'abc' }));
    expect(metadata).toMatchObject({ base_fingerprint: 'abc', format: 'pt' });
    expect(metadataOf(adapter)).not.toHaveProperty('base_fingerprint');
    expect(parseTensorFile(await adapter.toBytes('diffusers')).metadata).not.toHaveProperty('base_fingerprint');
    await adapter.dispose();
  });

  it.each(['diffusers', 'kohya'] as const)('are those of the file that is saved for %s', async (format) => {
    const adapter = await Adapter.load(ADAPTER);
    await adapter.save(join(folder, 'saved.safetensors'), format);
    expect(Buffer.from(await adapter.toBytes(format))).toEqual(readFileSync(join(folder, 'saved.safetensors')));
    await adapter.dispose();
  });

  const header = bytes.readUInt32LE(0) + 8;
  const nan = Buffer.from(bytes);
  nan.writeFloatLE(NaN, bytes.length - 4);
  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['cut off in the header', bytes.subarray(0, header - 3)],
    ['cut off in the weights', bytes.subarray(0, bytes.length - 4)],
    ['a header that lies about its size', Buffer.concat([Buffer.alloc(8, 0xff), bytes.subarray(8)])],
    ['a weight that is no number', nan],
    ['a picture', Buffer.from('\x89PNG\r\n\x1a\n and so on, for longer than a header')],
    ['tensors of something else', readFileSync(join(TINY, 'optim.safetensors'))],
    ['DoRA', Buffer.from(bytes.toString('latin1').replace(/use_dora\\": false/, 'use_dora\\": true '), 'latin1')],
  ])('that are %s are refused as a file of them is', async (_, bad) => {
    const file = join(folder, 'bad.safetensors');
    writeFileSync(file, bad);
    const reason = (error: unknown) => error as EngineError;
    const ofFile = await Adapter.load(file).then(() => undefined, reason);
    const ofBytes = await Adapter.fromBytes(bad, 'adapter ink').then(() => undefined, reason);
    expect(ofFile).toMatchObject({ name: 'EngineError' });
    expect(ofBytes).toMatchObject({
      name: 'EngineError',
      code: ofFile!.code,
      message: ofFile!.message.replaceAll(file, 'adapter ink'),
    });
    expect(ofBytes!.message).toMatch(/^adapter ink: /);
  });

  it('take no alpha from an adapter_config.json that happens to lie in the working folder', async () => {
    const plain = Buffer.from(
      bytes.toString('latin1').replace('lora_adapter_metadata', 'lora_adapter_metadatb'),
      'latin1',
    );
    writeFileSync(join(folder, 'adapter_config.json'), '{"lora_alpha": 77}');
    const before = process.cwd();
    process.chdir(folder);
    try {
      const adapter = await Adapter.fromBytes(plain, 'plain.safetensors');
      expect(Object.values(modulesOf(adapter)).map(({ alpha, rank }) => alpha / rank)).not.toContain(77 / LORA.rank);
      await adapter.dispose();
    } finally {
      process.chdir(before);
    }
  });
});
