import { decodeTensors, type Tensor } from '@atelier/checkpoint';
import { AtelierError, type ISample, type TensorKind } from '@atelier/contracts';
import { decodePromptEmbeds } from '@atelier/drawing';
import type { Sample } from '@atelier/engine';
import { EncodeRefused, type TensorArrivals } from '@atelier/store';

/** Pixels a side of an image token, and of a latent value. */
const TOKEN_PIXELS = 16;
const LATENT_PIXELS = 8;

/** A manifest's samples as the engine takes them, each with the latents and the caption of its own line of the manifest. */
export class SampleSource {
  constructor(
    private readonly samples: readonly ISample[],
    private readonly arrivals: Pick<TensorArrivals, 'get' | 'settled'>,
  ) {}

  /**
   * Waits until both tensor sets are there. The sample's index is its id: it keys the random numbers.
   * Resolves with EncodeRefused when one of them will not come; throws DATA_LOSS for one that does not hold what it should.
   */
  async get(index: number, signal: AbortSignal): Promise<Sample | EncodeRefused> {
    const { name, latentsKey, promptsKey, width, height } = this.samples[index]!;
    const arrived = await this.both(this.samples[index]!, signal);
    if (arrived instanceof EncodeRefused) return arrived;
    const { latents, prompts } = arrived;
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

  /** Waits until both tensor sets are there, or one will not come. */
  async settled(index: number, signal: AbortSignal): Promise<void> {
    const { latentsKey, promptsKey } = this.samples[index]!;
    if ((await this.arrivals.settled('latents', latentsKey ?? '', signal)) === true)
      await this.arrivals.settled('prompts', promptsKey ?? '', signal);
  }

  /** Once one is refused, the other is not waited for. */
  private async both(
    { name, latentsKey, promptsKey }: ISample,
    signal: AbortSignal,
  ): Promise<{ latents: Uint8Array; prompts: Uint8Array } | EncodeRefused> {
    const settled = new AbortController();
    const either = AbortSignal.any([signal, settled.signal]);
    let refuse: (refused: EncodeRefused) => void = () => undefined;
    const refusal = new Promise<EncodeRefused>((resolve) => (refuse = resolve));
    const get = async (kind: TensorKind, key: string, what: string): Promise<Uint8Array> => {
      const arrived = await this.arrivals.get(kind, key, either);
      if (!(arrived instanceof EncodeRefused)) return arrived;
      refuse(new EncodeRefused(`${what} ${name}: ${arrived.reason}`));
      return new Uint8Array();
    };
    const all = Promise.all([
      get('latents', latentsKey ?? '', 'picture'),
      get('prompts', promptsKey ?? '', 'caption of'),
    ]);
    try {
      const first = await Promise.race([refusal, all]);
      return first instanceof EncodeRefused ? first : { latents: first[0], prompts: first[1] };
    } finally {
      settled.abort();
      all.catch(() => undefined);
    }
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
