import { tmpdir } from 'node:os';
import { loadConfig } from '@atelier/mesh';
import { z } from 'zod';
import type { Limits } from './readers';
import type { ReaderLimits } from './reading/deaths';

const MIB = 2 ** 20;
const positive = z.coerce.number().positive();
const count = z.coerce.number().int().positive();

const settings = z.object({
  ATELIER_MODEL: z.string({ error: 'the folder of a checkpoint in the diffusers layout' }).min(1),
  ATELIER_TEXT_TOKENS: count.max(512).optional(),
  ATELIER_INGEST_SPOOL: z.string().min(1).default(tmpdir()),
  ATELIER_INGEST_DATASETS: count.max(64).default(2),
  ATELIER_INGEST_PARALLEL: count.max(64).default(2),
  ATELIER_INGEST_MAX_MEMORY_MIB: positive.min(128).default(2048),
  ATELIER_INGEST_MAX_FILE_SECONDS: positive.max(1_000_000).default(120),
  ATELIER_INGEST_MAX_DATASET_MINUTES: positive.max(30_000).default(240),
  ATELIER_INGEST_MAX_PICTURE_MIB: positive.default(256),
  ATELIER_INGEST_MAX_MEGAPIXELS: positive.max(1000).default(200),
  ATELIER_INGEST_MAX_CAPTION_KIB: positive.max(64).default(64),
  ATELIER_INGEST_MAX_UNPACKED_MIB: positive.default(32 * 1024),
  ATELIER_INGEST_MAX_UNPACK_RATIO: positive.default(100),
  ATELIER_INGEST_MAX_ROW_GROUP_MIB: positive.default(1024),
  ATELIER_INGEST_MAX_FILES: count.default(200_000),
});

/** Settings of the ingest service; README.md has the table. */
export class IngestConfig {
  /** Folder of the checkpoint whose fingerprints go into the keys. */
  readonly model: string;
  /** T5 tokens of a caption; the checkpoint's own length where none is set. */
  readonly textTokens?: number;
  /** Where archives and parquet files lie while they are read. */
  readonly spoolFolder: string;
  /** Data sets read at once, each by a process of its own. */
  readonly datasets: number;
  /** Pictures of one data set prepared at once. */
  readonly parallel: number;
  /** Of each of these processes. */
  readonly reader: ReaderLimits;
  readonly datasetMinutes: number;
  readonly limits: Limits;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    this.model = given.ATELIER_MODEL;
    this.textTokens = given.ATELIER_TEXT_TOKENS;
    this.spoolFolder = given.ATELIER_INGEST_SPOOL;
    this.datasets = given.ATELIER_INGEST_DATASETS;
    this.parallel = given.ATELIER_INGEST_PARALLEL;
    this.reader = {
      memoryBytes: given.ATELIER_INGEST_MAX_MEMORY_MIB * MIB,
      fileSeconds: given.ATELIER_INGEST_MAX_FILE_SECONDS,
    };
    this.datasetMinutes = given.ATELIER_INGEST_MAX_DATASET_MINUTES;
    this.limits = {
      pictureBytes: given.ATELIER_INGEST_MAX_PICTURE_MIB * MIB,
      pixels: given.ATELIER_INGEST_MAX_MEGAPIXELS * 1e6,
      captionBytes: given.ATELIER_INGEST_MAX_CAPTION_KIB * 1024,
      metadataBytes: 256 * MIB,
      metadataLines: 1_000_000,
      lineLength: 1_000_000,
      listed: 100,
      unpackedBytes: given.ATELIER_INGEST_MAX_UNPACKED_MIB * MIB,
      unpackRatio: given.ATELIER_INGEST_MAX_UNPACK_RATIO,
      rowGroupBytes: given.ATELIER_INGEST_MAX_ROW_GROUP_MIB * MIB,
      files: given.ATELIER_INGEST_MAX_FILES,
    };
  }
}
