import { runStatus } from '@atelier/client';
import { encodedKindOf, type Event, type RunState } from '@atelier/contracts';
import { pictureUrl } from '../images/picture-url';

/** An event of a run as the stream's JSON, or nothing for what a person need not see. */
export function viewRunEvent(event: Event): Record<string, unknown> | null {
  switch (event.detail) {
    case 'runPlanned':
      return { type: 'planned', ...snakeNumbers(event.runPlanned?.plan ?? {}) };
    case 'runStep': {
      const { step, totalSteps, loss, learningRate, gradNorm, stepSeconds, etaSeconds } = event.runStep ?? {};
      return {
        type: 'step',
        step,
        total_steps: totalSteps,
        loss,
        learning_rate: learningRate,
        grad_norm: gradNorm,
        step_seconds: stepSeconds,
        eta_seconds: etaSeconds,
      };
    }
    case 'runSample':
      return {
        type: 'sample',
        step: event.runSample?.step,
        prompt: event.runSample?.prompt,
        url: pictureUrl(event.runSample?.image ?? ''),
      };
    case 'runState': {
      const status = runStatus(event.runState?.state as RunState);
      return ['finished', 'failed', 'cancelled'].includes(status)
        ? { type: status, message: event.runState?.error ?? '' }
        : { type: 'status', status, preemptions: event.runState?.preemptions ?? 0 };
    }
    case 'encodeSummary': {
      const { latentsTotal, latentsCached, promptsTotal, promptsCached } = event.encodeSummary ?? {};
      return {
        type: 'encoding',
        latents_total: latentsTotal,
        latents_cached: latentsCached,
        prompts_total: promptsTotal,
        prompts_cached: promptsCached,
      };
    }
    case 'encodeReady':
      return {
        type: 'encoded',
        kind: encodedKindOf(event.encodeReady ?? {}),
        name: event.encodeReady?.name,
        seconds: event.encodeReady?.seconds,
      };
    case 'encodeFailed':
      return {
        type: 'encode_failed',
        kind: encodedKindOf(event.encodeFailed ?? {}),
        name: event.encodeFailed?.name,
        reason: event.encodeFailed?.reason,
      };
    default:
      return null;
  }
}

function snakeNumbers(message: object): Record<string, number> {
  const entries = Object.entries(message).map(([key, value]) => [
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    Number(value),
  ]);
  return Object.fromEntries(entries) as Record<string, number>;
}
