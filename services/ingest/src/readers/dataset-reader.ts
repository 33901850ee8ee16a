import { asBadFile, BadFile } from './bad-file';
import { fileKind } from './file-kind';
import { readFolder } from './folder';
import type { InHand } from './in-hand';
import { byName, type Found, type InputFile } from './input-file';
import { UnpackBudget, type Limits } from './limits';
import { readParquet } from './parquet';
import { cleanPath, printable } from './paths';
import type { Spool } from './spool';
import { openTar } from './tar';
import { openZip, type OpenArchive } from './zip';

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
  ) {
    this.budget = new UnpackBudget(limits);
  }

  async *read(uploaded: readonly InputFile[]): AsyncGenerator<Found> {
    const { files, rejected } = await this.layOpen(uploaded);
    yield* rejected;
    yield* readFolder(files, this.limits, this.inHand);
    for (const file of files.filter((candidate) => fileKind(candidate.name) === 'parquet').sort(byName)) {
      yield* this.readParquetFile(file);
    }
  }

  /** When the last picture has been loaded, which is after the last was found. */
  close(): void {
    for (const archive of this.archives.splice(0)) archive.close();
  }

  /** All files under clean names, archives replaced by what they hold. */
  private async layOpen(uploaded: readonly InputFile[]): Promise<{ files: InputFile[]; rejected: Found[] }> {
    const files = new Map<string, InputFile>();
    const rejected: Found[] = [];
    const reject = (name: string, reason: string) => rejected.push({ kind: 'rejected', name: printable(name), reason });
    const keep = (file: InputFile) => {
      if (files.has(file.name)) reject(file.name, 'is there twice under this name; the first is kept');
      else if (fileKind(file.name) === 'unknown')
        reject(file.name, 'is not a picture, caption, metadata.jsonl, parquet file or archive that is read here');
      else if (fileKind(file.name) !== 'ignored') files.set(file.name, file);
    };
    for (const file of [...uploaded].sort(byName)) {
      try {
        this.budget.takeFile();
        const clean: InputFile = { ...file, name: cleanPath(file.name) };
        const archive = isArchive(clean.name) ? await this.openArchive(clean) : undefined;
        if (!archive) {
          keep(clean);
          continue;
        }
        if (archive.files.length + archive.rejected.length === 0) reject(clean.name, 'holds no files');
        for (const report of archive.rejected) rejected.push(report); // spread, a hundred thousand would be too many arguments
        for (const inner of archive.files) {
          if (isArchive(inner.name)) reject(inner.name, 'is an archive within an archive: hand it in by itself');
          else keep(inner);
        }
      } catch (error) {
        if (!(error instanceof BadFile)) throw error;
        reject(file.name, error.reason);
      }
    }
    return { files: [...files.values()], rejected };
  }

  private async openArchive(file: InputFile): Promise<OpenArchive> {
    const archive = await this.inHand.over(file.name, () =>
      this.budget.spend(async () => {
        const budget = this.budget.archive(file.size);
        return fileKind(file.name) === 'zip'
          ? openZip(await this.spool.place(file), file.name, budget)
          : openTar(await file.open(), file.name, budget, this.spool, () => this.inHand.progress());
      }),
    );
    this.archives.push(archive);
    return archive;
  }

  private async *readParquetFile(file: InputFile): AsyncGenerator<Found> {
    try {
      yield* readParquet(await this.spool.place(file), file.name, this.limits, this.inHand);
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      yield { kind: 'rejected', name: file.name, reason: asBadFile('cannot be read', error).reason };
    }
  }
}

function isArchive(name: string): boolean {
  const kind = fileKind(name);
  return kind === 'zip' || kind === 'tar';
}
