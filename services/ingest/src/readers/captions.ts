import { BadFile } from './bad-file';
import { captionsIn } from './caption-fields';
import { detectEncoding, isUtf8, markedEncoding } from './charset';
import { fileKind } from './file-kind';
import type { InHand } from './in-hand';
import { readWhole, type Found, type InputFile } from './input-file';
import type { Limits } from './limits';
import { baseOf, folderOf, stemOf } from './paths';
import { readText } from './text';

/** What came with a picture, as it was written. */
export interface GivenCaptions {
  readonly captions: readonly string[];
  /** What a person should know of how they were read. */
  readonly notes: readonly string[];
}

/** Caption files are kept from the first look to the picture's turn up to this much of all of them; the others are read twice. */
const KEPT_BYTES = 32 * 2 ** 20;
/** How many captions are looked at to find their encoding. */
const EVIDENCE_BYTES = 64 * 1024;

/** In this order the first that is there counts. */
const ENDINGS = ['.txt', '.caption', '.json', '.cls'];

/**
 * The caption files of a folder, by the picture that each is about. Those that are not UTF-8 are in one encoding most
 * likely, which the detector finds the better the more it sees: so all are looked at before the first is taken.
 */
export class CaptionFiles {
  private readonly kept = new Map<string, Buffer>();
  private likely?: string;

  private constructor(
    private readonly byPicture: ReadonlyMap<string, InputFile>,
    private readonly limits: Limits,
    private readonly column: string,
  ) {}

  /** @param pictures their names. @param column of .json files: the key that holds the caption */
  static async look(
    files: readonly InputFile[],
    pictures: readonly InputFile[],
    { limits, column, inHand }: { limits: Limits; column: string; inHand: InHand },
  ): Promise<CaptionFiles> {
    const byName = new Map(files.filter(({ name }) => fileKind(name) === 'caption').map((file) => [file.name, file]));
    const byPicture = new Map<string, InputFile>();
    const stems = new Set(pictures.map(({ name }) => stemOf(name)));
    for (const { name } of pictures) {
      const beside = besideOf(name, byName, stems);
      if (beside) byPicture.set(name, beside);
    }
    const captions = new CaptionFiles(byPicture, limits, column);
    const taken = new Set(byPicture.values());
    if (taken.size > 0) await captions.lookAt(taken, inHand);
    return captions;
  }

  /** Caption files that are about no picture, or about one that has another. */
  *strays(files: readonly InputFile[]): Generator<Found> {
    const taken = new Set(this.byPicture.values());
    const pictures = new Map([...this.byPicture].map(([picture, file]) => [stemOf(picture), file]));
    for (const file of files) {
      const { name } = file;
      if (fileKind(name) !== 'caption' || taken.has(file)) continue;
      const other = pictures.get(stemOf(name));
      if (!other) yield { kind: 'rejected', name, reason: 'is a caption with no picture of that name beside it' };
      // Beside a caption these have other facts about the picture, as img2dataset writes them.
      else if (!/\.(json|cls)$/i.test(name))
        yield { kind: 'note', name, text: `is not used: its picture has a caption in ${baseOf(other.name)}` };
    }
  }

  /** @throws BadFile where the caption cannot be read; undefined where there is none */
  async of(picture: string): Promise<GivenCaptions | undefined> {
    const file = this.byPicture.get(picture);
    if (!file) return undefined;
    try {
      const bytes = this.kept.get(file.name) ?? (await readWhole(file, this.limits.captionBytes));
      const { text, note } = readText(bytes, this.likely);
      const captions = captionsOf(file.name, text, this.column);
      return { captions, notes: note === undefined ? [] : [`has a caption (${baseOf(file.name)}) that ${note}`] };
    } catch (error) {
      throw error instanceof BadFile ? new BadFile(`its caption ${file.name} ${error.reason}`) : error;
    }
  }

  private async lookAt(files: Iterable<InputFile>, inHand: InHand): Promise<void> {
    let room = KEPT_BYTES;
    const evidence: Buffer[] = [];
    let size = 0;
    for (const file of files) {
      if (file.size > this.limits.captionBytes || file.size > room) continue;
      const bytes = await this.lookAtOne(file, inHand);
      if (!bytes) continue;
      this.kept.set(file.name, bytes);
      room -= bytes.length;
      if (size > EVIDENCE_BYTES || markedEncoding(bytes) || isUtf8(bytes)) continue;
      evidence.push(bytes, Buffer.from('\n'));
      size += bytes.length;
    }
    if (size > 0) this.likely = detectEncoding(Buffer.concat(evidence));
  }

  /** What is wrong with one is said when its picture's turn has come. */
  private async lookAtOne(file: InputFile, inHand: InHand): Promise<Buffer | undefined> {
    try {
      return await inHand.over(file.name, () => readWhole(file, this.limits.captionBytes));
    } catch (error) {
      if (error instanceof BadFile) return undefined;
      throw error;
    }
  }
}

/**
 * `tom.txt` of `tom.jpg`, or `tom.jpg.txt`; else what has the same key in a WebDataset: all up to the first dot. What
 * is beside `tom.jpg` is that one's, and never `tom.2.jpg`'s.
 * @param stems of all pictures
 */
function besideOf(
  picture: string,
  byName: ReadonlyMap<string, InputFile>,
  stems: ReadonlySet<string>,
): InputFile | undefined {
  const [key = ''] = baseOf(picture).split('.', 1);
  const shared = folderOf(picture) + key;
  return (
    captionOf([stemOf(picture), picture], byName) ??
    (key === '' || stems.has(shared) ? undefined : captionOf([shared], byName))
  );
}

function captionOf(stems: readonly string[], byName: ReadonlyMap<string, InputFile>): InputFile | undefined {
  for (const ending of ENDINGS)
    for (const stem of stems) {
      const file = byName.get(stem + ending) ?? byName.get(stem + ending.toUpperCase());
      if (file) return file;
    }
  return undefined;
}

function captionsOf(file: string, text: string, column: string): string[] {
  if (/\.json$/i.test(file)) return captionsIn(parseObject(text), column);
  if (/\.cls$/i.test(file) && /^\s*\d+\s*$/.test(text))
    throw new BadFile('holds the number of a class only, which is no caption: write its words into a .txt file');
  return [text];
}

function parseObject(text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw new BadFile('is not JSON: write {"caption": "…"}');
  }
  if (typeof value === 'string') return { text: value };
  if (Array.isArray(value)) return { captions: value };
  if (typeof value !== 'object' || value === null) throw new BadFile('is not a JSON object: write {"caption": "…"}');
  return value;
}
