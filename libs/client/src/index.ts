export { AtelierClient } from './client';
export { describeAdapter } from './adapter-header';
export { checkDataset, datasetSchema, type DatasetInput, type DatasetRequest } from './datasets';
export { DELETABLE, type Deletable } from './deletion';
export { MOST_PRIORITY, type FinetuneRequest } from './finetunes';
export { generateSchema, type GenerateRequest } from './generations';
export {
  checkName,
  isKey,
  isName,
  NAME_PATTERN,
  NAME_RULE,
  nameFrom,
  newId,
  repeatable,
  type Repeatable,
} from './names';
export {
  checkedTrainOptions,
  invalidArgument,
  trainOptions,
  trainOptionsSchema,
  trainOptionValue,
  type TrainOptionsInput,
} from './options';
export { SERVICES, type PlanInput, type ServiceState } from './services';
export { sweepRules, upkeepSettings, type SweepOptions } from './upkeep';
export type { UploadFile, UploadProgress } from './uploads';
export type { WebhookRequest, WebhookRequests } from './webhooks';
