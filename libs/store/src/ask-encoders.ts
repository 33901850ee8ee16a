import { LatentsWork, PromptsWork, subjects, type ILatentsWork, type IPromptsWork } from '@atelier/contracts';
import { publishWorkOnce, type Mesh } from '@atelier/mesh';
import { TensorStore } from './tensors';

// A key is on its queue once for each data set, whoever asks: the data set itself, a run on it, the same message delivered
// again. For each data set, since what the encoders tell names one: of two that share a picture both are told, and what
// becomes of the one costs the other nothing. The second is answered from the store.

/** Asks for a picture's latents, unless its data set has, and waits for them. @returns which message stands for it */
export async function askForLatents(mesh: Mesh, work: ILatentsWork): Promise<number> {
  return publishWorkOnce(mesh, subjects.work.latents, LatentsWork, work, {
    msgId: `latents.${work.key}.${work.datasetId}`,
    settled: () => new TensorStore(mesh).has('latents', work.key ?? ''),
  });
}

/** Asks for a caption's prompt embeds, unless its data set has, and waits for them. @returns which message stands for it */
export async function askForPrompts(mesh: Mesh, work: IPromptsWork): Promise<number> {
  return publishWorkOnce(mesh, subjects.work.prompts, PromptsWork, work, {
    msgId: `prompts.${work.key}.${work.datasetId}`,
    settled: () => new TensorStore(mesh).has('prompts', work.key ?? ''),
  });
}
