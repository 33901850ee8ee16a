export { Datasets, type ReadDataset } from './datasets';
export { runEvent, type RunEvent } from './event-view';
export { allEvents, datasetEvents, generationEvents, type FollowOptions, type StreamedEvent } from './follow';
export { Generations } from './generations';
export { HeldRun, Superseded, type RunWork } from './held-run';
export { runEvents } from './run-events';
export { Runs } from './runs';
export { isDatasetCancelled, isDatasetOver, isGenerationOver, isRunOver } from './states';
export { datasetStatus, generationStatus, preempted, runStatus, waitsFor } from './words';
