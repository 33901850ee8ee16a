import { openArchive } from './archive';
import { asBadFile, BadFile } from './bad-file';
import { fileKind, isPicture } from './file-kind';
import { readFolder, type FolderReading } from './folder';
import type { InHand } from './in-hand';
import { byName, type Found, type InputFile } from './input-file';
import { UnpackBudget, type Limits } from './limits';
import { readParquet } from './parquet';
import { cleanPath, printable } from './paths';
import type { Spool } from './spool';
import type { OpenArchive } from './zip';

/**
 * Everything a person handed in, whatever its form, as one stream of pictures with captions and of reports on
 * what cannot be used. The order depends on names alone: archives are opened first, then loose and archived
 * pictures come as one folder, then parquet files row by row.
 */
export class DatasetReader {
  private readonly budget: UnpackBudget;
  private readonly archives: OpenArchive[] = [];

  constructor(
    private readonly spool: Spool,
    private readonly limits: Limits,
    private readonly inHand: InHand,
    private readonly wanted: Pick<FolderReading, 'column' | 'captionless'> = { column: '', captionless: false },
  ) {
    this.budget = new UnpackBudget(limits);
  }

  async *read(uploaded: readonly InputFile[]): AsyncGenerator<Found> {
    const { files, reports } = await this.layOpen(uploaded);
    yield* reports;
    const reading = { ...this.wanted, limits: this.limits, inHand: this.inHand };
    yield* readFolder(files, reading);
    for (const file of files.filter((candidate) => fileKind(candidate.name) === 'parquet').sort(byName)) {
      yield* this.readParquetFile(file, reading);
    }
  }

  /** When the last picture has been loaded, which is after the last was found. */
  close(): void {
    for (const archive of this.archives.splice(0)) archive.close();
  }

  /** All files under clean names, archives replaced by what they hold. */
  private async layOpen(uploaded: readonly InputFile[]): Promise<{ files: InputFile[]; reports: Found[] }> {
    const files = new Map<string, InputFile>();
    const reports: Found[] = [];
    const reject = (name: string, reason: string) =>
      reports.push({ kind: 'rejected', name: printable(name), reason, pictures: isPicture(name) ? 1 : 0 });
    const keep = (file: InputFile) => {
      const kind = fileKind(file.name);
      if (kind === 'ignored') return;
      if (files.has(file.name)) reject(file.name, 'is there twice under this name; the first is kept');
      else if (kind === 'unknown') reject(file.name, whyNotRead(file.name));
      else files.set(file.name, file);
    };
    for (const file of [...uploaded].sort(byName)) {
      try {
        this.budget.takeFile();
        const clean: InputFile = { ...file, name: cleanPath(file.name) };
        const archive = fileKind(clean.name) === 'archive' ? await this.openArchive(clean) : undefined;
        if (!archive) {
          keep(clean);
          continue;
        }
        if (archive.files.length + archive.reports.length === 0) reject(clean.name, 'holds no files');
        for (const report of archive.reports) reports.push(report); // spread, a hundred thousand would be too many arguments
        for (const inner of archive.files) {
          if (fileKind(inner.name) === 'archive')
            reject(inner.name, 'is an archive within an archive: hand it in by itself');
          else keep(inner);
        }
      } catch (error) {
        if (!(error instanceof BadFile)) throw error;
        reject(file.name, error.reason);
      }
    }
    return { files: [...files.values()], reports };
  }

  private async openArchive(file: InputFile): Promise<OpenArchive> {
    const archive = await this.inHand.over(file.name, () =>
      this.budget.spend(() =>
        openArchive(file, this.budget.archive(file.size), this.spool, () => this.inHand.progress()),
      ),
    );
    this.archives.push(archive);
    return archive;
  }

  private async *readParquetFile(file: InputFile, reading: FolderReading): AsyncGenerator<Found> {
    try {
      yield* readParquet(await this.spool.place(file), file.name, reading);
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      yield { kind: 'rejected', name: file.name, reason: asBadFile('cannot be read', error).reason };
    }
  }
}

function whyNotRead(name: string): string {
  if (/\.(csv|tsv|jsonl)$/i.test(name))
    return 'is not read: a list of captions is named metadata.csv or metadata.jsonl';
  return 'is not a picture, caption, metadata.jsonl, metadata.csv, parquet file or archive that is read here';
}
