import { open } from 'node:fs/promises';
import { downloadFile, type ListFileEntry } from '@huggingface/hub';
import { CheckpointError } from './errors';

/** How to reach one revision of one repository. */
export interface HubAccess {
  repo: string;
  revision: string;
  hubUrl?: string;
  accessToken?: string;
  fetch: typeof fetch;
}

/**
 * Appends to `part` what is missing of the file, with a range request when part of it is there. What has arrived stays on any failure.
 * @returns the bytes that arrived
 */
export async function downloadTo(
  access: HubAccess,
  entry: ListFileEntry,
  part: string,
  report: (bytesInFile: number) => void,
  signal?: AbortSignal,
): Promise<number> {
  const file = await open(part, 'a');
  try {
    const start = (await file.stat()).size;
    let size = start;
    report(size);
    if (start < entry.size) {
      const blob = await downloadFile({ ...access, path: entry.path });
      if (!blob)
        throw new CheckpointError(
          'NOT_FOUND',
          `${entry.path}: the hub lists this file and does not have it; try again later`,
        );
      if (blob.size !== entry.size)
        throw new CheckpointError(
          'DATA_LOSS',
          `${entry.path}: the hub lists ${entry.size} bytes and offers ${blob.size}; try again later`,
        );
      const bytes: ReadableStream<Uint8Array> = (start > 0 ? blob.slice(start, entry.size) : blob).stream();
      const reader = bytes.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        signal?.throwIfAborted();
        if (size + value.byteLength > entry.size) {
          await file.truncate(0); // not a range of this file: nothing of it can be trusted
          throw new CheckpointError(
            'DATA_LOSS',
            `${entry.path}: more than the listed ${entry.size} bytes arrived; try again, and check any proxy between`,
          );
        }
        await file.write(value);
        size += value.byteLength;
        report(size);
      }
    }
    if (size < entry.size)
      throw new CheckpointError(
        'UNAVAILABLE',
        `${entry.path}: the connection closed after ${size} of ${entry.size} bytes; pull again, it continues there`,
      );
    await file.sync();
    return size - start;
  } finally {
    await file.close();
  }
}
