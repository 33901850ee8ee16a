import { BadFile } from './bad-file';
import { fileKind } from './file-kind';
import type { InHand } from './in-hand';
import { byName, readWhole, type Found, type FoundPicture, type InputFile } from './input-file';
import type { Limits } from './limits';
import { readMetadata, type Metadata } from './metadata-jsonl';
import { stemOf } from './paths';
import { Reports } from './reports';
import { decodeText } from './text';

/**
 * Pictures of a (nested) folder in the order of their names, each with its caption: from the metadata.jsonl of
 * its folder, else from the `.txt` file of the same stem beside it. A picture is read when it is asked for.
 * @param files pictures, captions and metadata files; other kinds are not looked at
 */
export async function* readFolder(files: readonly InputFile[], limits: Limits, inHand: InHand): AsyncGenerator<Found> {
  const pictures = files.filter((file) => fileKind(file.name) === 'picture').sort(byName);
  const metadata = await allMetadata(files, limits, inHand);
  yield* metadata.rejected;
  const names = new Set(pictures.map((picture) => picture.name));
  const missing = new Reports(limits.listed, 'metadata.jsonl', 'pictures that it names and that are not there');
  for (const [name, { line }] of metadata.captions) {
    if (!names.has(name)) missing.add(name, `is named in line ${line} of metadata.jsonl but is not there`);
  }
  yield* missing.all();
  const captions = new Map(
    files.filter((file) => fileKind(file.name) === 'caption').map((file) => [stemOf(file.name), file]),
  );
  const stems = new Set(pictures.map((picture) => stemOf(picture.name)));
  for (const [stem, file] of captions) {
    if (!stems.has(stem))
      yield { kind: 'rejected', name: file.name, reason: 'is a caption with no picture of that name beside it' };
  }
  for (const picture of pictures) {
    yield pictureOf(picture, metadata.captions.get(picture.name)?.caption, captions.get(stemOf(picture.name)), limits);
  }
}

function pictureOf(
  picture: InputFile,
  caption: string | undefined,
  beside: InputFile | undefined,
  limits: Limits,
): FoundPicture {
  return {
    kind: 'picture',
    name: picture.name,
    load: async () => ({
      caption: caption ?? (beside && (await readCaption(beside, limits.captionBytes))),
      bytes: await readWhole(picture, limits.pictureBytes),
    }),
  };
}

async function readCaption(file: InputFile, limit: number): Promise<string> {
  try {
    return decodeText(await readWhole(file, limit));
  } catch (error) {
    throw error instanceof BadFile ? new BadFile(`its caption ${file.name} ${error.reason}`) : error;
  }
}

async function allMetadata(files: readonly InputFile[], limits: Limits, inHand: InHand): Promise<Metadata> {
  const all: Metadata = { captions: new Map(), rejected: [] };
  for (const file of files.filter((candidate) => fileKind(candidate.name) === 'metadata').sort(byName)) {
    try {
      const { captions, rejected } = await inHand.over(file.name, () => readMetadata(file, limits));
      for (const [name, caption] of captions) all.captions.set(name, caption);
      for (const report of rejected) all.rejected.push(report);
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      all.rejected.push({ kind: 'rejected', name: file.name, reason: error.reason });
    }
  }
  return all;
}
