import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogFile } from './log-file';

describe('a log file', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-log-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('goes on where it was, and never takes more than twice its size', () => {
    const path = join(folder, 'a.log');
    for (let start = 0; start < 3; start++) {
      const log = new LogFile(path, () => undefined, 1000);
      for (let i = 0; i < 50; i++) log.write(`start ${start}, line ${String(i).padStart(3, '0')}\n`);
      log.end();
    }
    expect(statSync(path).size + statSync(`${path}.old`).size).toBeLessThan(2100);
    expect(readFileSync(path, 'utf8')).toMatch(/start 2, line 049\n$/);
  });

  test('cannot be written: that is told once, and it goes on when it can be again', () => {
    const troubles: string[] = [];
    const place = join(folder, 'not', 'yet');
    const log = new LogFile(join(place, 'a.log'), (text) => troubles.push(text));
    log.write('lost\n');
    log.write('lost too\n');
    expect(troubles).toEqual([expect.stringMatching(/a\.log cannot be written: ENOENT/)]);
    mkdirSync(place, { recursive: true });
    log.write('kept\n');
    log.end();
    expect(readFileSync(join(place, 'a.log'), 'utf8')).toBe('kept\n');
  });
});
