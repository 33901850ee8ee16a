import { BadFile } from './bad-file';
import { fileKind } from './file-kind';
import { byName, readWhole, type Found, type InputFile } from './input-file';
import type { Limits } from './limits';
import { parseMetadata, type Metadata } from './metadata-jsonl';
import { stemOf } from './paths';
import { decodeText } from './text';

/**
 * Pictures of a (nested) folder in the order of their names, each with its caption: from the metadata.jsonl of
 * its folder, else from the `.txt` file of the same stem beside it. One picture is in memory at a time.
 * @param files pictures, captions and metadata files; other kinds are not looked at
 */
export async function* readFolder(files: readonly InputFile[], limits: Limits): AsyncGenerator<Found> {
  const pictures = files.filter((file) => fileKind(file.name) === 'picture').sort(byName);
  const metadata = await readMetadata(files, limits);
  yield* metadata.rejected;
  const names = new Set(pictures.map((picture) => picture.name));
  for (const [name, { line }] of metadata.captions) {
    if (!names.has(name)) yield { kind: 'rejected', name, reason: `is named in line ${line} of metadata.jsonl but is not there` };
  }
  const captions = new Map(files.filter((file) => fileKind(file.name) === 'caption').map((file) => [stemOf(file.name), file]));
  const stems = new Set(pictures.map((picture) => stemOf(picture.name)));
  for (const [stem, file] of captions) {
    if (!stems.has(stem)) yield { kind: 'rejected', name: file.name, reason: 'is a caption with no picture of that name beside it' };
  }
  for (const picture of pictures) {
    yield await readPicture(picture, metadata.captions.get(picture.name)?.caption, captions.get(stemOf(picture.name)), limits);
  }
}

async function readPicture(picture: InputFile, caption: string | undefined, beside: InputFile | undefined, limits: Limits): Promise<Found> {
  try {
    const text = caption ?? (beside && (await readCaption(beside, limits.captionBytes)));
    return { kind: 'picture', name: picture.name, caption: text, bytes: await readWhole(picture, limits.pictureBytes) };
  } catch (error) {
    if (!(error instanceof BadFile)) throw error;
    return { kind: 'rejected', name: picture.name, reason: error.reason };
  }
}

async function readCaption(file: InputFile, limit: number): Promise<string> {
  try {
    return decodeText(await readWhole(file, limit));
  } catch (error) {
    throw error instanceof BadFile ? new BadFile(`its caption ${file.name} ${error.reason}`) : error;
  }
}

async function readMetadata(files: readonly InputFile[], limits: Limits): Promise<Metadata> {
  const all: Metadata = { captions: new Map(), rejected: [] };
  for (const file of files.filter((candidate) => fileKind(candidate.name) === 'metadata').sort(byName)) {
    try {
      const { captions, rejected } = parseMetadata(decodeText(await readWhole(file, limits.metadataBytes)), file.name);
      for (const [name, caption] of captions) all.captions.set(name, caption);
      all.rejected.push(...rejected);
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      all.rejected.push({ kind: 'rejected', name: file.name, reason: error.reason });
    }
  }
  return all;
}
