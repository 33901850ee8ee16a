import { openWholeCheckpoint } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import { Readiness } from '@atelier/mesh';
import { cardRefusal } from './card-proof';
import type { ComputeConfig } from './compute-config';
import { computing } from './computing';

const COMPUTE_NEEDS = Symbol('what a service that computes needs');

/** For a service's module: without its checkpoint, whole, and the card that it was given, it takes no work. */
export function computeNeeds(config: ComputeConfig) {
  return {
    provide: COMPUTE_NEEDS,
    useFactory: (readiness: Readiness) => {
      readiness.needsFor('its checkpoint', () => openWholeCheckpoint(config.model));
      readiness.needsFor('its card', () => checkCard(config));
      return readiness;
    },
    inject: [Readiness],
  };
}

/** Where a card was asked for by name: one that is gone, or was refused before, is waited for. */
async function checkCard({ compute, cardsDir }: ComputeConfig): Promise<void> {
  if (compute === 'auto' || compute === 'cpu') return;
  computing(compute);
  const refusal = await cardRefusal(compute, cardsDir);
  if (refusal) throw new AtelierError('UNIMPLEMENTED', refusal);
}
