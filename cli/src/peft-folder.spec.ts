import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPeftAdapter } from './peft-folder';

describe('readPeftAdapter', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'peft-folder-'));
    mkdirSync(join(root, 'ink'));
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const put = (...names: string[]) => names.forEach((name) => writeFileSync(join(root, 'ink', name), name));
  const read = (name = '') => readPeftAdapter(join(root, 'ink', name));
  const text = (source: { content: Uint8Array }) => Buffer.from(source.content).toString();

  test("peft's folder, and its file: with the settings, named after the folder", async () => {
    put('adapter_model.safetensors', 'adapter_config.json', 'optimizer.safetensors', 'README.md');
    for (const source of [await read(), await read('adapter_model.safetensors')]) {
      expect(source).toMatchObject({ label: 'ink', config: 'adapter_config.json' });
      expect(text(source)).toBe('adapter_model.safetensors');
    }
    expect(await read('optimizer.safetensors')).not.toHaveProperty('config');
  });

  test('one file of another name: its folder is taken, the settings are its own', async () => {
    put('lora.safetensors', 'adapter_config.json');
    expect(text(await read())).toBe('lora.safetensors');
    expect(await read('lora.safetensors')).toMatchObject({ label: 'lora', config: 'adapter_config.json' });
  });

  test('a folder with none or with several is refused with what is there', async () => {
    await expect(read()).rejects.toThrow(/holds no \.safetensors file where one adapter is needed/);
    put('a.safetensors', 'b.safetensors');
    await expect(read()).rejects.toThrow(/holds 2 \.safetensors files/);
    await expect(read('nowhere')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
