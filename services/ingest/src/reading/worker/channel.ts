import type { FromReader, ToReader } from '../messages';

/** The reader's end of the channel to the service: what it asks comes back as an answer. */
export class Channel {
  private readonly fetching = new Map<number, (path: string) => void>();
  private answerSample: (keys: readonly string[]) => void = () => undefined;

  /** @param onJob called once, with the work */
  constructor(onJob: (job: Extract<ToReader, { kind: 'job' }>['job']) => void) {
    process.on('message', (message: ToReader) => {
      if (message.kind === 'job') onJob(message.job);
      else if (message.kind === 'fetched') this.fetching.get(message.file)?.(message.path);
      else this.answerSample(message.keys);
    });
  }

  /** Resolves when the system has the message: whatever happens to this process, it arrives. */
  send(message: FromReader): Promise<void> {
    return new Promise((resolve, reject) =>
      process.send!(message, undefined, undefined, (error) => (error ? reject(error) : resolve())),
    );
  }

  /** Has an uploaded file put on disk. @returns where it lies */
  async fetch(file: number): Promise<string> {
    const fetched = new Promise<string>((resolve) => this.fetching.set(file, resolve));
    await this.send({ kind: 'fetch', file });
    return fetched;
  }

  /** @returns the keys of those views whose pixels are asked for */
  async offer(sample: Extract<FromReader, { kind: 'sample' }>['sample']): Promise<readonly string[]> {
    const wanted = new Promise<readonly string[]>((resolve) => (this.answerSample = resolve));
    await this.send({ kind: 'sample', sample });
    return wanted;
  }
}
