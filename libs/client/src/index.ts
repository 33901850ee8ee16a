export { AtelierClient } from './client';
export type { AdapterImport } from './adapters';
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
  recipeChoices,
  trainOptions,
  trainOptionsSchema,
  trainOptionValue,
  type TrainOptionsInput,
} from './options';
export { SERVICES, type PlanInput, type ServiceState } from './services';
export { newToken, readTokens, SCOPES, tokenDigest, tokenLine, type Scope, type TokenEntry } from './tokens';
export { sweepRules, upkeepSettings, type SweepOptions } from './upkeep';
export type { UploadFile, UploadProgress } from './uploads';
export type { WebhookOwner, WebhookRequest, WebhookRequests } from './webhooks';
