import { asBadFile, BadFile } from './bad-file';
import { fileKind } from './file-kind';
import { readFolder } from './folder';
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

  constructor(private readonly spool: Spool, private readonly limits: Limits) {
    this.budget = new UnpackBudget(limits);
  }

  async *read(uploaded: readonly InputFile[]): AsyncGenerator<Found> {
    try {
      const { files, rejected } = await this.layOpen(uploaded);
      yield* rejected;
      yield* readFolder(files, this.limits);
      for (const file of files.filter((candidate) => fileKind(candidate.name) === 'parquet').sort(byName)) {
        yield* this.readParquetFile(file);
      }
    } finally {
      for (const archive of this.archives.splice(0)) archive.close();
    }
  }

  /** All files under clean names, archives replaced by what they hold. */
  private async layOpen(uploaded: readonly InputFile[]): Promise<{ files: InputFile[]; rejected: Found[] }> {
    const files = new Map<string, InputFile>();
    const rejected: Found[] = [];
    const reject = (name: string, reason: string) => rejected.push({ kind: 'rejected', name: printable(name), reason });
    const keep = (file: InputFile) => {
      if (files.has(file.name)) reject(file.name, 'is there twice under this name; the first is kept');
      else if (fileKind(file.name) === 'unknown') reject(file.name, 'is not a picture, caption, metadata.jsonl, parquet file or archive that is read here');
      else if (fileKind(file.name) !== 'ignored') files.set(file.name, file);
    };
    for (const file of [...uploaded].sort(byName)) {
      try {
        this.budget.takeFile();
        const clean = { name: cleanPath(file.name), size: file.size, open: () => file.open() };
        const archive = await this.budget.spend(() => this.openArchive(clean));
        if (!archive) {
          keep(clean);
          continue;
        }
        rejected.push(...archive.rejected);
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

  private async openArchive(file: InputFile): Promise<OpenArchive | undefined> {
    const kind = fileKind(file.name);
    if (kind !== 'zip' && kind !== 'tar') return undefined;
    const data = await file.open();
    const archive = kind === 'zip'
      ? await openZip(await this.spool.write(data), file.name, this.budget)
      : await openTar(data, file.name, this.budget, this.spool);
    this.archives.push(archive);
    return archive;
  }

  private async *readParquetFile(file: InputFile): AsyncGenerator<Found> {
    try {
      yield* readParquet(await this.spool.write(await file.open()), file.name, this.limits);
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
