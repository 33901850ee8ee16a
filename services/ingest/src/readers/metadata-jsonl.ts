import { BadFile } from './bad-file';
import type { Found } from './input-file';
import { cleanPath, folderOf } from './paths';

const FILE_KEYS = ['file_name', 'file', 'image', 'path'];
const CAPTION_KEYS = ['text', 'caption', 'prompt'];

/** Captions by the full name of the picture, with the line that gave each. */
export interface Metadata {
  readonly captions: Map<string, { caption: string; line: number }>;
  readonly rejected: Found[];
}

/**
 * One object a line, `{"file_name": "tom.jpg", "text": "a grey cat"}`; file names are relative to the folder the
 * metadata lies in, as in Hugging Face image folders. A line that cannot be used costs that line.
 * @param name the metadata file's own name, for reports and for the folder
 */
export function parseMetadata(text: string, name: string): Metadata {
  const captions: Metadata['captions'] = new Map();
  const rejected: Found[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      const { file, caption } = parseLine(line);
      captions.set(folderOf(name) + cleanPath(file), { caption, line: index + 1 });
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      rejected.push({ kind: 'rejected', name: `${name}:${index + 1}`, reason: error.reason });
    }
  }
  return { captions, rejected };
}

function parseLine(line: string): { file: string; caption: string } {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch {
    throw new BadFile('is not a line of JSON: write {"file_name": …, "text": …}, one picture a line');
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) throw new BadFile('is not a JSON object');
  return { file: pick(row, FILE_KEYS), caption: pick(row, CAPTION_KEYS) };
}

function pick(row: object, keys: string[]): string {
  for (const key of keys) {
    const value: unknown = (row as Record<string, unknown>)[key];
    if (typeof value === 'string') return value;
  }
  throw new BadFile(`has none of the text fields ${keys.join(', ')}`);
}
