import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTensorFile } from '@atelier/checkpoint';
import { Adapter, adapterFromBytes, adapterToBytes } from '../src';
import { ADAPTER } from './tiny';

describe('an adapter as bytes', () => {
  const [bytes, temporary] = [readFileSync(ADAPTER), process.env['TMPDIR']];
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'adapter-bytes-'));
    process.env['TMPDIR'] = folder;
  });
  afterEach(() => {
    if (temporary === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = temporary;
    expect(readdirSync(folder)).toEqual([]);
    rmSync(folder, { recursive: true });
  });

  it('is the adapter of the file that has them', async () => {
    const [fromBytes, fromFile] = [await adapterFromBytes(bytes), await Adapter.load(ADAPTER)];
    expect(fromBytes.modules).toEqual(fromFile.modules);
    expect(fromBytes.metadata).toEqual(fromFile.metadata);
    await Promise.all([fromBytes.dispose(), fromFile.dispose()]);
  });

  it.each(['diffusers', 'kohya'] as const)('written for %s is read again', async (format) => {
    const adapter = await adapterFromBytes(bytes);
    const written = await adapterToBytes(adapter, format);
    expect(
      [...parseTensorFile(written).tensors.keys()].every((name) =>
        name.startsWith(format === 'kohya' ? 'lora_unet_' : 'transformer.'),
      ),
    ).toBe(true);
    const again = await adapterFromBytes(written);
    expect(Object.keys(again.modules)).toEqual(Object.keys(adapter.modules));
    await Promise.all([adapter.dispose(), again.dispose()]);
  });

  it('has the metadata that was added, and the adapter stays as it was', async () => {
    const adapter = await adapterFromBytes(bytes);
    const { metadata } = parseTensorFile(await adapterToBytes(adapter, 'diffusers', { base_fingerprint: 'abc' }));
    expect(metadata).toMatchObject({ base_fingerprint: 'abc', format: 'pt' });
    expect(adapter.metadata).not.toHaveProperty('base_fingerprint');
    expect(parseTensorFile(await adapterToBytes(adapter, 'diffusers')).metadata).not.toHaveProperty('base_fingerprint');
    await adapter.dispose();
  });

  it('that is none is refused by its label, not by a path that nobody knows', async () => {
    const error = await adapterFromBytes(bytes.subarray(0, 1000), 'adapter ink').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'EngineError', message: expect.stringMatching(/^adapter ink: /) });
    expect((error as Error).message).not.toContain(folder);
    await expect(adapterFromBytes(new Uint8Array())).rejects.toMatchObject({
      message: expect.stringMatching(/^the adapter file: /),
    });
  });
});
