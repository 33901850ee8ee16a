import { BadFile } from './bad-file';
import { captionsIn } from './caption-fields';
import { readWithin, type Found, type InputFile } from './input-file';
import { linesOf, type Row } from './lines';
import type { Limits } from './limits';
import { tableRows } from './metadata-csv';
import { cleanPath, folderOf } from './paths';
import { Reports } from './reports';
import { decodeChunks, encodingOf } from './text';

const FILE_KEYS = ['file_name', 'file', 'image', 'path', 'filename', 'image_file_name'];

/** Captions by the full name of the picture, with the list and its line that gave them. */
export interface Metadata {
  readonly captions: Map<string, { captions: string[]; line: number; list: string }>;
  readonly reports: Found[];
}

/**
 * A metadata.jsonl, one object a line, `{"file_name": "tom.jpg", "text": "a grey cat"}`, or a metadata.csv with such
 * columns; file names are relative to the folder it lies in, as in Hugging Face image folders. A row that cannot be
 * used costs that row. The file is never in memory as a whole: people hand in millions of lines, and some of them to
 * see what happens.
 * @param column the field that holds the captions, where a person named one
 * @throws BadFile when it is no text, or too large
 */
export async function readMetadata(file: InputFile, limits: Limits, column: string): Promise<Metadata> {
  const captions: Metadata['captions'] = new Map();
  const bad = new Reports(limits.listed, file.name, 'lines that cannot be used');
  const { encoding, note } = await encodingOf(file, limits.metadataBytes);
  const notes: Found[] = note === undefined ? [] : [{ kind: 'note', name: file.name, text: note }];
  const text = decodeChunks(readWithin(file, limits.metadataBytes), encoding);
  const rows = /\.csv$/i.test(file.name) ? tableRows(text, limits.lineLength) : jsonRows(text, limits);
  for await (const row of rows) {
    const { line } = row;
    if (line > limits.metadataLines) {
      const most = limits.metadataLines.toLocaleString('en');
      const reason = `has more than ${most} lines: those after that are not read; name each picture once, or split the data set`;
      return { captions, reports: [...notes, ...bad.all(), { kind: 'rejected', name: file.name, reason }] };
    }
    if (!bad.listing && row.hopeless) {
      bad.add('', '');
      continue;
    }
    try {
      const fields = row.fields();
      const name = folderOf(file.name) + cleanPath(fileIn(fields));
      // A picture that is named in several lines has the captions of all of them.
      const known = captions.get(name);
      const given = captionsIn(fields, column);
      if (known) {
        // Not copied: a hostile list names one picture in all of its lines.
        for (const caption of given) known.captions.push(caption);
        known.line = line;
      } else captions.set(name, { captions: [...given], line, list: file.name });
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      bad.add(`${file.name}:${line}`, error.reason);
    }
  }
  return { captions, reports: [...notes, ...bad.all()] };
}

async function* jsonRows(texts: AsyncIterable<string>, limits: Limits): AsyncGenerator<Row> {
  const { lineLength: longest, metadataLines: most } = limits;
  for await (const { text, line } of linesOf(texts, longest)) {
    // Beyond the limit an empty line is a row as well: whoever reads is to see that there is no end of them.
    if (text?.trim() === '' && line <= most) continue;
    yield {
      line,
      hopeless: text?.trimStart()[0] !== '{',
      fields: () => {
        if (text === undefined) throw new BadFile(`is longer than ${longest} characters`);
        return parseLine(text);
      },
    };
  }
}

function parseLine(line: string): object {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch {
    throw new BadFile('is not a line of JSON: write {"file_name": …, "text": …}, one picture a line');
  }
  if (typeof row !== 'object' || row === null || Array.isArray(row)) throw new BadFile('is not a JSON object');
  return row;
}

function fileIn(row: object): string {
  for (const key of FILE_KEYS) {
    const value: unknown = (row as Record<string, unknown>)[key];
    if (typeof value === 'string' && value !== '') return value;
  }
  throw new BadFile(`has none of the fields ${FILE_KEYS.join(', ')} to say which picture it is about`);
}
