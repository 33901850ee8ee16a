import { decodeTensors, type Checkpoint, type Tensor } from '@atelier/checkpoint';
import { AtelierError, PromptsWork, promptsKey, subjects } from '@atelier/contracts';
import { publishWork, throughOutage, type Mesh } from '@atelier/mesh';
import { EncodeRefused, TensorArrivals, TensorStore } from '@atelier/store';

export interface PromptEmbeds {
  /** (text tokens, jointDim). */
  promptEmbeds: Tensor;
  /** (pooledDim). */
  pooled: Tensor;
}

/** Reads a prompts entry. Throws DATA_LOSS for one that does not hold what it should. */
export function decodePromptEmbeds(bytes: Uint8Array, key: string): PromptEmbeds {
  const { prompt_embeds: promptEmbeds, pooled } = decodeTensors(bytes, `prompts ${key}`);
  if (promptEmbeds?.shape.length !== 2 || pooled?.shape.length !== 1) {
    throw new AtelierError(
      'DATA_LOSS',
      `prompts ${key}: there is no prompt_embeds of (tokens, width) and pooled of (width) in it; delete it and encode the caption again`,
    );
  }
  return { promptEmbeds, pooled };
}

interface AskedPrompt {
  key: string;
  /** In NFC. */
  caption: string;
  maxLength: number;
}

/** Prompt embeds by content key. What is not there yet is put on the prompts service's queue, once, and waited for. */
export class PromptSource {
  private readonly tensors: TensorStore;

  constructor(
    private readonly mesh: Mesh,
    /** T5 tokens; undefined: the checkpoint's own length. It must be what ingest and prompts use. */
    private readonly textTokens?: number,
  ) {
    this.tensors = new TensorStore(mesh, throughOutage);
  }

  maxLength(checkpoint: Checkpoint): number {
    return this.textTokens ?? checkpoint.t5MaxLength;
  }

  /** Asks nobody. Throws NOT_FOUND where the prompt is not encoded. */
  async find(checkpoint: Checkpoint, prompt: string, signal?: AbortSignal): Promise<PromptEmbeds> {
    const { key, caption } = await this.asked(checkpoint, prompt);
    const there = await this.tensors.get('prompts', key, { signal });
    if (there) return decodePromptEmbeds(there, key);
    const what = JSON.stringify(caption.slice(0, 80));
    throw new AtelierError('NOT_FOUND', `the prompt ${what} is not encoded: it was refused, or deleted since`);
  }

  /** Throws FAILED_PRECONDITION when the prompt cannot be encoded, CANCELLED at the signal. */
  async get(checkpoint: Checkpoint, prompt: string, signal?: AbortSignal): Promise<PromptEmbeds> {
    const asked = await this.asked(checkpoint, prompt);
    try {
      const there = await this.tensors.get('prompts', asked.key, { signal });
      return decodePromptEmbeds(there ?? (await this.encode(asked, signal)), asked.key);
    } catch (error) {
      if (signal?.aborted)
        throw new AtelierError('CANCELLED', 'cancelled while the prompt was being encoded', {}, { cause: error });
      throw error;
    }
  }

  private async asked(checkpoint: Checkpoint, prompt: string): Promise<AskedPrompt> {
    const maxLength = this.maxLength(checkpoint);
    const { text: textFingerprint } = await checkpoint.fingerprints();
    const caption = prompt.normalize('NFC');
    return { key: promptsKey({ caption, maxLength, textFingerprint }), caption, maxLength };
  }

  private async encode({ key, caption, maxLength }: AskedPrompt, signal?: AbortSignal): Promise<Uint8Array> {
    const arrivals = await TensorArrivals.fromNow(this.mesh, signal);
    try {
      const work = { key, caption, maxLength, name: caption.slice(0, 60), datasetId: '' };
      // Not the key alone: a prompt that failed before may be tried again, and the queue forgets an id only after a day.
      const msgId = `prompts.${key}.${Date.now()}`;
      await throughOutage(() => publishWork(this.mesh, subjects.work.prompts, PromptsWork, work, { msgId }), {
        signal,
      });
      const arrived = await arrivals.get('prompts', key, signal);
      if (arrived instanceof EncodeRefused) {
        throw new AtelierError(
          'FAILED_PRECONDITION',
          `the prompt ${JSON.stringify(caption.slice(0, 80))} could not be encoded: ${arrived.reason}`,
        );
      }
      return arrived;
    } finally {
      await arrivals.close();
    }
  }
}
