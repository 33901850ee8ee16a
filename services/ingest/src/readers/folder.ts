import { BadFile } from './bad-file';
import { CaptionFiles, type GivenCaptions } from './captions';
import { fileKind, isPicture } from './file-kind';
import type { InHand } from './in-hand';
import { byName, readWhole, type Found, type FoundPicture, type InputFile } from './input-file';
import type { Limits } from './limits';
import { readMetadata, type Metadata } from './metadata';
import { repeatedFolders, repeatsOf } from './repeats';
import { Reports } from './reports';

/** How a folder is read. */
export interface FolderReading {
  readonly limits: Limits;
  readonly inHand: InHand;
  /** The field that holds the captions, where a person named one; else empty. */
  readonly column: string;
  /** Pictures without a caption can be used: there is a trigger phrase. */
  readonly captionless: boolean;
}

/**
 * Pictures of a (nested) folder in the order of their names, each with its captions: from the metadata.jsonl or
 * metadata.csv of its folder, else from the file of its name beside it, else the class that its folder is named after.
 * A picture is read when it is asked for.
 * @param files pictures, captions and metadata files; other kinds are not looked at
 */
export async function* readFolder(files: readonly InputFile[], reading: FolderReading): AsyncGenerator<Found> {
  const pictures = files.filter((file) => isPicture(file.name)).sort(byName);
  const metadata = await allMetadata(files, reading);
  yield* metadata.reports;
  const names = new Set(pictures.map((picture) => picture.name));
  const missing = new Reports(reading.limits.listed, 'metadata', 'pictures that it names and that are not there');
  for (const [name, { line, list }] of metadata.captions) {
    if (!names.has(name)) missing.add(name, `is named in line ${line} of ${list} but is not there`);
  }
  yield* missing.all();
  const captions = await CaptionFiles.look(files, pictures, reading);
  yield* captions.strays(files);
  for (const { name, text } of repeatedFolders(pictures)) yield { kind: 'note', name, text };
  for (const picture of pictures)
    yield pictureOf(picture, metadata.captions.get(picture.name)?.captions, captions, reading.limits);
}

function pictureOf(
  picture: InputFile,
  listed: readonly string[] | undefined,
  files: CaptionFiles,
  limits: Limits,
): FoundPicture {
  const repeats = repeatsOf(picture.name);
  return {
    kind: 'picture',
    name: picture.name,
    repeats: repeats?.times ?? 1,
    load: async () => {
      const given = await givenCaptions(picture.name, listed, files, repeats?.words);
      return { ...given, bytes: await readWhole(picture, limits.pictureBytes) };
    },
  };
}

async function givenCaptions(
  name: string,
  listed: readonly string[] | undefined,
  files: CaptionFiles,
  words: string | undefined,
): Promise<GivenCaptions> {
  if (listed) return { captions: listed, notes: [] };
  const beside = await files.of(name);
  if (beside) return beside;
  return { captions: words === undefined ? [] : [words], notes: [] };
}

async function allMetadata(files: readonly InputFile[], { limits, inHand, column }: FolderReading): Promise<Metadata> {
  const all: Metadata = { captions: new Map(), reports: [] };
  for (const file of files.filter((candidate) => fileKind(candidate.name) === 'metadata').sort(byName)) {
    try {
      const { captions, reports } = await inHand.over(file.name, () => readMetadata(file, limits, column));
      for (const [name, caption] of captions) all.captions.set(name, caption);
      for (const report of reports) all.reports.push(report);
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      all.reports.push({ kind: 'rejected', name: file.name, reason: error.reason });
    }
  }
  return all;
}
