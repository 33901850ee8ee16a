import { Inject, Injectable } from '@nestjs/common';
import { encodeTensors } from '@atelier/checkpoint';
import { AtelierError, buckets, cropFields, latentsKey, MAX_MESSAGE_BYTES, type LatentsWork } from '@atelier/contracts';
import { EncodedRuns } from '@atelier/jobs';
import { LOGGER, type GivenUpContext, type Logger } from '@atelier/mesh';
import { BlobStore, Encodings } from '@atelier/store';
import { LatentsMetrics } from './latents.metrics';
import { PictureEncoder } from './picture-encoder';
import { decodePrepared, toTensor, type PreparedPicture } from './prepared-picture';

/** Mean and log-variance: 2 × 16 float32 for 8 × 8 pixels. */
const POSTERIOR_BYTES_PER_PIXEL = 2;
const HEADER_BYTES = 1024;
const KEY = /^[0-9a-f]{64}$/;

/** One prepared picture → the VAE's posterior under its content key. Once ever: what is there is not made again. */
@Injectable()
export class LatentsService {
  constructor(
    private readonly blobs: BlobStore,
    private readonly encodings: Encodings,
    private readonly encoder: PictureEncoder,
    private readonly runs: EncodedRuns,
    private readonly metrics: LatentsMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Throws AtelierError; isPermanent tells whether another try may help. */
  async encode(work: LatentsWork, signal?: AbortSignal): Promise<void> {
    checkWork(work);
    const result = await this.encodings.once(work, async () => {
      const picture = await this.load(work);
      await this.checkKey(work.key, picture);
      const { mean, logvar } = await this.encoder.encode(toTensor(picture), signal);
      return encodeTensors({ mean, logvar });
    });
    this.metrics.count(result);
    this.logger.info({ key: work.key, file: work.name, result }, 'latents');
    if (work.datasetId) await this.runs.look(work.datasetId);
  }

  /** Says that this picture's latents will not come. */
  async giveUp(work: LatentsWork, { reason, sequence }: GivenUpContext): Promise<void> {
    this.metrics.count('failed');
    this.logger.warn({ key: work.key, file: work.name, reason }, 'cannot be encoded');
    const { key, datasetId } = work;
    if (!KEY.test(key)) return; // it names no event
    await this.encodings.refuse(work, reason);
    if (datasetId) await this.runs.refused({ datasetId, kind: 'latents', key, sequence }, reason);
  }

  private async load({ picture, width, height }: LatentsWork): Promise<PreparedPicture> {
    if (!(await this.blobs.has(buckets.blobs.pictures, picture))) {
      throw new AtelierError(
        'NOT_FOUND',
        'its prepared picture has been cleared away: start the run again, which prepares it anew',
      );
    }
    return decodePrepared(await this.blobs.get(buckets.blobs.pictures, picture), { width, height });
  }

  /**
   * The key says which pixels it is for and which VAE. Made anew from what is at hand it has to come out the same, or another model's
   * latents would be served under it for ever. (The message does not say whether the picture is a mirrored one: either will do.)
   */
  private async checkKey(key: string, picture: PreparedPicture): Promise<void> {
    const vaeFingerprint = await this.encoder.fingerprint();
    const fits = [false, true].some(
      (flip) => latentsKey({ ...picture, transform: { ...cropFields('center'), flip }, vaeFingerprint }) === key,
    );
    if (!fits) {
      throw new AtelierError(
        'FAILED_PRECONDITION',
        'its key was made for other pixels or another VAE than this service has: give ingest and latents the same ATELIER_MODEL and start the run again',
      );
    }
  }
}

function checkWork({ key, picture, width, height }: LatentsWork): void {
  if (!KEY.test(key))
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `the key ${JSON.stringify(key.slice(0, 80))} is not the SHA-256 that ingest makes: let ingest ask for the picture`,
    );
  if (!picture) throw new AtelierError('INVALID_ARGUMENT', 'the work names no prepared picture: let ingest ask for it');
  if (width < 8 || height < 8 || width % 8 !== 0 || height % 8 !== 0) {
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `a picture of ${width} × ${height} cannot be encoded: sides are multiples of 8`,
    );
  }
  const room = (MAX_MESSAGE_BYTES - HEADER_BYTES) / POSTERIOR_BYTES_PER_PIXEL;
  if (width * height > room) {
    throw new AtelierError(
      'RESOURCE_EXHAUSTED',
      `latents of ${width} × ${height} pixels take ${width * height * POSTERIOR_BYTES_PER_PIXEL} bytes and a message holds ${MAX_MESSAGE_BYTES}: use a smaller size`,
    );
  }
}
