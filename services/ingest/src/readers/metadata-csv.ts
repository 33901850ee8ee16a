import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { BadFile } from './bad-file';
import type { Row } from './lines';

/**
 * The rows of a table as pandas' read_csv, and so Hugging Face's imagefolder, reads it: the first line has the names of
 * the columns, a cell in quotes may hold commas, line breaks and doubled quotes. Semicolons and tabs, which spreadsheets
 * write in some countries, are taken where the first line has them and no comma.
 * @throws BadFile where the table itself cannot be read
 */
export async function* tableRows(texts: AsyncIterable<string>, longest: number): AsyncGenerator<Row> {
  const { first, all } = await firstLine(texts, longest);
  const source = Readable.from(all);
  const parser = parse({
    bom: true,
    delimiter: [',', ';', '\t'].find((delimiter) => first.includes(delimiter)) ?? ',',
    max_record_size: longest,
    // All of them, for files that were put together of several: by itself it takes the first line's for all lines'.
    record_delimiter: ['\r\n', '\n', '\r'],
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    info: true,
  });
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let header: string[] | undefined;
  try {
    for await (const each of parser) {
      const { record, info } = each as { record: string[]; info: { lines: number } };
      if (header === undefined) header = record.map((name) => name.trim());
      else yield rowOf(header, record, info.lines);
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const where = typeof error.lines === 'number' ? ` (line ${error.lines})` : '';
    throw new BadFile(`cannot be read as a table${where}: ${error.message}. Put texts with commas in "double quotes"`);
  } finally {
    source.destroy();
  }
}

/** The line that names the columns, and all of the text. */
async function firstLine(
  texts: AsyncIterable<string>,
  longest: number,
): Promise<{ first: string; all: AsyncIterable<string> }> {
  const rest = texts[Symbol.asyncIterator]();
  let head = '';
  while (!/[^\r\n][\r\n]/.test(head) && head.length < longest) {
    const next = await rest.next();
    if (next.done) break;
    head += next.value;
  }
  const [first = ''] = head.trimStart().split(/[\r\n]/, 1);
  return {
    first,
    all: (async function* () {
      yield head;
      for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
    })(),
  };
}

function rowOf(header: readonly string[], record: readonly string[], line: number): Row {
  return {
    line,
    hopeless: record.length !== header.length,
    fields: () => {
      if (record.length !== header.length) {
        const remedy = 'put texts with commas in "double quotes"';
        throw new BadFile(`has ${record.length} cells where the first line names ${header.length} columns: ${remedy}`);
      }
      // An empty cell is one without a value, as pandas has it.
      const cells = header.map((name, column) => [name, record[column] === '' ? null : record[column]] as const);
      return Object.fromEntries(cells);
    },
  };
}
