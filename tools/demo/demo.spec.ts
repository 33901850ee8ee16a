import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';

const ROOT = join(__dirname, '..', '..');
const TINY = 'native/test/goldens/tiny-dev/model';

jest.setTimeout(240_000);

const node = (...args: string[]): Promise<{ code: number | null; text: string }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (text += data.toString()));
    child.once('close', (code) => resolve({ code, text }));
  });

describe('the demo', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-demo-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('draws, trains, draws again, and leaves pictures, a curve and an adapter, and nothing running', async () => {
    const { code, text } = await node('tools/demo.mjs', '--model', TINY, '--out', folder);
    expect(text).toMatch(/training: 60\/60[^]*everything is stopped, after /);
    expect(code).toBe(0);
    expect(readdirSync(folder).sort()).toEqual([
      'after-1.png',
      'after-2.png',
      'art-nouveau.safetensors',
      'before-1.png',
      'before-2.png',
      'before-after.png',
      'loss.png',
    ]);
    expect(readFileSync(join(folder, 'before-1.png')).equals(readFileSync(join(folder, 'after-1.png')))).toBe(false);
    expect(await sharp(join(folder, 'before-1.png')).metadata()).toMatchObject({ width: 96, height: 128 });
    expect(await sharp(join(folder, 'loss.png')).metadata()).toMatchObject({ width: 960, height: 480 });
    const sides = await sharp(join(folder, 'before-after.png')).metadata();
    expect(sides.width).toBeGreaterThan(2 * 288);
    expect(sides.height).toBeGreaterThan(2 * 384);
  });

  test('labels need no font of the machine', async () => {
    const script = `import { letters, wrapped } from './tools/demo/letters.mjs';
      import sharp from 'sharp';
      const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="72" height="16">' + letters('Héllo—', 0, 0) + '</svg>';
      const { data } = await sharp(Buffer.from(svg)).extractChannel(3).raw().toBuffer({ resolveWithObject: true });
      console.log(JSON.stringify({ dots: data.filter((alpha) => alpha > 127).length / 4, lines: wrapped('one two three', 90) }));`;
    const { text } = await node('--input-type=module', '-e', script);
    // Dots of the letters H, e, l, l, o, -: accents are left away, typographic signs become plain ones.
    expect(JSON.parse(text)).toEqual({ dots: 17 + 14 + 10 + 10 + 12 + 5, lines: ['one two', 'three'] });
  });
});
