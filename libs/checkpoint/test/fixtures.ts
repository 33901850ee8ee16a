import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const GOLDENS = join(__dirname, '../../../native/test/goldens/tiny-dev');
export const MODEL = join(GOLDENS, 'model');

/** A folder that disappears when the test file ends. */
export function scratchFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'atelier-checkpoint-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

let copies = 0;
/** A copy of the small checkpoint that a test may break. */
export function copyOfModel(scratch: string): string {
  const dir = join(scratch, `model-${copies++}`);
  cpSync(MODEL, dir, { recursive: true });
  return dir;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the edits damage JSON of any shape
export function editJson(file: string, edit: (json: Record<string, any>) => void): void {
  const json = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  edit(json);
  writeFileSync(file, JSON.stringify(json));
}
