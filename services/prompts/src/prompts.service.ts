import { Inject, Injectable } from '@nestjs/common';
import { encodeTensors } from '@atelier/checkpoint';
import { AtelierError, promptsKey, type PromptsWork } from '@atelier/contracts';
import { EncodedRuns } from '@atelier/jobs';
import { LOGGER, type GivenUpContext, type Logger } from '@atelier/mesh';
import { Encodings } from '@atelier/store';
import { CaptionEncoder } from './caption-encoder';
import { PromptsMetrics } from './prompts.metrics';

/** What FLUX.1 was trained with; 512 × 4096 float32 is also what fits into one message. */
const MAX_LENGTH = 512;
/** Tokenizing takes time with the square of a word's length: seconds at this size, and the mesh has to hear of us every few. Bytes of UTF-8. */
const MAX_CAPTION_BYTES = 64 * 1024;
const KEY = /^[0-9a-f]{64}$/;

/** One caption → T5 sequence and CLIP pooled vector under its content key. Once ever: what is there is not made again. */
@Injectable()
export class PromptsService {
  constructor(
    private readonly encodings: Encodings,
    private readonly encoder: CaptionEncoder,
    private readonly runs: EncodedRuns,
    private readonly metrics: PromptsMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Throws AtelierError; isPermanent tells whether another try may help. */
  async encode(work: PromptsWork, signal?: AbortSignal): Promise<void> {
    checkWork(work);
    const { key, maxLength } = work;
    const caption = work.caption.normalize('NFC');
    const result = await this.encodings.once(work, async () => {
      await this.checkKey(key, caption, maxLength);
      const { promptEmbeds, pooled } = await this.encoder.encode(caption, maxLength, signal);
      return encodeTensors({ prompt_embeds: promptEmbeds, pooled });
    });
    this.metrics.count(result);
    this.logger.info({ key, file: work.name, result }, 'prompt embeds');
    if (work.datasetId) await this.runs.look(work.datasetId);
  }

  /** Says that this caption's prompt embeds will not come. */
  async giveUp(work: PromptsWork, { reason, sequence }: GivenUpContext): Promise<void> {
    this.metrics.count('failed');
    this.logger.warn({ key: work.key, file: work.name, reason }, 'cannot be encoded');
    const { key, datasetId } = work;
    if (!KEY.test(key)) return; // it names no event
    await this.encodings.refuse(work, reason);
    if (datasetId) await this.runs.refused({ datasetId, kind: 'prompts', key, sequence }, reason);
  }

  /** Made anew from the caption and the encoders at hand, the key has to come out the same, or another model's embeds would be served under it for ever. */
  private async checkKey(key: string, caption: string, maxLength: number): Promise<void> {
    if (promptsKey({ caption, maxLength, textFingerprint: await this.encoder.fingerprint() }) !== key) {
      throw new AtelierError(
        'FAILED_PRECONDITION',
        'its key was made for another caption, length or text encoder than this service has: give all services the same ATELIER_MODEL and start the run again',
      );
    }
  }
}

function checkWork({ key, caption, maxLength }: PromptsWork): void {
  if (!KEY.test(key))
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `the key ${JSON.stringify(key.slice(0, 80))} is not the SHA-256 that ingest makes: let ingest ask for the caption`,
    );
  if (maxLength < 1 || maxLength > MAX_LENGTH)
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `a length of ${maxLength} T5 tokens is not possible: use 1 to ${MAX_LENGTH} (ATELIER_TEXT_TOKENS)`,
    );
  const bytes = Buffer.byteLength(caption);
  if (bytes > MAX_CAPTION_BYTES) {
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `the caption has ${bytes} bytes and ${MAX_CAPTION_BYTES} are allowed: shorten it (the encoders read no more than its first ${MAX_LENGTH} tokens)`,
    );
  }
}
