// Downloads a checkpoint from the Hugging Face hub into a plain folder: resumed where it stopped, verified, safe to repeat.
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubApiError, listFiles, type ListFileEntry, modelInfo } from '@huggingface/hub';
import { type HubAccess, downloadTo } from './download';
import { CheckpointError } from './errors';
import { COMPONENT_NAMES, INDEX_FILE } from './layout';
import { matchesListing } from './verify';

export interface PullProgress {
  /** Path within the repository. */
  file: string;
  /** Bytes over all files, those already on disk included. */
  done: number;
  total: number;
}

export interface PullOptions {
  /** A user access token (hf_…); gated models such as FLUX.1-dev need one whose owner has accepted the licence. */
  token?: string;
  /** Branch, tag or commit; default main. */
  revision?: string;
  /** The folder to fill. */
  dir: string;
  /** The hub's address, for mirrors and tests. */
  endpoint?: string;
  onProgress?: (progress: PullProgress) => void;
  signal?: AbortSignal;
}

export interface PullResult {
  dir: string;
  /** The commit that `revision` meant. */
  commit: string;
  files: number;
  bytes: number;
  /** Bytes that came over the network this time. */
  downloaded: number;
}

/**
 * Fills `options.dir` with the files of the diffusers layout. Complete files are kept when their size and hash are right,
 * `.part` files are continued with a range request, and every file is verified before it gets its name.
 * @param repoId `owner/name`
 * @throws CheckpointError PERMISSION_DENIED, NOT_FOUND, UNAVAILABLE, DATA_LOSS, FAILED_PRECONDITION or CANCELLED
 */
export async function pullModel(repoId: string, options: PullOptions): Promise<PullResult> {
  if (!/^\w[\w.-]*\/\w[\w.-]*$/.test(repoId))
    throw new CheckpointError(
      'INVALID_ARGUMENT',
      `model ${repoId}: expected owner/name, for example black-forest-labs/FLUX.1-dev`,
    );
  const { signal } = options;
  const abortable: typeof fetch = (input, init) => fetch(input, { ...init, signal: signal ?? init?.signal });
  const hub = { hubUrl: options.endpoint, accessToken: options.token, fetch: abortable };
  try {
    const { sha: commit } = await modelInfo({
      ...hub,
      name: repoId,
      revision: options.revision ?? 'main',
      additionalFields: ['sha'],
    });
    const access: HubAccess = { ...hub, repo: repoId, revision: commit };
    const files = await wantedFiles(access);
    const total = files.reduce((sum, { size }) => sum + size, 0);
    let done = 0;
    let downloaded = 0;
    for (const entry of files) {
      const report = (inFile: number) => options.onProgress?.({ file: entry.path, done: done + inFile, total });
      downloaded += await pullFile(access, entry, join(options.dir, entry.path), report, signal);
      done += entry.size;
      report(0);
    }
    return { dir: options.dir, commit, files: files.length, bytes: total, downloaded };
  } catch (error) {
    throw explain(error, repoId, options);
  }
}

/** The files of the layout; a repository's other files (single-file weights, pictures, ONNX exports) stay there. */
async function wantedFiles(access: HubAccess): Promise<ListFileEntry[]> {
  const wanted: ListFileEntry[] = [];
  for await (const entry of listFiles({ ...access, recursive: true })) {
    if (entry.type !== 'file') continue;
    const parts = entry.path.split('/');
    if (entry.path.includes('\\') || parts.some((part) => part === '' || part === '.' || part === '..')) {
      throw new CheckpointError(
        'DATA_LOSS',
        `${access.repo}: lists the file ${JSON.stringify(entry.path)}, which would leave the folder; do not use this repository`,
      );
    }
    if (entry.path === INDEX_FILE || (parts.length === 2 && isComponentFile(parts[0]!, parts[1]!))) wanted.push(entry);
  }
  if (!wanted.some(({ path }) => path === INDEX_FILE)) {
    throw new CheckpointError(
      'FAILED_PRECONDITION',
      `${access.repo}: has no ${INDEX_FILE} at ${access.revision}; give a repository in the diffusers layout, for example black-forest-labs/FLUX.1-dev`,
    );
  }
  return wanted.sort((a, b) => a.path.localeCompare(b.path, 'en'));
}

function isComponentFile(folder: string, file: string): boolean {
  return (COMPONENT_NAMES as string[]).includes(folder) && /\.(json|txt|model|safetensors)$/.test(file);
}

/** @returns the bytes that were downloaded: 0 when the file was already there and right */
async function pullFile(
  access: HubAccess,
  entry: ListFileEntry,
  target: string,
  report: (inFile: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  if ((await sizeOf(target)) === entry.size && (await matchesListing(target, entry))) return 0;
  const part = `${target}.part`;
  await mkdir(dirname(target), { recursive: true });
  let downloaded = 0;
  const start = await sizeOf(part);
  if (start > entry.size) await rm(part, { force: true });
  downloaded += await downloadTo(access, entry, part, report, signal);
  if (!(await matchesListing(part, entry))) {
    await rm(part, { force: true });
    // What an earlier call left may be of another revision: such a file gets one fresh start.
    if (start > 0) downloaded += await downloadTo(access, entry, part, report, signal);
    if (start === 0 || !(await matchesListing(part, entry))) {
      await rm(part, { force: true });
      throw new CheckpointError(
        'DATA_LOSS',
        `${entry.path}: the downloaded bytes do not have the hash that the hub lists; try again, and check any proxy between`,
      );
    }
  }
  await rename(part, target);
  return downloaded;
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

function explain(error: unknown, repoId: string, { endpoint, revision, signal }: PullOptions): unknown {
  if (error instanceof CheckpointError) return error;
  if (signal?.aborted)
    return new CheckpointError('CANCELLED', `${repoId}: the download was cancelled; the next pull continues it`, {
      cause: error,
    });
  if (error instanceof HubApiError) {
    if (error.statusCode === 401 || error.statusCode === 403) {
      return new CheckpointError(
        'PERMISSION_DENIED',
        `${repoId}: the hub refuses access (${error.statusCode}); accept the model's licence on its page and give a valid token`,
        { cause: error },
      );
    }
    if (error.statusCode === 404) {
      return new CheckpointError(
        'NOT_FOUND',
        `${repoId}: the hub has no such model or revision ${revision ?? 'main'}; check the spelling, and the token if it is private`,
        { cause: error },
      );
    }
    return new CheckpointError(
      'UNAVAILABLE',
      `${repoId}: the hub answered ${error.statusCode} (${error.message}); try again later`,
      { cause: error },
    );
  }
  if (isNetworkError(error)) {
    return new CheckpointError(
      'UNAVAILABLE',
      `${repoId}: cannot reach ${endpoint ?? 'the hub'} (${reason(error)}); check the network, then pull again: it continues where it stopped`,
      { cause: error },
    );
  }
  return error;
}

/** fetch and its streams report a lost connection as TypeError (or, through the hub's library, as plain text). */
function isNetworkError(error: unknown): boolean {
  return typeof error === 'string' || (error as Error | undefined)?.name === 'TypeError';
}

function reason(error: unknown): string {
  if (typeof error === 'string') return error;
  const { cause, message } = error as Error;
  return (cause as Error | undefined)?.message ?? message;
}
