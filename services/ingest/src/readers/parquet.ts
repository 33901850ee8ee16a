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
import { CAPTION_FIELDS, listed, NAME_THE_COLUMN } from './caption-fields';
import type { FolderReading } from './folder';
import { decodeText } from './text';

const IMAGE_NAMES = ['image', 'img', 'picture', 'jpg', 'png', 'webp'];
/** Texts that are about the file and not about the picture. */
const ABOUT_THE_FILE =
  /^(_*)(id|uid|uuid|key|hash|md5|sha\d*|phash|url|uri|link|src|source|split|licen[cs]e|author|artist|user|mime_?type|format|file_?(name|path)?|image_?(id|url|path|name|file|hash)|path|name)$/i;

/** hyparquet is published as ES modules only, which CommonJS loads on demand. */
const libraries = async () => ({ ...(await import('hyparquet')), ...(await import('hyparquet-compressors')) });

interface Columns {
  readonly image: string;
  readonly text?: string;
  /** What a person should know of that choice. */
  readonly note?: string;
  /** Why there is no text column. */
  readonly missing?: string;
}

/**
 * Rows of a parquet file as Hugging Face datasets write them: an image column that is `{bytes, path}` or plain
 * bytes, and a text column. One row group is in memory at a time. Row `n` is named `<file>#00000n`, and a row that
 * cannot be used is reported under that name.
 * @param path where the file lies on disk
 * @throws BadFile when it is not parquet or has no image column
 */
export async function* readParquet(path: string, name: string, reading: FolderReading): AsyncGenerator<Found> {
  const { limits, inHand, column } = reading;
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
      return { metadata, schema, columns: pickColumns(schema.children, column) };
    });
    const { note, missing } = columns;
    if (missing !== undefined && !reading.captionless) {
      yield { kind: 'rejected', name, reason: missing, pictures: Number(metadata.num_rows) };
      return;
    }
    const told = note ?? (missing && `${missing}; its pictures get the trigger phrase alone`);
    if (told !== undefined) yield { kind: 'note', name, text: told };
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
    const reason = `${where}: ${asBadFile('cannot be read', error).reason}`;
    yield { kind: 'rejected', name, reason, pictures: Number(group.num_rows) };
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
    const captions = columns.text === undefined ? [] : captionsOf(row[columns.text]);
    // A copy: the view would keep the whole row group alive for as long as one picture is.
    const load = () => Promise.resolve({ bytes: Buffer.from(bytes), captions, notes: [] });
    return { kind: 'picture', name: shown, repeats: 1, load };
  } catch (error) {
    return { kind: 'rejected', name, reason: asBadFile('cannot be read', error).reason, pictures: 1 };
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

function captionsOf(value: unknown): string[] {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.flatMap(captionsOf);
  const text = value instanceof Uint8Array ? decodeText(value) : typeof value === 'string' ? value : undefined;
  if (text === undefined) throw new BadFile('has a caption that is not text');
  return [text];
}

/**
 * The image column by its shape (`{bytes, path}`) or name; the text column as it was named, by its usual names, or the
 * only text there is. Of several texts none is guessed.
 */
function pickColumns(nodes: SchemaTree[], column: string): Columns {
  const named = (wanted: string[], fits: (node: SchemaTree) => boolean) => {
    for (const name of wanted) {
      const node = nodes.find((candidate) => candidate.element.name.toLowerCase() === name && fits(candidate));
      if (node) return node;
    }
    return undefined;
  };
  const image = named(IMAGE_NAMES, (node) => isImageStruct(node) || isBinary(node)) ?? nodes.find(isImageStruct);
  const names = nodes.map((node) => node.element.name);
  if (!image) throw new BadFile(`has no image column ({bytes, path} or binary) among its columns: ${listed(names)}`);
  const others = nodes.filter((node) => node !== image);
  const columns = { image: image.element.name };
  const ofNames = () => listed(others.map((node) => node.element.name));
  if (column !== '') {
    const text = others.find((node) => node.element.name === column);
    if (!text) throw new BadFile(`has no column ${printable(column)} for captions; it has: ${ofNames()}`);
    return { ...columns, text: column };
  }
  const usual = named(CAPTION_FIELDS, (node) => node !== image && (isText(node) || isBinary(node) || isList(node)));
  if (usual) return { ...columns, text: usual.element.name };
  const texts = others.filter(isText);
  const [only] = texts;
  if (only && texts.length === 1 && !ABOUT_THE_FILE.test(only.element.name)) {
    const text = only.element.name;
    return { ...columns, text, note: `has its captions in the column ${printable(text)}, the only one with texts` };
  }
  const which = texts.length < 2 ? 'has no column with captions that is known' : 'has several columns with texts';
  return { ...columns, missing: `${which}; beside the picture it has: ${ofNames()}. To use one, ${NAME_THE_COLUMN}` };
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
        // A page without values is packed as nothing, which is no stream of the codec.
        return outputLength === 0 ? new Uint8Array() : unpack(input, outputLength);
      },
    ]),
  );
}
