import { createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Writes a file whole or not at all: under another name until its last byte is there. */
export async function saveStream(data: Readable, file: string): Promise<void> {
  await saveWith(file, (part) => pipeline(data, createWriteStream(part)));
}

/** The same for what writes its file itself. */
export async function saveWith(file: string, write: (part: string) => Promise<void>): Promise<void> {
  const part = `${file}.part`;
  await mkdir(dirname(file), { recursive: true });
  try {
    await write(part);
    await rename(part, file);
  } finally {
    await rm(part, { force: true });
  }
}
