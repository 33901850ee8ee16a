import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataFolder } from './data-folder';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('skipped: a data folder on a read-only file system; mounting one needs root\n');

describe('a data folder', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-data-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const create = (path = folder): void => new DataFolder(path).create();

  test('is made whole, and a second time as well; nothing of the trial stays', () => {
    create(join(folder, 'new'));
    create(join(folder, 'new'));
    expect(existsSync(join(folder, 'new', 'logs'))).toBe(true);
    expect(existsSync(join(folder, 'new', 'nats', 'trial'))).toBe(false);
  });

  test('under a file is refused by name, reason and remedy', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => create(join(folder, 'file', 'data'))).toThrow(
      new RegExp(
        `^the data folder ${folder}/file/data cannot be used: a part of that path is a file\\. Take it away, or choose another folder with --data`,
      ),
    );
  });

  test('of another user is refused by name, reason and remedy', () => {
    chmodSync(folder, 0o555);
    if (isRoot) process.seteuid!(NOBODY);
    try {
      expect(() => create()).toThrow(
        /cannot be used: user \S+ may not write there\. Make it that user's \(chown\), or choose another folder/,
      );
    } finally {
      if (isRoot) process.seteuid!(0);
      chmodSync(folder, 0o755);
    }
  });

  (isRoot ? test : test.skip)('that is read-only, or full, is refused by name, reason and remedy', () => {
    const mount = (options: string): Buffer => execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
    for (const [options, reason] of [
      ['ro', /its file system is read-only\. Mount it for writing/],
      ['size=4k,nr_inodes=2', /its disk is full\. Free space there/],
    ] as const) {
      mount(options);
      try {
        expect(() => create()).toThrow(reason);
      } finally {
        execFileSync('umount', [folder]);
      }
    }
  });
});
