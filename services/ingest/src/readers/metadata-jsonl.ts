import { BadFile } from './bad-file';
import { readWithin, type Found, type InputFile } from './input-file';
import type { Limits } from './limits';
import { cleanPath, folderOf } from './paths';
import { Reports } from './reports';
import { decodeChunks } from './text';

const FILE_KEYS = ['file_name', 'file', 'image', 'path'];
const CAPTION_KEYS = ['text', 'caption', 'prompt'];

/** Captions by the full name of the picture, with the line that gave each. */
export interface Metadata {
  readonly captions: Map<string, { caption: string; line: number }>;
  readonly rejected: Found[];
}

/**
 * One object a line, `{"file_name": "tom.jpg", "text": "a grey cat"}`; file names are relative to the folder the
 * metadata lies in, as in Hugging Face image folders. A line that cannot be used costs that line. The file is never
 * in memory as a whole: people hand in millions of lines, and some of them to see what happens.
 * @throws BadFile when it is no text, or too large
 */
export async function readMetadata(file: InputFile, limits: Limits): Promise<Metadata> {
  const captions: Metadata['captions'] = new Map();
  const bad = new Reports(limits.listed, file.name, 'lines that cannot be used');
  for await (const { text, line } of linesOf(decodeChunks(readWithin(file, limits.metadataBytes)), limits.lineLength)) {
    if (line > limits.metadataLines) {
      const most = limits.metadataLines.toLocaleString('en');
      const reason = `has more than ${most} lines: those after that are not read; name each picture once, or split the data set`;
      return { captions, rejected: [...bad.all(), { kind: 'rejected', name: file.name, reason }] };
    }
    if (text?.trim() === '') continue;
    // Without a brace it is bad for certain; why, is found out for those that are listed only.
    if (!bad.listing && text?.trimStart()[0] !== '{') {
      bad.add('', '');
      continue;
    }
    try {
      if (text === undefined) throw new BadFile(`is longer than ${limits.lineLength} characters`);
      const { file: named, caption } = parseLine(text);
      captions.set(folderOf(file.name) + cleanPath(named), { caption, line });
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      bad.add(`${file.name}:${line}`, error.reason);
    }
  }
  return { captions, rejected: bad.all() };
}

interface Line {
  /** From 1. */
  readonly line: number;
  /** Nothing of a line that is too long: it is passed over and never kept. */
  readonly text?: string;
}

async function* linesOf(texts: AsyncIterable<string>, longest: number): AsyncGenerator<Line> {
  let line = 0;
  let rest: string | undefined = '';
  for await (const text of texts) {
    for (let from = 0; from < text.length;) {
      const newline = text.indexOf('\n', from);
      const to = newline < 0 ? text.length : newline;
      rest = rest === undefined || rest.length + to - from > longest ? undefined : rest + text.slice(from, to);
      if (newline < 0) break;
      yield { line: (line += 1), text: rest };
      rest = '';
      from = newline + 1;
    }
  }
  if (rest !== '') yield { line: line + 1, text: rest };
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
