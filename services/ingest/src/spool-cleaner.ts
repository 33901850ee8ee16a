import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { LOGGER, type Logger } from '@atelier/mesh';
import { IngestConfig } from './ingest.config';
import { removeAbandoned } from './reading/spool-folder';

/** Folders that a killed service left, which may hold gigabytes, go at the next one's start. */
@Injectable()
export class SpoolCleaner implements OnApplicationBootstrap {
  constructor(
    private readonly config: IngestConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const { spoolFolder } = this.config;
    try {
      const removed = await removeAbandoned(spoolFolder);
      if (removed > 0) this.logger.info({ spoolFolder, removed }, 'folders of killed services removed');
    } catch (error) {
      this.logger.warn({ spoolFolder, error: (error as Error).message }, 'the spool folder cannot be cleaned');
    }
  }
}
