export { tellAdapter } from './adapter-telling';
export { Datasets, type ReadDataset } from './datasets';
export { datasetUse, datasetUseText, leftOutText, type DatasetUse } from './dataset-words';
export { Deletion } from './deletion';
export { EncodedRuns, type AskedEncoding, type UnencodedRun } from './encoded-runs';
export { runEvent, type RunEvent } from './event-view';
export {
  allEvents,
  datasetEvents,
  generationEvents,
  untilTrue,
  type FeedOptions,
  type FollowOptions,
  type StreamedEvent,
} from './follow';
export { Generations, type PageOptions } from './generations';
export { HeldRun, Superseded, type RunWork } from './held-run';
export { memoryPlanView, type MemoryChoiceView, type MemoryPlanView, type StepTimeView } from './plan-view';
export { runEvents } from './run-events';
export { placesOf, waitsItsTurn } from './run-order';
export { adaptersOf, bestStep, picturesOf, type AdapterOfRun, type PictureView } from './run-tables';
export { goOnForRun } from './run-trace';
export { runWarnings } from './run-warnings';
export { Runs } from './runs';
export { isDatasetCancelled, isDatasetOver, isGenerationOver, isRunOver } from './states';
export { datasetStatus, generationStatus, preempted, runStatus, statusOf, UNSEEN_MS, waitsFor } from './words';
export { EVENT_KINDS, filterOfEvents, toldEvent, type EventKind, type ToldEvent } from './told-event';
export { TrainersQueue } from './trainers-queue';
export { queueIngestForLost } from './work';
export { kinds as storeKinds, type SweepRules } from './upkeep/rules';
export { Sweep } from './upkeep/sweep';
export { SweepTurn } from './upkeep/sweep-turn';
export type { Counted } from './upkeep/tally';
export { storeUsage } from './upkeep/usage';
export { WEBHOOK_TYPES, Webhooks, wantsType, typeOfTold } from './webhooks';
