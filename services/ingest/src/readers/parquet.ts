import { open, type FileHandle } from 'node:fs/promises';
import type { AsyncBuffer, ColumnMetaData, Compressors, FileMetaData, RowGroup, SchemaTree } from 'hyparquet' with {
  'resolution-mode': 'import',
};
import { asBadFile, BadFile, blameFile } from './bad-file';
import { formatBytes } from './format-bytes';
import type { InHand } from './in-hand';
import type { Found } from './input-file';
import type { Limits } from './limits';
import { baseOf, printable } from './paths';
import { decodeText } from './text';

const IMAGE_NAMES = ['image', 'img', 'picture', 'jpg', 'png', 'webp'];
const TEXT_NAMES = ['text', 'caption', 'captions', 'prompt', 'txt', 'description'];

/** hyparquet is published as ES modules only, which CommonJS loads on demand. */
const libraries = async () => ({ ...(await import('hyparquet')), ...(await import('hyparquet-compressors')) });

interface Columns {
  readonly image: string;
  readonly text?: string;
}

/**
 * Rows of a parquet file as Hugging Face datasets write them: an image column that is `{bytes, path}` or plain
 * bytes, and a text column. One row group is in memory at a time. Row `n` is named `<file>#00000n`, and a row that
 * cannot be used is reported under that name.
 * @param path where the file lies on disk
 * @throws BadFile when it is not parquet or has no image column
 */
export async function* readParquet(path: string, name: string, limits: Limits, inHand: InHand): AsyncGenerator<Found> {
  const { parquetMetadataAsync, parquetSchema } = await libraries();
  const handle = await open(path);
  try {
    const file = randomAccess(handle, (await handle.stat()).size);
    const { metadata, schema, columns } = await inHand.over(name, async () => {
      const metadata = await blameFile(
        'is not a parquet file that can be read',
        'Write it again, or copy it again if it was cut short',
        () => parquetMetadataAsync(file),
      );
      const schema = parquetSchema(metadata);
      return { metadata, schema, columns: pickColumns(schema.children) };
    });
    const parquet = { file, metadata, schema, columns, name, limits };
    let first = 0;
    for (const group of metadata.row_groups) {
      yield* readGroup(parquet, group, first, inHand);
      first += Number(group.num_rows);
    }
  } finally {
    await handle.close();
  }
}

interface ParquetFile {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly schema: SchemaTree;
  readonly columns: Columns;
  readonly name: string;
  readonly limits: Limits;
}

/** The file as hyparquet reads it: byte ranges on demand. Offsets come from the file's footer and may lie. */
function randomAccess(handle: FileHandle, byteLength: number): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      if (start < 0 || end > byteLength || start > end)
        throw new BadFile(`points to bytes ${start} to ${end} of a file of ${byteLength}`);
      const bytes = new ArrayBuffer(end - start);
      const { bytesRead } = await handle.read(new Uint8Array(bytes), 0, end - start, start);
      if (bytesRead !== end - start) throw new BadFile('ends too early');
      return bytes;
    },
  };
}

async function* readGroup(parquet: ParquetFile, group: RowGroup, first: number, inHand: InHand): AsyncGenerator<Found> {
  const { columns, name, limits } = parquet;
  const where = `rows ${first} to ${first + Number(group.num_rows) - 1}`;
  let rows: Record<string, unknown>[];
  try {
    rows = await inHand.over(`${name} ${where}`, () => rowsOf(parquet, group, first));
  } catch (error) {
    yield { kind: 'rejected', name, reason: `${where}: ${asBadFile('cannot be read', error).reason}` };
    return;
  }
  for (const [index, row] of rows.entries()) yield rowOf(row, columns, rowName(name, first + index), limits);
}

async function rowsOf(
  { file, metadata, schema, columns, limits }: ParquetFile,
  group: RowGroup,
  first: number,
): Promise<Record<string, unknown>[]> {
  const { parquetReadObjects, compressors } = await libraries();
  refuseLargeGroup(group, columns, limits);
  refuseUnknownColumns(group, columns, schema);
  return parquetReadObjects({
    file,
    metadata,
    rowStart: first,
    rowEnd: first + Number(group.num_rows),
    utf8: false,
    compressors: boundedCompressors(compressors, limits.rowGroupBytes),
    columns: columns.text === undefined ? [columns.image] : [columns.image, columns.text],
  });
}

function rowOf(row: Record<string, unknown>, columns: Columns, name: string, limits: Limits): Found {
  try {
    const { bytes, path } = imageOf(row[columns.image]);
    if (bytes.length > limits.pictureBytes) {
      throw new BadFile(`is ${formatBytes(bytes.length)}; a picture may have ${formatBytes(limits.pictureBytes)}`);
    }
    const shown = path === undefined ? name : `${name} ${printable(baseOf(path))}`;
    const caption = columns.text === undefined ? undefined : captionOf(row[columns.text]);
    // A copy: the view would keep the whole row group alive for as long as one picture is.
    return { kind: 'picture', name: shown, load: () => Promise.resolve({ bytes: Buffer.from(bytes), caption }) };
  } catch (error) {
    return { kind: 'rejected', name, reason: asBadFile('cannot be read', error).reason };
  }
}

