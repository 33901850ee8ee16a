import { decodeTensors, type Tensor } from '@atelier/checkpoint';
import { AtelierError, type ISample, type TensorKind } from '@atelier/contracts';
import { decodePromptEmbeds } from '@atelier/drawing';
import type { Sample } from '@atelier/engine';
import type { TensorStore } from '@atelier/store';

/** Pixels a side of an image token, and of a latent value. */
const TOKEN_PIXELS = 16;
const LATENT_PIXELS = 8;

/** A sample's encoding is not there, though it was when the run was put on its way: it was deleted. */
export class EncodingMissing extends AtelierError {
  constructor(what: string) {
    super('UNAVAILABLE', `${what} is not there any more: it is to be encoded again`);
  }
}

/** A manifest's samples as the engine takes them, each with the latents and the caption of its own line of the manifest. */
export class SampleSource {
  constructor(
    private readonly samples: readonly ISample[],
    private readonly tensors: Pick<TensorStore, 'get'>,
  ) {}

  /**
   * The sample's index is its id: it keys the random numbers.
   * Throws EncodingMissing where one of its tensor sets is gone, DATA_LOSS for one that does not hold what it should.
   */
  async get(index: number, signal: AbortSignal): Promise<Sample> {
    const { name, latentsKey, promptsKey, width, height } = this.samples[index]!;
    const [latents, prompts] = await Promise.all([
      this.find('latents', latentsKey ?? '', `picture ${name}`, signal),
      this.find('prompts', promptsKey ?? '', `caption of ${name}`, signal),
    ]);
    const { mean, logvar } = decodeTensors(latents, `latents ${latentsKey} (${name})`);
    const wanted = [(height ?? 0) / LATENT_PIXELS, (width ?? 0) / LATENT_PIXELS];
    for (const [what, tensor] of Object.entries({ mean, logvar }))
      checkPosterior(what, tensor, wanted, `latents ${latentsKey} (${name})`);
    const { promptEmbeds, pooled } = decodePromptEmbeds(prompts, promptsKey ?? '');
    return {
      mean: mean!.data,
      logvar: logvar!.data,
      promptEmbeds: promptEmbeds.data,
      pooled: pooled.data,
      shape: { gridH: height! / TOKEN_PIXELS, gridW: width! / TOKEN_PIXELS, textTokens: promptEmbeds.shape[0]! },
      sampleId: index,
    };
  }

  private async find(kind: TensorKind, key: string, what: string, signal: AbortSignal): Promise<Uint8Array> {
    const found = await this.tensors.get(kind, key, { signal });
    if (!found) throw new EncodingMissing(what);
    return found;
  }
}

function checkPosterior(what: string, tensor: Tensor | undefined, [h, w]: number[], source: string): void {
  const shape = tensor?.shape ?? [];
  if (shape.length !== 3 || shape[1] !== h || shape[2] !== w) {
    throw new AtelierError(
      'DATA_LOSS',
      `${source}: ${what} is ${tensor ? `[${shape.join(', ')}]` : 'missing'} where (channels, ${h}, ${w}) is needed; delete the entry and encode the picture again`,
    );
  }
}
