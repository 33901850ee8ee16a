import { encodedKindOf, type Event, type RunState } from '@atelier/contracts';
import { memoryPlanView, type MemoryPlanView } from './plan-view';
import { runStatus, waitsFor } from './words';

export type RunEvent =
  | { type: 'encoding'; latents_total: number; latents_cached: number; prompts_total: number; prompts_cached: number }
  | { type: 'encoded'; key: string; kind: string; name: string; seconds: number }
  | { type: 'encode_failed'; key: string; kind: string; name: string; reason: string }
  | ({ type: 'planned' } & MemoryPlanView)
  | {
      type: 'step';
      step: number;
      total_steps: number;
      loss: number;
      learning_rate: number;
      grad_norm: number;
      step_seconds: number;
      eta_seconds: number;
    }
  | { type: 'sample'; step: number; prompt: string; image: string }
  | { type: 'held_out'; step: number; loss: number; samples: number; best: boolean }
  | { type: 'status'; status: string; preemptions: number; waits_for: string | null }
  | { type: 'finished' | 'failed' | 'cancelled'; message: string };

/** An event of a run in the words of the HTTP API's event stream (and the key of what was encoded), or nothing where a person need not see it. */
export function runEvent(event: Event): RunEvent | null {
  switch (event.detail) {
    case 'encodeSummary': {
      const { latentsTotal, latentsCached, promptsTotal, promptsCached } = event.encodeSummary!;
      return {
        type: 'encoding',
        latents_total: latentsTotal ?? 0,
        latents_cached: latentsCached ?? 0,
        prompts_total: promptsTotal ?? 0,
        prompts_cached: promptsCached ?? 0,
      };
    }
    case 'encodeReady': {
      const { key, name, seconds } = event.encodeReady!;
      const kind = encodedKindOf(event.encodeReady!);
      return { type: 'encoded', key: key ?? '', kind, name: name ?? '', seconds: seconds ?? 0 };
    }
    case 'encodeFailed': {
      const { key, name, reason } = event.encodeFailed!;
      const kind = encodedKindOf(event.encodeFailed!);
      return { type: 'encode_failed', key: key ?? '', kind, name: name ?? '', reason: reason ?? '' };
    }
    case 'runPlanned':
      return { type: 'planned', ...memoryPlanView(event.runPlanned!.plan ?? {}) };
    case 'runStep': {
      const { step, totalSteps, loss, learningRate, gradNorm, stepSeconds, etaSeconds } = event.runStep!;
      return {
        type: 'step',
        step: step ?? 0,
        total_steps: totalSteps ?? 0,
        loss: loss ?? 0,
        learning_rate: learningRate ?? 0,
        grad_norm: gradNorm ?? 0,
        step_seconds: stepSeconds ?? 0,
        eta_seconds: etaSeconds ?? 0,
      };
    }
    case 'runSample': {
      const { step, prompt, image } = event.runSample!;
      return { type: 'sample', step: step ?? 0, prompt: prompt ?? '', image: image ?? '' };
    }
    case 'runHeldOut': {
      const { step, loss, samples, best } = event.runHeldOut!;
      return { type: 'held_out', step: step ?? 0, loss: loss ?? 0, samples: samples ?? 0, best: best ?? false };
    }
    case 'runState': {
      const { state, unseenServices, preemptions } = event.runState!;
      const status = runStatus(state as RunState);
      if (status === 'finished' || status === 'failed' || status === 'cancelled')
        return { type: status, message: event.runState!.error ?? '' };
      return {
        type: 'status',
        status,
        preemptions: preemptions ?? 0,
        waits_for: waitsFor({ state, unseenServices }) || null,
      };
    }
    default:
      return null;
  }
}