function rowName(file: string, row: number): string {
  return `${file}#${String(row).padStart(6, '0')}`;
}

function imageOf(value: unknown): { bytes: Uint8Array; path?: string } {
  if (value instanceof Uint8Array) return { bytes: value };
  const { bytes, path } = (value ?? {}) as { bytes?: unknown; path?: unknown };
  const shownPath = path instanceof Uint8Array ? decodeText(path) : typeof path === 'string' ? path : undefined;
  if (bytes instanceof Uint8Array) return { bytes, path: shownPath };
  if (shownPath !== undefined)
    throw new BadFile(`only points to a picture (${printable(shownPath)}); its bytes have to be in the parquet file`);
  throw new BadFile('holds no picture');
}

function captionOf(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return captionOf(value[0]);
  const text = value instanceof Uint8Array ? decodeText(value) : typeof value === 'string' ? value : undefined;
  if (text === undefined) throw new BadFile('has a caption that is not text');
  return text;
}

/** The image column by its shape (`{bytes, path}`) or name, the text column by its name, else the only text there is. */
function pickColumns(nodes: SchemaTree[]): Columns {
  const names = nodes.map((node) => node.element.name).join(', ');
  const named = (wanted: string[], fits: (node: SchemaTree) => boolean) => {
    for (const name of wanted) {
      const node = nodes.find((candidate) => candidate.element.name.toLowerCase() === name && fits(candidate));
      if (node) return node;
    }
    return undefined;
  };
  const image = named(IMAGE_NAMES, (node) => isImageStruct(node) || isBinary(node)) ?? nodes.find(isImageStruct);
  if (!image) throw new BadFile(`has no image column ({bytes, path} or binary) among its columns: ${names}`);
  const texts = nodes.filter((node) => node !== image && isText(node));
  const text =
    named(TEXT_NAMES, (node) => node !== image && (isText(node) || isBinary(node) || isList(node))) ??
    (texts.length === 1 ? texts[0] : undefined);
  return { image: image.element.name, text: text?.element.name };
}

function isImageStruct(node: SchemaTree): boolean {
  return node.children.some((child) => child.element.name === 'bytes' && child.element.type === 'BYTE_ARRAY');
}

function isBinary(node: SchemaTree): boolean {
  return node.element.type === 'BYTE_ARRAY' && !isText(node);
}

function isText(node: SchemaTree): boolean {
  const { type, converted_type: converted, logical_type: logical } = node.element;
  return type === 'BYTE_ARRAY' && (converted === 'UTF8' || logical?.type === 'STRING');
}

function isList(node: SchemaTree): boolean {
  return node.element.converted_type === 'LIST' || node.element.logical_type?.type === 'LIST';
}

function chunksOf(group: RowGroup, { image, text }: Columns): ColumnMetaData[] {
  return group.columns.flatMap(({ meta_data: chunk }) =>
    chunk && (chunk.path_in_schema[0] === image || chunk.path_in_schema[0] === text) ? [chunk] : [],
  );
}

function refuseLargeGroup(group: RowGroup, columns: Columns, { rowGroupBytes, files }: Limits): void {
  let bytes = 0;
  for (const chunk of chunksOf(group, columns))
    bytes += Number(chunk.total_compressed_size) + Number(chunk.total_uncompressed_size);
  if (bytes > rowGroupBytes) {
    throw new BadFile(
      `the row group takes ${formatBytes(bytes)} and ${formatBytes(rowGroupBytes)} are allowed: write the file with smaller row groups`,
    );
  }
  if (Number(group.num_rows) > files)
    throw new BadFile(`the row group claims ${group.num_rows} rows and ${files} are allowed`);
}

/** hyparquet would notice as well, with the columns before it being read and nobody left to hear that they fail. */
function refuseUnknownColumns(group: RowGroup, columns: Columns, schema: SchemaTree): void {
  for (const { path_in_schema: path } of chunksOf(group, columns)) {
    let node: SchemaTree | undefined = schema;
    for (const part of path) node = node?.children.find(({ element }) => element.name === part);
    if (!node) throw new BadFile(`has a column ${printable(path.join('.'))} that its schema does not know`);
  }
}

/** The sizes in page headers are claims of the file: none may allocate more than a row group may have. */
function boundedCompressors(all: Compressors, limit: number): Compressors {
  return Object.fromEntries(
    Object.entries(all).map(([codec, unpack]) => [
      codec,
      (input: Uint8Array, outputLength: number) => {
        if (outputLength > limit) throw new BadFile(`a page claims to unpack to ${formatBytes(outputLength)}`);
        return unpack(input, outputLength);
      },
    ]),
  );
}
